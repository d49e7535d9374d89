// `mitu-sim`, the simulator's command line: reads options and calls commands, no more.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

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

    try {
        app.parse(argc, argv);
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
