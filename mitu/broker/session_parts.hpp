#pragma once
// What a session has only while it is busy: queues out, answers and operations in. Taken at first
// use and given back when empty, because nearly all sessions of a fleet are idle nearly always.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/memory/ring_queue.hpp"
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
    std::uint8_t attempts = 0;
};
static_assert(sizeof(Outgoing) == 16);

/// Messages for the client.
struct Outbox {
    memory::RingQueue<Outgoing> inflight;  // in the order of their first sending
    memory::RingQueue<Outgoing> waiting;   // QoS 1 and 2
    memory::RingQueue<Outgoing> waiting_qos0;
    std::uint32_t resend_position = 0;   // inflight from here on is not yet resent
    std::uint32_t waiting_retained = 0;  // retained messages that a SUBSCRIBE brought
    std::uint64_t waiting_bytes = 0;     // of all others
    std::vector<std::vector<std::uint32_t>> identifier_sets;
    std::uint16_t send_quota_used = 0;
    std::uint16_t next_arrival = 0;
    bool ids_are_ordered = true;  // along inflight, so that they can be searched

    [[nodiscard]] std::uint32_t queued_count() const noexcept {
        return waiting.size() + waiting_qos0.size();
    }
    [[nodiscard]] bool is_empty() const noexcept {
        return inflight.empty() && waiting.empty() && waiting_qos0.empty();
    }
    /// As new, once it is empty.
    void begin_again() noexcept {
        resend_position = waiting_retained = 0;
        waiting_bytes = 0;
        identifier_sets.clear();
        send_quota_used = next_arrival = 0;
        ids_are_ordered = true;
    }
    [[nodiscard]] std::array<memory::RingQueue<Outgoing>*, 3> queues() noexcept {
        return {&inflight, &waiting, &waiting_qos0};
    }
};

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
    Bytes reasons;
};

/// A QoS 2 message between PUBLISH and PUBREL.
struct Incoming {
    std::uint16_t packet_id = 0;
    bool uses_quota = false;  // it came on this connection: counts against our receive maximum
};

/// What came from the client and is not over yet.
struct Inbox {
    memory::RingQueue<PendingAck> pending_acks;
    std::uint32_t pending_qos1_count = 0;  // of those, QoS 1
    std::uint32_t receive_quota_used = 0;  // of incoming_qos2, those of this connection
    std::vector<PendingOperation> operations;
    std::vector<Incoming> incoming_qos2;  // by packet id
    Instant rate_due;                     // message rate: when the bucket will be full again (GCRA)
    Instant rate_pause_until;

    [[nodiscard]] bool is_empty() const noexcept {
        return pending_acks.empty() && operations.empty() && incoming_qos2.empty();
    }
    /// As new, once it is empty.
    void begin_again() noexcept {
        pending_qos1_count = receive_quota_used = 0;
        rate_due = rate_pause_until = Instant{};
    }
};

/// Topic names behind numbers, one direction of one connection.
struct Aliases {
    std::vector<std::string> incoming;  // index: alias - 1; empty text: not set
    std::vector<std::string> outgoing;
    std::uint16_t outgoing_next = 0;
};

/// Parts that no session has at the moment, so that taking one does not go to the allocator.
template <class Part>
class SpareParts {
public:
    [[nodiscard]] std::unique_ptr<Part> take() {
        if (spare_.empty()) return std::make_unique<Part>();
        auto part = std::move(spare_.back());
        spare_.pop_back();
        return part;
    }
    /// Shape  an empty one; the small rings of its queues stay with it, so that the next busy
    ///        session has them.
    void keep(std::unique_ptr<Part> part) {
        if (spare_.size() >= spare_max) return;
        part->begin_again();
        spare_.push_back(std::move(part));
    }

private:
    static constexpr std::size_t spare_max = 256;
    std::vector<std::unique_ptr<Part>> spare_;
};

}  // namespace mitu::broker
