#pragma once
// A CA of the tests, and certificates that it signs.

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "mitu/http/tls.hpp"

namespace mitu::http::testing {

/// A directory of its own, removed with everything in it.
class Directory {
public:
    explicit Directory(std::string pattern) : path_{std::move(pattern)} {
        path_ += "mitu-http-XXXXXX";
        ::mkdtemp(path_.data());
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

class TestCa {
public:
    explicit TestCa(const char* name) {
        fill(certificate_, key_, name, 3'600);
        extend(certificate_, NID_basic_constraints, "critical,CA:TRUE");
        X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
        X509_sign(certificate_, key_, EVP_sha256());
    }
    ~TestCa() {
        X509_free(certificate_);
        EVP_PKEY_free(key_);
    }
    TestCa(const TestCa&) = delete;
    TestCa& operator=(const TestCa&) = delete;

    void write(const std::string& file) const { write_certificate(file, certificate_); }

    /// `names` as OpenSSL reads them: "DNS:one.test,IP:127.0.0.1".
    void issue(const TlsFiles& files, const char* names, long seconds_left = 3'600) const {
        EVP_PKEY* const key = EVP_EC_gen("P-256");
        X509* const certificate = X509_new();
        fill(certificate, key, "service", seconds_left);
        extend(certificate, NID_subject_alt_name, names);
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
        X509_sign(certificate, key_, EVP_sha256());
        write_certificate(files.certificate_file, certificate);
        std::FILE* const file = std::fopen(files.key_file.c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }

private:
    static void fill(X509* certificate, EVP_PKEY* key, const char* name, long seconds_left) {
        X509_set_version(certificate, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -7'200);
        X509_gmtime_adj(X509_getm_notAfter(certificate), seconds_left);
        X509_set_pubkey(certificate, key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    }
    static void extend(X509* certificate, int nid, const char* value) {
        X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    static void write_certificate(const std::string& path, X509* certificate) {
        std::FILE* const file = std::fopen(path.c_str(), "w");
        PEM_write_X509(file, certificate);
        std::fclose(file);
    }

    EVP_PKEY* key_ = EVP_EC_gen("P-256");
    X509* certificate_ = X509_new();
};

}  // namespace mitu::http::testing
