#include "mitu/transport/tls_contexts.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "mitu/transport/certificate_text.hpp"

namespace mitu::transport {
namespace {

// Forward secret, authenticated: what every TLS 1.2 client of the last ten years has.
constexpr const char* default_cipher_list =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr std::size_t file_bytes_max = 16u << 20;
constexpr std::size_t server_name_bytes_max = 255;

using Problem = std::string;
template <class T>
using Loaded = Result<T, Problem>;

std::unexpected<Problem> refuse(std::string_view what, const std::string& file,
                                std::string_view why) {
    return std::unexpected(fmt::format("{} `{}`: {}", what, file, why));
}

Loaded<std::string> read_file(std::string_view what, const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    const int error = errno;
    if (!in) {
        return refuse(what, file,
                      fmt::format("cannot be read ({}); check path and permissions",
                                  std::generic_category().message(error)));
    }
    std::string text(file_bytes_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > file_bytes_max) return refuse(what, file, "is larger than 16 MiB");
    if (text.empty()) return refuse(what, file, "is empty or no file; give a file in PEM form");
    return text;
}

BioPtr open_text(const std::string& text) {
    return BioPtr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// True, with the queue emptied: the file had no further block, rather than a broken one.
bool ended_cleanly() {
    const unsigned long error = ERR_peek_last_error();
    const bool is_end =
        ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (is_end) ERR_clear_error();
    return is_end;
}

Loaded<std::vector<X509Ptr>> read_certificates(std::string_view what, const std::string& file) {
    auto text = read_file(what, file);
    if (!text) return std::unexpected(text.error());
    const BioPtr bio = open_text(*text);
    std::vector<X509Ptr> certificates;
    while (X509Ptr next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        certificates.push_back(std::move(next));
    }
    if (!ended_cleanly()) {
        return refuse(what, file,
                      fmt::format("certificate number {} in it is damaged ({}); copy it again",
                                  certificates.size() + 1, take_openssl_error()));
    }
    if (certificates.empty()) {
        return refuse(what, file,
                      "has no PEM certificate in it; it must have a line "
                      "`-----BEGIN CERTIFICATE-----` (for DER: openssl x509 -inform der)");
    }
    return certificates;
}

struct Passphrase {
    std::string text;
    bool is_asked_for = false;
    ~Passphrase() { OPENSSL_cleanse(text.data(), text.size()); }
};

int give_passphrase(char* to, int size, int /*writes*/, void* from) {
    auto& passphrase = *static_cast<Passphrase*>(from);
    passphrase.is_asked_for = true;
    const auto room = static_cast<std::size_t>(size);
    if (passphrase.text.empty() || passphrase.text.size() > room) return -1;
    passphrase.text.copy(to, room);
    return static_cast<int>(passphrase.text.size());
}

/// One line: what follows its end is no part of it.
Loaded<void> read_passphrase(const CertificateFiles& files, Passphrase& to) {
    to.text = files.key_password;
    if (files.key_password_file.empty()) return {};
    auto text = read_file("key password", files.key_password_file);
    if (!text) return std::unexpected(text.error());
    to.text = text->substr(0, text->find_first_of("\r\n"));
    OPENSSL_cleanse(text->data(), text->size());
    if (!to.text.empty()) return {};
    return refuse("key password", files.key_password_file,
                  "begins with an empty line; its first line is the password");
}

Loaded<KeyPtr> read_key(const CertificateFiles& files) {
    const std::string& file = files.key_file;
    Passphrase passphrase;
    if (auto read = read_passphrase(files, passphrase); !read) {
        return std::unexpected(read.error());
    }
    auto text = read_file("key", file);
    if (!text) return std::unexpected(text.error());
    const bool has_one = text->find("PRIVATE KEY-----") != std::string::npos;
    const BioPtr bio = open_text(*text);
    KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, &give_passphrase, &passphrase)};
    OPENSSL_cleanse(text->data(), text->size());
    if (key) return key;
    const std::string reason = take_openssl_error();
    if (passphrase.is_asked_for && passphrase.text.empty()) {
        return refuse("key", file,
                      "is encrypted; give key_password_file or key_password, or decrypt it with: "
                      "openssl pkey -in FILE -out FILE.plain");
    }
    if (passphrase.is_asked_for) {
        return refuse("key", file,
                      fmt::format("cannot be decrypted with the password given ({}); check the "
                                  "password: openssl pkey -in FILE -noout",
                                  reason));
    }
    if (!has_one) {
        return refuse("key", file,
                      "has no PEM key in it; it must have a line `-----BEGIN PRIVATE KEY-----`");
    }
    return refuse("key", file, fmt::format("is damaged ({}); copy it again", reason));
}

}  // namespace

