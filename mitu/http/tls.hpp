#pragma once
// Certificate and key of a TLS server, read and checked together. OpenSSL stays inside tls.cpp.

#include <memory>
#include <string>

#include "mitu/base/result.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace mitu::http {

struct TlsFiles {
    std::string certificate_file;  // PEM: the server's own first, then intermediates
    std::string key_file;          // PEM
    std::string client_ca_file{};  // PEM: only clients with a certificate by these; empty: anyone
};

using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// A server's context for TLS 1.2 and 1.3.
/// Errors  a sentence: which file, what is wrong with it, what to do.
[[nodiscard]] Result<TlsContext, std::string> load_tls_context(const TlsFiles& files);

}  // namespace mitu::http
