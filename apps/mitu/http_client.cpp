#include "apps/mitu/http_client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "apps/mitu/text.hpp"

namespace mitu::cli {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace asio = boost::asio;

constexpr std::uint64_t body_bytes_max = 64 << 20;

/// Asynchronous, because only then does Beast keep to a timeout; run to its end at once.
class Exchange {
public:
    Exchange(const Endpoint& endpoint, const std::string& path, Duration timeout)
        : resolver_{context_}, stream_{context_}, endpoint_{endpoint} {
        request_.method(http::verb::get);
        request_.target(path);
        request_.version(11);
        request_.set(http::field::host, endpoint.text());
        request_.set(http::field::user_agent, "mitu");
        request_.set(http::field::accept, "application/json");
        request_.set(http::field::connection, "close");
        parser_.body_limit(body_bytes_max);
        stream_.expires_after(std::chrono::nanoseconds{timeout.count_ns()});
    }

    Result<std::string, std::string> run() {
        boost::system::error_code error;
        const auto found = resolver_.resolve(endpoint_.host, std::to_string(endpoint_.port), error);
        if (error) return std::unexpected(said(error));
        stream_.async_connect(found, [this](boost::system::error_code failed, const auto&) {
            if (!go_on(failed)) return;
            http::async_write(
                stream_, request_, [this](boost::system::error_code unsent, std::size_t) {
                    if (!go_on(unsent)) return;
                    http::async_read(
                        stream_, buffer_, parser_,
                        [this](boost::system::error_code unread, std::size_t) { go_on(unread); });
                });
        });
        context_.run();
        if (error_) return std::unexpected(said(error_));
        const auto& response = parser_.get();
        if (response.result() != http::status::ok) {
            return std::unexpected(fmt::format("{} answered {} {}", endpoint_.text(),
                                               response.result_int(),
                                               std::string{response.reason()}));
        }
        return response.body();
    }

private:
    bool go_on(boost::system::error_code error) {
        error_ = error;
        return !error;
    }
    [[nodiscard]] std::string said(boost::system::error_code error) const {
        if (error == beast::error::timeout) {
            return fmt::format("{} does not answer", endpoint_.text());
        }
        return fmt::format("{}: {}", endpoint_.text(), error.message());
    }

    asio::io_context context_;
    asio::ip::tcp::resolver resolver_;
    beast::tcp_stream stream_;
    Endpoint endpoint_;
    http::request<http::empty_body> request_;
    beast::flat_buffer buffer_;
    http::response_parser<http::string_body> parser_;
    boost::system::error_code error_;
};

}  // namespace

Result<std::string, std::string> http_get(const Endpoint& endpoint, const std::string& path,
                                          Duration timeout) {
    try {
        return Exchange{endpoint, path, timeout}.run();
    } catch (const std::exception& error) {
        return std::unexpected(fmt::format("{}: {}", endpoint.text(), error.what()));
    }
}

Result<Endpoint, std::string> parse_http_endpoint(const std::string& text) {
    Endpoint endpoint{.host = "127.0.0.1", .port = http_port_default};
    if (text.find("://") != std::string::npos) {
        const auto url = parse_url(text);
        if (!url) return std::unexpected(fmt::format("--http {}: {}", text, url.error()));
        if (url->scheme != "http") {
            return std::unexpected(
                fmt::format("--http {}: {} is not spoken here; use http://", text, url->scheme));
        }
        endpoint.host = url->host;
        endpoint.port = url->port.value_or(http_port_default);
        return endpoint;
    }
    const auto place = parse_host_port(text);
    if (!place) {
        return std::unexpected(
            fmt::format("--http {}: not HOST:PORT with a port from 1 to 65535", text));
    }
    if (!place->host.empty()) endpoint.host = place->host;
    endpoint.port = place->port.value_or(http_port_default);
    return endpoint;
}

}  // namespace mitu::cli
