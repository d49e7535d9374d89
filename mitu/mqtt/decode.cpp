#include "mitu/mqtt/decode.hpp"

#include <optional>
#include <utility>

#include "mitu/mqtt/decode_parts.hpp"

namespace mitu::mqtt {
namespace {

constexpr DecodeError malformed_at(std::uint32_t offset, const char* rule) noexcept {
    return {ReasonCode::malformed_packet, offset, rule};
}

constexpr PacketType type_of(std::uint8_t first_byte) noexcept {
    return static_cast<PacketType>(first_byte >> 4);
}

bool may_send(Sender sender, PacketType type, bool v5) noexcept {
    switch (type) {
        case PacketType::publish:
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubrel:
        case PacketType::pubcomp:
        case PacketType::auth:
            return true;
        case PacketType::connect:
        case PacketType::subscribe:
        case PacketType::unsubscribe:
        case PacketType::pingreq:
            return sender == Sender::client;
        case PacketType::connack:
        case PacketType::suback:
        case PacketType::unsuback:
        case PacketType::pingresp:
            return sender == Sender::server;
        case PacketType::disconnect:
            return sender == Sender::client || v5;
    }
    return false;
}

/// What the first byte alone gives away: an unknown type, a wrong direction, wrong flags.
std::optional<DecodeError> check_first_byte(std::uint8_t first_byte,
                                            const DecodeOptions& options) noexcept {
    const PacketType type = type_of(first_byte);
    const auto flags = static_cast<std::uint8_t>(first_byte & 0x0F);
    // What 3.1 asks for with QoS 1 may be sent again, and then has DUP (its section 2.1).
    const bool is_request =
        flags == 2 || (flags == 0x0A && options.version == ProtocolVersion::v3_1);
    if (type == PacketType::publish) {
        const unsigned qos = flags >> 1 & 3U;
        if (qos == 3) return malformed_at(0, "[MQTT-3.3.1-4] QoS is 0, 1 or 2");
        if (qos == 0 && (flags & 8U) != 0) {
            return malformed_at(0, "[MQTT-3.3.1-2] DUP is 0 with QoS 0");
        }
        return std::nullopt;
    }
    if (first_byte < 0x10) {
        return malformed_at(0, "MQTT 5.0 section 2.1.2: packet type 0 is forbidden");
    }
    if (type == PacketType::auth && !is_v5(options)) {
        return malformed_at(0, "MQTT 3.1.1 section 2.2.1: packet type 15 is forbidden");
    }
    if (!may_send(options.sender, type, is_v5(options))) {
        return DecodeError{ReasonCode::protocol_error, 0,
                           "MQTT 5.0 section 2.1.2: this packet does not flow in this direction"};
    }
    switch (type) {
        case PacketType::pubrel:
            if (!is_request) {
                return malformed_at(0, "[MQTT-3.6.1-1] the flags of PUBREL are 0, 0, 1, 0");
            }
            break;
        case PacketType::subscribe:
            if (!is_request) {
                return malformed_at(0, "[MQTT-3.8.1-1] the flags of SUBSCRIBE are 0, 0, 1, 0");
            }
            break;
        case PacketType::unsubscribe:
            if (!is_request) {
                return malformed_at(0, "[MQTT-3.10.1-1] the flags of UNSUBSCRIBE are 0, 0, 1, 0");
            }
            break;
        case PacketType::disconnect:
            if (flags != 0) {
                return malformed_at(0, "[MQTT-3.14.1-1] the flags of DISCONNECT are 0");
            }
            break;
        case PacketType::auth:
            if (flags != 0) return malformed_at(0, "[MQTT-3.15.1-1] the flags of AUTH are 0");
            break;
        default:
            if (flags != 0) return malformed_at(0, "[MQTT-2.1.3-1] reserved flags are 0");
            break;
    }
    return std::nullopt;
}

/// The packets whose length is known beforehand.
std::optional<DecodeError> check_fixed_length(PacketType type, std::uint32_t remaining,
                                              bool v5) noexcept {
    switch (type) {
        case PacketType::pingreq:
        case PacketType::pingresp:
            if (remaining == 0) return std::nullopt;
            return malformed_at(1, "MQTT 5.0 section 3.12, 3.13: the Remaining Length is 0");
        case PacketType::disconnect:
            if (v5 || remaining == 0) return std::nullopt;
            return malformed_at(1, "MQTT 3.1.1 section 3.14: the Remaining Length is 0");
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubrel:
        case PacketType::pubcomp:
        case PacketType::connack:
        case PacketType::unsuback:
            if (v5 || remaining == 2) return std::nullopt;
            return malformed_at(1, "MQTT 3.1.1 section 3: the Remaining Length is 2");
        default:
            return std::nullopt;
    }
}

void decode_body(Reader& in, std::uint8_t first_byte, const DecodeOptions& options,
                 Packet& packet) noexcept {
    switch (const PacketType type = type_of(first_byte)) {
        case PacketType::publish:
            return decode_publish(in, first_byte, options, *std::get_if<Publish>(&packet));
        case PacketType::puback:
            return decode_ack(in, type, options, packet.emplace<Puback>());
        case PacketType::pubrec:
            return decode_ack(in, type, options, packet.emplace<Pubrec>());
        case PacketType::pubrel:
            return decode_ack(in, type, options, packet.emplace<Pubrel>());
        case PacketType::pubcomp:
            return decode_ack(in, type, options, packet.emplace<Pubcomp>());
        case PacketType::pingreq:
            packet.emplace<Pingreq>();
            return;
        case PacketType::pingresp:
            packet.emplace<Pingresp>();
            return;
        case PacketType::connect:
            return decode_connect(in, packet.emplace<Connect>());
        case PacketType::connack:
            return decode_connack(in, options, packet.emplace<Connack>());
        case PacketType::subscribe:
            return decode_subscribe(in, options, packet.emplace<Subscribe>());
        case PacketType::suback:
            return decode_suback(in, options, packet.emplace<Suback>());
        case PacketType::unsubscribe:
            return decode_unsubscribe(in, options, packet.emplace<Unsubscribe>());
        case PacketType::unsuback:
            return decode_unsuback(in, options, packet.emplace<Unsuback>());
        case PacketType::disconnect:
            return decode_disconnect(in, options, packet.emplace<Disconnect>());
        case PacketType::auth:
            return decode_auth(in, options, packet.emplace<Auth>());
    }
}

}  // namespace

Result<std::optional<std::uint32_t>, DecodeError> packet_size(ByteView bytes) noexcept {
    if (bytes.empty()) return std::optional<std::uint32_t>{};
    const VarInt remaining = read_varint(bytes.data() + 1, bytes.size() - 1);
    switch (remaining.state) {
        case VarInt::State::incomplete:
            return std::optional<std::uint32_t>{};
        case VarInt::State::malformed:
            return std::unexpected(malformed_at(1 + remaining.bytes, rule_varint));
        case VarInt::State::whole:
            break;
    }
    return std::optional{1 + remaining.bytes + remaining.value};
}

Result<std::optional<Decoded>, DecodeError> decode(ByteView bytes,
                                                   const DecodeOptions& options) noexcept {
    // The one object that is returned on every path: a packet is large, and is built in place.
    Result<std::optional<Decoded>, DecodeError> result;
    if (bytes.empty()) return result;
    const std::uint8_t first_byte = bytes[0];
    if (const std::optional<DecodeError> fault = check_first_byte(first_byte, options)) {
        result = std::unexpected(*fault);
        return result;
    }
    const VarInt remaining = read_varint(bytes.data() + 1, bytes.size() - 1);
    if (remaining.state == VarInt::State::incomplete) return result;
    if (remaining.state == VarInt::State::malformed) {
        result = std::unexpected(malformed_at(1 + remaining.bytes, rule_varint));
        return result;
    }
    const std::uint32_t header_bytes = 1 + remaining.bytes;
    const std::uint32_t packet_bytes = header_bytes + remaining.value;
    if (packet_bytes > options.packet_bytes_max) {
        result = std::unexpected(
            DecodeError{ReasonCode::packet_too_large, 1,
                        "[MQTT-3.1.2-24], [MQTT-3.2.2-15] the packet is larger than the maximum"});
        return result;
    }
    if (const std::optional<DecodeError> fault =
            check_fixed_length(type_of(first_byte), remaining.value, is_v5(options))) {
        result = std::unexpected(*fault);
        return result;
    }
    if (bytes.size() < packet_bytes) return result;

    Decoded& decoded = result->emplace();
    decoded.size_bytes = packet_bytes;
    Reader in{bytes.first(packet_bytes), header_bytes};
    decode_body(in, first_byte, options, decoded.packet);
    in.expect_end();
    if (in.failed()) result = std::unexpected(in.error());
    return result;
}

}  // namespace mitu::mqtt
