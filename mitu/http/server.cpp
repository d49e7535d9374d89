#include "mitu/http/server.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/http/routes.hpp"
#include "mitu/trace/log.hpp"

// Asio's functions return the error that they also set.
// NOLINTBEGIN(bugprone-unused-return-value)
namespace mitu::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// What an unwilling reader may still send us after our last answer, and for how long.
constexpr std::size_t drain_bytes_max = 262'144;
constexpr auto drain_time_max = std::chrono::seconds{1};
constexpr auto accept_pause = std::chrono::milliseconds{100};

std::chrono::nanoseconds to_chrono(Duration d) { return std::chrono::nanoseconds{d.count_ns()}; }

/// What the sessions of a server share. Lives on the server's thread.
struct Shared {
    ServerOptions options;
    Routes routes;
    std::size_t connections = 0;
};

/// One connection: read a request, answer, again. Kept alive by the operation that is under way.
class Session final : public std::enable_shared_from_this<Session> {
public:
    Session(tcp::socket socket, Shared& shared)
        : shared_{shared},
          stream_{std::move(socket)},
          buffer_{shared.options.header_bytes_max + 65'536} {
        ++shared_.connections;
    }
    ~Session() { --shared_.connections; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void run() { read_header(); }

private:
    void read_header() {
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(shared_.options.header_bytes_max));
        parser_->body_limit(shared_.options.body_bytes_max);
        stream_.expires_after(to_chrono(shared_.options.request_time_max));
        bhttp::async_read_header(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
    }

    void on_header(error_code error) {
        if (error) return on_read_error(error);
        if (!beast::iequals(parser_->get()[bhttp::field::expect], "100-continue")) {
            return read_body();
        }
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(go_on),
                          [self = shared_from_this()](error_code write_error, std::size_t) {
                              if (!write_error) self->read_body();
                          });
    }

    // Still under the time limit that read_header() set.
    void read_body() {
        bhttp::async_read(stream_, buffer_, *parser_,
                          [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->on_read_error(error);
                              self->answer();
                          });
    }

    void on_read_error(error_code error) {
        if (error == bhttp::error::body_limit) {
            return reply(make_error(413, "the body is larger than allowed"), false, false);
        }
        if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
            return reply(make_error(431, "the header is larger than allowed"), false, false);
        }
        const bool is_gone =
            error == bhttp::error::end_of_stream || error == bhttp::error::partial_message ||
            error.category() != bhttp::make_error_code(bhttp::error::bad_version).category();
        if (is_gone) return;  // closed, broken or too slow: nobody would read an answer
        reply(make_error(400, fmt::format("malformed request: {}", error.message())), false, false);
    }

    void answer() {
        bhttp::request<bhttp::string_body> message = parser_->release();
        const bool is_head = message.method() == bhttp::verb::head;
        const bool keep_alive = message.keep_alive();
        auto target = parse_target({message.target().data(), message.target().size()});
        if (!target) return reply(make_error(400, "malformed request target"), false, is_head);
        Request request;
        request.method = std::string{message.method_string()};
        request.target = std::move(*target);
        request.content_type = std::string{message[bhttp::field::content_type]};
        request.body = std::move(message.body());

        const Routes::Match match = shared_.routes.find(request.method, request.target.path);
        if (match.allowed.empty()) return reply(make_error(404, "not found"), keep_alive, is_head);
        if (match.handler == nullptr) {
            const std::string what = fmt::format("method not allowed; use {}", match.allowed);
            return reply(make_error(405, what), keep_alive, is_head, match.allowed);
        }
        Response response;
        try {
            response = (*match.handler)(request);
        } catch (const std::exception& exception) {
            trace::log(trace::Level::error, "http_handler_threw",
                       {{"path", request.target.path}, {"what", exception.what()}});
            response = make_error(500, "internal error");
        }
        trace::log(trace::Level::debug, "http_request",
                   {{"method", request.method},
                    {"path", request.target.path},
                    {"status", response.status},
                    {"bytes", response.body.size()}});
        reply(std::move(response), keep_alive, is_head);
    }

    static Response make_error(unsigned status, std::string_view what) {
        Response response;
        response.status = status;
        response.body = fmt::format("{}\n", what);
        return response;
    }

    void reply(Response response, bool keep_alive, bool is_head, std::string_view allow = {}) {
        const auto fill = [&](auto& message) {
            message.version(11);
            message.result(response.status);
            message.set(bhttp::field::content_type, response.content_type);
            if (!allow.empty()) message.set(bhttp::field::allow, allow);
            message.content_length(response.body.size());
            message.keep_alive(keep_alive);
        };
        if (is_head) {
            bhttp::response<bhttp::empty_body> message;
            fill(message);
            return send(bhttp::message_generator{std::move(message)});
        }
        bhttp::response<bhttp::string_body> message;
        fill(message);
        message.body() = std::move(response.body);
        send(bhttp::message_generator{std::move(message)});
    }

    void send(bhttp::message_generator message) {
        const bool keep_alive = message.keep_alive();
        stream_.expires_after(to_chrono(shared_.options.response_time_max));
        beast::async_write(stream_, std::move(message),
                           [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                               if (error) return;
                               if (keep_alive) return self->read_header();
                               self->finish();
                           });
    }

    // Closing with unread bytes would reset the connection before the answer is read.
    void finish() {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        stream_.expires_after(drain_time_max);
        drain();
    }
    void drain() {
        stream_.async_read_some(asio::buffer(drained_),
                                [self = shared_from_this()](error_code error, std::size_t count) {
                                    self->drained_bytes_ += count;
                                    if (error || self->drained_bytes_ > drain_bytes_max) return;
                                    self->drain();
                                });
    }

    Shared& shared_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
    std::array<char, 1'024> drained_{};
    std::size_t drained_bytes_ = 0;
};

