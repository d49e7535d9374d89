#pragma once
// For tests: whether two packets say the same, wherever their bytes lie.

#include "mitu/mqtt/packet.hpp"

namespace mitu::mqtt::testing {

/// Texts and bytes by content; property blocks by the pairs or identifiers in them; lists by entry.
[[nodiscard]] bool equal(const Packet& a, const Packet& b) noexcept;

}  // namespace mitu::mqtt::testing
