#pragma once
// OpenSSL's objects, owned. For .cpp files and headers that only they include.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace mitu::transport {

template <auto free_it>
struct OpenSslFree {
    template <class T>
    void operator()(T* object) const noexcept {
        free_it(object);
    }
};
template <class T, auto free_it>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree<free_it>>;

using BioPtr = OpenSslPtr<BIO, BIO_free>;
using SslPtr = OpenSslPtr<SSL, SSL_free>;
using SslCtxPtr = OpenSslPtr<SSL_CTX, SSL_CTX_free>;
using X509Ptr = OpenSslPtr<X509, X509_free>;
using X509CrlPtr = OpenSslPtr<X509_CRL, X509_CRL_free>;
using KeyPtr = OpenSslPtr<EVP_PKEY, EVP_PKEY_free>;

/// The newest error of this thread as OpenSSL says it; the queue is empty afterwards.
inline std::string take_openssl_error() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (code == 0) return "no reason given";
    const char* const reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "error " + std::to_string(code);
}

}  // namespace mitu::transport
