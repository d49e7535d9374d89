#pragma once
// A small HTTP/1.1 server for metrics, health and the API: every size, time and number bounded.
// Beast and Asio stay inside server.cpp.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/http/fields.hpp"
#include "mitu/http/target.hpp"
#include "mitu/http/tls.hpp"

namespace mitu::http {

/// Who is at the other end.
struct Peer {
    std::string address;  // "192.0.2.7", "2001:db8::7"; "unix": through the Unix socket
    std::string network;  // what one party surely has alone: the address, or the /64 of an IPv6 one
    bool is_loopback = false;
    bool is_unix = false;
    bool is_encrypted = false;
};

struct Request {
    std::string method;  // GET, POST, ...
    Target target;
    std::string content_type;  // as sent; empty: none
    std::string body;
    Fields headers;  // as sent, in order
    Fields params;   // what the route's `{name}` stand for
    Peer peer;

    /// The first query parameter of this name.
    [[nodiscard]] std::optional<std::string_view> query(std::string_view name) const;
    /// The first header of this name, whatever its case.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    /// Shape  empty: the route has no such parameter.
    [[nodiscard]] std::string_view param(std::string_view name) const;
};

/// A body that has no end yet. The server asks for more several times a second, but not while the
/// client has not taken what it was given last; it lets go of the stream when the client is gone.
/// Threading  the server's own thread; a call does not wait.
class BodyStream {
public:
    virtual ~BodyStream() = default;
    /// What has come since the last call; empty: nothing yet; nullopt: that was all.
    [[nodiscard]] virtual std::optional<std::string> next() = 0;
};

struct Response {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body{};
    Fields headers{};  // a value with a line break or another control character is left out
    std::shared_ptr<BodyStream>
        stream{};  // instead of `body`, in chunks; the connection ends with it
};

struct ServerOptions {
    std::string host = "127.0.0.1";     // an IPv4 or IPv6 literal; "*": every interface
    std::uint16_t port = 0;             // 0: any that is free
    std::optional<TlsFiles> tls;        // none: plain HTTP
    std::string unix_path;              // a Unix socket beside it, mode 0600, plain; empty: none
    std::size_t connections_max = 256;  // and 16 more over the Unix socket
    std::size_t header_bytes_max = 16'384;
    std::size_t body_bytes_max = 1'048'576;
    std::size_t pool_threads = 4;
    std::size_t pool_waiting_max = 64;  // requests that wait for one of them: more get 503
    Duration request_time_max = Duration::seconds(15);  // for one to begin and be whole
    Duration response_time_max = Duration::seconds(30);
};

/// Sockets that listen, by number; -1: none.
struct ListeningSockets {
    int tcp = -1;
    int unix_stream = -1;
};

/// Where a handler runs.
enum class Runs : std::uint8_t {
    on_server,  // on the server's own thread, one at a time: what never waits
    on_pool,    // on one of a few threads, several at once: what may wait for something
};

/// Answers requests by the handler of their path.
///   404: no handler for the path; 405: for the path, but not for the method; HEAD: as GET, without
///   the body; 400, 413, 431: malformed, body or header too large, and the connection is closed;
///   503: too many connections, or too many requests wait for the pool. A client that is too slow
///   is closed without an answer.
/// Threading  handle(), open(), start(), stop(): the owner. reload_tls(): any thread.
class Server {
public:
    using Handler = std::function<Response(const Request&)>;
    /// The server's own answers, as its owner wants them. Shape: `path` empty where none was read.
    using ErrorAnswer =
        std::function<Response(unsigned status, std::string_view what, std::string_view path)>;

    explicit Server(ServerOptions options);
    ~Server();  // stops

    /// Before start(). `pattern` as in routes.hpp: "/files/*", "/clients/{tenant}/{client_id}".
    /// A handler that throws answers 500.
    void handle(std::string_view method, std::string_view pattern, Handler handler,
                Runs runs = Runs::on_server);
    void set_error_answer(ErrorAnswer answer);  // before start()

    /// What needs a privilege: reads the TLS files and takes the port. Nobody is answered, and
    /// there is no thread, before start(). Once. What is open already (`inherited`) is served, and
    /// belongs to the server. Errors  address or file, and the cause, as a sentence. Returns the
    /// real port.
    [[nodiscard]] Result<std::uint16_t, std::string> open(ListeningSockets inherited = {});
    /// Those that are open by now. They stay the server's.
    [[nodiscard]] ListeningSockets sockets() noexcept;

    /// Makes the Unix socket, and answers until stop(). Opens, if open() was not called. Once.
    /// Errors, returns  as open().
    [[nodiscard]] Result<std::uint16_t, std::string> start();

    /// Reads the TLS files again; connections from now on use them, those that are there stay.
    /// Errors  the sentence of load_tls_context(); what was there before stays in use.
    [[nodiscard]] Result<void, std::string> reload_tls();

    /// Closes every connection and waits for the threads. Not from inside a handler. The file of
    /// the Unix socket goes, unless somebody else goes on to serve it.
    enum class UnixFile : bool { goes, stays };
    void stop(UnixFile file = UnixFile::goes);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::http
