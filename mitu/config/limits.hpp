#pragma once
// Bounds of clients, tenants and the server. An optional that is empty bounds nothing.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::config {

struct ClientLimits {
    std::optional<std::uint32_t> messages_per_s;
    std::optional<std::uint64_t> bytes_per_s;
    std::optional<std::uint32_t> connects_per_minute;
};

struct Limits {
    // one client
    std::uint32_t packet_bytes_max = 1 << 20;
    std::uint16_t receive_maximum = 1'024;
    std::uint16_t topic_alias_maximum = 64;
    std::optional<Duration> session_expiry_max;
    std::uint16_t inflight_max = 1'024;
    std::uint32_t queue_messages_max = 10'000;
    std::uint64_t queue_bytes_max = std::uint64_t{64} << 20;
    std::uint32_t queue_retained_max = 1'000'000;
    std::uint32_t subscriptions_max = 100'000;
    std::uint64_t session_bytes_max = std::uint64_t{64} << 20;
    std::optional<std::uint16_t> topic_levels_max;
    std::optional<std::uint16_t> wildcard_levels_max;
    ClientLimits client;
    // the server
    std::uint32_t connections_max = 1'000'000;
    std::optional<std::uint32_t> connect_rate_per_s;
    std::optional<std::uint64_t> messages_per_s;
    std::optional<std::uint64_t> bytes_per_s;
    std::uint32_t logins_waiting_max = 20'000;
    std::optional<std::uint64_t> retained_messages_max;
    std::optional<std::uint64_t> retained_bytes_max;
    // one shard
    std::uint32_t shard_sessions_max = 1'000'000;
    std::uint32_t shard_retained_messages_max = 10'000'000;
    std::uint64_t shard_message_bytes_max = std::uint64_t{4} << 30;
    std::uint64_t shard_session_pool_bytes_max = std::uint64_t{16} << 30;
    // time
    Duration connect_timeout = Duration::seconds(10);
    Duration shutdown_timeout = Duration::seconds(5);
};

struct TenantLimits {
    std::optional<std::uint32_t> connections_max;
    std::optional<std::uint32_t> connect_rate_per_s;
    std::optional<std::uint32_t> messages_per_s;
    std::optional<std::uint64_t> bytes_per_s;
    std::optional<std::uint64_t> subscriptions_max;
    std::optional<std::uint64_t> retained_messages_max;
    std::optional<std::uint64_t> retained_bytes_max;
    std::optional<std::uint64_t> queue_bytes_max;
    std::uint32_t reserved_connections = 0;
};

/// What an acknowledgement of a tenant's messages means.
enum class Durability : std::uint8_t { none, async, sync };

struct Tenant {
    std::string name;
    std::string description;
    std::optional<Durability> durability;
    std::string user_name_suffix;    // "@acme": users of that ending are this tenant's
    std::vector<std::string> chain;  // names of methods; empty: the listener's
    TenantLimits limits;
};

/// Percent of `budget_bytes` at which each step begins.
struct Memory {
    std::optional<std::uint64_t> budget_bytes;
    std::uint8_t refuse_connections_at = 80;
    std::uint8_t drop_qos0_at = 85;
    std::uint8_t refuse_retained_at = 90;
    std::uint8_t disconnect_slow_at = 95;
};

struct Flapping {
    bool enabled = false;
    Duration window = Duration::seconds(60);
    std::uint32_t connects_max = 30;
    Duration ban_duration = Duration::seconds(300);
};

struct SessionFaults {
    bool ban = true;
    Duration window = Duration::seconds(600);
    std::uint32_t faults_max = 3;
    Duration ban_duration = Duration::seconds(600);
};

/// Exactly one of client_id, user and address is set.
struct Ban {
    std::string client_id;
    std::string user;
    std::string address;            // of an IPv4 or IPv6 host, or a network: 10.1.0.0/16
    std::string tenant;             // empty: of any tenant
    std::optional<WallTime> until;  // none: for good
    std::string reason;
    std::string created_by;  // of those that the API added
    std::optional<WallTime> created_at;
};

}  // namespace mitu::config
