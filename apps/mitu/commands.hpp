#pragma once
// Every command of `mitu` registers itself with one call; main.cpp makes the calls.

#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace mitu::cli {

/// What `mitu` exits with. Part of its interface: `mitu --help` lists them.
enum class ExitCode : int {
    ok = 0,
    failed = 1,      // the server refused, or something asked for did not happen
    usage = 2,       // an option, a file or this machine makes it impossible to start
    connection = 3,  // no connection, or it was lost
    timed_out = 4,
};

/// What the chosen command left; one object for the whole process.
struct Outcome {
    ExitCode exit_code = ExitCode::ok;
};

/// Prints "mitu: `text`" to stderr and returns `code`.
/// Shape  `text` says what, where, which value, and what to do about it.
ExitCode complain(ExitCode code, const std::string& text);

// One function a command. Each adds a subcommand whose callback sets `outcome`, which outlives
// `app`.
void add_pub_command(CLI::App& app, Outcome& outcome);
void add_sub_command(CLI::App& app, Outcome& outcome);
void add_fleet_command(CLI::App& app, Outcome& outcome);
void add_top_command(CLI::App& app, Outcome& outcome);
void add_device_command(CLI::App& app, Outcome& outcome);
void add_passwd_command(CLI::App& app, Outcome& outcome);
void add_store_command(CLI::App& app, Outcome& outcome);

// About a server, over its API (admin/).
void add_client_command(CLI::App& app, Outcome& outcome);
void add_topic_command(CLI::App& app, Outcome& outcome);
void add_retained_command(CLI::App& app, Outcome& outcome);
void add_ban_command(CLI::App& app, Outcome& outcome);
void add_user_command(CLI::App& app, Outcome& outcome);
void add_login_command(CLI::App& app, Outcome& outcome);
void add_api_user_command(CLI::App& app, Outcome& outcome);
void add_api_key_command(CLI::App& app, Outcome& outcome);
void add_listener_command(CLI::App& app, Outcome& outcome);
void add_tenant_command(CLI::App& app, Outcome& outcome);
void add_upgrade_command(CLI::App& app, Outcome& outcome);
void add_config_command(CLI::App& app, Outcome& outcome);
void add_trace_command(CLI::App& app, Outcome& outcome);
/// Below `mitu config`.
void add_config_reload_command(CLI::App& config, Outcome& outcome);

// Below `mitu fleet`.
void add_fleet_simulate_command(CLI::App& fleet, Outcome& outcome);
void add_fleet_status_command(CLI::App& fleet, Outcome& outcome);

}  // namespace mitu::cli
