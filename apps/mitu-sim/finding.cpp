#include "apps/mitu-sim/finding.hpp"

#include <errno.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "sim/shrink.hpp"

namespace mitu::sim_app {
namespace {

constexpr std::size_t violations_shown_max = 5;
constexpr std::uint32_t shrink_runs_max = 600;

void print_violations(const IsolatedResult& result) {
    if (!result.crash.empty()) fmt::print("  no_crash: {}\n", result.crash);
    std::size_t shown = 0;
    for (const auto& violation : result.result.violations) {
        if (shown++ == violations_shown_max) {
            fmt::print("  ... and {} more\n",
                       result.result.violations.size() - violations_shown_max);
            break;
        }
        fmt::print("  {} at {:.6f} s: {}\n", violation.promise,
                   (violation.at - sim::world_start).as_seconds(), violation.what);
    }
}

std::size_t count_actions(const sim::RunOptions& options) {
    std::size_t count = 0;
    for (const auto& [actor, actions] : *options.only) count += actions.size();
    return count;
}

}  // namespace

std::string repeat_command(const sim::RunOptions& options) {
    // As it was called, so that it can be pasted.
    std::string command = fmt::format("{} run --seed={}", program_invocation_name, options.seed);
    if (options.only) command += fmt::format(" --only={}", sim::to_text(*options.only));
    if (options.without_restarts) command += " --without-restarts";
    if (options.without_faults) command += " --without-faults";
    if (options.without_orders) command += " --without-orders";
    if (options.until < Duration::seconds(1'000'000)) {
        // Nanoseconds, so that the same actions take place.
        command += fmt::format(" --until={}.{:09}", options.until.count_s(),
                               options.until.count_ns() % 1'000'000'000);
    }
    return command;
}

sim::RunOptions show_finding(const sim::RunOptions& options, const IsolatedResult& result,
                             bool shrinks) {
    fmt::print("seed {} breaks {}\n", options.seed, result.promise());
    print_violations(result);
    fmt::print("  repeat:  {}\n", repeat_command(options));
    std::fflush(stdout);
    if (!shrinks) return options;
    const bool shows_progress = ::isatty(STDERR_FILENO) == 1;
    std::uint32_t runs = 0;
    IsolatedResult last = result;
    const auto small = sim::shrink(
        options,
        [&](const sim::RunOptions& candidate) {
            const IsolatedResult again = run_isolated(candidate);
            const bool is_same = again.failed() && again.promise() == result.promise();
            if (is_same) last = again;
            if (shows_progress && candidate.only) {
                fmt::print(stderr, "\r  shrinking: run {}, {} actions  ", ++runs,
                           count_actions(candidate));
            }
            return is_same;
        },
        shrink_runs_max);
    if (shows_progress) fmt::print(stderr, "\r\x1b[K");
    fmt::print("  smaller: {}  ({} actors, {} actions)\n", repeat_command(small),
               small.only->size(), count_actions(small));
    print_violations(last);
    fmt::print("  watch it with --verbose, or line by line with --step\n");
    return small;
}

}  // namespace mitu::sim_app
