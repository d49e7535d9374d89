#pragma once
// Selectors: which devices a policy is for, and whether two policies could be for the same one.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/fleet/policy.hpp"

namespace mitu::fleet {

/// Whether every field and label that `selector` names is the device's. `labels`: sorted by key.
[[nodiscard]] bool selects(const Selector& selector, std::string_view tenant,
                           std::string_view class_name, std::span<const Label> labels) noexcept;

/// Whether some device could be selected by both: no field or label stands against it.
[[nodiscard]] bool may_meet(const Selector& a, const Selector& b) noexcept;

/// All that either names. Shape: may_meet(a, b).
[[nodiscard]] Selector unite(const Selector& a, const Selector& b);

/// `tenant acme, class thermostat, label zone=lab`; `any device` if it names nothing.
[[nodiscard]] std::string describe(const Selector& selector);

/// Pairs of indices whose selectors may meet at the same specificity while no more specific one
/// settles it. At most one pair for each second index.
[[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> find_ties(
    std::span<const Selector* const> selectors);

}  // namespace mitu::fleet
