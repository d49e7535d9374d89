#pragma once
// What TLS needs from files: certificate and key of a server, the CAs that a client believes.
// OpenSSL stays inside tls.cpp.

#include <memory>
#include <string>

#include "mitu/base/result.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace mitu::http {

struct TlsFiles {
    std::string certificate_file;     // PEM: the server's own first, then intermediates
    std::string key_file;             // PEM
    std::string key_password_file{};  // what the key is encrypted with: its first line
    bool needs_tls_1_3 = false;       // otherwise 1.2 will do
    std::string client_ca_file{};  // PEM: only clients with a certificate by these; empty: anyone
};

using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// A server's context for TLS 1.2 and 1.3.
/// Errors  a sentence: which file, what is wrong with it, what to do.
[[nodiscard]] Result<TlsContext, std::string> load_tls_context(const TlsFiles& files);

/// A client's context for TLS 1.2 and 1.3. It refuses servers whose certificate nobody in `ca_file`
/// has signed (PEM; empty: the CAs of the system). Whose name has to be in it, each connection
/// says.
/// Errors  a sentence, as above.
[[nodiscard]] Result<TlsContext, std::string> load_tls_client_context(const std::string& ca_file);

}  // namespace mitu::http
