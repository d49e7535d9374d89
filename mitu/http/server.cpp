#include "mitu/http/server.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "mitu/base/check.hpp"
#include "mitu/http/session.hpp"

// Asio's functions return the error that they also set.
// NOLINTBEGIN(bugprone-unused-return-value)
namespace mitu::http {
namespace {

using tcp = asio::ip::tcp;
using unix_stream = asio::local::stream_protocol;

constexpr std::size_t unix_connections_reserved = 16;
constexpr auto accept_pause = std::chrono::milliseconds{100};

// Without waiting: if the socket does not take these few bytes at once, the close says it all.
void refuse(Socket socket, bool is_tls) {
    static constexpr std::string_view answer =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    if (!is_tls) socket.write_some(asio::buffer(answer), ignored);
    socket.shutdown(Socket::shutdown_both, ignored);
}

Peer describe(asio::ip::address address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    Peer peer;
    peer.address = peer.network = address.to_string();
    peer.is_loopback = address.is_loopback();
    if (address.is_v6()) {
        auto bytes = address.to_v6().to_bytes();
        std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
        peer.network = asio::ip::address_v6{bytes}.to_string() + "/64";
    }
    return peer;
}

}  // namespace

/// Owns the threads, the listening sockets and the sessions.
class Server::Impl {
public:
    explicit Impl(ServerOptions options) {
        shared_.options = std::move(options);
        shared_.context = &context_;
    }
    ~Impl() { stop(UnixFile::goes); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void handle(std::string_view method, std::string_view path, Routes::Entry entry) {
        MITU_CHECK_MSG(!thread_.joinable(), "handlers are set before start()");
        shared_.routes.add(method, path, std::move(entry));
    }
    void set_error_answer(ErrorAnswer answer) {
        MITU_CHECK_MSG(!thread_.joinable(), "answers are set before start()");
        shared_.error_answer = std::move(answer);
    }

    Result<std::uint16_t, std::string> open(ListeningSockets inherited) {
        // First of all: they are ours to close from here on.
        const bool has_tcp = inherited.tcp < 0 || adopt(acceptor_, inherited.tcp);
        const bool has_unix =
            inherited.unix_stream < 0 || adopt(unix_acceptor_, inherited.unix_stream);
        if (!has_tcp || !has_unix) return std::unexpected("what was inherited is no socket");
        if (shared_.options.tls) {
            auto context = load_tls_context(*shared_.options.tls);
            if (!context) return std::unexpected(context.error());
            shared_.tls = as_asio(*context);
        }
        error_code error;
        if (acceptor_.is_open()) return acceptor_.local_endpoint(error).port();
        return listen_tcp();
    }

    ListeningSockets sockets() noexcept {
        return {acceptor_.is_open() ? acceptor_.native_handle() : -1,
                unix_acceptor_.is_open() ? unix_acceptor_.native_handle() : -1};
    }

    Result<std::uint16_t, std::string> start() {
        error_code error;
        const auto port =
            acceptor_.is_open()
                ? Result<std::uint16_t, std::string>{acceptor_.local_endpoint(error).port()}
                : open({});
        if (!port) return port;
        if (auto problem = listen_unix(); !problem.empty()) return std::unexpected(problem);
        pool_.emplace(std::max<std::size_t>(shared_.options.pool_threads, 1));
        shared_.pool = &*pool_;
        accept_tcp();
        if (unix_acceptor_.is_open()) accept_unix();
        thread_ = std::thread{[this] {
            pthread_setname_np(pthread_self(), "mitu-http");
            context_.run();
        }};
        return port;
    }

    Result<void, std::string> reload_tls() {
        if (!shared_.options.tls) return {};
        auto context = load_tls_context(*shared_.options.tls);
        if (!context) return std::unexpected(context.error());
        asio::post(context_, [this, tls = as_asio(*context)] { shared_.tls = tls; });
        return {};
    }

    void stop(UnixFile file) {
        context_.stop();
        if (thread_.joinable()) thread_.join();
        if (pool_) {
            pool_->stop();  // what waits is dropped, what runs comes to its end
            pool_->join();
        }
        if (!unix_path_.empty() && file == UnixFile::goes) ::unlink(unix_path_.c_str());
        unix_path_.clear();
    }

private:
    /// Of the family that the socket has.
    template <class Acceptor>
    static bool adopt(Acceptor& acceptor, int fd) {
        sockaddr_storage storage{};
        socklen_t size = sizeof storage;
        error_code error;
        if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return false;
        if constexpr (std::is_same_v<Acceptor, tcp::acceptor>) {
            acceptor.assign(storage.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
        } else {
            acceptor.assign(unix_stream{}, fd, error);
        }
        return !error;
    }

    Result<std::uint16_t, std::string> listen_tcp() {
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
        return port;
    }

    /// Shape  empty: it listens, or need not.
    std::string listen_unix() {
        const std::string& path = shared_.options.unix_path;
        if (path.empty()) return {};
        if (unix_acceptor_.is_open()) {
            unix_path_ = path;
            return {};
        }
        constexpr std::size_t path_bytes_max = 107;
        if (path.size() > path_bytes_max) {
            return fmt::format("cannot listen on {}: a Unix socket's path has at most {} bytes",
                               path, path_bytes_max);
        }
        error_code error;
        const unix_stream::endpoint endpoint{path};
        const auto refused = [&] {
            return fmt::format("cannot listen on {}: {}", path, error.message());
        };
        unix_stream::socket probe{context_};
        probe.connect(endpoint, error);
        if (!error) return fmt::format("cannot listen on {}: another server does", path);
        struct stat there{};
        if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
        unix_acceptor_.open(endpoint.protocol(), error);
        if (error) return refused();
        // The file gets the mode of the socket, so that there is no moment at which it is open to
        // others.
        ::fchmod(unix_acceptor_.native_handle(), S_IRUSR | S_IWUSR);
        unix_acceptor_.bind(endpoint, error);
        if (error) return refused();
        unix_path_ = path;
        ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
        unix_acceptor_.listen(asio::socket_base::max_listen_connections, error);
        return error ? refused() : std::string{};
    }

    void accept_tcp() {
        acceptor_.async_accept([this](error_code error, tcp::socket socket) {
            if (error) return accept_later(error, [this] { accept_tcp(); });
            error_code gone;
            const auto remote = socket.remote_endpoint(gone);
            if (!gone) begin(std::move(socket), describe(remote.address()), shared_.tls);
            accept_tcp();
        });
    }

    void accept_unix() {
        unix_acceptor_.async_accept([this](error_code error, unix_stream::socket socket) {
            if (error) return accept_later(error, [this] { accept_unix(); });
            Peer peer;
            peer.address = peer.network = "unix";
            peer.is_unix = true;
            begin(std::move(socket), std::move(peer), nullptr);
            accept_unix();
        });
    }

    void begin(Socket socket, Peer peer, const std::shared_ptr<asio::ssl::context>& tls) {
        // Strangers who hold every connection do not keep the administrator of this machine out.
        const std::size_t reserved = peer.is_unix ? unix_connections_reserved : 0;
        if (shared_.connections >= shared_.options.connections_max + reserved) {
            return refuse(std::move(socket), tls != nullptr);
        }
        if (tls) {
            std::make_shared<Session<TlsStream>>(shared_, std::move(peer), std::move(socket), *tls)
                ->run();
        } else {
            std::make_shared<Session<PlainStream>>(shared_, std::move(peer), std::move(socket))
                ->run();
        }
    }

    void accept_later(error_code error, std::function<void()> accept) {
        trace::log(trace::Level::warn, "http_accept_paused", {{"reason", error.message()}});
        auto timer = std::make_shared<asio::steady_timer>(context_, accept_pause);
        timer->async_wait([timer, accept = std::move(accept)](error_code cancelled) {
            if (!cancelled) accept();
        });
    }

    Shared shared_;
    // After shared_: its end destroys the sessions that are under way, which count there.
    asio::io_context context_{1};
    tcp::acceptor acceptor_{context_};
    unix_stream::acceptor unix_acceptor_{context_};
    std::string unix_path_;  // ours to remove
    // After context_: the requests that it drops hold sessions.
    std::optional<asio::thread_pool> pool_;
    std::thread thread_;
};

std::optional<std::string_view> Request::query(std::string_view name) const {
    for (const auto& [key, value] : target.query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::optional<std::string_view> Request::header(std::string_view name) const {
    return find_field(headers, name);
}

std::string_view Request::param(std::string_view name) const {
    for (const auto& [key, value] : params) {
        if (key == name) return value;
    }
    return {};
}

Server::Server(ServerOptions options) : impl_{std::make_unique<Impl>(std::move(options))} {}
Server::~Server() = default;

void Server::handle(std::string_view method, std::string_view pattern, Handler handler, Runs runs) {
    impl_->handle(method, pattern, {std::move(handler), runs});
}
void Server::set_error_answer(ErrorAnswer answer) { impl_->set_error_answer(std::move(answer)); }
Result<std::uint16_t, std::string> Server::open(ListeningSockets inherited) {
    return impl_->open(inherited);
}
ListeningSockets Server::sockets() noexcept { return impl_->sockets(); }
Result<std::uint16_t, std::string> Server::start() { return impl_->start(); }
Result<void, std::string> Server::reload_tls() { return impl_->reload_tls(); }
void Server::stop(UnixFile file) { impl_->stop(file); }

}  // namespace mitu::http
// NOLINTEND(bugprone-unused-return-value)
