#pragma once
// The scenario connect: what one connection costs to set up, and to keep.

#include "bench/options.hpp"
#include "bench/report.hpp"

namespace mitu::bench {

/// Sets up a few connections to warm the broker up, then options.clients more, and lets them idle.
/// CPU is counted while they are set up; memory as the growth of PSS from the first few to all.
[[nodiscard]] Report run_connect(const Options& options);

}  // namespace mitu::bench
