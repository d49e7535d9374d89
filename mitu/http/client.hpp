#pragma once
// A small HTTP/1.1 client for the server's own questions to one service (who may log in, which keys
// are valid): every size, time and number bounded. Beast and Asio stay inside client.cpp.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/http/fields.hpp"

namespace mitu::http {

struct ClientOptions {
    std::string url{};      // url.hpp: "https://auth.example.com/mqtt"; requests go there and below
    std::string ca_file{};  // PEM: whose certificates https believes; empty: the system's
    Fields headers{};       // of every request, such as Authorization; never logged
    std::size_t connections_max = 16;
    std::size_t waiting_max = 256;  // requests without a connection yet: more are `busy`
    std::size_t header_bytes_max = 16'384;
    std::size_t body_bytes_max = 1'048'576;           // of an answer
    Duration connect_timeout = Duration::seconds(2);  // for TCP, per address; and for TLS
    Duration request_timeout = Duration::seconds(5);  // from send() to `done`, waiting included
    Duration idle_max = Duration::seconds(30);        // a connection that nobody used is closed
};

struct ClientRequest {
    std::string method = "GET";
    std::string target{};  // below the URL, escaped: "/keys?kid=7"; empty: the URL itself
    std::string content_type{};
    std::string body{};  // wiped when the request is over
    Fields headers{};    // beside those of the client
};

struct ClientResponse {
    unsigned status = 0;  // 2xx and all others: a redirect is not followed
    std::string body;
    Fields headers;  // as received, in order

    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
        return find_field(headers, name);
    }
};

enum class ClientFault : std::uint8_t {
    busy,       // connections_max requests are under way and waiting_max wait
    resolve,    // no address for the host name
    connect,    // no address of it takes a connection
    tls,        // no TLS with it: unknown CA, another name, expired, not a TLS server
    timeout,    // request_timeout is over, or connect_timeout was for the last address
    closed,     // the service closed the connection before its answer was whole
    too_large,  // the answer has more bytes than allowed
    malformed,  // the answer is not HTTP; or the request cannot be written as HTTP
    stopped,    // stop() came first
};
[[nodiscard]] std::string_view to_string(ClientFault fault) noexcept;

struct ClientError {
    ClientFault fault = ClientFault::closed;
    std::string detail;  // holds nothing that was sent

    /// For a log: "tls: auth.example.com: certificate has expired".
    [[nodiscard]] std::string text() const;
};

/// Asks one service: over connections that are kept and used again, several requests at once, each
/// on a connection of its own. There is no proxy, and no redirect is followed.
///   A request is sent a second time, over a new connection, if the service closed the connection
///   and the request is a GET or HEAD, or the connection was a kept one and not a byte of the
///   answer had come. All within the same request_timeout.
/// Threading  start(), stop(): the owner. send(), counts(): any thread.
class Client {
public:
    using Done = std::function<void(Result<ClientResponse, ClientError>)>;

    explicit Client(ClientOptions options);
    /// Stops. A host name that is being resolved at that moment is waited for (the system's
    /// resolver cannot be told to give up).
    ~Client();

    /// Checks the options and starts the thread; connects to nobody yet. Once.
    /// Errors  a sentence: which option, what is wrong, what to do; no secret.
    [[nodiscard]] Result<void, std::string> start();

    /// `done` runs exactly once, on the client's thread, never from inside send(), and should not
    /// wait for anything. Only after stop() it runs inside send().
    void send(ClientRequest request, Done done);

    /// Every request under way ends as `stopped`; waits for the thread. Not from inside `done`.
    void stop();

    struct Counts {
        std::uint64_t requests = 0;            // taken by send() and not over
        std::uint64_t connections = 0;         // being opened, in use or kept
        std::uint64_t opened_total = 0;        // connections
        std::uint64_t reused_total = 0;        // requests that found a kept connection
        std::uint64_t sent_again_total = 0;    // requests
        std::uint64_t refused_busy_total = 0;  // requests
    };
    [[nodiscard]] Counts counts() const noexcept;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::http
