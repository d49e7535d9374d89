#pragma once
// A policy: what the devices it selects may do and what they should be. design.md section 3.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/fleet/desired.hpp"
#include "mitu/identity/access.hpp"

namespace mitu::fleet {

struct Label {
    std::string key;
    std::string value;
    auto operator<=>(const Label&) const = default;
};

/// Which devices a policy is for. An empty field is any; every label must be there.
struct Selector {
    std::string tenant;
    std::string class_name;
    std::vector<Label> labels;  // sorted by key

    /// How many fields and labels it names: of the policies that match a device, the one with the
    /// most wins. Two that could tie are refused at load.
    [[nodiscard]] std::uint32_t specificity() const noexcept {
        return static_cast<std::uint32_t>((tenant.empty() ? 0u : 1u) +
                                          (class_name.empty() ? 0u : 1u) + labels.size());
    }
};

struct HeartbeatRule {
    Duration interval;  // how often the device promises to be heard; any packet counts
    Duration timeout;   // silence after which it is missed; at least the interval
};

struct RateLimit {
    std::uint32_t per_second = 0;
    std::uint32_t burst = 0;  // messages that may come at once after a pause
};

/// nullopt: no limit of the policy; the server's own limits hold.
struct Limits {
    std::optional<RateLimit> message_rate;
    std::optional<std::uint32_t> payload_bytes_max;
    std::optional<std::uint32_t> queue_messages_max;
    std::optional<std::uint64_t> queue_bytes_max;
};

/// Threading  immutable, shared by pointer.
struct Policy {
    std::string name;
    std::uint32_t revision = 1;
    std::string description;
    /// XXH3 of the canonical JSON of heartbeat, limits, access and settings: the same content gives
    /// the same hash on every machine and in every version.
    std::uint64_t content_hash = 0;
    Selector selector;
    std::optional<HeartbeatRule> heartbeat;  // nullopt: silence is never missed
    Limits limits;
    identity::Access access;
    /// {"revision":N,"settings":{...}}, as the device gets it. Null: the policy has no settings,
    /// and its clients (operators, anonymous ones) have nothing to drift from.
    std::shared_ptr<const DesiredState> desired;
    std::string file;  // where it was written
    std::uint32_t line = 0;
};

struct Tenant {
    std::string name;
    std::string description;
    std::string file;
    std::uint32_t line = 0;
};

}  // namespace mitu::fleet
