#pragma once
// Limits: every bound of one shard, in one place. What is not bounded here is bounded by these.

#include <cstdint>

#include "mitu/base/time.hpp"
#include "mitu/memory/record_heap.hpp"

namespace mitu::broker {

struct Limits {
    // --- what a client is told in CONNACK ---
    /// Largest packet a client may send; one connection may hold this much input.
    std::uint32_t packet_bytes_max = 1 << 20;
    /// QoS 1 and 2 publishes a v5 client may have unacknowledged; 3.1.1 clients are only slowed.
    std::uint16_t receive_maximum = 1'024;
    /// Aliases a client may define; each may hold one topic name.
    std::uint16_t topic_alias_maximum = 64;
    /// Longer session expiry intervals are cut to this. 0xFFFFFFFF: none is.
    std::uint32_t session_expiry_s_max = 0xFFFF'FFFF;

    // --- what one session may hold ---
    /// QoS 1 and 2 messages on their way to one client, whatever receive maximum it offers.
    std::uint16_t inflight_max = 1'024;
    /// Messages that wait for one client; beyond it new ones are dropped (QoS 0: the oldest).
    std::uint32_t queue_messages_max = 10'000;
    /// Topic, properties and payload bytes of those messages.
    std::uint64_t queue_bytes_max = 64u << 20;
    /// Retained messages that wait beside them after a SUBSCRIBE.
    std::uint32_t queue_retained_max = 1'000'000;
    /// Of messages that are kept in the store, so many wait in memory too; the others are read when
    /// their turn comes.
    std::uint32_t queue_ahead_messages = 256;
    std::uint32_t queue_ahead_bytes = 1u << 20;
    std::uint32_t subscriptions_max = 100'000;
    /// SUBSCRIBE and UNSUBSCRIBE without answer yet; beyond it the client is not read.
    std::uint32_t pending_operations_max = 64;
    /// QoS 1 and 2 publishes of a 3.1.1 client without answer yet; beyond it it is not read.
    std::uint32_t pending_acks_max = 2'048;
    /// Topic aliases that the broker makes for one client, however many it offers.
    std::uint16_t outgoing_aliases_max = 16;

    /// What a session may have beside its fixed part: filters, queue entries (16 bytes each),
    /// answers that are due, topic aliases; the messages themselves are not its own. A SUBSCRIBE
    /// beyond it is refused, a message dropped; if the session cannot go on at all, it ends with
    /// quota_exceeded.
    std::uint64_t session_bytes_max = std::uint64_t{64} << 20;

    // --- what one shard may hold ---
    /// Of all sessions, beside their fixed part and the messages. The last sixteenth is for small
    /// blocks; without those a session that needs one ends (no_memory).
    std::uint64_t session_pool_bytes_max = std::uint64_t{16} << 30;
    std::uint32_t sessions_max = 1'000'000;
    std::uint32_t retained_messages_max = 10'000'000;
    std::uint64_t message_bytes_max = std::uint64_t{4} << 30;
    /// Where messages lie, and in batches of what size.
    memory::RecordHeapOptions message_heap{};

    // --- time ---
    Duration connect_timeout = Duration::seconds(10);  // from accept to a whole CONNECT, admitted
    Duration shutdown_timeout = Duration::seconds(5);

    // --- one turn ---
    std::uint32_t turn_mail_bytes_max = 4u << 20;         // read from other shards
    std::uint32_t output_bytes_turn_max = 256u << 10;     // written to one connection
    std::uint32_t output_backlog_bytes_max = 256u << 10;  // answers waiting: stop reading
    /// Payloads from here on are gathered by the write instead of copied.
    std::uint32_t gather_bytes_min = 4'096;
    /// Records above this travel between shards as one shared block instead of a copy.
    std::uint32_t inline_record_bytes_max = 128u << 10;
};

}  // namespace mitu::broker
