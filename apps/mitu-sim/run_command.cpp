// `mitu-sim run`: one seed, looked at closely.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/mitu-sim/commands.hpp"
#include "apps/mitu-sim/finding.hpp"
#include "sim/run.hpp"

namespace mitu::sim_app {
namespace {

struct ReplayOptions {
    std::uint64_t seed = 1;
    std::string only;
    double until_s = -1;
    bool without_restarts = false;
    bool without_faults = false;
    bool without_orders = false;
    bool verbose = false;
    bool step = false;
    bool twice = false;
    bool no_shrink = false;
    bool json = false;
};

/// Prints lines, and with --step waits for the person after each, or after as many as asked for.
class Teller {
public:
    explicit Teller(bool steps) : steps_{steps} {}

    void operator()(const std::string& line) {
        fmt::print("{}\n", line);
        if (!steps_ || left_-- > 1) return;
        left_ = 1;
        fmt::print("(Enter: next, a number: so many, c: all the rest, q: quit) ");
        std::fflush(stdout);
        std::string answer;
        if (!std::getline(std::cin, answer) || answer == "c") {
            steps_ = false;
        } else if (answer == "q") {
            std::exit(static_cast<int>(ExitCode::ok));
        } else if (!answer.empty()) {
            left_ = std::max(1L, std::strtol(answer.c_str(), nullptr, 10));
        }
    }

private:
    bool steps_;
    long left_ = 1;
};

sim::RunOptions run_options(const ReplayOptions& options) {
    sim::RunOptions run;
    run.seed = options.seed;
    if (!options.only.empty()) {
        run.only = sim::parse_selection(options.only);
        if (!run.only) {
            throw CLI::ValidationError{
                "--only", fmt::format("{} is no selection; write ACTOR.ACTIONS,... as in "
                                      "0.0-3+7,4,6.2",
                                      options.only)};
        }
    }
    if (options.until_s >= 0) {
        run.until =
            Duration::nanoseconds(static_cast<std::int64_t>(std::llround(options.until_s * 1e9)));
    }
    run.without_restarts = options.without_restarts;
    run.without_faults = options.without_faults;
    run.without_orders = options.without_orders;
    return run;
}

void print_result(const sim::RunResult& result) {
    fmt::print(
        "seed {}: every promise kept; {} actors, {} actions, {} messages, {} steps, "
        "{:.1f} s simulated, trace {:016x}\n",
        result.seed, result.actors, result.actions, result.messages, result.steps,
        result.simulated.as_seconds(), result.trace_hash);
}

void print_json(const IsolatedResult& isolated) {
    nlohmann::json violations = nlohmann::json::array();
    for (const auto& violation : isolated.result.violations) {
        violations.push_back({{"promise", violation.promise},
                              {"what", violation.what},
                              {"at_ns", violation.at.since_start_ns()}});
    }
    const auto& r = isolated.result;
    fmt::print("{}\n", nlohmann::json{{"seed", r.seed},
                                      {"trace", fmt::format("{:016x}", r.trace_hash)},
                                      {"actors", r.actors},
                                      {"actions", r.actions},
                                      {"messages", r.messages},
                                      {"steps", r.steps},
                                      {"simulated_s", r.simulated.as_seconds()},
                                      {"crash", isolated.crash},
                                      {"drops", r.drops},
                                      {"reasons", r.reasons},
                                      {"violations", violations}}
                           .dump());
}

ExitCode run_command(const ReplayOptions& options) {
    sim::RunOptions run = run_options(options);
    if (options.verbose || options.step) {
        // In this process, so that a debugger sees it, and up to the first broken promise.
        run.stops_at_first_violation = true;
        run.tell = Teller{options.step};
        const auto result = sim::run(run);
        for (const auto& violation : result.violations) {
            fmt::print("broken: {}: {}\n", violation.promise, violation.what);
        }
        if (result.violations.empty()) print_result(result);
        return result.violations.empty() ? ExitCode::ok : ExitCode::failed;
    }
    const IsolatedResult isolated = run_isolated(run);
    if (options.json) {
        print_json(isolated);
        return isolated.failed() ? ExitCode::failed : ExitCode::ok;
    }
    if (isolated.failed()) {
        show_finding(run, isolated, !options.no_shrink);
        return ExitCode::failed;
    }
    print_result(isolated.result);
    if (options.twice) {
        const auto again = run_isolated(run);
        if (again.result.trace_hash != isolated.result.trace_hash) {
            fmt::print("the second time its trace is {:016x}\n", again.result.trace_hash);
            return ExitCode::failed;
        }
    }
    return ExitCode::ok;
}

}  // namespace

void add_run_command(CLI::App& app, ExitCode& exit_code) {
    const auto options = std::make_shared<ReplayOptions>();
    CLI::App& command = *app.add_subcommand("run", "one seed: repeat it, watch it, shrink it");
    command.add_option("--seed", options->seed, "which run")->required();
    command.add_option("--only", options->only,
                       "these actors and actions: 0.0-3+7,4 (a shrunk run names them)");
    command.add_option("--until", options->until_s, "seconds; no action after it takes place")
        ->check(CLI::NonNegativeNumber);
    command.add_flag("--without-restarts", options->without_restarts, "the server stays up");
    command.add_flag("--without-faults", options->without_faults, "no fault point fires");
    command.add_flag("--without-orders", options->without_orders,
                     "the operator sets no ban, quota or right");
    command.add_flag("--verbose", options->verbose,
                     "every action and packet, up to the first broken promise");
    command.add_flag("--step", options->step, "the same, line by line");
    command.add_flag("--twice", options->twice, "run it again and compare the traces");
    command.add_flag("--no-shrink", options->no_shrink, "do not look for a smaller run");
    command.add_flag("--json", options->json, "one object, for programs");
    command.callback([options, &exit_code] { exit_code = run_command(*options); });
}

}  // namespace mitu::sim_app
