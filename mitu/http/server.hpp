#pragma once
// A small HTTP/1.1 server for metrics, health and the API: one thread, every size and time bounded.
// Beast and Asio stay inside server.cpp.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/http/target.hpp"

namespace mitu::http {

struct Request {
    std::string method;  // GET, POST, ...
    Target target;
    std::string content_type;  // as sent; empty: none
    std::string body;

    /// The first query parameter of this name.
    [[nodiscard]] std::optional<std::string_view> query(std::string_view name) const;
};

struct Response {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

struct ServerOptions {
    std::string host = "127.0.0.1";  // an IPv4 or IPv6 literal; "*": every interface
    std::uint16_t port = 0;          // 0: any that is free
    std::size_t connections_max = 256;
    std::size_t header_bytes_max = 16'384;
    std::size_t body_bytes_max = 1'048'576;
    Duration request_time_max = Duration::seconds(15);  // for one to begin and be whole
    Duration response_time_max = Duration::seconds(30);
};

/// Answers requests by the handler of their path.
///   404: no handler for the path; 405: for the path, but not for the method; HEAD: as GET, without
///   the body; 400, 413, 431: malformed, body or header too large, and the connection is closed;
///   503: too many connections. A client that is too slow is closed without an answer.
/// Threading  handle(), start(), stop(): the owner. Handlers run one at a time on the server's own
///            thread: what takes long there makes other requests wait.
class Server {
public:
    using Handler = std::function<Response(const Request&)>;

    explicit Server(ServerOptions options);
    ~Server();  // stops

    /// Before start(). A path that ends in "/*" stands for everything below it; longer paths win.
    /// A handler that throws answers 500.
    void handle(std::string_view method, std::string_view path, Handler handler);

    /// Listens, then answers until stop(). Once.
    /// Errors  address and cause, as a sentence.
    /// Returns the real port.
    [[nodiscard]] Result<std::uint16_t, std::string> start();

    /// Closes every connection and waits for the thread. Not from inside a handler.
    void stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::http
