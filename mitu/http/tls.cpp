#include "mitu/http/tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <fstream>

namespace mitu::http {
namespace {

/// The youngest error of this thread in words; the queue is empty afterwards.
std::string take_error() {
    std::array<char, 256> text{};
    const unsigned long code = ERR_peek_last_error();
    ERR_error_string_n(code, text.data(), text.size());
    const char* const reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return reason != nullptr ? reason : text.data();
}

/// The first line; empty: no file is named.
Result<std::string, std::string> read_password(const std::string& file) {
    std::string line;
    if (file.empty()) return line;
    std::ifstream in{file};
    if (std::getline(in, line)) {
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) return line;
    }
    return std::unexpected(fmt::format(
        "key password {}: it cannot be read, or its first line is empty; name a readable file "
        "whose first line is the password",
        file));
}

int give_password(char* to, int size, int /*writes*/, void* from) {
    const auto* const password = static_cast<const std::string*>(from);
    const auto room = static_cast<std::size_t>(size);
    if (password == nullptr || password->size() > room) return 0;
    password->copy(to, room);
    return static_cast<int>(password->size());
}

}  // namespace

Result<TlsContext, std::string> load_tls_context(const TlsFiles& files) {
    ERR_clear_error();
    const TlsContext context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
    if (!context) return std::unexpected("TLS cannot be set up: " + take_error());
    SSL_CTX_set_min_proto_version(context.get(),
                                  files.needs_tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    auto password = read_password(files.key_password_file);
    if (!password) return std::unexpected(password.error());
    // Without one a key with a passphrase is an error; OpenSSL would ask for it on the terminal.
    SSL_CTX_set_default_passwd_cb(context.get(), give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context.get(), &*password);
    struct Forget {  // the context outlives the password
        SSL_CTX* context;
        std::string& password;
        ~Forget() {
            SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
            OPENSSL_cleanse(password.data(), password.size());
        }
    };
    const Forget forget{context.get(), *password};
    if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate_file.c_str()) != 1) {
        return std::unexpected(fmt::format(
            "certificate {}: {}; name a readable PEM file with the server's certificate first",
            files.certificate_file, take_error()));
    }
    // A key that does not belong to the certificate is refused here too.
    if (SSL_CTX_use_PrivateKey_file(context.get(), files.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        return std::unexpected(fmt::format(
            "key {}: {}; name a readable PEM file with the private key of certificate {}, {}",
            files.key_file, take_error(), files.certificate_file,
            files.key_password_file.empty()
                ? "without a passphrase (or with key_password_file)"
                : "and in key_password_file what it is encrypted with"));
    }
    if (files.client_ca_file.empty()) return context;
    if (SSL_CTX_load_verify_locations(context.get(), files.client_ca_file.c_str(), nullptr) != 1) {
        return std::unexpected(fmt::format("client CA {}: {}; name a readable PEM file",
                                           files.client_ca_file, take_error()));
    }
    SSL_CTX_set_client_CA_list(context.get(),
                               SSL_load_client_CA_file(files.client_ca_file.c_str()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    static constexpr std::array<unsigned char, 9> id{'m', 'i', 't', 'u', '-', 'h', 't', 't', 'p'};
    SSL_CTX_set_session_id_context(context.get(), id.data(), id.size());
    return context;
}

Result<TlsContext, std::string> load_tls_client_context(const std::string& ca_file) {
    ERR_clear_error();
    const TlsContext context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
    if (!context) return std::unexpected("TLS cannot be set up: " + take_error());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (ca_file.empty()) {
        if (SSL_CTX_set_default_verify_paths(context.get()) == 1) return context;
        return std::unexpected("the CAs of the system cannot be read: " + take_error());
    }
    if (SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) == 1) return context;
    return std::unexpected(
        fmt::format("CA {}: {}; name a readable PEM file with the certificates "
                    "of the CAs to believe",
                    ca_file, take_error()));
}

}  // namespace mitu::http
