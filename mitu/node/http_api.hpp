#pragma once
// What a node shows over HTTP: /metrics, /healthz, /readyz, and read-only JSON under /api/v1.

#include <memory>
#include <vector>

#include "mitu/fleet/catalog.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::http {
class Server;
}

namespace mitu::node {

class ShardHost;

struct HttpApiContext {
    std::shared_ptr<const fleet::Catalog> catalog;
    const ports::Clock& clock;
    std::vector<ShardHost*> hosts;
};

/// GET /metrics                            Prometheus text; counters summed and per shard
/// GET /healthz                            200 while the process answers
/// GET /readyz                             200 when every shard has answered within a second
/// GET /api/v1/overview                    rates' raw material for `mitu top`
/// GET /api/v1/fleet/status                devices by tenant and class
/// GET /api/v1/clients/{tenant}/{id}       one client: queue, inflight, drops by reason
/// Lifetime  what the context names outlives the server.
void add_http_api(http::Server& server, HttpApiContext context);

}  // namespace mitu::node
