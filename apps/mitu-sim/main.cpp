// `mitu-sim`, the simulator's command line: reads options and calls commands, no more.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "apps/mitu-sim/commands.hpp"
#include "apps/mitu/help_format.hpp"

int main(int argc, char** argv) try {
    using namespace mitu::sim_app;

    CLI::App app{"mitu-sim: the server's promises, kept in a virtual world and in the real one",
                 "mitu-sim"};
    app.set_version_flag("--version", std::string{"mitu-sim "} + MITU_VERSION);
    app.require_subcommand(1);
    app.formatter(mitu::cli::make_help_formatter());

    ExitCode exit_code = ExitCode::ok;
    add_run_command(app, exit_code);
    add_swarm_command(app, exit_code);
    add_scenario_command(app, exit_code);
    // Last: commands inherit the footer that is there when they are made.
    app.footer(R"(
`mitu-sim COMMAND --help` tells more about each command.

Exit codes: 0 every promise was kept; 1 one was broken; 2 wrong use, or a file with mistakes.
)");

    // `mitu-sim --seed=N` is `mitu-sim run --seed=N`: what one types most often.
    std::vector<std::string> arguments{argv + 1, argv + argc};
    if (!arguments.empty() && arguments.front().starts_with("--seed")) {
        arguments.insert(arguments.begin(), "run");
    }
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    try {
        app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        // Help and version are asked for and are no error; the rest is wrong use.
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    }
    return static_cast<int>(exit_code);
} catch (const std::exception& error) {
    // What no command has handled is out of memory, or a mistake of ours; say which.
    std::fprintf(stderr, "mitu-sim: %s\n", error.what());
    return static_cast<int>(mitu::sim_app::ExitCode::failed);
}
