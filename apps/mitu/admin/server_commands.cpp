// `mitu listener`, `mitu tenant`, `mitu config`: the server itself.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

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
