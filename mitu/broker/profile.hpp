#pragma once
// What a client may do, compiled from its policy. Made outside (mitu/node, from mitu/fleet), shared
// by every client of one policy, enforced here.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"

namespace mitu::broker {

/// The values of `${device}` (or `${client_id}`), `${tenant}`, `${class}` and `${user}` for one
/// client.
struct AccessVariables {
    std::string_view device;
    std::string_view tenant;
    std::string_view device_class;
    std::string_view user{};
};

/// Publish or subscribe rules: filters with variables. Deny wins; what no filter allows is denied.
/// A lone `#` stands for every topic, those that begin with `$` too; but below `$SYS` publishes the
/// server alone. A rule whose variable has no
/// value is not about that client. Where a value does not fit (it has `/`, `+` or `#`, or makes the
/// filter too long), a permission is void and a denial covers all below the levels in front of it.
/// Threading  immutable.
class AccessList {
public:
    AccessList() = default;
    AccessList(std::vector<std::string> allow, std::vector<std::string> deny);

    [[nodiscard]] bool allows_everything() const noexcept { return allows_everything_; }
    [[nodiscard]] bool may_publish(std::string_view topic, const AccessVariables& values) const;
    /// A subscription must lie wholly inside one allowed filter and touch no denied one, so that
    /// no message can reach a client around a rule.
    [[nodiscard]] bool may_subscribe(std::string_view filter, const AccessVariables& values) const;

private:
    std::vector<std::string> allow_;
    std::vector<std::string> deny_;
    bool allows_everything_ = false;  // the one rule `#` and nothing denied: no matching needed
};

/// Threading  immutable; shared by pointer between shards.
struct Profile {
    TenantId tenant = tenant_default;
    std::string tenant_name = "default";
    std::string device_class;
    std::string policy_name;
    /// Where the rules come from; all but `policy` are one user's own.
    enum class Rules : std::uint8_t { policy, acl_file, credential };
    Rules rules = Rules::policy;
    std::string user;  // whose rules they are
    AccessList publish;
    AccessList subscribe;
    /// PUBLISH packets per second; 0: no limit. Above it the client is read more slowly.
    std::uint32_t message_rate_per_s = 0;
    std::uint32_t message_burst = 0;       // PUBLISH packets at once; 0: one second's worth
    std::uint32_t payload_bytes_max = 0;   // 0: only the packet size limits it
    std::uint32_t queue_messages_max = 0;  // 0: the shard's own limit
    std::uint64_t queue_bytes_max = 0;
    /// Bytes of packets per second; 0: no limit. Above it the client is read more slowly.
    std::uint64_t bytes_per_s = 0;
    std::uint64_t bytes_burst = 0;        // bytes at once; 0: one second's worth
    std::uint32_t subscriptions_max = 0;  // 0: the shard's own limit
    std::uint16_t inflight_max = 0;       // 0: the shard's own limit
    std::uint16_t topic_levels_max = 0;   // of topics and filters; 0: the server's
    /// How many `+` and `#` a filter may have; nothing: as many as it likes.
    std::optional<std::uint8_t> wildcard_levels_max;
    std::uint32_t retained_payload_bytes_max = 0;  // 0: like every other payload
    /// A device is to be heard from this often; v5 clients get it as Server Keep Alive. 0: none.
    Duration heartbeat_interval;
};

/// Everything allowed, nothing limited: the profile of tests and of an open broker.
[[nodiscard]] std::shared_ptr<const Profile> open_profile();

}  // namespace mitu::broker
