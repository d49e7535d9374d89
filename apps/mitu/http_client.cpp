#include "apps/mitu/http_client.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "apps/mitu/text.hpp"

namespace mitu::cli {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace asio = boost::asio;
using boost::system::error_code;
using PlainStream = beast::basic_stream<asio::generic::stream_protocol>;

constexpr std::uint64_t body_bytes_max = 64 << 20;
constexpr std::size_t unix_path_bytes_max = 107;

/// Asynchronous, because only then does Beast keep to a timeout; run to its end at once.
class Exchange {
public:
    Exchange(const HttpServer& server, const HttpRequest& wanted, Duration timeout)
        : server_{server}, stream_{context_, tls_} {
        request_.method_string(wanted.method);
        request_.target(wanted.target);
        request_.version(11);
        request_.set(http::field::host,
                     server.unix_path.empty() ? server.endpoint.text() : "localhost");
        request_.set(http::field::user_agent, "mitu");
        request_.set(http::field::accept, "application/json");
        request_.set(http::field::connection, "close");
        for (const auto& [name, value] : wanted.headers) request_.set(name, value);
        if (!wanted.body.empty()) request_.set(http::field::content_type, "application/json");
        request_.body() = wanted.body;
        request_.prepare_payload();
        parser_.body_limit(body_bytes_max);
        timeout_ = std::chrono::nanoseconds{timeout.count_ns()};
        plain().expires_after(std::chrono::nanoseconds{timeout.count_ns()});
    }

    /// The body goes there as it comes.
    void follow(const std::function<bool(std::string_view)>& on_piece) {
        on_piece_ = &on_piece;
        parser_.body_limit(boost::none);
    }

    Result<HttpResponse, HttpFailure> run() {
        if (auto problem = find_endpoints(); !problem.empty()) {
            return std::unexpected(HttpFailure{problem});
        }
        if (server_.is_tls) {
            if (auto problem = prepare_tls(); !problem.empty()) {
                return std::unexpected(HttpFailure{problem});
            }
        }
        connect(0);
        context_.run();
        if (error_) return std::unexpected(said());
        const auto& response = parser_.get();
        return HttpResponse{response.result_int(), response.body()};
    }

private:
    [[nodiscard]] PlainStream& plain() { return stream_.next_layer(); }

    /// Shape  empty: there are some.
    std::string find_endpoints() {
        if (!server_.unix_path.empty()) {
            endpoints_.emplace_back(asio::local::stream_protocol::endpoint{server_.unix_path});
            return {};
        }
        error_code error;
        asio::ip::tcp::resolver resolver{context_};
        const auto found =
            resolver.resolve(server_.endpoint.host, std::to_string(server_.endpoint.port), error);
        if (error) return fmt::format("{}: {}", server_.text(), error.message());
        for (const auto& entry : found) endpoints_.emplace_back(entry.endpoint());
        return {};
    }

    std::string prepare_tls() {
        error_code error;
        tls_.set_verify_mode(asio::ssl::verify_peer, error);
        stream_.set_verify_mode(asio::ssl::verify_peer, error);
        if (server_.ca_file.empty()) {
            tls_.set_default_verify_paths(error);
        } else {
            tls_.load_verify_file(server_.ca_file, error);
            if (error) {
                return fmt::format("--ca-file {}: {}; name a readable PEM file", server_.ca_file,
                                   error.message());
            }
        }
        stream_.set_verify_callback(asio::ssl::host_name_verification{server_.endpoint.host},
                                    error);
        SSL_set_tlsext_host_name(stream_.native_handle(), server_.endpoint.host.c_str());
        return {};
    }

    void connect(std::size_t which) {
        plain().async_connect(endpoints_[which], [this, which](error_code failed) {
            const bool is_last = which + 1 == endpoints_.size();
            if (failed && !is_last && failed != beast::error::timeout) {
                error_code ignored;
                plain().socket().close(ignored);
                return connect(which + 1);
            }
            if (!go_on(failed)) return;
            if (!server_.is_tls) return send(plain());
            stream_.async_handshake(asio::ssl::stream_base::client, [this](error_code refused) {
                if (go_on(refused)) send(stream_);
            });
        });
    }

    template <class Stream>
    void send(Stream& stream) {
        http::async_write(stream, request_, [this, &stream](error_code unsent, std::size_t) {
            if (!go_on(unsent)) return;
            if (on_piece_ != nullptr) {
                return http::async_read_header(stream, buffer_, parser_,
                                               [this, &stream](error_code unread, std::size_t) {
                                                   if (go_on(unread)) read_pieces(stream);
                                               });
            }
            http::async_read(stream, buffer_, parser_,
                             [this](error_code unread, std::size_t) { go_on(unread); });
        });
    }

