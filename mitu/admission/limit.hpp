#pragma once
// Limit, Scope: which bound was met. One word serves code, metric, log and answer.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mitu::admission {

/// What is bounded.
enum class Limit : std::uint8_t {
    connections,
    sessions,
    connect_rate,
    message_rate,
    byte_rate,
    subscriptions,
    inflight,
    queue,              // messages or bytes that wait for one client
    message_bytes,      // that a tenant's messages take in memory, whoever waits for them
    retained_messages,  // topics that have one
    retained_bytes,
    packet_bytes,
    payload_bytes,
    topic_levels,
    wildcard_levels,
    flapping,
    ban,
    memory,  // the budget of the process: a shedding step is on
};
inline constexpr std::size_t limit_count = static_cast<std::size_t>(Limit::memory) + 1;
[[nodiscard]] std::string_view to_text(Limit limit) noexcept;

/// Whose bound it is.
enum class Scope : std::uint8_t { client, tenant, listener, server };
inline constexpr std::size_t scope_count = static_cast<std::size_t>(Scope::server) + 1;
[[nodiscard]] std::string_view to_text(Scope scope) noexcept;

/// The bound that was met.
struct Bound {
    Limit limit = Limit::connections;
    Scope scope = Scope::server;
    constexpr bool operator==(const Bound&) const noexcept = default;
};

}  // namespace mitu::admission
