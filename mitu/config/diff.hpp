#pragma once
// What differs between two configurations, and what it takes to make it so.

#include <string>
#include <vector>

#include "mitu/config/config.hpp"

namespace mitu::config {

struct Change {
    enum class Kind : std::uint8_t { changed, added, removed };
    Kind kind = Kind::changed;
    std::string path;    // listeners[tls].limits.connections_max: items by name where they have one
    std::string before;  // as `show` prints it; empty: added
    std::string after;   // empty: removed
    bool is_live = false;  // applies at a reload; else when the server starts

    bool operator==(const Change&) const = default;
};

/// By key, in the order of the table.
[[nodiscard]] std::vector<Change> diff(const Config& before, const Config& after);

/// One line: `~ limits.inflight_max: 1024 -> 64  (on restart)`.
[[nodiscard]] std::string to_text(const Change& change);
/// A JSON array of objects: kind, path, before, after, applies.
[[nodiscard]] std::string to_json(const std::vector<Change>& changes);

}  // namespace mitu::config
