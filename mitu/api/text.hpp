#pragma once
// Times and cursors as text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::api {

/// RFC 3339 in UTC: "2024-05-01T12:34:56.789Z".
[[nodiscard]] std::string time_text(WallTime time);
/// The same, milliseconds optional. nullopt: another form, or no such day.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text);

/// Numbers as an opaque text, and back. nullopt: not `count` of them.
[[nodiscard]] std::string make_cursor(const std::vector<std::uint32_t>& numbers);
[[nodiscard]] std::optional<std::vector<std::uint32_t>> read_cursor(std::string_view text,
                                                                    std::size_t count);

}  // namespace mitu::api
