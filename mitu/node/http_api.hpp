#pragma once
// What a node shows over HTTP: /metrics, /healthz, /readyz, and the API under /api/v1.

#include <functional>
#include <memory>
#include <vector>

#include "mitu/admission/control.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/node/key_sources.hpp"
#include "mitu/node/metrics.hpp"
#include "mitu/node/options.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::http {
class Server;
struct Request;
}  // namespace mitu::http

namespace mitu::node {

class DurableStore;
class LiveConfig;
class Running;
class ShardHost;

struct HttpApiContext {
    std::shared_ptr<const fleet::Catalog> catalog;
    const ports::Clock& clock;
    std::vector<ShardHost*> hosts;
    admission::Control* admission = nullptr;
    LiveConfig* live = nullptr;  // null: bans, users, listeners and configuration are not served
    Running* running = nullptr;  // beside `live`
    std::function<std::vector<KeyStatus>()> key_status{};  // any thread; empty: none are fetched
    DurableStore* store = nullptr;                         // null: nothing is kept
};

/// GET /healthz    200 while the process answers
/// GET /readyz     200 when every shard has answered within a second
/// Lifetime  what the context names outlives the server.
void add_watching(http::Server& server, HttpApiContext context);

/// Whose numbers somebody may see.
using MetricsScopeOf = std::function<MetricsScope(const http::Request&)>;

/// GET /metrics    Prometheus text; counters summed and per shard
/// Lifetime  as above.
void add_metrics(http::Server& server, HttpApiContext context, MetricsScopeOf scope);

/// Owns what the API works with: accounts, sessions, audit log, and the way to the shards.
/// Lifetime  outlives the server that it was added to; what the context names outlives it.
class NodeApi {
public:
    /// Reads the accounts, opens the audit log. Errors: a sentence: which file, why.
    [[nodiscard]] static Result<std::unique_ptr<NodeApi>, std::string> create(
        const ApiOptions& options, HttpApiContext context);
    ~NodeApi();
    NodeApi(const NodeApi&) = delete;
    NodeApi& operator=(const NodeApi&) = delete;

    void add_to(http::Server& server);
    /// For logins from now on. Any thread.
    void configure(std::uint32_t login_rate_per_minute, Duration token_ttl);
    /// By the request's credentials: all tenants, one's own, or none.
    /// Cost  a password: argon2id, now and then; anything else: some microseconds.
    [[nodiscard]] MetricsScope metrics_scope(const http::Request& request);

private:
    class Parts;
    explicit NodeApi(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace mitu::node
