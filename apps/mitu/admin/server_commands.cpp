// `mitu listener`, `mitu tenant`, `mitu config reload`, `mitu upgrade`: the server itself.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "apps/mitu/admin/api_client.hpp"
#include "mitu/yaml/emit.hpp"

namespace mitu::cli {

namespace {

struct ServerFlags {
    ApiFlags api;
    std::string name;
    std::size_t items_max = 1'000;
};

void add_switch(CLI::App& listener, const char* name, const char* about, bool enabled,
                Outcome& outcome) {
    auto flags = std::make_shared<ServerFlags>();
    CLI::App* command = listener.add_subcommand(name, about);
    command->add_option("NAME", flags->name, "as `mitu listener list` shows it")->required();
    add_api_options(*command, flags->api);
    command->callback([flags, enabled, &outcome] {
        outcome.exit_code = change(flags->api, "PATCH", "/listeners/" + escape(flags->name),
                                   Json{{"enabled", enabled}},
                                   flags->name + (enabled ? "  enabled" : "  disabled"));
    });
}

ExitCode reload(const ServerFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto report = client->call("POST", "/config/reload");
    if (!report) return complain(report.error().exit_code, report.error().text);
    if (flags.api.json) {
        fmt::print("{}\n", report->dump());
        return ExitCode::ok;
    }
    fmt::print("ok  revision {}\n", report->value("revision", 0));
    for (const Json& key : report->at("applied")) {
        fmt::print("applied        {}\n", key.get<std::string>());
    }
    for (const Json& key : report->at("needs_restart")) {
        fmt::print("needs restart  {}\n", key.get<std::string>());
    }
    return ExitCode::ok;
}

struct UpgradeFlags {
    ApiFlags api;
    double timeout_s = 120;
};

/// Asks, and looks until another process answers or this one says why not.
ExitCode upgrade(const UpgradeFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto before = client->call("POST", "/upgrade");
    if (!before) return complain(before.error().exit_code, before.error().text);
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + std::chrono::duration<double>{flags.timeout_s};
    while (Clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        const auto now = client->call("GET", "/upgrade");
        if (!now) continue;  // between the two nobody answers
        if (now->value("pid", 0) != before->value("pid", 0)) {
            if (flags.api.json) {
                fmt::print("{}\n", now->dump());
                return ExitCode::ok;
            }
            fmt::print("ok  {} -> {}  worker {}\n", before->value("version", ""),
                       now->value("version", ""), now->value("pid", 0));
            return ExitCode::ok;
        }
        const std::string problem = now->value("problem", "");
        if (problem.empty()) continue;
        return complain(ExitCode::failed, "the upgrade failed, and the server goes on as it was: " +
                                              problem + "; its log says more");
    }
    return complain(ExitCode::timed_out,
                    fmt::format("the same process still answers after {} s; the server's log says "
                                "how far it is",
                                flags.timeout_s));
}

}  // namespace

ExitCode show_server_config(const ApiFlags& flags) {
    const auto client = ApiClient::make(flags);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto shown = client->call("GET", "/config");
    if (!shown) return complain(shown.error().exit_code, shown.error().text);
    if (flags.json) {
        fmt::print("{}\n", shown->dump(2));
        return ExitCode::ok;
    }
    fmt::print("# revision {}\n{}", shown->value("revision", 0), yaml::emit(shown->at("config")));
    return ExitCode::ok;
}

void add_upgrade_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<UpgradeFlags>();
    CLI::App* command =
        app.add_subcommand("upgrade", "have the installed mitud take over from the one that runs");
    command->add_option("--timeout", flags->timeout_s, "how long to wait for it, in seconds (120)")
        ->check(CLI::Range(1.0, 3600.0));
    add_api_options(*command, flags->api);
    command->callback([flags, &outcome] { outcome.exit_code = upgrade(*flags); });
}

void add_listener_command(CLI::App& app, Outcome& outcome) {
    CLI::App* listener = app.add_subcommand("listener", "where a server listens");
    listener->require_subcommand(1);
    auto flags = std::make_shared<ServerFlags>();
    CLI::App* list = listener->add_subcommand("list", "all listeners");
    add_api_options(*list, flags->api);
    list->callback([flags, &outcome] {
        outcome.exit_code = show_list(flags->api, "/listeners", flags->items_max,
                                      {{"NAME", "name"},
                                       {"URL", "url"},
                                       {"ENABLED", "enabled"},
                                       {"CONNECTIONS", "connections"}});
    });
    add_switch(*listener, "enable", "take connections again", true, outcome);
    add_switch(*listener, "disable", "take no new connections; those that are there stay", false,
               outcome);
}

void add_tenant_command(CLI::App& app, Outcome& outcome) {
    CLI::App* tenant = app.add_subcommand("tenant", "list the tenants of a server");
    tenant->require_subcommand(1);
    auto flags = std::make_shared<ServerFlags>();
    CLI::App* list = tenant->add_subcommand("list", "all tenants");
    add_limit_option(*list, flags->items_max);
    add_api_options(*list, flags->api);
    list->callback([flags, &outcome] {
        outcome.exit_code = show_list(flags->api, "/tenants", flags->items_max,
                                      {{"NAME", "name"}, {"DESCRIPTION", "description"}});
    });
}

void add_config_reload_command(CLI::App& config, Outcome& outcome) {
    auto flags = std::make_shared<ServerFlags>();
    CLI::App* command =
        config.add_subcommand("reload", "read the configuration again; says what needs a restart");
    add_api_options(*command, flags->api);
    command->callback([flags, &outcome] { outcome.exit_code = reload(*flags); });
}

}  // namespace mitu::cli
