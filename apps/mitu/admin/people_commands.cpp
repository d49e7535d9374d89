// `mitu ban`, `mitu user`: who may not connect, and the MQTT users of the built-in database.

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/password_input.hpp"

namespace mitu::cli {

namespace {

struct BanFlags {
    ApiFlags api;
    std::string id;
    std::string kind;
    std::string value;
    std::string tenant;
    std::string reason;
    Duration duration;
    std::size_t items_max = 1'000;
};

struct UserFlags {
    ApiFlags api;
    std::string name;
    std::string tenant = "default";
    bool password = false;
    bool enable = false;
    bool disable = false;
    std::size_t items_max = 1'000;
};

ExitCode add_ban(const BanFlags& flags) {
    Json body{{"kind", flags.kind}, {"value", flags.value}};
    if (!flags.tenant.empty()) body["tenant"] = flags.tenant;
    if (!flags.reason.empty()) body["reason"] = flags.reason;
    if (flags.duration > Duration{})
        body["duration_s"] = std::max<std::int64_t>(flags.duration.count_s(), 1);
    return change(flags.api, "POST", "/bans", body, flags.kind + " " + flags.value + "  banned");
}

CLI::App* add_one_user(CLI::App& app, const char* name, const char* about, UserFlags& flags) {
    CLI::App* command = app.add_subcommand(name, about);
    command->add_option("NAME", flags.name, "user name")->required();
    command->add_option("--tenant", flags.tenant, "its tenant (default)");
    add_api_options(*command, flags.api);
    return command;
}

std::string path_of(const UserFlags& flags) {
    return "/users/" + escape(flags.tenant) + "/" + escape(flags.name);
}

ExitCode add_user(const UserFlags& flags) {
    const auto password = read_new_password();
    if (!password) return complain(ExitCode::usage, "the two passwords differ; try again");
    const Json body{{"name", flags.name}, {"password", *password}};
    return change(flags.api, "POST", "/users/" + escape(flags.tenant), body,
                  flags.name + "  added");
}

ExitCode change_user(const UserFlags& flags) {
    Json body = Json::object();
    if (flags.password) {
        const auto password = read_new_password();
        if (!password) return complain(ExitCode::usage, "the two passwords differ; try again");
        body["password"] = *password;
    }
    if (flags.enable || flags.disable) body["enabled"] = flags.enable;
    if (body.empty()) {
        return complain(ExitCode::usage,
                        "nothing to change; use --password, --enable or --disable");
    }
    return change(flags.api, "PATCH", path_of(flags), body, flags.name + "  changed");
}

}  // namespace

void add_ban_command(CLI::App& app, Outcome& outcome) {
    CLI::App* ban = app.add_subcommand("ban", "list, add and lift bans");
    ban->require_subcommand(1);

    auto all = std::make_shared<BanFlags>();
    CLI::App* list = ban->add_subcommand("list", "who may not connect");
    list->add_option("--tenant", all->tenant, "of this tenant only");
    add_limit_option(*list, all->items_max);
    add_api_options(*list, all->api);
    list->callback([all, &outcome] {
        outcome.exit_code =
            show_list(all->api, "/bans" + query_of({{"tenant", all->tenant}}), all->items_max,
                      {{"ID", "id"},
                       {"KIND", "kind"},
                       {"VALUE", "value"},
                       {"TENANT", "tenant"},
                       {"EXPIRES", "expires_at"},
                       {"REASON", "reason"}});
    });

    auto made = std::make_shared<BanFlags>();
    CLI::App* add = ban->add_subcommand("add", "ban a client id, user, address or network");
    add->add_option("KIND", made->kind, "client_id, user, address or network")
        ->required()
        ->check(CLI::IsMember({"client_id", "user", "address", "network"}));
    add->add_option("VALUE", made->value, "of a network: CIDR, such as 198.51.100.0/24")
        ->required();
    add->add_option("--tenant", made->tenant, "in this tenant only");
    add->add_option("--reason", made->reason, "for those who read the list");
    add_duration_option(*add, "--for", made->duration, "how long (until it is lifted)");
    add_api_options(*add, made->api);
    add->callback([made, &outcome] { outcome.exit_code = add_ban(*made); });

    auto gone = std::make_shared<BanFlags>();
    CLI::App* remove = ban->add_subcommand("remove", "lift a ban");
    remove->add_option("ID", gone->id, "as `mitu ban list` shows it")->required();
    add_api_options(*remove, gone->api);
    remove->callback([gone, &outcome] {
        outcome.exit_code =
            change(gone->api, "DELETE", "/bans/" + escape(gone->id), {}, gone->id + "  lifted");
    });
}

void add_user_command(CLI::App& app, Outcome& outcome) {
    CLI::App* user = app.add_subcommand("user", "MQTT users of the built-in database");
    user->require_subcommand(1);

    auto all = std::make_shared<UserFlags>();
    all->tenant.clear();
    CLI::App* list = user->add_subcommand("list", "all of them");
    list->add_option("--tenant", all->tenant, "of this tenant only");
    add_limit_option(*list, all->items_max);
    add_api_options(*list, all->api);
    list->callback([all, &outcome] {
        outcome.exit_code =
            show_list(all->api, "/users" + query_of({{"tenant", all->tenant}}), all->items_max,
                      {{"TENANT", "tenant"},
                       {"NAME", "name"},
                       {"ENABLED", "enabled"},
                       {"REVISION", "revision"}});
    });

    auto made = std::make_shared<UserFlags>();
    CLI::App* add = add_one_user(*user, "add", "add one; its password comes from stdin", *made);
    add->callback([made, &outcome] { outcome.exit_code = add_user(*made); });

    auto changed = std::make_shared<UserFlags>();
    CLI::App* edit = add_one_user(*user, "change", "change password or state", *changed);
    edit->add_flag("--password", changed->password, "a new one, from stdin");
    edit->add_flag("--enable", changed->enable, "may log in");
    edit->add_flag("--disable", changed->disable, "may not log in")->excludes("--enable");
    edit->callback([changed, &outcome] { outcome.exit_code = change_user(*changed); });

    auto gone = std::make_shared<UserFlags>();
    CLI::App* remove = add_one_user(*user, "remove", "remove one", *gone);
    remove->callback([gone, &outcome] {
        outcome.exit_code =
            change(gone->api, "DELETE", path_of(*gone), {}, gone->name + "  removed");
    });
}

}  // namespace mitu::cli
