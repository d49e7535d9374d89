#pragma once
// Plays a scenario on a stage.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"
#include "sim/scenario/stage.hpp"

namespace mitu::sim::scenario {

/// What happened: one line each, `  1.250s  d1  <- publish topic="a" ...`.
using Trace = std::vector<std::string>;

struct Outcome {
    bool passed = false;
    std::uint32_t line = 0;  // of the step that failed; 0: none did
    std::string problem;     // why, with the step as it was written
    Trace trace;
    Duration took;
};

/// Starts the server, takes each step in turn until one fails, stops the server.
[[nodiscard]] Outcome run_scenario(const Scenario& scenario, Stage& stage);

/// `FILE:LINE: problem`, and the last `lines_max` lines of the trace.
[[nodiscard]] std::string report(const Scenario& scenario, const Outcome& outcome,
                                 std::size_t lines_max);

}  // namespace mitu::sim::scenario
