#pragma once
// Packets to bytes. Pure: no socket, clock, allocation or log.

#include <cstdint>
#include <optional>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::mqtt {

// encode() writes what it is given: it refuses what the format cannot carry, not what the rules
// forbid (a packet id of 0, a Receive Maximum of 0), which is the caller's business. What a version
// does not carry is left out: properties in 3.1.1, the reasons of its UNSUBACK.

/// The exact size of `packet` when encoded for `version`; CONNECT goes by its own version.
/// Shape  2..packet_bytes_limit; 0: it cannot be encoded (a text above 65'535 bytes, more than
///        remaining_length_max in all, or a packet that the version does not have: AUTH in 3.1.1).
[[nodiscard]] std::uint32_t encoded_size(const Packet& packet, ProtocolVersion version) noexcept;

/// Writes `packet` to the front of `out`; returns the bytes written.
/// Errors  0: `out` is smaller than encoded_size(), or that is 0. Nothing was written.
[[nodiscard]] std::uint32_t encode(const Packet& packet, ProtocolVersion version,
                                   MutableByteView out) noexcept;

/// An application message on its way to one subscriber: what is the same for all of them (topic,
/// forwarded properties, payload) is borrowed ready-made, what differs is given by value.
struct OutgoingPublish {
    bool dup = false;
    QoS qos = QoS::at_most_once;
    bool retain = false;
    std::uint16_t packet_id = 0;
    std::uint16_t topic_alias = 0;  // 0: none
    std::string_view topic;         // may be empty when topic_alias was established before
    std::optional<std::uint32_t> message_expiry_interval_s;  // what is left of it
    std::span<const std::uint32_t> subscription_identifiers;
    ByteView forwarded_properties;  // made by encode_forwarded_properties(); v5 only
    ByteView payload;
};

/// Size of everything in front of the payload, and of the whole packet.
struct PublishSize {
    std::uint32_t header_bytes = 0;
    std::uint32_t packet_bytes = 0;  // 0: it cannot be encoded
};
[[nodiscard]] PublishSize publish_size(const OutgoingPublish& publish,
                                       ProtocolVersion version) noexcept;
/// Writes all but the payload; returns the bytes written (publish_size().header_bytes), 0 if `out`
/// is too small. Cost: one pass; the payload is not touched, so that it can be gathered.
[[nodiscard]] std::uint32_t encode_publish_header(const OutgoingPublish& publish,
                                                  ProtocolVersion version,
                                                  MutableByteView out) noexcept;

/// The properties that a server passes on unaltered (payload format indicator, response topic,
/// correlation data, content type, user properties in order: MQTT 5.0 section 3.3.2.3, for example
/// [MQTT-3.3.2-17]), encoded once per message without a length in front.
[[nodiscard]] std::uint32_t forwarded_properties_size(const PublishProperties& properties) noexcept;
[[nodiscard]] std::uint32_t encode_forwarded_properties(const PublishProperties& properties,
                                                        MutableByteView out) noexcept;

/// Appends one user property, encoded, to `block` (for those who build packets: clients, tests).
/// Errors  false: a text is longer than 65'535 bytes; nothing was appended.
[[nodiscard]] bool append_user_property(Bytes& block, std::string_view name,
                                        std::string_view value);
/// Appends one Subscription Identifier, as a server's PUBLISH carries it, to `block`.
/// Errors  false: it is 0 or above 268'435'455; nothing was appended.
[[nodiscard]] bool append_subscription_identifier(Bytes& block, std::uint32_t identifier);
/// Appends one filter of a SUBSCRIBE or UNSUBSCRIBE, encoded, to `list`.
[[nodiscard]] bool append_subscription(Bytes& list, std::string_view filter,
                                       const SubscriptionOptions& options);
[[nodiscard]] bool append_filter(Bytes& list, std::string_view filter);

}  // namespace mitu::mqtt
