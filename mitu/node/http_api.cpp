#include "mitu/node/http_api.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "mitu/api/api.hpp"
#include "mitu/fleet/files.hpp"
#include "mitu/http/server.hpp"
#include "mitu/node/administration.hpp"
#include "mitu/node/ask.hpp"
#include "mitu/node/metrics.hpp"
#include "mitu/node/node_store.hpp"
#include "mitu/node/shard_broker.hpp"
#include "mitu/node/shard_host.hpp"
#include "mitu/runtime/clock.hpp"

namespace mitu::node {

void add_watching(http::Server& server, HttpApiContext context) {
    const auto shared = std::make_shared<const HttpApiContext>(std::move(context));
    server.handle("GET", "/healthz", [](const http::Request&) {
        return http::Response{200, "text/plain; charset=utf-8", "ok\n"};
    });
    server.handle(
        "GET", "/readyz",
        [shared](const http::Request&) {
            for (ShardHost* host : shared->hosts) {
                if (!ask<bool>(*host, [](broker::Shard&, Instant) { return true; })) {
                    return http::Response{503, "text/plain; charset=utf-8",
                                          "a shard did not answer within a second\n"};
                }
            }
            return http::Response{200, "text/plain; charset=utf-8", "ready\n"};
        },
        http::Runs::on_pool);
}

void add_metrics(http::Server& server, HttpApiContext context, MetricsScopeOf scope) {
    const auto shared = std::make_shared<const HttpApiContext>(std::move(context));
    server.handle(
        "GET", "/metrics",
        [shared, scope = std::move(scope)](const http::Request& request) {
            std::vector<const broker::Counters*> counters;
            std::vector<const runtime::NetworkCounters*> networks;
            std::vector<const fleet::ShardStatus*> status;
            std::vector<ShardHealth> health;
            for (const ShardHost* host : shared->hosts) {
                counters.push_back(&host->counters());
                networks.push_back(&host->network_counters());
                status.push_back(&host->status());
                health.push_back({&host->pulse().delays(), host->stalls().read()});
            }
            const auto keys = shared->key_status ? shared->key_status() : std::vector<KeyStatus>{};
            return http::Response{
                200, "text/plain; version=0.0.4; charset=utf-8",
                metrics_text(*shared->catalog, counters, networks, status, shared->clock.now(),
                             shared->admission, keys, health, scope(request))};
        },
        http::Runs::on_pool);
}

namespace {

Result<api::AccountTable, std::string> load_accounts(const std::string& path) {
    if (path.empty() || !std::filesystem::exists(path)) return api::AccountTable{};
    const auto file = fleet::load_file(path);
    if (!file) return std::unexpected(fleet::to_text(file.error()));
    auto table = api::read_accounts(file->text);
    if (!table) {
        return std::unexpected(
            fmt::format("{}: {}; mend it, or restore it from a backup", path, table.error()));
    }
    return table;
}

api::Accounts::Save save_to(const std::string& path) {
    return [path](std::string_view text) -> std::optional<std::string> {
        if (path.empty()) return "this server keeps no API users; name a file: --api-users";
        const auto problem = fleet::replace_file(path, text, {.mode = 0600, .keep_mode = true});
        if (!problem) return std::nullopt;
        return fleet::to_text(*problem);
    };
}

struct Administration {
    explicit Administration(const HttpApiContext& context)
        : bans{*context.live, *context.running, context.admission->bans, context.catalog,
               context.clock},
          users{*context.live, *context.running},
          listeners{*context.live, *context.running},
          configuration{*context.live} {}

    NodeBans bans;
    NodeUsers users;
    NodeListeners listeners;
    NodeConfiguration configuration;
};

}  // namespace

class NodeApi::Parts {
public:
    Parts(const ApiOptions& options, api::AccountTable table,
          std::unique_ptr<api::AuditFile> audit_file, HttpApiContext context)
        : broker{context.catalog, context.clock, context.hosts},
          accounts{std::move(table), save_to(options.users_file), entropy,
                   api::PasswordCost::normal},
          authenticator{accounts, context.clock},
          audit{std::move(audit_file)},
          administration{context.live != nullptr ? std::make_unique<Administration>(context)
                                                 : nullptr},
          store{context.store != nullptr
                    ? std::make_unique<NodeStore>(*context.store, context.clock)
                    : nullptr},
          all{{backends(options), accounts, authenticator, context.clock, audit.get()}} {
        configure(options.login_rate_per_minute, options.token_ttl);
    }

    void configure(std::uint32_t login_rate_per_minute, Duration token_ttl) {
        authenticator.configure(api::login_limits(login_rate_per_minute), token_ttl);
    }

    runtime::SystemEntropy entropy;
    ShardBroker broker;
    api::Accounts accounts;
    api::Authenticator authenticator;
    std::unique_ptr<api::AuditFile> audit;
    std::unique_ptr<Administration> administration;  // null: without a configuration that lasts
    std::unique_ptr<NodeStore> store;                // null: nothing is kept
    api::Api all;

private:
    [[nodiscard]] api::Backends backends(const ApiOptions& options) {
        api::Backends backends{
            .broker = &broker, .upgrades = options.upgrades, .store = store.get()};
        if (administration) {
            backends.bans = &administration->bans;
            backends.users = &administration->users;
            backends.listeners = &administration->listeners;
            backends.configuration = &administration->configuration;
        }
        return backends;
    }
};

Result<std::unique_ptr<NodeApi>, std::string> NodeApi::create(const ApiOptions& options,
                                                              HttpApiContext context) {
    auto table = load_accounts(options.users_file);
    if (!table) return std::unexpected(table.error());
    std::unique_ptr<api::AuditFile> audit;
    if (!options.audit_file.empty()) {
        auto opened = api::AuditFile::open({.path = options.audit_file});
        if (!opened) return std::unexpected(opened.error());
        audit = std::move(*opened);
    }
    return std::unique_ptr<NodeApi>{new NodeApi{
        std::make_unique<Parts>(options, std::move(*table), std::move(audit), std::move(context))}};
}

NodeApi::NodeApi(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
NodeApi::~NodeApi() = default;
void NodeApi::add_to(http::Server& server) { parts_->all.add_to(server); }
void NodeApi::configure(std::uint32_t login_rate_per_minute, Duration token_ttl) {
    parts_->configure(login_rate_per_minute, token_ttl);
}

MetricsScope NodeApi::metrics_scope(const http::Request& request) {
    const auto principal = parts_->authenticator.identify(request);
    if (!principal) return {MetricsScope::Tenants::none};
    if (!principal->tenant) return {MetricsScope::Tenants::all};
    return {MetricsScope::Tenants::one, *principal->tenant};
}

}  // namespace mitu::node
