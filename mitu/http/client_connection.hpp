#pragma once
// Internal to client.cpp: one connection of the client, plain or TLS.

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mitu/http/beast.hpp"
#include "mitu/http/client.hpp"
#include "mitu/http/url.hpp"

// Asio's functions return the error that they also set.
// NOLINTBEGIN(bugprone-unused-return-value)
namespace mitu::http {

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

/// A request from send() to its `done`.
struct Job {
    bhttp::request<bhttp::string_body> message;
    Client::Done done;
    std::chrono::steady_clock::time_point deadline;
    std::optional<asio::steady_timer> timer{};  // ends it at its deadline
    bool is_sent_again = false;
    bool is_over = false;  // `done` ran

    Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    ~Job() { OPENSSL_cleanse(message.body().data(), message.body().size()); }
    [[nodiscard]] bool is_safe() const {
        return message.method() == bhttp::verb::get || message.method() == bhttp::verb::head;
    }
};
using JobPtr = std::shared_ptr<Job>;

/// Opens, asks, is kept, asks again. Kept alive by its pool and by the operation under way. Once
/// closed it calls nobody.
/// `Pool` has: options(), url(), tls(), resolve(connection), on_response(connection, response,
/// keep), on_error(connection, error, may_send_again), on_idle_end(connection).
template <class Pool>
class ClientConnection final : public std::enable_shared_from_this<ClientConnection<Pool>> {
    using TcpStream = beast::tcp_stream;
    using TlsClientStream = asio::ssl::stream<beast::tcp_stream>;

public:
    ClientConnection(Pool& pool, asio::io_context& context)
        : pool_{pool}, idle_timer_{context}, buffer_{pool.options().header_bytes_max + 65'536} {
        if (pool.tls() != nullptr) {
            stream_.template emplace<TlsClientStream>(context, *pool.tls());
        } else {
            stream_.template emplace<TcpStream>(context);
        }
    }
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    /// The request that it is here for; nullptr: it is kept, or closed.
    [[nodiscard]] const JobPtr& job() const { return job_; }
    JobPtr take_job() { return std::exchange(job_, nullptr); }
    [[nodiscard]] std::string_view doing() const { return doing_; }  // "connecting to 192.0.2.7:80"

    void open(JobPtr job) {
        job_ = std::move(job);
        doing_ = fmt::format("resolving {}", pool_.url().host);
        pool_.resolve(this->shared_from_this());
    }

    void on_resolved(error_code error, const Endpoints& endpoints) {
        if (!job_) return;
        if (error || endpoints.empty()) {
            const std::string why = error ? error.message() : "it has no address";
            return fail(ClientFault::resolve, fmt::format("{}: {}", pool_.url().host, why));
        }
        endpoints_ = endpoints;
        connect(0);
    }

    void ask(JobPtr job) {
        job_ = std::move(job);
        is_kept_ = was_asked_;
        was_asked_ = true;
        ++idle_round_;
        idle_timer_.cancel();
        error_code ignored;
        tcp().socket().cancel(ignored);  // the wait for its end
        doing_ = "waiting for the answer";
        parser_.reset();
        responses_ = 0;
        tcp().expires_never();  // the job's timer says when it is enough
        with_stream([&](auto& stream) {
            bhttp::async_write(
                stream, job_->message,
                [self = this->shared_from_this(), job = job_](error_code error, std::size_t) {
                    if (self->job_ != job) return;
                    if (error) return self->on_broken(error);
                    self->read();
                });
        });
    }

    /// Waits for the next request, or for the service to close it, or for idle_max.
    void keep() {
        const auto round = ++idle_round_;
        const auto end = [self = this->shared_from_this(), round](error_code) {
            // Readable means closed: there is nothing that the service may say now.
            if (self->idle_round_ == round) self->pool_.on_idle_end(self);
        };
        tcp().socket().async_wait(asio::socket_base::wait_read, end);
        idle_timer_.expires_after(to_chrono(pool_.options().idle_max));
        idle_timer_.async_wait(end);
    }

    void close() {
        job_.reset();
        ++idle_round_;
        idle_timer_.cancel();
        tcp().close();
    }

private:
    static constexpr unsigned interim_responses_max = 8;

    [[nodiscard]] TcpStream& tcp() {
        if (auto* const tls = std::get_if<TlsClientStream>(&stream_)) return tls->next_layer();
        return std::get<TcpStream>(stream_);
    }
    template <class Action>
    void with_stream(Action action) {
        if (auto* const tls = std::get_if<TlsClientStream>(&stream_)) return action(*tls);
        action(std::get<TcpStream>(stream_));
    }

    void connect(std::size_t index) {
        const auto& endpoint = endpoints_[index];
        const std::string peer =
            fmt::format("{} port {}", endpoint.address().to_string(), endpoint.port());
        doing_ = "connecting to " + peer;
        error_code ignored;
        tcp().socket().close(ignored);  // of the address before
        tcp().expires_after(to_chrono(pool_.options().connect_timeout));
        tcp().async_connect(
            endpoint, [self = this->shared_from_this(), job = job_, index, peer](error_code error) {
                if (self->job_ != job) return;
                if (!error) return self->on_connected();
                if (index + 1 < self->endpoints_.size()) return self->connect(index + 1);
                const bool is_timeout = error == beast::error::timeout;
                self->fail(is_timeout ? ClientFault::timeout : ClientFault::connect,
                           fmt::format("{}{}", is_timeout ? "connecting to " : "", peer) +
                               (is_timeout ? "" : ": " + error.message()));
            });
    }

