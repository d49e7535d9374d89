#pragma once
// Internal: the body (all behind the fixed header) of each packet, written to either sink.

#include <cstdint>

#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/sink.hpp"

namespace mitu::mqtt {

constexpr std::uint8_t publish_first_byte(bool dup, QoS qos, bool retain) noexcept {
    return static_cast<std::uint8_t>((static_cast<unsigned>(PacketType::publish) << 4) |
                                     (dup ? 8U : 0U) | (static_cast<unsigned>(qos) << 1) |
                                     (retain ? 1U : 0U));
}

/// The options byte of a subscription; 3.1.1 knows only the QoS.
constexpr std::uint8_t options_byte(const SubscriptionOptions& options, bool v5) noexcept {
    const auto qos = static_cast<unsigned>(options.qos);
    if (!v5) return static_cast<std::uint8_t>(qos);
    return static_cast<std::uint8_t>(qos | (options.no_local ? 4U : 0U) |
                                     (options.retain_as_published ? 8U : 0U) |
                                     (static_cast<unsigned>(options.retain_handling) << 4));
}

// encode_connect.cpp
void put(SizeSink& sink, const Connect& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Connect& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Connack& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Connack& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Disconnect& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Disconnect& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Auth& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Auth& packet, ProtocolVersion version) noexcept;

// encode_publish.cpp
void put(SizeSink& sink, const Publish& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Publish& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Ack& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Ack& packet, ProtocolVersion version) noexcept;

// encode_subscribe.cpp
void put(SizeSink& sink, const Subscribe& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Subscribe& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Suback& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Suback& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Unsubscribe& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Unsubscribe& packet, ProtocolVersion version) noexcept;
void put(SizeSink& sink, const Unsuback& packet, ProtocolVersion version) noexcept;
void put(ByteSink& sink, const Unsuback& packet, ProtocolVersion version) noexcept;

template <class Sink>
void put(Sink& /*sink*/, const Pingreq& /*packet*/, ProtocolVersion /*version*/) noexcept {}
template <class Sink>
void put(Sink& /*sink*/, const Pingresp& /*packet*/, ProtocolVersion /*version*/) noexcept {}

/// Reason string and user properties: all that acknowledgements carry.
template <class Sink>
void put_ack_properties(Sink& sink, const AckProperties& properties) noexcept {
    put_properties(sink, [&properties](auto& to) {
        if (properties.reason_string) to.text(Property::reason_string, *properties.reason_string);
        to.user(properties.user);
    });
}

/// Whether the block holds a user property, and not only bytes that do not count.
inline bool has_user_properties(const UserProperties& properties) noexcept {
    ByteView rest = properties.block;
    return UserProperties::next(rest).has_value();
}

}  // namespace mitu::mqtt
