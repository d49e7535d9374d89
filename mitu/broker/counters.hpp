#pragma once
// What a shard counts. The names are those of the metrics (docs/metrics.md).

#include <array>
#include <cstdint>
#include <string_view>

#include "mitu/admission/limit.hpp"
#include "mitu/memory/arena.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/trace/counter.hpp"

namespace mitu::broker {

/// Why a message did not reach a client.
enum class DropReason : std::uint8_t {
    queue_full,            // QoS 1 or 2: the client's queue is at its limit
    evicted_qos0,          // the oldest QoS 0 message made room for a newer one
    offline_qos0,          // QoS 0 for a session whose client is away
    expired,               // its Message Expiry Interval has passed
    too_large_for_client,  // above the client's Maximum Packet Size
    no_memory,             // the shard's message_bytes_max is reached
    not_authorized,        // the publisher may not publish to this topic; or it waited for a client
                           // that may not read it any more
    payload_too_large,     // above the publisher's policy
    no_shared_member,      // every member of the shared subscription is gone or full
    retained_quota,        // not stored as retained: retained_messages_max
    session_ended,         // it was still queued when its session ended
    tenant_quota,          // what the tenant's messages may take in memory is spent
    memory_pressure,       // QoS 0 for a slow client, given up for the sake of the process
    store_full,            // it was to be kept, and the store takes nothing new
};
inline constexpr std::size_t drop_reason_count =
    static_cast<std::size_t>(DropReason::store_full) + 1;

[[nodiscard]] std::string_view to_text(DropReason reason) noexcept;

/// Threading  the shard writes, any thread reads.
struct Counters {
    trace::Counter connections_opened_total;
    trace::Counter connections;  // gauge: open now, admitted or not
    trace::Counter connections_refused_total;
    trace::Counter connections_migrated_total;
    trace::Counter clients;   // gauge: sessions with a connection
    trace::Counter sessions;  // gauge: with or without
    trace::Counter takeovers_total;
    trace::Counter keep_alive_timeouts_total;
    trace::Counter protocol_errors_total;
    trace::Counter credentials_expired_total;    // clients disconnected because of it
    trace::Counter subscriptions_revoked_total;  // that a changed profile does not allow
    trace::Counter wills_published_total;
    trace::Counter messages_received_total;   // PUBLISH packets from clients
    trace::Counter messages_sent_total;       // PUBLISH packets to clients
    trace::Counter messages_routed_total;     // messages matched on this, their home shard
    trace::Counter messages_unmatched_total;  // of those, with no subscriber
    trace::Counter bytes_received_total;
    trace::Counter bytes_sent_total;
    trace::Counter subscriptions;        // gauge
    trace::Counter retained_messages;    // gauge
    trace::Counter stored_messages;      // gauge: in this shard's store
    trace::Counter stored_bytes;         // gauge: topic, properties, payload
    trace::Counter message_batch_bytes;  // gauge: of batches that hold messages
    trace::Counter message_dead_bytes;   // gauge: of those, what no message lives in
    trace::Counter message_table_bytes;  // gauge: of the table behind handles
    trace::Counter
        message_moved_bytes_total;  // survivors moved out of batches that were mostly dead
    trace::Counter message_batches_reused_total;  // batches begun again without leaving the shard
    trace::Counter session_held_bytes;            // gauge: of sessions, beside their fixed part
    trace::Counter session_slab_bytes;            // gauge: of the spans that those lie in
    trace::Counter session_blocks_reused_total;   // blocks given out that had been out before
    trace::Counter sessions_rebuilt_total;        // from the store, after they had broken
    trace::Counter references_mended_total;       // of messages, left behind by sessions that broke
    trace::Counter escaped_to_heap_total;         // allocations that outgrew the turn's arena
    std::array<trace::Counter, memory::zone_fault_count> session_faults;  // by what happened
    const memory::EscapeReport* escapes = nullptr;  // the same, by the line that asked
    trace::Counter rate_limited_total;  // times a client was paused for its message rate
    trace::Counter lane_stalls_total;   // turns in which another shard had no room
    std::array<trace::Counter, drop_reason_count> dropped;
    /// What was refused or slowed down because a bound was met: [limit][whose].
    std::array<std::array<trace::Counter, admission::scope_count>, admission::limit_count> refused;
    trace::Counter flapping_bans_total;  // set by this shard
    trace::Counter fault_bans_total;     // the same, of clients whose sessions break
    trace::Counter shed_clients_total;   // disconnected for want of memory
    trace::Counter turns_total;
    trace::Counter writes_total;  // write system calls

