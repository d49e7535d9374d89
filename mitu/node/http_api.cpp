#include "mitu/node/http_api.hpp"

#include <chrono>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "mitu/broker/placement.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/http/server.hpp"
#include "mitu/node/metrics.hpp"
#include "mitu/node/shard_host.hpp"
#include "mitu/runtime/process.hpp"

namespace mitu::node {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto answer_timeout = std::chrono::seconds(1);

http::Response json_response(const Json& body, unsigned status = 200) {
    return {status, "application/json", body.dump() + "\n"};
}

/// Asks one shard on its own thread. nullopt: it did not answer in time.
template <class Answer>
std::optional<Answer> ask(ShardHost& host,
                          std::function<Answer(broker::Shard&, Instant)> question) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    host.post([promise, question = std::move(question)](broker::Shard& shard, Instant now) {
        promise->set_value(question(shard, now));
    });
    if (future.wait_for(answer_timeout) != std::future_status::ready) return std::nullopt;
    return future.get();
}

Json shard_overview(const broker::Counters& c) {
    std::uint64_t dropped = 0;
    for (const auto& reason : c.dropped) dropped += reason.read();
    return Json{{"connections", c.connections.read()},
                {"clients", c.clients.read()},
                {"sessions", c.sessions.read()},
                {"messages_received_total", c.messages_received_total.read()},
                {"messages_sent_total", c.messages_sent_total.read()},
                {"bytes_received_total", c.bytes_received_total.read()},
                {"bytes_sent_total", c.bytes_sent_total.read()},
                {"messages_dropped_total", dropped},
                {"subscriptions", c.subscriptions.read()},
                {"retained", c.retained_messages.read()},
                {"stored_bytes", c.stored_bytes.read()}};
}

Json overview(const HttpApiContext& context) {
    Json total{{"uptime_s", static_cast<double>(context.clock.now().since_start_ns()) / 1e9},
               {"resident_bytes", runtime::resident_bytes()}};
    Json shards = Json::array();
    for (const ShardHost* host : context.hosts) {
        Json one = shard_overview(host->counters());
        for (const auto& [key, value] : one.items()) {
            total[key] = total.value(key, std::uint64_t{0}) + value.get<std::uint64_t>();
        }
        shards.push_back(std::move(one));
    }
    total["shards"] = std::move(shards);
    return total;
}

Json client_json(broker::Session& session, Instant now) {
    Json dropped = Json::object();
    for (std::size_t i = 0; i < broker::drop_reason_count; ++i) {
        const auto reason = static_cast<broker::DropReason>(i);
        if (const auto n = session.dropped(reason); n != 0) {
            dropped[std::string{to_text(reason)}] = n;
        }
    }
    return Json{{"client_id", session.client_id()},
                {"connected", session.is_attached()},
                {"policy", session.profile() != nullptr ? session.profile()->policy_name : ""},
                {"class", session.profile() != nullptr ? session.profile()->device_class : ""},
                {"idle_s", (now - session.last_heard()).as_seconds()},
                {"subscriptions", session.subscription_count()},
                {"queued", session.queued_count()},
                {"inflight", session.inflight_count()},
                {"dropped", std::move(dropped)}};
}

http::Response client_response(const HttpApiContext& context, std::string_view rest) {
    const auto slash = rest.find('/');
    const auto refuse = [](unsigned status, std::string message) {
        return json_response(Json{{"code", status}, {"message", std::move(message)}}, status);
    };
    if (slash == std::string_view::npos) {
        return refuse(400, "the path is /api/v1/clients/{tenant}/{client id}");
    }
    const auto tenant = context.catalog->find_tenant(rest.substr(0, slash));
    const std::string client_id{rest.substr(slash + 1)};
    if (!tenant) return refuse(404, "no such tenant");
    const auto home =
        broker::session_home(*tenant, client_id, static_cast<std::uint16_t>(context.hosts.size()));
    const auto answer = ask<std::optional<Json>>(
        *context.hosts[home.value],
        [tenant = *tenant, client_id](broker::Shard& shard, Instant now) -> std::optional<Json> {
            broker::Session* const session = shard.sessions().find(tenant, client_id);
            if (session == nullptr) return std::nullopt;
            return client_json(*session, now);
        });
    if (!answer) return refuse(503, "the shard did not answer within a second");
    if (!*answer) return refuse(404, "no such client in this tenant");
    return json_response(**answer);
}

}  // namespace

void add_http_api(http::Server& server, HttpApiContext context) {
    const auto shared = std::make_shared<const HttpApiContext>(std::move(context));
    server.handle("GET", "/healthz", [](const http::Request&) {
        return http::Response{200, "text/plain; charset=utf-8", "ok\n"};
    });
    server.handle("GET", "/readyz", [shared](const http::Request&) {
        for (ShardHost* host : shared->hosts) {
            if (!ask<bool>(*host, [](broker::Shard&, Instant) { return true; })) {
                return http::Response{503, "text/plain; charset=utf-8",
                                      "a shard did not answer within a second\n"};
            }
        }
        return http::Response{200, "text/plain; charset=utf-8", "ready\n"};
    });
    server.handle("GET", "/metrics", [shared](const http::Request&) {
        std::vector<const broker::Counters*> counters;
        std::vector<const runtime::NetworkCounters*> networks;
        std::vector<const fleet::ShardStatus*> status;
        for (const ShardHost* host : shared->hosts) {
            counters.push_back(&host->counters());
            networks.push_back(&host->network_counters());
            status.push_back(&host->status());
        }
        return http::Response{
            200, "text/plain; version=0.0.4; charset=utf-8",
            metrics_text(*shared->catalog, counters, networks, status, shared->clock.now())};
    });
    server.handle("GET", "/api/v1/overview",
                  [shared](const http::Request&) { return json_response(overview(*shared)); });
    server.handle("GET", "/api/v1/fleet/status", [shared](const http::Request&) {
        std::vector<const fleet::ShardStatus*> status;
        for (const ShardHost* host : shared->hosts) status.push_back(&host->status());
        return http::Response{200, "application/json",
                              fleet::status_json(*shared->catalog, status)};
    });
    server.handle("GET", "/api/v1/clients/*", [shared](const http::Request& request) {
        constexpr std::string_view prefix = "/api/v1/clients/";
        return client_response(*shared,
                               std::string_view{request.target.path}.substr(prefix.size()));
    });
}

}  // namespace mitu::node
