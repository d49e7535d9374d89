#pragma once
// One request at a time to the server's HTTP port: plain, TLS, or through its Unix socket.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/mitu/system.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

inline constexpr std::uint16_t http_port_default = 9880;

/// Where a server's HTTP port is.
struct HttpServer {
    Endpoint endpoint{.host = "127.0.0.1", .port = http_port_default};
    bool is_tls = false;
    std::string ca_file;    // PEM: who may have signed its certificate; empty: the system's
    std::string unix_path;  // instead of all that; empty: none
    [[nodiscard]] std::string text() const;
};

struct HttpRequest {
    std::string method = "GET";
    std::string target;
    std::string body;                                          // JSON; empty: none
    std::vector<std::pair<std::string, std::string>> headers;  // Authorization, If-Match
};
struct HttpResponse {
    unsigned status = 0;
    std::string body;
};
struct HttpFailure {
    std::string text;  // for people
    bool timed_out = false;
};

/// Errors  cannot connect, a certificate that is not to be trusted, no answer in time.
/// Cost    one connection each.
[[nodiscard]] Result<HttpResponse, HttpFailure> http_exchange(const HttpServer& server,
                                                              const HttpRequest& request,
                                                              Duration timeout);

/// The same for a body that comes bit by bit: each piece goes to `on_piece` as it comes, until that
/// says false, the body ends, or nothing comes for `silence_max`. The body of an error is gathered
/// and returned.
[[nodiscard]] Result<HttpResponse, HttpFailure> http_follow(
    const HttpServer& server, const HttpRequest& request, Duration silence_max,
    const std::function<bool(std::string_view)>& on_piece);

/// Reads "HOST:PORT", ":PORT", "HOST", http://, https:// or unix:PATH. `option` is named in errors.
[[nodiscard]] Result<HttpServer, std::string> parse_http_server(const std::string& text,
                                                                const std::string& option);

}  // namespace mitu::cli