/// Builds one snapshot; gives up at the first problem.
class TlsContexts::Loader {
public:
    Loader(const TlsSettings& settings, TlsContexts& contexts, WallTime now)
        : settings_{settings}, contexts_{contexts}, now_{now} {}

    Loaded<void> load() {
        if (settings_.certificates.empty()) {
            return std::unexpected(
                std::string{"TLS needs a certificate; give certificate_file and key_file"});
        }
        for (const std::string& name : settings_.alpn) {
            if (name.empty() || name.size() > 255) {
                return std::unexpected(fmt::format("ALPN name `{}`: use 1..255 bytes", name));
            }
            contexts_.alpn_ += static_cast<char>(name.size());
            contexts_.alpn_ += name;
        }
        contexts_.refuses_unknown_names_ = settings_.refuses_unknown_names;
        if (auto cas = load_authorities(); !cas) return cas;
        for (const CertificateFiles& files : settings_.certificates) {
            if (auto added = add_certificate(files); !added) return added;
        }
        return {};
    }

private:
    Loaded<void> load_authorities();
    Loaded<void> load_crl(const std::string& file);
    Loaded<void> add_certificate(const CertificateFiles& files);
    Loaded<void> set_up(SSL_CTX* context);
    void warn_of_dates(std::string_view what, const std::string& file, const ASN1_TIME* from,
                       const ASN1_TIME* until);

    const TlsSettings& settings_;
    TlsContexts& contexts_;
    const WallTime now_;
    std::vector<X509Ptr> authorities_;
    std::vector<X509CrlPtr> crls_;
};

void TlsContexts::Loader::warn_of_dates(std::string_view what, const std::string& file,
                                        const ASN1_TIME* from, const ASN1_TIME* until) {
    if (from != nullptr && now_ < to_wall(from)) {
        contexts_.warnings_.push_back(
            fmt::format("{} `{}` is not valid yet; check the clock", what, file));
    }
    if (until != nullptr && now_ > to_wall(until)) {
        contexts_.warnings_.push_back(fmt::format("{} `{}` has expired; renew it", what, file));
    }
}

Loaded<void> TlsContexts::Loader::load_authorities() {
    const bool wants = settings_.client_certificates != ClientCertificates::none;
    if (wants && settings_.ca_files.empty()) {
        return std::unexpected(std::string{
            "client certificates are asked for, but no ca_files say who may sign them"});
    }
    for (const std::string& file : settings_.ca_files) {
        auto read = read_certificates("CA", file);
        if (!read) return std::unexpected(read.error());
        for (X509Ptr& certificate : *read) {
            if (X509_check_ca(certificate.get()) == 0) {
                return refuse("CA", file,
                              fmt::format("`{}` in it is no CA certificate (basicConstraints); "
                                          "give the certificate that signs the clients'",
                                          subject_text(X509_get_subject_name(certificate.get()))));
            }
            warn_of_dates("CA", file, X509_get0_notBefore(certificate.get()),
                          X509_get0_notAfter(certificate.get()));
            authorities_.push_back(std::move(certificate));
        }
    }
    for (const std::string& file : settings_.crl_files) {
        if (auto loaded = load_crl(file); !loaded) return loaded;
    }
    return {};
}

