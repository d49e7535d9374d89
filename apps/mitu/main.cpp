// `mitu`, the command line: reads options and calls commands, no more.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/help_format.hpp"

int main(int argc, char** argv) try {
    using namespace mitu::cli;

    CLI::App app{"mitu: publish and subscribe, simulate a fleet, watch a server", "mitu"};
    app.set_version_flag("--version", std::string{"mitu "} + MITU_VERSION);
    app.require_subcommand(1);
    app.formatter(make_help_formatter());

    Outcome outcome;
    add_pub_command(app, outcome);
    add_sub_command(app, outcome);
    add_fleet_command(app, outcome);
    add_device_command(app, outcome);
    add_passwd_command(app, outcome);
    add_store_command(app, outcome);
    add_top_command(app, outcome);
    add_client_command(app, outcome);
    add_trace_command(app, outcome);
    add_topic_command(app, outcome);
    add_retained_command(app, outcome);
    add_ban_command(app, outcome);
    add_user_command(app, outcome);
    add_login_command(app, outcome);
    add_api_user_command(app, outcome);
    add_api_key_command(app, outcome);
    add_listener_command(app, outcome);
    add_tenant_command(app, outcome);
    add_upgrade_command(app, outcome);
    add_config_command(app, outcome);
    // Last: commands inherit the footer that is there when they are made.
    app.footer(R"(
`mitu COMMAND --help` tells more about each command.

Exit codes: 0 done; 1 the server refused or something failed; 2 wrong use, or it cannot start;
3 no connection; 4 timed out.
)");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // Help and version are asked for and are no error; the rest is wrong use.
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    }
    return static_cast<int>(outcome.exit_code);
} catch (const std::exception& error) {
    // What no command has handled is out of memory, or a mistake of ours; say which.
    std::fprintf(stderr, "mitu: %s\n", error.what());
    return static_cast<int>(mitu::cli::ExitCode::failed);
}
