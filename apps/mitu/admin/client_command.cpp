// `mitu client`: who is connected, what they subscribe to, what was dropped for them.

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/admin/client_show.hpp"

namespace mitu::cli {

namespace {

struct ClientFlags {
    ApiFlags api;
    std::string tenant;
    std::string client_id;
    std::string prefix;
    bool connected = false;
    bool away = false;
    std::size_t items_max = 1'000;
};

std::string path_of(const ClientFlags& flags) {
    return "/clients/" + escape(flags.tenant) + "/" + escape(flags.client_id);
}

CLI::App* add_one(CLI::App& app, const char* name, const char* about, ClientFlags& flags) {
    CLI::App* command = app.add_subcommand(name, about);
    flags.tenant = "default";
    command->add_option("CLIENT", flags.client_id, "client id")->required();
    command->add_option("--tenant", flags.tenant, "its tenant (default)");
    add_api_options(*command, flags.api);
    return command;
}

}  // namespace

void add_client_command(CLI::App& app, Outcome& outcome) {
    CLI::App* client = app.add_subcommand("client", "list, show and disconnect clients");
    client->require_subcommand(1);

    auto all = std::make_shared<ClientFlags>();
    CLI::App* list = client->add_subcommand("list", "clients with a session, connected or not");
    list->add_option("--tenant", all->tenant, "of this tenant only");
    list->add_option("--prefix", all->prefix, "client ids that begin so");
    list->add_flag("--connected", all->connected, "connected ones only");
    list->add_flag("--away", all->away, "those without a connection only")->excludes("--connected");
    add_limit_option(*list, all->items_max);
    add_api_options(*list, all->api);
    list->callback([all, &outcome] {
        const std::string state = all->connected ? "true" : all->away ? "false" : "";
        outcome.exit_code = show_list(
            all->api,
            "/clients" +
                query_of({{"tenant", all->tenant}, {"prefix", all->prefix}, {"connected", state}}),
            all->items_max,
            {{"TENANT", "tenant"},
             {"CLIENT", "client_id"},
             {"CONNECTED", "connected"},
             {"PEER", "peer"},
             {"POLICY", "policy"},
             {"SUBS", "subscriptions"},
             {"QUEUED", "queued"},
             {"IDLE_S", "idle_s"}});
    });

    auto one = std::make_shared<ClientFlags>();
    CLI::App* show = add_one(
        *client, "show", "one client: its queue, and what was refused or dropped and why", *one);
    show->callback([one, &outcome] {
        outcome.exit_code = show_client(one->api, one->tenant, one->client_id);
    });

    auto filters = std::make_shared<ClientFlags>();
    CLI::App* subscriptions =
        add_one(*client, "subscriptions", "what one client subscribes to", *filters);
    add_limit_option(*subscriptions, filters->items_max);
    subscriptions->callback([filters, &outcome] {
        outcome.exit_code =
            show_list(filters->api, path_of(*filters) + "/subscriptions", filters->items_max,
                      {{"FILTER", "filter"},
                       {"QOS", "qos"},
                       {"NO_LOCAL", "no_local"},
                       {"IDENTIFIER", "identifier"}});
    });

    auto kicked = std::make_shared<ClientFlags>();
    CLI::App* kick = add_one(*client, "kick", "disconnect a client; its session stays", *kicked);
    kick->callback([kicked, &outcome] {
        outcome.exit_code = change(kicked->api, "DELETE", path_of(*kicked), {},
                                   kicked->client_id + "  disconnected");
    });
}

}  // namespace mitu::cli