// Without waiting: if the socket does not take these few bytes at once, the close says it all.
void refuse(tcp::socket socket) {
    static constexpr std::string_view answer =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(answer), ignored);
    socket.shutdown(tcp::socket::shutdown_both, ignored);
}

}  // namespace

/// Owns the thread, the listening socket and the sessions.
class Server::Impl {
public:
    explicit Impl(ServerOptions options) { shared_.options = std::move(options); }
    ~Impl() { stop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void handle(std::string_view method, std::string_view path, Handler handler) {
        MITU_CHECK_MSG(!thread_.joinable(), "handlers are set before start()");
        shared_.routes.add(method, path, std::move(handler));
    }

    Result<std::uint16_t, std::string> start() {
        error_code error;
        const ServerOptions& options = shared_.options;
        const bool is_any = options.host == "*";
        const auto address = asio::ip::make_address(is_any ? "::" : options.host, error);
        const auto refused = [&] {
            return std::unexpected(fmt::format("cannot listen on http address {} port {}: {}",
                                               options.host, options.port, error.message()));
        };
        if (error) return refused();
        const tcp::endpoint endpoint{address, options.port};
        acceptor_.open(endpoint.protocol(), error);
        if (error) return refused();
        acceptor_.set_option(tcp::acceptor::reuse_address{true}, error);
        if (!error && is_any) acceptor_.set_option(asio::ip::v6_only{false}, error);
        if (!error) acceptor_.set_option(tcp::no_delay{true}, error);  // accepted ones inherit it
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
        if (error) return refused();
        const std::uint16_t port = acceptor_.local_endpoint(error).port();
        if (error) return refused();

        accept();
        thread_ = std::thread{[this] {
            pthread_setname_np(pthread_self(), "mitu-http");
            context_.run();
        }};
        return port;
    }

    void stop() {
        context_.stop();
        if (thread_.joinable()) thread_.join();
    }

private:
    void accept() {
        acceptor_.async_accept([this](error_code error, tcp::socket socket) {
            if (error) return accept_later(error);
            if (shared_.connections < shared_.options.connections_max) {
                std::make_shared<Session>(std::move(socket), shared_)->run();
            } else {
                refuse(std::move(socket));
            }
            accept();
        });
    }

    void accept_later(error_code error) {
        trace::log(trace::Level::warn, "http_accept_paused", {{"reason", error.message()}});
        retry_.expires_after(accept_pause);
        retry_.async_wait([this](error_code cancelled) {
            if (!cancelled) accept();
        });
    }

    Shared shared_;
    // After shared_: its end destroys the sessions that are under way, which count there.
    asio::io_context context_{1};
    tcp::acceptor acceptor_{context_};
    asio::steady_timer retry_{context_};
    std::thread thread_;
};

std::optional<std::string_view> Request::query(std::string_view name) const {
    for (const auto& [key, value] : target.query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

Server::Server(ServerOptions options) : impl_{std::make_unique<Impl>(std::move(options))} {}
Server::~Server() = default;

void Server::handle(std::string_view method, std::string_view path, Handler handler) {
    impl_->handle(method, path, std::move(handler));
}
Result<std::uint16_t, std::string> Server::start() { return impl_->start(); }
void Server::stop() { impl_->stop(); }

}  // namespace mitu::http
// NOLINTEND(bugprone-unused-return-value)