Loaded<void> TlsContexts::Loader::load_crl(const std::string& file) {
    auto text = read_file("CRL", file);
    if (!text) return std::unexpected(text.error());
    const BioPtr bio = open_text(*text);
    const std::size_t before = crls_.size();
    while (X509CrlPtr crl{PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)}) {
        const X509_NAME* const issuer = X509_CRL_get_issuer(crl.get());
        const bool is_signed = std::ranges::any_of(authorities_, [&](const X509Ptr& ca) {
            return X509_NAME_cmp(X509_get_subject_name(ca.get()), issuer) == 0 &&
                   X509_CRL_verify(crl.get(), X509_get0_pubkey(ca.get())) == 1;
        });
        ERR_clear_error();
        if (!is_signed) {
            return refuse("CRL", file,
                          fmt::format("no listed CA has signed it (its issuer is `{}`); add that "
                                      "CA to ca_files or take the CRL away",
                                      subject_text(issuer)));
        }
        warn_of_dates("CRL", file, nullptr, X509_CRL_get0_nextUpdate(crl.get()));
        crls_.push_back(std::move(crl));
    }
    if (!ended_cleanly()) {
        return refuse("CRL", file,
                      fmt::format("is damaged ({}); fetch it again", take_openssl_error()));
    }
    if (crls_.size() == before) {
        return refuse("CRL", file,
                      "has no PEM CRL in it; it must have a line `-----BEGIN X509 CRL-----` "
                      "(for DER: openssl crl -inform der)");
    }
    return {};
}

Loaded<void> TlsContexts::Loader::set_up(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(
        context, settings_.version_min == TlsVersion::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 0);
    const std::string ciphers =
        settings_.cipher_list.empty() ? default_cipher_list : settings_.cipher_list;
    if (SSL_CTX_set_cipher_list(context, ciphers.c_str()) != 1) {
        return std::unexpected(fmt::format("cipher_list `{}`: {}; see `openssl ciphers`",
                                           settings_.cipher_list, take_openssl_error()));
    }
    if (!settings_.cipher_suites.empty() &&
        SSL_CTX_set_ciphersuites(context, settings_.cipher_suites.c_str()) != 1) {
        return std::unexpected(
            fmt::format("cipher_suites `{}`: {}; see `openssl ciphers -s -tls1_3`",
                        settings_.cipher_suites, take_openssl_error()));
    }

    // Sessions live in tickets alone: nothing here grows with the number of clients.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, static_cast<long>(settings_.ticket_time_max.count_s()));
    constexpr unsigned char session_context[] = "mitu";
    SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1);
    if (settings_.session_tickets) {
        SSL_CTX_set_num_tickets(context, 1);
        contexts_.tickets_->serve(context);
    } else {
        SSL_CTX_set_num_tickets(context, 0);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    }
    SSL_CTX_set_tlsext_servername_callback(context, &TlsContexts::on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, &contexts_);
    SSL_CTX_set_alpn_select_cb(context, &TlsContexts::on_alpn, &contexts_);

    if (settings_.client_certificates == ClientCertificates::none) return {};
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    for (const X509Ptr& ca : authorities_) {
        X509_STORE_add_cert(store, ca.get());
        SSL_CTX_add_client_CA(context, ca.get());
    }
    for (const X509CrlPtr& crl : crls_) X509_STORE_add_crl(store, crl.get());
    // A listed CA is trusted also when it is an intermediate one.
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
    if (!crls_.empty()) flags |= X509_V_FLAG_CRL_CHECK;
    X509_STORE_set_flags(store, flags);
    SSL_CTX_set_verify_depth(context, settings_.verify_depth);
    const bool must = settings_.client_certificates == ClientCertificates::required;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    return {};
}

