#pragma once
// Internal to server.cpp: one connection of the server, plain or TLS.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "mitu/http/beast.hpp"
#include "mitu/http/routes.hpp"
#include "mitu/trace/log.hpp"

// Asio's functions return the error that they also set.
// NOLINTBEGIN(bugprone-unused-return-value)
namespace mitu::http {

using Socket = asio::generic::stream_protocol::socket;  // TCP or Unix
using PlainStream = beast::basic_stream<asio::generic::stream_protocol>;
using TlsStream = asio::ssl::stream<PlainStream>;

// What an unwilling reader may still send us after our last answer, and for how long.
inline constexpr std::size_t drain_bytes_max = 262'144;
inline constexpr auto drain_time_max = std::chrono::seconds{1};
/// How often a stream is asked for more.
inline constexpr auto stream_pace = std::chrono::milliseconds{100};

/// What the sessions of a server share. Lives on the server's thread, but for the pool.
struct Shared {
    ServerOptions options;
    Routes routes;
    Server::ErrorAnswer error_answer;
    asio::io_context* context = nullptr;
    asio::thread_pool* pool = nullptr;
    std::shared_ptr<asio::ssl::context> tls;  // for connections from now on
    std::size_t connections = 0;
    std::size_t pool_requests = 0;  // that run or wait
};

/// Read a request, answer, again. Kept alive by the operation that is under way.
template <class Stream>
class Session final : public std::enable_shared_from_this<Session<Stream>> {
    static constexpr bool is_tls = std::is_same_v<Stream, TlsStream>;

public:
    template <class... StreamArguments>
    Session(Shared& shared, Peer peer, StreamArguments&&... arguments)
        : shared_{shared},
          peer_{std::move(peer)},
          stream_{std::forward<StreamArguments>(arguments)...},
          buffer_{shared.options.header_bytes_max + 65'536} {
        peer_.is_encrypted = is_tls;
        ++shared_.connections;
    }
    ~Session() { --shared_.connections; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void run() {
        if constexpr (is_tls) {
            lowest().expires_after(to_chrono(shared_.options.request_time_max));
            stream_.async_handshake(asio::ssl::stream_base::server,
                                    [self = this->shared_from_this()](error_code error) {
                                        if (!error) self->read_header();
                                    });
        } else {
            read_header();
        }
    }

private:
    [[nodiscard]] PlainStream& lowest() {
        if constexpr (is_tls) {
            return stream_.next_layer();
        } else {
            return stream_;
        }
    }

    void read_header() {
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(shared_.options.header_bytes_max));
        parser_->body_limit(shared_.options.body_bytes_max);
        lowest().expires_after(to_chrono(shared_.options.request_time_max));
        bhttp::async_read_header(stream_, buffer_, *parser_,
                                 [self = this->shared_from_this()](error_code error, std::size_t) {
                                     self->on_header(error);
                                 });
    }

    void on_header(error_code error) {
        if (error) return on_read_error(error);
        if (!beast::iequals(parser_->get()[bhttp::field::expect], "100-continue")) {
            return read_body();
        }
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(go_on),
                          [self = this->shared_from_this()](error_code write_error, std::size_t) {
                              if (!write_error) self->read_body();
                          });
    }

    // Still under the time limit that read_header() set.
    void read_body() {
        bhttp::async_read(stream_, buffer_, *parser_,
                          [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->on_read_error(error);
                              self->answer();
                          });
    }

