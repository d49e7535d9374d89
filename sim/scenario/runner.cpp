#include "sim/scenario/runner.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/scenario/performance.hpp"

namespace mitu::sim::scenario {

Outcome run_scenario(const Scenario& scenario, Stage& stage) {
    return Performance{scenario, stage}.run();
}

std::string report(const Scenario& scenario, const Outcome& outcome, std::size_t lines_max) {
    std::string text = scenario.file;
    if (outcome.line != 0) text += fmt::format(":{}", outcome.line);
    text += ": " + outcome.problem + '\n';
    const std::size_t shown = std::min(lines_max, outcome.trace.size());
    if (shown < outcome.trace.size()) {
        text += fmt::format("  ({} lines before)\n", outcome.trace.size() - shown);
    }
    for (std::size_t i = outcome.trace.size() - shown; i < outcome.trace.size(); ++i) {
        text += "  " + outcome.trace[i] + '\n';
    }
    return text;
}

}  // namespace mitu::sim::scenario
