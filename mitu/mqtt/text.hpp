#pragma once
// Internal: one pass over a text that finds both what breaks UTF-8 and the first wildcard.

#include <cstddef>
#include <string_view>

namespace mitu::mqtt {

struct TextScan {
    /// How many bytes from the front are well-formed and not U+0000; all of them: it is valid.
    std::size_t valid_bytes = 0;
    /// Where the first '+' or '#' is among those; npos: there is none.
    std::size_t wildcard_at = std::string_view::npos;
};

/// Cost    8 bytes at a time while the text is ASCII without wildcards, which topics are.
/// Source  MQTT 5.0 section 1.5.4; Unicode 15 table 3-7 (well-formed byte sequences).
[[nodiscard]] TextScan scan_text(std::string_view text) noexcept;

}  // namespace mitu::mqtt
