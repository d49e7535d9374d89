// Traffic: what arrives.

#include <algorithm>

#include "bench/traffic.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;
using mqtt::QoS;

}  // namespace

bool Traffic::wrong(const char* what) {
    fault_ = what;
    return false;
}

bool Traffic::on_frame(Link& link, const Frame& frame, Instant now) {
    switch (frame.type()) {
        case PacketType::publish:
            return on_publish(link, frame, now);
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubrel:
        case PacketType::pubcomp:
            return on_ack(link, frame, now);
        case PacketType::pingresp:
            ++pings_answered_;
            return true;
        case PacketType::disconnect:
            if (slow_.owns(link)) return true;  // its reason to close the slow one
            return wrong("the broker sent DISCONNECT");
        default:
            return wrong("sent a packet that nobody asked for");
    }
}

bool Traffic::on_publish(Link& link, const Frame& frame, Instant now) {
    Delivery delivery;
    if (!read_delivery(frame, options_.version, delivery) ||
        delivery.payload_bytes != options_.payload_bytes) {
        return wrong("sent a PUBLISH whose lengths are wrong");
    }
    Stamp stamp;
    std::memcpy(&stamp, delivery.payload, sizeof stamp);
    if (slow_.owns(link)) {
        slow_.on_message(link, stamp);
        acknowledge(link, frame, delivery);
        return true;
    }
    if (link.index >= subscribers_.size()) return wrong("sent a PUBLISH to a publisher");
    Subscriber& subscriber = subscribers_[link.index];
    const std::uint32_t flow = stamp.publisher - subscriber.publisher_first;
    const std::size_t flows = subscriber.flows.size() + subscriber.shares.size();  // either
    if (stamp.magic != Stamp::magic_value || flow >= flows) {
        return wrong("delivered a message that was not for this subscriber");
    }
    ++copies_;
    bytes_ += frame.size_bytes;
    if (latency_wanted_ && stamp.due_ns >= measure_begin_ns_ && stamp.due_ns < measure_end_ns_) {
        report_.latency.record(now.since_start_ns() - stamp.due_ns);
    }
    const bool first_copy = subscriber.shares.empty()
                                ? subscriber.flows[flow].on_received(stamp.sequence)
                                : is_first_share(subscriber.shares[flow], stamp);
    if (first_copy) {
        ++received_;
        on_first_copy(stamp.publisher, stamp.sequence);
    }
    acknowledge(link, frame, delivery);
    return true;
}

bool Traffic::is_first_share(OrderCheck& order, const Stamp& stamp) {
    order.on_received(stamp.sequence);
    const Publisher& publisher = publishers_[stamp.publisher];
    const bool owed = stamp.sequence >= publisher.delivered && stamp.sequence < publisher.sent &&
                      publisher.owed[stamp.sequence % publisher.owed.size()] > 0;
    // Another member had it before.
    if (!owed) ++report_.faults.duplicated;
    return owed;
}

void Traffic::acknowledge(Link& link, const Frame& frame, const Delivery& delivery) {
    if (frame.qos() == QoS::at_least_once) send_ack(link, puback_first, delivery.packet_id);
    if (frame.qos() == QoS::exactly_once) send_ack(link, pubrec_first, delivery.packet_id);
}

void Traffic::on_first_copy(std::uint32_t number, std::uint64_t sequence) {
    Publisher& publisher = publishers_[number];
    if (options_.open_loop()) return;
    if (publisher.owed.empty()) {
        // A gap frees the window too: what is lost is told at the end, not by a stall.
        publisher.delivered = std::max(publisher.delivered, sequence + 1);
        list(number);
        return;
    }
    --publisher.owed[sequence % publisher.owed.size()];
    while (publisher.delivered < publisher.sent &&
           publisher.owed[publisher.delivered % publisher.owed.size()] == 0) {
        ++publisher.delivered;
        list(number);
    }
}

bool Traffic::on_ack(Link& link, const Frame& frame, Instant now) {
    if (frame.body_bytes < 2) return wrong("sent an acknowledgement without a packet id");
    if (frame.body_bytes > 2 && frame.body[2] >= 0x80) return wrong("refused a message");
    const std::uint16_t id = read_u16(frame.body);
    if (frame.type() == PacketType::pubrel) {
        send_ack(link, pubcomp_first, id);
        return true;
    }
    if (link.index < subscribers_.size()) return wrong("acknowledged what was never sent");
    const auto number = static_cast<std::uint32_t>(link.index - subscribers_.size());
    Publisher& publisher = publishers_[number];
    // Acknowledgements come in the order of the messages ([MQTT-4.6.0-2], [MQTT-4.6.0-3]).
    if (frame.type() == PacketType::pubrec) {
        if (publisher.received == publisher.sent || id != packet_id_of(publisher.received)) {
            return wrong("sent a PUBREC out of order");
        }
        note_first_ack(publisher, publisher.received, now);
        ++publisher.received;
        send_ack(link, pubrel_first, id);
        return true;
    }
    const bool complete = options_.qos == QoS::exactly_once;
    const std::uint64_t limit = complete ? publisher.received : publisher.sent;
    if ((frame.type() == PacketType::pubcomp) != complete || publisher.acked == limit ||
        id != packet_id_of(publisher.acked)) {
        return wrong("sent an acknowledgement out of order");
    }
    if (!complete) note_first_ack(publisher, publisher.acked, now);
    ++publisher.acked;
    ++acked_;
    list(number);
    return true;
}

void Traffic::note_first_ack(const Publisher& publisher, std::uint64_t sequence, Instant now) {
    if (!latency_wanted_) return;
    const std::int64_t due = options_.open_loop() ? due_ns(publisher, sequence) : publisher.sent_ns;
    if (due < measure_begin_ns_ || due >= measure_end_ns_) return;
    report_.ack_latency.record(now.since_start_ns() - due);
}

void Traffic::send_ack(Link& link, std::uint8_t first, std::uint16_t packet_id) {
    write_ack(swarm_.append(link, ack_bytes), first, packet_id);
}

}  // namespace mitu::bench