    void drop(DropReason reason, std::uint64_t n = 1) noexcept {
        dropped[static_cast<std::size_t>(reason)].add(n);
    }
    void refuse(const admission::Bound& bound) noexcept {
        refused[static_cast<std::size_t>(bound.limit)][static_cast<std::size_t>(bound.scope)].add();
    }
    [[nodiscard]] std::uint64_t refused_by(const admission::Bound& bound) const noexcept {
        return refused[static_cast<std::size_t>(bound.limit)][static_cast<std::size_t>(bound.scope)]
            .read();
    }
};

/// Visits every counter as (name, is_gauge, value reader).
template <class Visit>
void for_each_counter(const Counters& c, Visit visit) {
    visit("connections_opened_total", false, c.connections_opened_total);
    visit("connections", true, c.connections);
    visit("connections_refused_total", false, c.connections_refused_total);
    visit("connections_migrated_total", false, c.connections_migrated_total);
    visit("clients", true, c.clients);
    visit("sessions", true, c.sessions);
    visit("takeovers_total", false, c.takeovers_total);
    visit("keep_alive_timeouts_total", false, c.keep_alive_timeouts_total);
    visit("protocol_errors_total", false, c.protocol_errors_total);
    visit("credentials_expired_total", false, c.credentials_expired_total);
    visit("subscriptions_revoked_total", false, c.subscriptions_revoked_total);
    visit("wills_published_total", false, c.wills_published_total);
    visit("messages_received_total", false, c.messages_received_total);
    visit("messages_sent_total", false, c.messages_sent_total);
    visit("messages_routed_total", false, c.messages_routed_total);
    visit("messages_unmatched_total", false, c.messages_unmatched_total);
    visit("bytes_received_total", false, c.bytes_received_total);
    visit("bytes_sent_total", false, c.bytes_sent_total);
    visit("subscriptions", true, c.subscriptions);
    visit("retained_messages", true, c.retained_messages);
    visit("stored_messages", true, c.stored_messages);
    visit("stored_bytes", true, c.stored_bytes);
    visit("message_batch_bytes", true, c.message_batch_bytes);
    visit("message_dead_bytes", true, c.message_dead_bytes);
    visit("message_table_bytes", true, c.message_table_bytes);
    visit("message_moved_bytes_total", false, c.message_moved_bytes_total);
    visit("message_batches_reused_total", false, c.message_batches_reused_total);
    visit("session_held_bytes", true, c.session_held_bytes);
    visit("session_slab_bytes", true, c.session_slab_bytes);
    visit("session_blocks_reused_total", false, c.session_blocks_reused_total);
    visit("sessions_rebuilt_total", false, c.sessions_rebuilt_total);
    visit("references_mended_total", false, c.references_mended_total);
    visit("escaped_to_heap_total", false, c.escaped_to_heap_total);
    visit("rate_limited_total", false, c.rate_limited_total);
    visit("lane_stalls_total", false, c.lane_stalls_total);
    visit("flapping_bans_total", false, c.flapping_bans_total);
    visit("fault_bans_total", false, c.fault_bans_total);
    visit("shed_clients_total", false, c.shed_clients_total);
    visit("turns_total", false, c.turns_total);
    visit("writes_total", false, c.writes_total);
}

}  // namespace mitu::broker
