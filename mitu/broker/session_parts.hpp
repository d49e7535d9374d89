#pragma once
// What a session has only while it is busy: queues out, answers and operations in. Taken at first
// use and given back when empty, because nearly all sessions of a fleet are idle nearly always.
//
// All of it lies in the session's own memory (SessionMemory), is plain, and goes without
// destructors when the session does, or when a fault takes the session.

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "mitu/admission/token_bucket.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/broker/session_memory.hpp"
#include "mitu/memory/arena_queue.hpp"
#include "mitu/memory/arena_vector.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::broker {

/// A message queued or in flight. 16 bytes: a fleet has very many.
struct Outgoing {
    MessageHandle message;          // none: PUBREC came, only the id is still in use
    std::uint32_t identifiers = 0;  // 0: none; a subscription identifier; or set_flag | index
    std::uint32_t share_serial = 0;
    std::uint16_t packet_id = 0;  // while it waits: its number in the order of arrival
    std::uint8_t qos : 2 = 0;
    std::uint8_t retain : 1 = 0;
    std::uint8_t is_retained_replay : 1 = 0;
    std::uint8_t sent : 1 = 0;        // at least once, on whatever connection
    std::uint8_t uses_quota : 1 = 0;  // counts against this connection's receive maximum
    std::uint8_t awaits_pubcomp : 1 = 0;
    std::uint8_t is_kept : 1 = 0;  // it stands in the session's queue in the store
    std::uint8_t attempts : 7 = 0;
    std::uint8_t is_numbered : 1 = 0;  // packet_id stands beside the row in the store
};
static_assert(sizeof(Outgoing) == 16);

/// What a connected session has waiting in the store and not in memory: after a time without
/// connection, or because its client takes messages more slowly than they come.
struct Backlog {
    static constexpr StoredMessageId no_cut = ~StoredMessageId{0};

    /// What came while a read was under way, which may or may not find it.
    struct Newcomer {
        Outgoing entry;
        StoredMessageId id = 0;
    };
    StoredMessageId cursor = 0;  // what comes up to here belongs into memory: no read will find it
    StoredMessageId cut = no_cut;  // from here on newcomers were not remembered
    /// Behind the cursor and up to here a read may find what is in memory already.
    StoredMessageId in_memory_up_to = 0;
    std::uint32_t ticket = 0;  // of the read under way; 0: none is
    /// Of the next QoS 1 messages so many may have been sent before: those in flight when the
    /// server ended, or the session broke. Their numbers are not known.
    std::uint16_t repeats_max = 0;
    bool knows_numbers = false;  // what is on its way was read: its numbers are not given again
    memory::ArenaQueue<Newcomer> newcomers;

    void free(SessionMemory& memory) noexcept { newcomers.free(memory); }
};
static_assert(std::is_trivially_destructible_v<Backlog>);

/// Messages for the client.
struct Outbox {
    memory::ArenaQueue<Outgoing> inflight;  // in the order of their first sending
    memory::ArenaQueue<Outgoing> waiting;   // QoS 1 and 2
    memory::ArenaQueue<Outgoing> waiting_qos0;
    std::uint32_t resend_position = 0;   // inflight from here on is not yet resent
    std::uint32_t waiting_retained = 0;  // retained messages that a SUBSCRIBE brought
    std::uint64_t waiting_bytes = 0;     // of all others
    /// Sets of subscription identifiers, each behind its size; an Outgoing names one by where it
    /// begins.
    memory::ArenaVector<std::uint32_t> identifier_sets;
    std::uint32_t identifier_set_count = 0;
    Backlog* backlog = nullptr;  // null: all that waits is here
    std::uint16_t send_quota_used = 0;
    std::uint16_t next_arrival = 0;
    bool ids_are_ordered = true;  // along inflight, so that they can be searched

