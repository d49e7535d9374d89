#pragma once
// Internal to server.cpp and client.cpp: short names for Asio and Beast.

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <memory>

#include "mitu/base/time.hpp"
#include "mitu/http/tls.hpp"

namespace boost::beast::http {}

namespace mitu::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using boost::system::error_code;

inline std::chrono::nanoseconds to_chrono(Duration d) {
    return std::chrono::nanoseconds{d.count_ns()};
}

inline std::shared_ptr<asio::ssl::context> as_asio(const TlsContext& context) {
    SSL_CTX_up_ref(context.get());  // Asio's own reference
    return std::make_shared<asio::ssl::context>(context.get());
}

}  // namespace mitu::http
