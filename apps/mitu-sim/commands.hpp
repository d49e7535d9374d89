#pragma once
// Every command of `mitu-sim` registers itself with one call; main.cpp makes the calls.

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace mitu::sim_app {

/// What the process exits with. Part of its interface: `mitu-sim --help` lists them.
enum class ExitCode : int {
    ok = 0,
    failed = 1,  // a promise was broken
    usage = 2,   // an option or a file makes it impossible to start
};

// One function a command. Each adds a subcommand whose callback sets `exit_code`, which outlives
// `app`.
void add_run_command(CLI::App& app, ExitCode& exit_code);
void add_scenario_command(CLI::App& app, ExitCode& exit_code);
void add_swarm_command(CLI::App& app, ExitCode& exit_code);

}  // namespace mitu::sim_app
