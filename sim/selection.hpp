#pragma once
// Selection: which actors of a plan take part, and with which of their actions.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "sim/plan.hpp"

namespace mitu::sim {

/// Actor -> its actions, both as indices into the plan.
using Selection = std::map<std::uint32_t, std::set<std::uint32_t>>;

[[nodiscard]] Selection select_all(const Plan& plan);

/// "0.0-3+7,4,6.2": actor 0 with its actions 0 to 3 and 7, actor 4 with none, actor 6 with one.
[[nodiscard]] std::string to_text(const Selection& selection);
/// nullopt: not of that form.
[[nodiscard]] std::optional<Selection> parse_selection(std::string_view text);

}  // namespace mitu::sim
