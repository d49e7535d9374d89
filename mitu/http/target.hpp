#pragma once
// The request target of HTTP, taken apart. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mitu::http {

struct Target {
    std::string path;                   // decoded; begins with '/'
    std::vector<std::string> segments;  // split at '/' first, then decoded: "%2F" stays inside one
    std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order given
};

/// Reads origin-form ("/a%20b?x=1") and absolute-form ("http://host/a"), in a query also '+' for
/// a space.
/// Errors  nullopt: another form, a broken %-escape, a zero byte, or a path with a "." or ".."
///         segment once decoded (nobody below should have to think of those).
/// Source  RFC 9112 section 3.2; RFC 3986 section 2.1.
[[nodiscard]] std::optional<Target> parse_target(std::string_view text);

}  // namespace mitu::http