    void on_read_error(error_code error) {
        is_head_ = false;
        keep_alive_ = false;
        if (error == bhttp::error::body_limit) {
            return reply(make_error(413, "the body is larger than allowed"));
        }
        if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
            return reply(make_error(431, "the header is larger than allowed"));
        }
        const bool is_gone =
            error == bhttp::error::end_of_stream || error == bhttp::error::partial_message ||
            error.category() != bhttp::make_error_code(bhttp::error::bad_version).category();
        if (is_gone) return;  // closed, broken or too slow: nobody would read an answer
        reply(make_error(400, fmt::format("malformed request: {}", error.message())));
    }

    void answer() {
        bhttp::request<bhttp::string_body> message = parser_->release();
        is_head_ = message.method() == bhttp::verb::head;
        keep_alive_ = message.keep_alive();
        auto target = parse_target({message.target().data(), message.target().size()});
        if (!target) {
            keep_alive_ = false;
            return reply(make_error(400, "malformed request target"));
        }
        auto request = std::make_shared<Request>();
        request->method = std::string{message.method_string()};
        request->target = std::move(*target);
        request->content_type = std::string{message[bhttp::field::content_type]};
        for (const auto& field : message) {
            request->headers.emplace_back(std::string{field.name_string()},
                                          std::string{field.value()});
        }
        request->body = std::move(message.body());
        request->peer = peer_;

        const std::string& path = request->target.path;
        Routes::Match match = shared_.routes.find(request->method, request->target);
        if (match.allowed.empty()) return reply(make_error(404, "not found", path));
        if (match.entry == nullptr) {
            Response refusal =
                make_error(405, fmt::format("method not allowed; use {}", match.allowed), path);
            refusal.headers.emplace_back("Allow", match.allowed);
            return reply(std::move(refusal));
        }
        request->params = std::move(match.params);
        const Routes::Entry& entry = *match.entry;
        if (entry.runs == Runs::on_server) return reply(run_handler(entry, *request));
        run_on_pool(entry, std::move(request));
    }

    void run_on_pool(const Routes::Entry& entry, std::shared_ptr<Request> request) {
        const auto& options = shared_.options;
        if (shared_.pool_requests >= options.pool_threads + options.pool_waiting_max) {
            Response busy =
                make_error(503, "too many requests are waiting; try again", request->target.path);
            busy.headers.emplace_back("Retry-After", "1");
            return reply(std::move(busy));
        }
        ++shared_.pool_requests;
        lowest().expires_never();
        asio::post(*shared_.pool, [self = this->shared_from_this(), &entry,
                                   request = std::move(request)]() mutable {
            auto response = std::make_shared<Response>(self->run_handler(entry, *request));
            asio::io_context& context = *self->shared_.context;
            // Moved, so that the last to let go of the session is the server's thread.
            asio::post(context, [self = std::move(self), response = std::move(response)] {
                --self->shared_.pool_requests;
                self->reply(std::move(*response));
            });
        });
    }

    /// Threading  any thread: reads what does not change after start().
    [[nodiscard]] Response run_handler(const Routes::Entry& entry, const Request& request) const {
        Response response;
        try {
            response = entry.handler(request);
        } catch (const std::exception& exception) {
            trace::log(trace::Level::error, "http_handler_threw",
                       {{"path", request.target.path}, {"what", exception.what()}});
            response = make_error(500, "internal error", request.target.path);
        }
        trace::log(trace::Level::debug, "http_request",
                   {{"method", request.method},
                    {"path", request.target.path},
                    {"status", response.status},
                    {"bytes", response.body.size()}});
        return response;
    }

    [[nodiscard]] Response make_error(unsigned status, std::string_view what,
                                      std::string_view path = {}) const {
        if (shared_.error_answer) return shared_.error_answer(status, what, path);
        Response response;
        response.status = status;
        response.body = fmt::format("{}\n", what);
        return response;
    }

    void reply(Response response) {
        if (response.stream && !is_head_) return begin_stream(std::move(response));
        const auto fill = [&](auto& message) {
            message.version(11);
            message.result(response.status);
            message.set(bhttp::field::content_type, response.content_type);
            for (const auto& [name, value] : response.headers) {
                const bool is_plain = std::none_of(value.begin(), value.end(), [](char c) {
                    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
                });
                if (is_plain) message.insert(name, value);
            }
            message.content_length(response.body.size());
            message.keep_alive(keep_alive_);
        };
        if (is_head_) {
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
        lowest().expires_after(to_chrono(shared_.options.response_time_max));
        beast::async_write(stream_, std::move(message),
                           [self = this->shared_from_this()](error_code error, std::size_t) {
                               if (error) return;
                               if (self->keep_alive_) return self->read_header();
                               self->finish();
                           });
    }

    // --- a body without an end ---

    void begin_stream(Response response) {
        streaming_ = std::move(response.stream);
        keep_alive_ = false;
        chunk_ = fmt::format(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nCache-Control: no-store\r\n"
            "Connection: close\r\nTransfer-Encoding: chunked\r\n"
            "X-Content-Type-Options: nosniff\r\n\r\n",
            response.status,
            std::string_view{bhttp::obsolete_reason(bhttp::int_to_status(response.status))},
            response.content_type);
        send_chunk();
    }
    void send_chunk() {
        lowest().expires_after(to_chrono(shared_.options.response_time_max));
        asio::async_write(stream_, asio::buffer(chunk_),
                          [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (error) return;
                              if (!self->streaming_) return self->finish();
                              self->stream_later();
                          });
    }
    void stream_later() {
        pace_.expires_after(stream_pace);
        pace_.async_wait([self = this->shared_from_this()](error_code error) {
            if (!error) self->stream_on();
        });
    }
    void stream_on() {
        const auto more = streaming_->next();
        if (!more) {
            streaming_.reset();
            chunk_ = "0\r\n\r\n";
            return send_chunk();
        }
        if (more->empty()) return stream_later();
        chunk_ = fmt::format("{:x}\r\n{}\r\n", more->size(), *more);
        send_chunk();
    }

    // Closing with unread bytes would reset the connection before the answer is read.
    void finish() {
        if constexpr (is_tls) {
            lowest().expires_after(drain_time_max);
            stream_.async_shutdown(
                [self = this->shared_from_this()](error_code) { self->finish_plain(); });
        } else {
            finish_plain();
        }
    }
    void finish_plain() {
        error_code ignored;
        lowest().socket().shutdown(Socket::shutdown_send, ignored);
        lowest().expires_after(drain_time_max);
        drain();
    }
    void drain() {
        lowest().async_read_some(asio::buffer(drained_), [self = this->shared_from_this()](
                                                             error_code error, std::size_t count) {
            self->drained_bytes_ += count;
            if (error || self->drained_bytes_ > drain_bytes_max) return;
            self->drain();
        });
    }

    Shared& shared_;
    Peer peer_;
    Stream stream_;
    beast::flat_buffer buffer_;
    std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
    std::shared_ptr<BodyStream> streaming_;  // null: the answer at hand is no stream
    std::string chunk_;                      // of it, being written
    asio::steady_timer pace_{*shared_.context};
    bool is_head_ = false;     // of the request at hand
    bool keep_alive_ = false;  // after it
    std::array<char, 1'024> drained_{};
    std::size_t drained_bytes_ = 0;
};

}  // namespace mitu::http
// NOLINTEND(bugprone-unused-return-value)
