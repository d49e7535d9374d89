// `mitu fleet status`: how many devices are connected, silent, or not what they should be.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/fleet_status.hpp"
#include "apps/mitu/screen.hpp"

namespace mitu::cli {

namespace {

struct StatusFlags {
    ApiFlags api;
    bool json = false;
    bool watch = false;
    Duration interval = Duration::seconds(1);
};

Result<std::string, ApiFailure> fetch(const ApiClient& client, bool as_json) {
    auto answer = client.send("GET", "/fleet/status");
    if (!answer) return answer;
    if (!as_json) {
        auto table = fleet_status_table(*answer);
        if (!table) return std::unexpected(ApiFailure{ExitCode::failed, table.error()});
        return *table;
    }
    if (!answer->ends_with('\n')) *answer += '\n';
    return answer;
}

ExitCode run_status(const StatusFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    if (flags.watch) {
        return watch(flags.interval, [&]() -> Result<std::string, std::string> {
            auto text = fetch(*client, flags.json);
            if (!text) return std::unexpected(text.error().text);
            return *text;
        });
    }
    const auto text = fetch(*client, flags.json);
    if (!text) return complain(text.error().exit_code, text.error().text);
    std::fputs(text->c_str(), stdout);
    return ExitCode::ok;
}

}  // namespace

void add_fleet_status_command(CLI::App& fleet, Outcome& outcome) {
    auto flags = std::make_shared<StatusFlags>();
    CLI::App* command = fleet.add_subcommand(
        "status", "devices by tenant and class: online, missed heartbeats, drifted");
    add_api_server_options(*command, flags->api);
    command->add_flag("--watch", flags->watch, "show it again and again, until Ctrl-C");
    add_duration_option(*command, "--interval", flags->interval, "how often, with --watch (1s)");
    command->add_flag("--json", flags->json, "print the server's answer, which is JSON");
    command->footer(R"(
UNSEEN   devices that never connected since the server started
MISSED   devices that are silent for longer than their policy's heartbeat timeout
DRIFTED  devices whose reported state is not the one that their policy desires
)");
    command->callback([flags, &outcome] { outcome.exit_code = run_status(*flags); });
}

}  // namespace mitu::cli
