// `mitu topic`, `mitu retained`: what is subscribed to by name, and what is kept.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"

namespace mitu::cli {

namespace {

struct TopicFlags {
    ApiFlags api;
    std::string tenant;
    std::string topic;
    std::string filter;
    std::size_t items_max = 1'000;
};

CLI::App* add_list(CLI::App& app, const char* about, TopicFlags& flags) {
    CLI::App* list = app.add_subcommand("list", about);
    list->add_option("--tenant", flags.tenant, "of this tenant only");
    list->add_option("--filter", flags.filter, "topics that this filter matches");
    add_limit_option(*list, flags.items_max);
    add_api_options(*list, flags.api);
    return list;
}

std::string query(const TopicFlags& flags) {
    return query_of({{"tenant", flags.tenant}, {"filter", flags.filter}});
}

CLI::App* add_one(CLI::App& app, const char* name, const char* about, TopicFlags& flags) {
    CLI::App* command = app.add_subcommand(name, about);
    flags.tenant = "default";
    command->add_option("TOPIC", flags.topic, "topic")->required();
    command->add_option("--tenant", flags.tenant, "its tenant (default)");
    add_api_options(*command, flags.api);
    return command;
}

std::string path_of(const TopicFlags& flags) {
    return "/retained/" + escape(flags.tenant) + "/" + escape(flags.topic);
}

/// The payload as it is, for pipes; with --json all of the message.
ExitCode get_retained(const TopicFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto message = client->call("GET", path_of(flags));
    if (!message) return complain(message.error().exit_code, message.error().text);
    if (flags.api.json) {
        fmt::print("{}\n", message->dump());
        return ExitCode::ok;
    }
    if (message->value("payload_encoding", "") != "text") {
        return complain(ExitCode::failed, "the payload is not text; --json prints it as base64");
    }
    fmt::print("{}\n", message->value("payload", ""));
    return ExitCode::ok;
}

}  // namespace

void add_topic_command(CLI::App& app, Outcome& outcome) {
    CLI::App* topic = app.add_subcommand("topic", "list topics of a server");
    topic->require_subcommand(1);
    auto flags = std::make_shared<TopicFlags>();
    CLI::App* list = add_list(
        *topic, "topics with a retained message, or subscribed to by their exact name", *flags);
    list->callback([flags, &outcome] {
        outcome.exit_code = show_list(flags->api, "/topics" + query(*flags), flags->items_max,
                                      {{"TENANT", "tenant"},
                                       {"TOPIC", "topic"},
                                       {"RETAINED", "retained"},
                                       {"SUBS", "subscriptions"}});
    });
}

void add_retained_command(CLI::App& app, Outcome& outcome) {
    CLI::App* retained = app.add_subcommand("retained", "list, read and forget retained messages");
    retained->require_subcommand(1);

    auto all = std::make_shared<TopicFlags>();
    CLI::App* list = add_list(*retained, "retained messages, without their payload", *all);
    list->callback([all, &outcome] {
        outcome.exit_code = show_list(all->api, "/retained" + query(*all), all->items_max,
                                      {{"TENANT", "tenant"},
                                       {"TOPIC", "topic"},
                                       {"QOS", "qos"},
                                       {"BYTES", "payload_bytes"},
                                       {"EXPIRES_IN_S", "expires_in_s"}});
    });

    auto one = std::make_shared<TopicFlags>();
    CLI::App* get = add_one(*retained, "get", "print the payload of one", *one);
    get->callback([one, &outcome] { outcome.exit_code = get_retained(*one); });

    auto gone = std::make_shared<TopicFlags>();
    CLI::App* remove = add_one(*retained, "delete", "forget one; subscribers are not told", *gone);
    remove->callback([gone, &outcome] {
        outcome.exit_code =
            change(gone->api, "DELETE", path_of(*gone), {}, gone->topic + "  forgotten");
    });
}

}  // namespace mitu::cli
