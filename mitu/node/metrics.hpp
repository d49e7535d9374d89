#pragma once
// The node's counters in Prometheus' text format (prometheus-cpp serialises).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mitu/admission/control.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/node/key_sources.hpp"
#include "mitu/node/pulse.hpp"
#include "mitu/runtime/network_counters.hpp"

namespace mitu::node {

/// Whose rows are shown: a tenant's numbers are not for other tenants.
struct MetricsScope {
    enum class Tenants : std::uint8_t {
        all,
        none,  // what is about the server as a whole only
        one,   // nothing else
    };
    Tenants tenants = Tenants::all;
    std::string only{};
    [[nodiscard]] bool shows(std::string_view tenant) const noexcept {
        return tenants == Tenants::all || (tenants == Tenants::one && tenant == only);
    }
};

/// How a shard's thread does.
struct ShardHealth {
    const DelayHistogram* delays = nullptr;
    std::uint64_t stalls = 0;
};

/// Every counter as mitu_NAME{shard="N"}; drops also by reason, refusals by limit and scope; the
/// fleet by tenant and class; quotas by tenant (`control` null: there are none), of the 200 with
/// most sessions; keys of tokens that are fetched, by method.
/// Threading  any thread.
[[nodiscard]] std::string metrics_text(const fleet::Catalog& catalog,
                                       std::span<const broker::Counters* const> counters,
                                       std::span<const runtime::NetworkCounters* const> networks,
                                       std::span<const fleet::ShardStatus* const> status,
                                       Instant now, const admission::Control* control = nullptr,
                                       std::span<const KeyStatus> keys = {},
                                       std::span<const ShardHealth> health = {},
                                       const MetricsScope& scope = {});

}  // namespace mitu::node
