// The node: tenants, numbers, listeners, configuration, and the API about itself.

#include <algorithm>

#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

Reply text_reply(std::string text, std::string content_type = "application/json") {
    Reply reply;
    reply.text = std::move(text);
    reply.content_type = std::move(content_type);
    return reply;
}

Answer<Reply> list_tenants(Call& call) {
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    auto tenants = call.services.backends.broker->tenants();
    std::erase_if(tenants, [&](const TenantInfo& tenant) {
        return call.principal.tenant && *call.principal.tenant != tenant.name;
    });
    const auto listing = cut(std::move(tenants), *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, [](const TenantInfo& tenant) {
        return Json{{"name", tenant.name}, {"description", tenant.description}};
    });
}

Answer<Reply> overview(Call& call) { return text_reply(call.services.backends.broker->overview()); }

Answer<Reply> fleet_status(Call& call) {
    return text_reply(call.services.backends.broker->fleet_status(call.principal.tenant));
}

Json listener_json(const ListenerInfo& listener) {
    return {{"name", listener.name},
            {"url", listener.url},
            {"enabled", listener.enabled},
            {"connections", listener.connections ? Json(*listener.connections) : Json(nullptr)}};
}

Answer<Reply> list_listeners(Call& call) {
    Listeners* const listeners = call.services.backends.listeners;
    if (listeners == nullptr) return not_available("list of listeners");
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    auto all = listeners->list();
    if (!all) return std::unexpected(all.error());
    const auto listing = cut(std::move(*all), *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, listener_json);
}

Answer<Reply> change_listener(Call& call) {
    Listeners* const listeners = call.services.backends.listeners;
    if (listeners == nullptr) return not_available("list of listeners");
    const bool enabled = call.body["enabled"].get<bool>();
    call.audit.emplace_back("enabled", enabled ? "true" : "false");
    const auto listener = listeners->set_enabled(call.param("name"), enabled);
    if (!listener) return std::unexpected(listener.error());
    return Reply{200, listener_json(*listener)};
}

Answer<Reply> show_config(Call& call) {
    Configuration* const configuration = call.services.backends.configuration;
    if (configuration == nullptr) return not_available("configuration to show");
    const auto view = configuration->view();
    if (!view) return std::unexpected(view.error());
    return with_revision(
        Reply{200, Json{{"revision", view->revision}, {"config", Json::parse(view->json)}}},
        view->revision);
}

Answer<Reply> reload_config(Call& call) {
    Configuration* const configuration = call.services.backends.configuration;
    if (configuration == nullptr) return not_available("configuration to reload");
    const auto report = configuration->reload();
    if (!report) return std::unexpected(report.error());
    call.audit.emplace_back("revision", std::to_string(report->revision));
    return with_revision(Reply{200, Json{{"revision", report->revision},
                                         {"applied", report->applied},
                                         {"needs_restart", report->needs_restart}}},
                         report->revision);
}

Answer<Reply> upgrade_reply(unsigned status, const Answer<UpgradeState>& state) {
    if (!state) return std::unexpected(state.error());
    return Reply{
        status,
        Json{{"pid", state->pid}, {"version", state->version}, {"problem", state->problem}}};
}

Answer<Reply> show_upgrade(Call& call) {
    Upgrades* const upgrades = call.services.backends.upgrades;
    if (upgrades == nullptr) return not_available("supervisor");
    return upgrade_reply(200, upgrades->state());
}

Answer<Reply> begin_upgrade(Call& call) {
    Upgrades* const upgrades = call.services.backends.upgrades;
    if (upgrades == nullptr) return not_available("supervisor");
    return upgrade_reply(202, upgrades->begin());
}

Answer<Reply> show_document(Call& /*call*/) { return text_reply(openapi_document()); }

Answer<Reply> show_docs(Call& /*call*/) {
    Reply reply = text_reply(docs_page(), "text/html; charset=utf-8");
    reply.headers.emplace_back("Content-Security-Policy",
                               "default-src 'none'; style-src 'unsafe-inline'");
    return reply;
}

}  // namespace

std::vector<Operation> node_operations() {
    return {
        {.method = "GET",
         .path = "/tenants",
         .id = "list_tenants",
         .tag = "node",
         .summary = "Tenants",
         .query = with_page({}),
         .answer = "TenantListing",
         .handler = list_tenants},
        {.method = "GET",
         .path = "/overview",
         .id = "overview",
         .tag = "node",
         .summary = "Counters of the node and of each shard, as `mitu top` shows them",
         .reach = Reach::node,
         .answer = "Overview",
         .handler = overview},
        {.method = "GET",
         .path = "/fleet/status",
         .id = "fleet_status",
         .tag = "node",
         .summary = "Devices by tenant and class: online, silent, drifted",
         .answer = "FleetStatus",
         .handler = fleet_status},
        {.method = "GET",
         .path = "/listeners",
         .id = "list_listeners",
         .tag = "node",
         .summary = "Where the server listens",
         .reach = Reach::node,
         .query = with_page({}),
         .answer = "ListenerListing",
         .errors = {Code::not_available},
         .handler = list_listeners},
        {.method = "PATCH",
         .path = "/listeners/{name}",
         .id = "change_listener",
         .tag = "node",
         .summary = "Enables or disables a listener; connections that are there stay",
         .needs = Needs::admin,
         .reach = Reach::node,
         .body = "ListenerChange",
         .answer = "Listener",
         .errors = {Code::listener_unknown, Code::set_in_file, Code::cannot_apply, Code::not_saved,
                    Code::not_available},
         .handler = change_listener},
        {.method = "GET",
         .path = "/config",
         .id = "show_config",
         .tag = "node",
         .summary = "The configuration in effect, secrets masked",
         .needs = Needs::admin,
         .reach = Reach::node,
         .answer = "Config",
         .errors = {Code::not_available},
         .handler = show_config},
        {.method = "POST",
         .path = "/config/reload",
         .id = "reload_config",
         .tag = "node",
         .summary = "Reads the configuration again, and says what needs a restart",
         .needs = Needs::admin,
         .reach = Reach::node,
         .answer = "ReloadReport",
         .errors = {Code::body_invalid, Code::not_available},
         .handler = reload_config},
        {.method = "GET",
         .path = "/upgrade",
         .id = "show_upgrade",
         .tag = "node",
         .summary = "Which process and version answers, and why the last upgrade failed",
         .needs = Needs::admin,
         .reach = Reach::node,
         .answer = "Upgrade",
         .errors = {Code::not_available},
         .handler = show_upgrade},
        {.method = "POST",
         .path = "/upgrade",
         .id = "begin_upgrade",
         .tag = "node",
         .summary = "Exchanges the server's program by the one that is installed now",
         .needs = Needs::admin,
         .reach = Reach::node,
         .status = 202,
         .answer = "Upgrade",
         .errors = {Code::not_available},
         .handler = begin_upgrade},
        {.method = "GET",
         .path = "/openapi.json",
         .id = "openapi",
         .tag = "about",
         .summary = "This document",
         .needs = Needs::nothing,
         .answer = "OpenApi",
         .handler = show_document},
        {.method = "GET",
         .path = "/docs",
         .id = "docs",
         .tag = "about",
         .summary = "This document, for people",
         .needs = Needs::nothing,
         .handler = show_docs},
    };
}

}  // namespace mitu::api
