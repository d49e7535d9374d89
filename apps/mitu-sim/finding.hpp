#pragma once
// A failing run, for people: what broke, and the command that repeats it.

#include <string>

#include "apps/mitu-sim/isolated_run.hpp"
#include "sim/run.hpp"

namespace mitu::sim_app {

/// "mitu-sim run --seed=77 --only=0.0-3,4 --without-faults".
[[nodiscard]] std::string repeat_command(const sim::RunOptions& options);

/// Prints what broke; shrinks the run unless told not to, with progress on stderr.
/// Returns the options of the smallest run that was found.
sim::RunOptions show_finding(const sim::RunOptions& options, const IsolatedResult& result,
                             bool shrinks);

}  // namespace mitu::sim_app
