#pragma once
// One GET at a time from the server's HTTP port.

#include <string>

#include "apps/mitu/system.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

/// GETs `path` and returns the body of a 200.
/// Errors  a text for people: cannot connect, no answer in time, another status.
/// Cost    one connection each.
[[nodiscard]] Result<std::string, std::string> http_get(const Endpoint& endpoint,
                                                        const std::string& path, Duration timeout);

inline constexpr std::uint16_t http_port_default = 9880;

/// Reads --http: "HOST:PORT", ":PORT", "HOST", or a URL. Errors: a text for people.
[[nodiscard]] Result<Endpoint, std::string> parse_http_endpoint(const std::string& text);

}  // namespace mitu::cli
