// `mitu login`, `mitu api-user`, `mitu api-key`: who may use the API.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/password_input.hpp"

namespace mitu::cli {

namespace {

struct AccountFlags {
    ApiFlags api;
    std::string name;
    std::string role;
    std::string tenant;
    std::string expires_at;
    bool password = false;
    std::size_t items_max = 1'000;
};

void add_role_option(CLI::App& command, AccountFlags& flags, bool is_required) {
    command.add_option("--role", flags.role, "viewer, operator or admin")
        ->required(is_required)
        ->check(CLI::IsMember({"viewer", "operator", "admin"}));
}

/// Prints the token alone, so that a shell can keep it.
ExitCode log_in(const AccountFlags& flags) {
    if (flags.api.user.empty()) return complain(ExitCode::usage, "whose login? use --user NAME");
    ApiFlags server = flags.api;
    server.user.clear();
    const auto client = ApiClient::make(server);
    if (!client) return complain(ExitCode::usage, client.error());
    const char* const known = std::getenv("MITU_API_PASSWORD");
    const std::string password = known != nullptr ? known : read_password();
    const auto session =
        client->call("POST", "/login", Json{{"name", flags.api.user}, {"password", password}});
    if (!session) return complain(session.error().exit_code, session.error().text);
    if (flags.api.json) {
        fmt::print("{}\n", session->dump());
    } else {
        fmt::print("{}\n", session->value("token", ""));
    }
    return ExitCode::ok;
}

ExitCode add_api_user(const AccountFlags& flags) {
    const auto password = read_new_password();
    if (!password) return complain(ExitCode::usage, "the two passwords differ; try again");
    Json body{{"name", flags.name}, {"role", flags.role}, {"password", *password}};
    if (!flags.tenant.empty()) body["tenant"] = flags.tenant;
    return change(flags.api, "POST", "/api-users", body, flags.name + "  added");
}

ExitCode change_api_user(const AccountFlags& flags) {
    Json body = Json::object();
    if (!flags.role.empty()) body["role"] = flags.role;
    if (flags.password) {
        const auto password = read_new_password();
        if (!password) return complain(ExitCode::usage, "the two passwords differ; try again");
        body["password"] = *password;
    }
    if (body.empty()) {
        return complain(ExitCode::usage, "nothing to change; use --role or --password");
    }
    return change(flags.api, "PATCH", "/api-users/" + escape(flags.name), body,
                  flags.name + "  changed");
}

ExitCode add_api_key(const AccountFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    Json body{{"name", flags.name}, {"role", flags.role}};
    if (!flags.tenant.empty()) body["tenant"] = flags.tenant;
    if (!flags.expires_at.empty()) body["expires_at"] = flags.expires_at;
    const auto key = client->call("POST", "/api-keys", body);
    if (!key) return complain(key.error().exit_code, key.error().text);
    if (flags.api.json) {
        fmt::print("{}\n", key->dump());
        return ExitCode::ok;
    }
    fmt::print("ok  {}  added; its secret is shown this once:\n{}\n", key->value("id", ""),
               key->value("secret", ""));
    return ExitCode::ok;
}

}  // namespace

void add_login_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<AccountFlags>();
    CLI::App* command = app.add_subcommand("login", "a session token for the API");
    add_api_options(*command, flags->api);
    command->footer(R"(
The password is asked for, or comes from MITU_API_PASSWORD. To stay logged in in this shell:
    export MITU_API_TOKEN=$(mitu login --user NAME)
)");
    command->callback([flags, &outcome] { outcome.exit_code = log_in(*flags); });
}

void add_api_user_command(CLI::App& app, Outcome& outcome) {
    CLI::App* user = app.add_subcommand("api-user", "users of the API");
    user->require_subcommand(1);

    auto all = std::make_shared<AccountFlags>();
    CLI::App* list = user->add_subcommand("list", "all of them");
    add_limit_option(*list, all->items_max);
    add_api_options(*list, all->api);
    list->callback([all, &outcome] {
        outcome.exit_code = show_list(
            all->api, "/api-users", all->items_max,
            {{"NAME", "name"}, {"ROLE", "role"}, {"TENANT", "tenant"}, {"CREATED", "created_at"}});
    });

    auto made = std::make_shared<AccountFlags>();
    CLI::App* add = user->add_subcommand("add", "add one; its password comes from stdin");
    add->add_option("NAME", made->name, "user name")->required();
    add_role_option(*add, *made, true);
    add->add_option("--tenant", made->tenant, "bound to this tenant (all)");
    add_api_options(*add, made->api);
    add->footer(R"(
The first user is made on the server's machine, by whoever may open its Unix socket:
    mitu api-user add root --role admin --url unix:mitu-data/api.sock
)");
    add->callback([made, &outcome] { outcome.exit_code = add_api_user(*made); });

    auto changed = std::make_shared<AccountFlags>();
    CLI::App* edit = user->add_subcommand("change", "change role or password");
    edit->add_option("NAME", changed->name, "user name")->required();
    add_role_option(*edit, *changed, false);
    edit->add_flag("--password", changed->password, "a new one, from stdin; ends all sessions");
    add_api_options(*edit, changed->api);
    edit->callback([changed, &outcome] { outcome.exit_code = change_api_user(*changed); });

    auto gone = std::make_shared<AccountFlags>();
    CLI::App* remove = user->add_subcommand("remove", "remove one, and its sessions");
    remove->add_option("NAME", gone->name, "user name")->required();
    add_api_options(*remove, gone->api);
    remove->callback([gone, &outcome] {
        outcome.exit_code = change(gone->api, "DELETE", "/api-users/" + escape(gone->name), {},
                                   gone->name + "  removed");
    });
}

void add_api_key_command(CLI::App& app, Outcome& outcome) {
    CLI::App* key = app.add_subcommand("api-key", "keys of programs that use the API");
    key->alias("apikey");
    key->require_subcommand(1);

    auto all = std::make_shared<AccountFlags>();
    CLI::App* list = key->add_subcommand("list", "all of them, without their secrets");
    add_limit_option(*list, all->items_max);
    add_api_options(*list, all->api);
    list->callback([all, &outcome] {
        outcome.exit_code = show_list(all->api, "/api-keys", all->items_max,
                                      {{"ID", "id"},
                                       {"NAME", "name"},
                                       {"ROLE", "role"},
                                       {"TENANT", "tenant"},
                                       {"BY", "created_by"},
                                       {"EXPIRES", "expires_at"}});
    });

    auto made = std::make_shared<AccountFlags>();
    CLI::App* add = key->add_subcommand("add", "make one; its secret is printed this once");
    add->add_option("NAME", made->name, "what it is for")->required();
    add_role_option(*add, *made, true);
    add->add_option("--tenant", made->tenant, "bound to this tenant (all)");
    add->add_option("--expires-at", made->expires_at, "such as 2030-12-31T23:59:59Z (never)");
    add_api_options(*add, made->api);
    add->callback([made, &outcome] { outcome.exit_code = add_api_key(*made); });

    auto gone = std::make_shared<AccountFlags>();
    CLI::App* remove = key->add_subcommand("remove", "remove one");
    remove->add_option("ID", gone->name, "as `mitu api-key list` shows it")->required();
    add_api_options(*remove, gone->api);
    remove->callback([gone, &outcome] {
        outcome.exit_code = change(gone->api, "DELETE", "/api-keys/" + escape(gone->name), {},
                                   gone->name + "  removed");
    });
}

}  // namespace mitu::cli
