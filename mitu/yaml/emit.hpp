#pragma once
// JSON values to YAML text that parse() reads back as they were.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mitu::yaml {

/// Block style, two spaces; keys in the order of `value`.
/// Shape   `comment_of(path)`: what stands behind `#` on the line of a value; empty: nothing.
[[nodiscard]] std::string emit(
    const nlohmann::ordered_json& value,
    const std::function<std::string(std::string_view path)>& comment_of = {});

}  // namespace mitu::yaml