    void on_connected() {
        error_code ignored;
        tcp().socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
        auto* const tls = std::get_if<TlsClientStream>(&stream_);
        if (tls == nullptr) return ask(take_job());
        if (!expect_name(tls->native_handle())) {
            return fail(ClientFault::tls, pool_.url().host + ": cannot be set up");
        }
        doing_ = "TLS handshake with " + pool_.url().host;
        tcp().expires_after(to_chrono(pool_.options().connect_timeout));
        tls->async_handshake(asio::ssl::stream_base::client, [self = this->shared_from_this(),
                                                              job = job_](error_code error) {
            if (self->job_ != job) return;
            if (!error) return self->ask(self->take_job());
            if (error == beast::error::timeout) {
                return self->fail(ClientFault::timeout, self->doing_);
            }
            self->fail(ClientFault::tls,
                       fmt::format("{}: {}", self->pool_.url().host, self->tls_problem(error)));
        });
    }

    /// Whose certificate it has to be, and for a name also SNI, which knows no addresses.
    [[nodiscard]] bool expect_name(SSL* ssl) const {
        const Url& url = pool_.url();
        X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl);
        if (url.is_ip_literal()) return X509_VERIFY_PARAM_set1_ip_asc(rules, url.host.c_str()) == 1;
        X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return SSL_set1_host(ssl, url.host.c_str()) == 1 &&
               SSL_set_tlsext_host_name(ssl, url.host.c_str()) == 1;
    }

    [[nodiscard]] std::string tls_problem(error_code error) {
        SSL* const ssl = std::get<TlsClientStream>(stream_).native_handle();
        const long verdict = SSL_get_verify_result(ssl);
        if (verdict != X509_V_OK) return X509_verify_cert_error_string(verdict);
        return error.message();
    }

    void read() {
        parser_.emplace();
        const auto& options = pool_.options();
        parser_->header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
        parser_->body_limit(options.body_bytes_max);
        parser_->skip(job_->message.method() == bhttp::verb::head);
        with_stream([&](auto& stream) {
            bhttp::async_read(
                stream, buffer_, *parser_,
                [self = this->shared_from_this(), job = job_](error_code error, std::size_t) {
                    if (self->job_ != job) return;
                    if (error) return self->on_broken(error);
                    self->on_read();
                });
        });
    }

    void on_read() {
        ++responses_;
        auto& message = parser_->get();
        const unsigned status = message.result_int();
        if (status == 101) return fail(ClientFault::malformed, "switched protocols unasked");
        if (status < 200) {
            if (responses_ <= interim_responses_max) return read();
            return fail(ClientFault::malformed, "interim responses without end");
        }
        ClientResponse response{status, std::move(message.body()), {}};
        for (const auto& field : message) {
            response.headers.emplace_back(std::string{field.name_string()},
                                          std::string{field.value()});
        }
        // Bytes behind the answer belong to no request: such a connection is not trusted again.
        const bool may_keep = parser_->keep_alive() && buffer_.size() == 0;
        pool_.on_response(this->shared_from_this(), std::move(response), may_keep);
    }

    /// While a request was written or its answer read.
    void on_broken(error_code error) {
        if (error == bhttp::error::body_limit) {
            return fail(ClientFault::too_large,
                        fmt::format("a body above {} bytes", pool_.options().body_bytes_max));
        }
        if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
            return fail(ClientFault::too_large,
                        fmt::format("a header above {} bytes", pool_.options().header_bytes_max));
        }
        const bool is_end =
            error == bhttp::error::end_of_stream || error == bhttp::error::partial_message;
        const auto& of_http = bhttp::make_error_code(bhttp::error::bad_version).category();
        if (!is_end && error.category() == of_http) {
            return fail(ClientFault::malformed, error.message());
        }
        if (error.category() == asio::error::get_ssl_category()) {
            return fail(ClientFault::tls, error.message());
        }
        const bool is_answered =
            responses_ > 0 || buffer_.size() > 0 || (parser_ && parser_->got_some());
        const bool may_send_again = job_->is_safe() || (is_kept_ && !is_answered);
        pool_.on_error(this->shared_from_this(),
                       {ClientFault::closed,
                        is_answered ? "in the middle of the answer" : "before the answer came"},
                       may_send_again);
    }

    void fail(ClientFault fault, std::string detail) {
        pool_.on_error(this->shared_from_this(), {fault, std::move(detail)}, false);
    }

    Pool& pool_;
    std::variant<std::monostate, TcpStream, TlsClientStream> stream_;
    asio::steady_timer idle_timer_;
    beast::flat_buffer buffer_;
    Endpoints endpoints_;
    std::optional<bhttp::response_parser<bhttp::string_body>> parser_;
    JobPtr job_;
    std::string doing_;
    unsigned responses_ = 0;        // read for this request, interim ones included
    bool was_asked_ = false;        // a request was sent on it
    bool is_kept_ = false;          // one before this request
    std::uint64_t idle_round_ = 0;  // tells a wait that is over from the one at hand
};

}  // namespace mitu::http
// NOLINTEND(bugprone-unused-return-value)
