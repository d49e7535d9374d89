// `mitu top`: connections, rates and memory of a server, live.

#include <fmt/format.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/overview.hpp"
#include "apps/mitu/screen.hpp"

namespace mitu::cli {

namespace {

struct TopFlags {
    ApiFlags api;
    Duration interval = Duration::seconds(1);
    bool once = false;
    bool json = false;
};

Result<Overview, ApiFailure> fetch(const ApiClient& client) {
    const auto answer = client.send("GET", "/overview");
    if (!answer) return std::unexpected(answer.error());
    auto overview = read_overview(*answer, monotonic_now());
    if (!overview) return std::unexpected(ApiFailure{ExitCode::failed, overview.error()});
    return *overview;
}

ExitCode run_top(const TopFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto print = flags.json ? overview_json : overview_text;
    std::optional<Overview> before;
    if (flags.once) {
        // Two looks, so that rates are those of now and not of the whole time.
        for (int look = 0; look < 2; ++look) {
            auto now = fetch(*client);
            if (!now) return complain(now.error().exit_code, now.error().text);
            if (look == 1) std::fputs(print(*now, before).c_str(), stdout);
            before = std::move(*now);
            if (look == 0) ::poll(nullptr, 0, wait_ms(Instant{}, Instant{} + flags.interval));
        }
        return ExitCode::ok;
    }
    return watch(flags.interval, [&]() -> Result<std::string, std::string> {
        auto now = fetch(*client);
        if (!now) return std::unexpected(now.error().text);
        std::string text = print(*now, before);
        before = std::move(*now);
        return text;
    });
}

}  // namespace

void add_top_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<TopFlags>();
    CLI::App* command =
        app.add_subcommand("top", "connections, rates and memory of a server, live");
    add_api_server_options(*command, flags->api);
    add_duration_option(*command, "--interval", flags->interval, "time between two looks (1s)");
    command->add_flag("--once", flags->once, "look twice, one interval apart, print once, end");
    command->add_flag("--json", flags->json, "one JSON object for each look");
    command->footer(R"(
Rates are differences between two looks divided by the time between them. Ctrl-C ends it.
)");
    command->callback([flags, &outcome] { outcome.exit_code = run_top(*flags); });
}

}  // namespace mitu::cli
