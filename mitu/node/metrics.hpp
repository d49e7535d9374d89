#pragma once
// The node's counters in Prometheus' text format (prometheus-cpp serialises).

#include <span>
#include <string>

#include "mitu/admission/control.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/node/pulse.hpp"
#include "mitu/runtime/network_counters.hpp"

namespace mitu::node {

/// How a shard's thread does.
struct ShardHealth {
    const DelayHistogram* delays = nullptr;
    std::uint64_t stalls = 0;
};

/// Every counter as mitu_NAME{shard="N"}; drops also by reason, refusals by limit and scope; the
/// fleet by tenant and class; quotas by tenant (`control` null: there are none).
/// Threading  any thread.
[[nodiscard]] std::string metrics_text(const fleet::Catalog& catalog,
                                       std::span<const broker::Counters* const> counters,
                                       std::span<const runtime::NetworkCounters* const> networks,
                                       std::span<const fleet::ShardStatus* const> status,
                                       Instant now, const admission::Control* control = nullptr,
                                       std::span<const ShardHealth> health = {});

}  // namespace mitu::node
