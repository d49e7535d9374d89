// `mitu fleet status`: how many devices are connected, silent, or not what they should be.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/fleet_status.hpp"
#include "apps/mitu/http_client.hpp"
#include "apps/mitu/screen.hpp"

namespace mitu::cli {

namespace {

struct StatusFlags {
    std::string http = fmt::format("127.0.0.1:{}", http_port_default);
    bool json = false;
    bool watch = false;
    Duration interval = Duration::seconds(1);
};

Result<std::string, std::string> fetch(const Endpoint& endpoint, bool as_json) {
    auto answer = http_get(endpoint, "/api/v1/fleet/status", Duration::seconds(5));
    if (!answer) {
        return std::unexpected(answer.error() +
                               "; is mitud running? --http says where its HTTP port is");
    }
    if (!as_json) return fleet_status_table(*answer);
    if (!answer->ends_with('\n')) *answer += '\n';
    return answer;
}

ExitCode run_status(const StatusFlags& flags) {
    const auto endpoint = parse_http_endpoint(flags.http);
    if (!endpoint) return complain(ExitCode::usage, endpoint.error());
    if (flags.watch) {
        return watch(flags.interval, [&] { return fetch(*endpoint, flags.json); });
    }
    const auto text = fetch(*endpoint, flags.json);
    if (!text) return complain(ExitCode::connection, text.error());
    std::fputs(text->c_str(), stdout);
    return ExitCode::ok;
}

}  // namespace

void add_fleet_status_command(CLI::App& fleet, Outcome& outcome) {
    auto flags = std::make_shared<StatusFlags>();
    CLI::App* command = fleet.add_subcommand(
        "status", "devices by tenant and class: online, missed heartbeats, drifted");
    command->add_option("--http,--url", flags->http,
                        "HTTP port of mitud, HOST:PORT or a URL (127.0.0.1:9880)");
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
