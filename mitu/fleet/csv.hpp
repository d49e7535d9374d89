#pragma once
// One line of CSV to fields. RFC 4180, except that a field may not hold a line break.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mitu::fleet {

/// Splits `line` (without its end) into `fields`, whose storage is reused.
/// Errors  false: a quote is not closed, or something follows a closing quote.
[[nodiscard]] bool split_csv(std::string_view line, std::vector<std::string>& fields);

/// In quotes if it must be.
[[nodiscard]] std::string quote_csv(std::string_view field);

/// Takes the next line off the front of `text`, without its \n or \r\n. nullopt: no more.
[[nodiscard]] std::optional<std::string_view> next_line(std::string_view& text) noexcept;

}  // namespace mitu::fleet
