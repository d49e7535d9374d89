#pragma once
// Shrinking: from a failing run to a smaller one that fails in the same way.

#include <cstdint>
#include <functional>

#include "sim/run.hpp"

namespace mitu::sim {

/// Runs what it is given; true: it still fails.
using StillFails = std::function<bool(const RunOptions&)>;

/// Leaves out restarts, faults, actors and actions, as long as the run still fails; first what
/// takes most away.
/// Cost  at most `runs_max` runs.
[[nodiscard]] RunOptions shrink(const RunOptions& failing, const StillFails& still_fails,
                                std::uint32_t runs_max);

}  // namespace mitu::sim
