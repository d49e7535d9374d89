#pragma once
// The URL of a service that the server calls, taken apart and checked. Pure.

#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"

namespace mitu::http {

struct Url {
    bool is_https = false;
    std::string host;  // a name in lower case, an IPv4 or an IPv6 literal (without its brackets)
    std::uint16_t port = 80;
    std::string path;   // as written, still escaped; "" or begins with '/'
    std::string query;  // as written, without its '?'

    [[nodiscard]] bool is_ip_literal() const noexcept;
    /// For the Host field: "example.com", "example.com:8443", "[2001:db8::7]:8443".
    [[nodiscard]] std::string authority() const;
    /// The request target of what lies at `more` below this URL. Shape: `more` is "" or "/a?x=1",
    /// escaped; a query of the URL stays, before that of `more`.
    [[nodiscard]] std::string join(std::string_view more) const;
};

/// Reads `http://host[:port][/path][?query]`, or https.
/// Errors  a sentence: what is wrong, what to do. It quotes no more than scheme, host and port,
///         since a path or a query may hold a secret. Refused: other schemes, a user name or a
///         password (they belong into a header), a fragment, what should have been escaped.
/// Source  RFC 3986 section 3; RFC 9110 section 4.2.
[[nodiscard]] Result<Url, std::string> parse_url(std::string_view text);

/// Fit for a request line: visible ASCII, so no space and no line break. Source: RFC 3986.
[[nodiscard]] bool is_target_text(std::string_view text) noexcept;

}  // namespace mitu::http
