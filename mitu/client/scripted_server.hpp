#pragma once
// For tests: the server's side of a conversation, written by hand.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/client/event.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::client::test {

inline Bytes encoded(const mqtt::Packet& packet,
                     mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5) {
    Bytes bytes(mqtt::encoded_size(packet, version));
    EXPECT_EQ(mqtt::encode(packet, version, bytes), bytes.size());
    EXPECT_FALSE(bytes.empty()) << "a scripted packet that cannot be encoded";
    return bytes;
}

/// The packets in what a client wrote.
/// Lifetime  they borrow `bytes`.
inline std::vector<mqtt::Packet> packets_in(
    const Bytes& bytes, mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5) {
    std::vector<mqtt::Packet> packets;
    ByteView rest = bytes;
    while (!rest.empty()) {
        const auto decoded = mqtt::decode(rest, {.sender = mqtt::Sender::client,
                                                 .version = version,
                                                 .packet_bytes_max = mqtt::packet_bytes_limit});
        if (!decoded || !*decoded) {
            ADD_FAILURE() << "the client wrote bytes that are no packet"
                          << (decoded ? "" : decoded.error().rule);
            break;
        }
        packets.push_back((*decoded)->packet);
        rest = rest.subspan((*decoded)->size_bytes);
    }
    return packets;
}

/// The events of one kind, in order.
template <class Kind>
std::vector<Kind> events_of(const Output& out) {
    std::vector<Kind> found;
    for (const Event& event : out.events) {
        if (const auto* of_kind = std::get_if<Kind>(&event)) found.push_back(*of_kind);
    }
    return found;
}

template <class Kind>
std::vector<Kind> packets_of(const Bytes& bytes,
                             mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5) {
    std::vector<Kind> found;
    for (const mqtt::Packet& packet : packets_in(bytes, version)) {
        if (const auto* of_kind = std::get_if<Kind>(&packet)) found.push_back(*of_kind);
    }
    return found;
}

template <class AckKind>
AckKind ack(std::uint16_t packet_id, mqtt::ReasonCode reason = mqtt::ReasonCode::success) {
    AckKind packet;
    packet.packet_id = packet_id;
    packet.reason = reason;
    return packet;
}

inline mqtt::Publish publish(std::string_view topic, std::string_view payload, mqtt::QoS qos,
                             std::uint16_t packet_id = 0) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = as_bytes(payload);
    packet.qos = qos;
    packet.packet_id = packet_id;
    return packet;
}

constexpr Instant at(double seconds) { return Instant{} + Duration::from_seconds(seconds); }

}  // namespace mitu::client::test