    template <class Stream>
    void read_pieces(Stream& stream) {
        std::string& body = parser_.get().body();
        const bool is_followed = parser_.get().result_int() < 300;
        if (is_followed && !body.empty()) {
            if (!(*on_piece_)(body)) return;
            body.clear();
        }
        if (parser_.is_done() || body.size() > body_bytes_max) return;
        plain().expires_after(timeout_);
        http::async_read_some(stream, buffer_, parser_,
                              [this, &stream](error_code unread, std::size_t) {
                                  if (go_on(unread)) read_pieces(stream);
                              });
    }

    bool go_on(error_code error) {
        error_ = error;
        return !error;
    }
    [[nodiscard]] HttpFailure said() {
        if (error_ == beast::error::timeout) {
            return {fmt::format("{} does not answer", server_.text()), true};
        }
        const long verdict = server_.is_tls ? SSL_get_verify_result(stream_.native_handle()) : 0;
        if (verdict != X509_V_OK) {
            return {
                fmt::format("{}: its certificate is not to be trusted: {}; --ca-file names who "
                            "may sign it",
                            server_.text(), X509_verify_cert_error_string(verdict))};
        }
        return {fmt::format("{}: {}", server_.text(), error_.message())};
    }

    HttpServer server_;
    asio::io_context context_;
    asio::ssl::context tls_{asio::ssl::context::tls_client};
    asio::ssl::stream<PlainStream> stream_;  // without TLS only what is under it
    std::vector<asio::generic::stream_protocol::endpoint> endpoints_;
    http::request<http::string_body> request_;
    beast::flat_buffer buffer_;
    http::response_parser<http::string_body> parser_;
    error_code error_;
    std::chrono::nanoseconds timeout_{};
    const std::function<bool(std::string_view)>* on_piece_ = nullptr;  // null: the body at once
};

}  // namespace

std::string HttpServer::text() const { return unix_path.empty() ? endpoint.text() : unix_path; }

Result<HttpResponse, HttpFailure> http_exchange(const HttpServer& server,
                                                const HttpRequest& request, Duration timeout) {
    try {
        return Exchange{server, request, timeout}.run();
    } catch (const std::exception& error) {
        return std::unexpected(HttpFailure{fmt::format("{}: {}", server.text(), error.what())});
    }
}

Result<HttpResponse, HttpFailure> http_follow(
    const HttpServer& server, const HttpRequest& request, Duration silence_max,
    const std::function<bool(std::string_view)>& on_piece) {
    try {
        Exchange exchange{server, request, silence_max};
        exchange.follow(on_piece);
        return exchange.run();
    } catch (const std::exception& error) {
        return std::unexpected(HttpFailure{fmt::format("{}: {}", server.text(), error.what())});
    }
}

Result<HttpServer, std::string> parse_http_server(const std::string& text,
                                                  const std::string& option) {
    HttpServer server;
    constexpr std::string_view unix_scheme = "unix:";
    if (text.starts_with(unix_scheme)) {
        server.unix_path = text.substr(unix_scheme.size());
        if (server.unix_path.empty() || server.unix_path.size() > unix_path_bytes_max) {
            return std::unexpected(fmt::format("{} {}: a Unix socket's path has 1 to {} bytes",
                                               option, text, unix_path_bytes_max));
        }
        return server;
    }
    if (text.find("://") != std::string::npos) {
        const auto url = parse_url(text);
        if (!url) return std::unexpected(fmt::format("{} {}: {}", option, text, url.error()));
        if (url->scheme != "http" && url->scheme != "https") {
            return std::unexpected(
                fmt::format("{} {}: {} is not spoken here; use http:// or https://", option, text,
                            url->scheme));
        }
        server.is_tls = url->scheme == "https";
        server.endpoint.host = url->host;
        server.endpoint.port = url->port.value_or(http_port_default);
        return server;
    }
    const auto place = parse_host_port(text);
    if (!place) {
        return std::unexpected(
            fmt::format("{} {}: not HOST:PORT with a port from 1 to 65535", option, text));
    }
    if (!place->host.empty()) server.endpoint.host = place->host;
    server.endpoint.port = place->port.value_or(http_port_default);
    return server;
}

}  // namespace mitu::cli
