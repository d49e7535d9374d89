#pragma once
// Certificates for tests, made while they run: nothing that is checked in can expire.

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/transport/openssl_ptr.hpp"

namespace mitu::transport::testing {

struct Identity {
    X509Ptr certificate;
    KeyPtr key;
    [[nodiscard]] std::string certificate_pem() const {
        const BioPtr bio{BIO_new(BIO_s_mem())};
        PEM_write_bio_X509(bio.get(), certificate.get());
        return text_of(bio.get());
    }
    [[nodiscard]] std::string key_pem() const {
        const BioPtr bio{BIO_new(BIO_s_mem())};
        PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        return text_of(bio.get());
    }
    static std::string text_of(BIO* bio) {
        char* text = nullptr;
        const long size = BIO_get_mem_data(bio, &text);
        return {text, static_cast<std::size_t>(size)};
    }
};

struct IdentityOptions {
    std::string common_name{};
    std::string alternative_names{};  // "DNS:mqtt.example.org,URI:urn:dev:1,email:a@example.org"
    bool is_ca = false;
    int from_days = -1;
    int until_days = 30;
};

/// Signed by `issuer`, or by itself if that is null.
inline Identity make_identity(const IdentityOptions& options, const Identity* issuer = nullptr) {
    static long serial = 0;
    Identity made;
    made.key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    made.certificate.reset(X509_new());
    X509* const x = made.certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), 86'400L * options.from_days);
    X509_gmtime_adj(X509_getm_notAfter(x), 86'400L * options.until_days);
    X509_set_pubkey(x, made.key.get());
    X509_NAME* const name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>("Acme"), -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.common_name.data()),
                               static_cast<int>(options.common_name.size()), -1, 0);
    X509_set_issuer_name(
        x, issuer == nullptr ? name : X509_get_subject_name(issuer->certificate.get()));
    const auto add = [&](int nid, const std::string& value) {
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, issuer == nullptr ? x : issuer->certificate.get(), x, nullptr,
                       nullptr, 0);
        X509_EXTENSION* const extension =
            X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
        MITU_CHECK(extension != nullptr);
        X509_add_ext(x, extension, -1);
        X509_EXTENSION_free(extension);
    };
    add(NID_basic_constraints, options.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (options.is_ca) add(NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!options.alternative_names.empty()) {
        add(NID_subject_alt_name, options.alternative_names);
    }
    X509_sign(x, issuer == nullptr ? made.key.get() : issuer->key.get(), EVP_sha256());
    return made;
}

/// A CRL of `issuer` that names `revoked`.
inline std::string make_crl(const Identity& issuer, const std::vector<const Identity*>& revoked,
                            int until_days = 30) {
    const X509CrlPtr crl{X509_CRL_new()};
    X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.certificate.get()));
    const OpenSslPtr<ASN1_TIME, ASN1_TIME_free> from{X509_gmtime_adj(nullptr, -86'400L * 60)};
    const OpenSslPtr<ASN1_TIME, ASN1_TIME_free> until{
        X509_gmtime_adj(nullptr, 86'400L * until_days)};
    X509_CRL_set1_lastUpdate(crl.get(), from.get());
    X509_CRL_set1_nextUpdate(crl.get(), until.get());
    for (const Identity* const identity : revoked) {
        X509_REVOKED* const entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(identity->certificate.get()));
        X509_REVOKED_set_revocationDate(entry, from.get());
        X509_CRL_add0_revoked(crl.get(), entry);
    }
    X509_CRL_sort(crl.get());
    X509_CRL_sign(crl.get(), issuer.key.get(), EVP_sha256());
    const BioPtr bio{BIO_new(BIO_s_mem())};
    PEM_write_bio_X509_CRL(bio.get(), crl.get());
    return Identity::text_of(bio.get());
}

/// A directory that goes away with the test.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name =
            (std::filesystem::temp_directory_path() / "mitu-transport-XXXXXX").string();
        MITU_CHECK(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream{file(name), std::ios::binary | std::ios::trunc} << text;
        return file(name);
    }

private:
    std::filesystem::path path_;
};

}  // namespace mitu::transport::testing
