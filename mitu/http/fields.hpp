#pragma once
// Header fields: what both sides of HTTP share. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// As the names of fields are compared: ASCII, whatever the locale.
[[nodiscard]] bool equals_in_any_case(std::string_view a, std::string_view b) noexcept;

/// The first field of this name, whatever its case.
/// Lifetime  borrows `fields`.
[[nodiscard]] std::optional<std::string_view> find_field(const Fields& fields,
                                                         std::string_view name);

/// Fit for a method or the name of a field.
/// Shape   1..256 bytes.
/// Source  RFC 9110 section 5.6.2.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// Fit for the value of a field: at most 16'384 bytes, and no control character that could end it.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

/// How long an answer may be used from now on: max-age of Cache-Control, less its Age.
/// Shape   zero: ask again before each use (no-cache, no-store, or too old). At most ten years.
///         nullopt: the answer does not say, or not in a form that can be read.
/// Source  RFC 9111 sections 5.1 and 5.2.2.
[[nodiscard]] std::optional<Duration> read_max_age(const Fields& fields);

}  // namespace mitu::http
