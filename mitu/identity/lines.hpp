#pragma once
// Reading files of lines. Inside mitu/identity only.

#include <string_view>

namespace mitu::identity {

inline constexpr std::string_view line_blanks = " \t\r\v\f";
inline constexpr std::size_t line_problems_max = 100;  // a file of another kind has one a line

[[nodiscard]] constexpr std::string_view trim(std::string_view text) noexcept {
    const std::size_t first = text.find_first_not_of(line_blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(line_blanks) - first + 1);
}

/// Takes the first line off `rest`; without its end.
[[nodiscard]] constexpr std::string_view take_line(std::string_view& rest) noexcept {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

}  // namespace mitu::identity