    [[nodiscard]] std::uint32_t queued_count() const noexcept {
        return waiting.size() + waiting_qos0.size();
    }
    [[nodiscard]] bool is_empty() const noexcept {
        return inflight.empty() && waiting.empty() && waiting_qos0.empty() && backlog == nullptr;
    }
    [[nodiscard]] std::array<memory::ArenaQueue<Outgoing>*, 3> queues() noexcept {
        return {&inflight, &waiting, &waiting_qos0};
    }
    void free(SessionMemory& memory) noexcept {
        for (auto* queue : queues()) queue->free(memory);
        identifier_sets.free(memory);
    }
};
static_assert(std::is_trivially_destructible_v<Outbox>);

/// An answer owed to a publisher. Answers leave in the order of the publishes [MQTT-4.6.0-2].
struct PendingAck {
    std::uint32_t serial = 0;
    std::uint16_t packet_id = 0;
    mqtt::QoS qos = mqtt::QoS::at_least_once;
    bool done = false;
    /// QoS 2: the connection that it was owed to is gone, and the publish was not yet repeated.
    bool is_orphaned = false;
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
};

/// A SUBSCRIBE or UNSUBSCRIBE that waits for home shards.
struct PendingOperation {
    std::uint32_t serial = 0;
    std::uint16_t packet_id = 0;
    bool is_subscribe = true;
    std::uint32_t remaining = 0;
    memory::ArenaVector<std::uint8_t> reasons;
};

/// A QoS 2 message between PUBLISH and PUBREL.
struct Incoming {
    std::uint16_t packet_id = 0;
    bool uses_quota = false;  // it came on this connection: counts against our receive maximum
    bool is_kept = false;     // the number stands in the store
};

/// A text in the session's memory.
struct OwnedText {
    char* data = nullptr;
    std::uint32_t size = 0;
    std::uint32_t capacity = 0;

    [[nodiscard]] std::string_view view() const noexcept { return {data, size}; }
    /// Errors  the memory's refusal, as a fault.
    void set(SessionMemory& memory, std::string_view text) {
        if (text.size() > capacity) {
            auto* const room = static_cast<char*>(memory::allocate_or_fault(memory, text.size()));
            free(memory);
            data = room;
            capacity = static_cast<std::uint32_t>(text.size());
        }
        if (!text.empty()) std::memcpy(data, text.data(), text.size());
        size = static_cast<std::uint32_t>(text.size());
    }
    void free(SessionMemory& memory) noexcept {
        if (data != nullptr) memory.give_back(data, capacity);
        *this = OwnedText{};
    }
};

/// What came from the client and is not over yet.
struct Inbox {
    memory::ArenaQueue<PendingAck> pending_acks;
    std::uint32_t pending_qos1_count = 0;  // of those, QoS 1
    std::uint32_t receive_quota_used = 0;  // of incoming_qos2, those of this connection
    memory::ArenaVector<PendingOperation> operations;
    memory::ArenaVector<Incoming> incoming_qos2;  // by packet id
    Instant rate_due;  // message rate: when the bucket will be full again (GCRA)
    Instant rate_pause_until;
    admission::TokenBucket bytes;  // byte rate
    /// The last topic that the access rules permitted; most devices have one. Empty: none, or the
    /// rules have changed since.
    OwnedText permitted_topic;

    [[nodiscard]] bool is_empty() const noexcept {
        return pending_acks.empty() && operations.empty() && incoming_qos2.empty();
    }
    void free(SessionMemory& memory) noexcept {
        pending_acks.free(memory);
        for (PendingOperation& operation : operations) operation.reasons.free(memory);
        operations.free(memory);
        incoming_qos2.free(memory);
        permitted_topic.free(memory);
    }
};
static_assert(std::is_trivially_destructible_v<Inbox>);

/// Topic names behind numbers, one direction of one connection.
struct Aliases {
    memory::ArenaVector<OwnedText> incoming;  // index: alias - 1; empty text: not set
    memory::ArenaVector<OwnedText> outgoing;
    std::uint16_t outgoing_next = 0;

    void free(SessionMemory& memory) noexcept {
        for (auto* texts : {&incoming, &outgoing}) {
            for (OwnedText& text : *texts) text.free(memory);
            texts->free(memory);
        }
    }
};
static_assert(std::is_trivially_destructible_v<Aliases>);

}  // namespace mitu::broker