Loaded<void> TlsContexts::Loader::add_certificate(const CertificateFiles& files) {
    auto chain = read_certificates("certificate", files.certificate_file);
    if (!chain) return std::unexpected(chain.error());
    auto key = read_key(files);
    if (!key) return std::unexpected(key.error());
    X509* const own = chain->front().get();
    if (X509_check_private_key(own, key->get()) != 1) {
        ERR_clear_error();
        return refuse("key", files.key_file,
                      fmt::format("does not belong to certificate `{}` (the server's own must be "
                                  "the first in its file); give the key it was made with",
                                  files.certificate_file));
    }
    SslCtxPtr context{SSL_CTX_new(TLS_server_method())};
    if (!context) return std::unexpected("OpenSSL: " + take_openssl_error());
    if (auto set = set_up(context.get()); !set) return set;
    if (SSL_CTX_use_certificate(context.get(), own) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), key->get()) != 1) {
        return refuse(
            "certificate", files.certificate_file,
            fmt::format("OpenSSL refuses it ({}); is the key long enough?", take_openssl_error()));
    }
    for (std::size_t i = 1; i < chain->size(); ++i) {
        SSL_CTX_add1_chain_cert(context.get(), (*chain)[i].get());
    }
    warn_of_dates("certificate", files.certificate_file, X509_get0_notBefore(own),
                  X509_get0_notAfter(own));

    const auto index = static_cast<std::uint32_t>(contexts_.entries_.size());
    std::vector<std::string> names =
        files.server_names.empty() ? dns_names(own) : files.server_names;
    for (std::string& name : names) {
        name = lower_case(name);
        contexts_.by_name_.try_emplace(name, index);  // the first one that names it has it
    }
    contexts_.status_.push_back(
        {files.certificate_file, std::move(names), subject_text(X509_get_subject_name(own)),
         to_wall(X509_get0_notBefore(own)), to_wall(X509_get0_notAfter(own))});
    contexts_.entries_.push_back({std::move(context)});
    return {};
}

Result<std::shared_ptr<const TlsContexts>, std::string> TlsContexts::load(
    const TlsSettings& settings, std::shared_ptr<TicketKeys> tickets, WallTime now) {
    ERR_clear_error();
    const std::shared_ptr<TlsContexts> contexts{new TlsContexts};
    contexts->tickets_ = std::move(tickets);
    if (auto loaded = Loader{settings, *contexts, now}.load(); !loaded) {
        return std::unexpected(loaded.error());
    }
    return contexts;
}

std::optional<std::uint32_t> TlsContexts::find(std::string_view server_name) const {
    if (server_name.empty() || server_name.size() > server_name_bytes_max) return std::nullopt;
    std::string name = lower_case(server_name);
    if (name.ends_with('.')) name.pop_back();
    if (const auto found = by_name_.find(name); found != by_name_.end()) return found->second;
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) return std::nullopt;
    const auto found = by_name_.find("*" + name.substr(dot));
    return found != by_name_.end() ? std::optional{found->second} : std::nullopt;
}

int TlsContexts::on_server_name(SSL* ssl, int* alert, void* self) noexcept {
    const auto& contexts = *static_cast<const TlsContexts*>(self);
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    const auto found = contexts.find(name);
    if (!found) {
        if (!contexts.refuses_unknown_names_) return SSL_TLSEXT_ERR_NOACK;
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    SSL_set_SSL_CTX(ssl, contexts.entries_[*found].context.get());
    return SSL_TLSEXT_ERR_OK;
}

int TlsContexts::on_alpn(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_size,
                         const unsigned char* offered, unsigned offered_size, void* self) noexcept {
    const std::string& ours = static_cast<const TlsContexts*>(self)->alpn_;
    unsigned char* found = nullptr;
    const int result = SSL_select_next_proto(
        &found, chosen_size, reinterpret_cast<const unsigned char*>(ours.data()),
        static_cast<unsigned>(ours.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace mitu::transport
