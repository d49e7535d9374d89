// Clients and their subscriptions.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/api/operation.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::api {
namespace {

Json client_json(const ClientInfo& client) {
    Json json{{"tenant", client.tenant},
              {"client_id", client.client_id},
              {"connected", client.connected},
              {"peer", client.peer.empty() ? Json(nullptr) : Json(client.peer)},
              {"protocol_version", client.protocol_version},
              {"policy", client.policy},
              {"class", client.device_class},
              {"idle_s", client.idle_s},
              {"subscriptions", client.subscriptions},
              {"queued", client.queued},
              {"inflight", client.inflight},
              {"dropped", Json::object()}};
    for (const auto& [reason, count] : client.dropped) json["dropped"][reason] = count;
    return json;
}

Json refusal_json(const RefusalInfo& refusal) {
    const auto or_null = [](const std::string& text) {
        return text.empty() ? Json(nullptr) : Json(text);
    };
    return {{"tenant", tenant_json(refusal.tenant)},
            {"client_id", refusal.client_id},
            {"at", time_text(refusal.at)},
            {"count", refusal.count},
            {"kind", refusal.kind},
            {"reason", refusal.reason},
            {"text", or_null(refusal.text)},
            {"peer", or_null(refusal.peer)},
            {"limit", or_null(refusal.limit)},
            {"scope", or_null(refusal.scope)},
            {"limit_value", refusal.limit_value ? Json(*refusal.limit_value) : Json(nullptr)}};
}

/// Beside what its session remembers, what was refused to it when it wanted to come in.
Answer<Json> client_with_refusals(Call& call, const ClientInfo& client) {
    RefusalQuery query;
    query.tenant = client.tenant;
    query.client_id = client.client_id;
    query.includes_unknown_tenants = !call.principal.tenant;
    const auto attempts = call.services.backends.broker->refusals(query, {.limit = 20});
    if (!attempts) return std::unexpected(attempts.error());
    std::vector<RefusalInfo> all = client.refusals;
    all.insert(all.end(), attempts->items.begin(), attempts->items.end());
    std::ranges::sort(all, std::ranges::greater{}, &RefusalInfo::at);
    Json json = client_json(client);
    json["refusals"] = Json::array();
    for (const RefusalInfo& refusal : all) json["refusals"].push_back(refusal_json(refusal));
    return json;
}

Json subscription_json(const SubscriptionInfo& subscription) {
    return {{"tenant", subscription.tenant},
            {"client_id", subscription.client_id},
            {"filter", subscription.filter},
            {"qos", subscription.qos},
            {"no_local", subscription.no_local},
            {"retain_as_published", subscription.retain_as_published},
            {"identifier",
             subscription.identifier == 0 ? Json(nullptr) : Json(subscription.identifier)}};
}

Answer<Reply> list_clients(Call& call) {
    const auto scope = call.scope(call.request.query("tenant"));
    if (!scope) return std::unexpected(scope.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    ClientQuery query;
    query.tenant = *scope;
    query.prefix = call.request.query("prefix").value_or("");
    if (const auto connected = call.request.query("connected")) {
        if (*connected != "true" && *connected != "false") {
            return refuse(Code::parameter_invalid,
                          fmt::format("connected is \"{}\"; use true or false", *connected));
        }
        query.connected = *connected == "true";
    }
    const auto listing = call.services.backends.broker->clients(query, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, client_json);
}

Answer<Reply> show_client(Call& call) {
    const auto tenant = call.tenant();
    if (!tenant) return std::unexpected(tenant.error());
    const auto client = call.services.backends.broker->client(*tenant, call.param("client_id"));
    if (!client) return std::unexpected(client.error());
    const auto json = client_with_refusals(call, *client);
    if (!json) return std::unexpected(json.error());
    return Reply{200, *json};
}

Answer<Reply> list_refusals(Call& call) {
    const auto scope = call.scope(call.request.query("tenant"));
    if (!scope) return std::unexpected(scope.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    RefusalQuery query;
    query.tenant = *scope;
    query.client_id = call.request.query("client_id").value_or("");
    query.includes_unknown_tenants = !call.principal.tenant;
    const auto listing = call.services.backends.broker->refusals(query, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, refusal_json);
}

Answer<Reply> kick_client(Call& call) {
    const auto tenant = call.tenant();
    if (!tenant) return std::unexpected(tenant.error());
    const auto kicked = call.services.backends.broker->kick(*tenant, call.param("client_id"));
    if (!kicked) return std::unexpected(kicked.error());
    return Reply{204};
}

Answer<Reply> list_client_subscriptions(Call& call) {
    const auto tenant = call.tenant();
    if (!tenant) return std::unexpected(tenant.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    const auto listing =
        call.services.backends.broker->subscriptions_of(*tenant, call.param("client_id"), *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, subscription_json);
}

Answer<Reply> list_subscriptions(Call& call) {
    const auto scope = call.scope(call.request.query("tenant"));
    if (!scope) return std::unexpected(scope.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    SubscriptionQuery query;
    query.tenant = *scope;
    query.filter = call.request.query("filter").value_or("");
    query.topic = call.request.query("topic").value_or("");
    if (!query.filter.empty() && !mqtt::is_valid_topic_filter(query.filter)) {
        return refuse(Code::filter_invalid, "filter is not a topic filter");
    }
    if (!query.topic.empty() && !mqtt::is_valid_topic_name(query.topic)) {
        return refuse(Code::topic_invalid, "topic is not a topic name");
    }
    if (!query.topic.empty() && (!query.tenant || !query.filter.empty())) {
        return refuse(Code::parameter_invalid, "with topic, name a tenant, and no filter");
    }
    const auto listing = call.services.backends.broker->subscriptions(query, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, subscription_json);
}

}  // namespace

std::vector<Operation> client_operations() {
    const Parameter tenant{"tenant", "string", "of this tenant only"};
    return {
        {.method = "GET",
         .path = "/clients",
         .id = "list_clients",
         .tag = "clients",
         .summary = "Clients with a session, connected or not",
         .query = with_page({tenant,
                             {"connected", "boolean", "those that are, or are not"},
                             {"prefix", "string", "how the client id begins"}}),
         .answer = "ClientListing",
         .errors = {Code::overloaded},
         .handler = list_clients},
        {.method = "GET",
         .path = "/clients/{tenant}/{client_id}",
         .id = "show_client",
         .tag = "clients",
         .summary = "One client: its queue, and what was dropped for it and why",
         .answer = "Client",
         .errors = {Code::client_unknown, Code::shard_silent},
         .handler = show_client},
        {.method = "DELETE",
         .path = "/clients/{tenant}/{client_id}",
         .id = "kick_client",
         .tag = "clients",
         .summary = "Disconnects a client (reason 0x98); its session stays as MQTT says",
         .needs = Needs::operator_role,
         .status = 204,
         .errors = {Code::client_unknown, Code::client_not_connected, Code::shard_silent},
         .handler = kick_client},
        {.method = "GET",
         .path = "/clients/{tenant}/{client_id}/subscriptions",
         .id = "list_client_subscriptions",
         .tag = "clients",
         .summary = "The subscriptions of one client, by filter",
         .query = with_page({}),
         .answer = "SubscriptionListing",
         .errors = {Code::client_unknown, Code::shard_silent},
         .handler = list_client_subscriptions},
        {.method = "GET",
         .path = "/refusals",
         .id = "list_refusals",
         .tag = "clients",
         .summary = "CONNECTs that were refused, by client id, address and reason: the last few "
                    "hundred of each shard, the newest first",
         .query = with_page({tenant, {"client_id", "string", "exactly this client id"}}),
         .answer = "RefusalListing",
         .errors = {Code::overloaded},
         .handler = list_refusals},
        {.method = "GET",
         .path = "/subscriptions",
         .id = "list_subscriptions",
         .tag = "subscriptions",
         .summary = "Subscriptions: all, those to one filter, or those that match a topic",
         .query = with_page({tenant,
                             {"filter", "string", "exactly this filter"},
                             {"topic", "string", "those that match this topic of a tenant"}}),
         .answer = "SubscriptionListing",
         .errors = {Code::filter_invalid, Code::topic_invalid, Code::shard_silent},
         .handler = list_subscriptions},
    };
}

}  // namespace mitu::api
