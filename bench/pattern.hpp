#pragma once
// The hot path's bytes: PUBLISH packets made once and patched, and packets walked without decoding
// more than the generator looks at.

#include <cstdint>
#include <cstring>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::bench {

/// The start of every payload: who sent it, as which message, and when it was due.
/// Shape  the bytes of the machine; sender and receiver are one process.
struct Stamp {
    static constexpr std::uint32_t magic_value = 0x4D697475;
    std::uint32_t magic = magic_value;
    std::uint32_t publisher = 0;
    std::uint64_t sequence = 0;
    std::int64_t due_ns = 0;
};
static_assert(sizeof(Stamp) == 24);

/// Packet identifiers go round 1..65535 with the sequence number.
[[nodiscard]] constexpr std::uint16_t packet_id_of(std::uint64_t sequence) noexcept {
    return static_cast<std::uint16_t>(1 + sequence % 65'535);
}

/// One PUBLISH packet as bytes, made by the codec; copies of it differ in packet id and stamp.
class PublishPattern {
public:
    PublishPattern(std::string_view topic, mqtt::QoS qos, std::uint32_t payload_bytes,
                   mqtt::ProtocolVersion version, bool retain = false);

    [[nodiscard]] std::size_t size_bytes() const noexcept { return bytes_.size(); }
    /// Where the topic starts in what write() writes, for those who change digits of it.
    [[nodiscard]] std::size_t topic_offset() const noexcept { return topic_offset_; }

    /// Shape  `out` has room for size_bytes().
    void write(std::uint8_t* out, const Stamp& stamp) const noexcept {
        std::memcpy(out, bytes_.data(), bytes_.size());
        if (packet_id_offset_ != 0) {
            const std::uint16_t id = packet_id_of(stamp.sequence);
            out[packet_id_offset_] = static_cast<std::uint8_t>(id >> 8);
            out[packet_id_offset_ + 1] = static_cast<std::uint8_t>(id);
        }
        std::memcpy(out + payload_offset_, &stamp, sizeof stamp);
    }

private:
    Bytes bytes_;
    std::size_t topic_offset_ = 0;
    std::size_t packet_id_offset_ = 0;  // 0: QoS 0 has none
    std::size_t payload_offset_ = 0;
};

/// Writes `value` in decimal, with leading zeros, into the `digits` bytes from `at` on.
inline void write_digits(std::uint8_t* at, std::uint32_t value, std::size_t digits) noexcept {
    for (; digits > 0; value /= 10) at[--digits] = static_cast<std::uint8_t>('0' + value % 10);
}

inline constexpr std::uint8_t puback_first = 0x40;
inline constexpr std::uint8_t pubrec_first = 0x50;
inline constexpr std::uint8_t pubrel_first = 0x62;
inline constexpr std::uint8_t pubcomp_first = 0x70;
inline constexpr std::size_t ack_bytes = 4;

/// An acknowledgement without reason and properties, into `ack_bytes` from `out` on.
inline void write_ack(std::uint8_t* out, std::uint8_t first, std::uint16_t packet_id) noexcept {
    out[0] = first;
    out[1] = 2;
    out[2] = static_cast<std::uint8_t>(packet_id >> 8);
    out[3] = static_cast<std::uint8_t>(packet_id);
}

/// A packet at the front of some bytes: its type, flags and body, not looked into.
struct Frame {
    enum class Found : std::uint8_t { whole, incomplete, malformed };

    std::uint8_t first = 0;
    const std::uint8_t* body = nullptr;
    std::uint32_t body_bytes = 0;
    std::uint32_t size_bytes = 0;

    [[nodiscard]] mqtt::PacketType type() const noexcept {
        return static_cast<mqtt::PacketType>(first >> 4);
    }
    [[nodiscard]] mqtt::QoS qos() const noexcept {
        return static_cast<mqtt::QoS>((first >> 1) & 3);
    }
};

[[nodiscard]] inline std::uint16_t read_u16(const std::uint8_t* bytes) noexcept {
    return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

/// Reads the Variable Byte Integer at `begin`, which took `size_bytes`.
[[nodiscard]] inline Frame::Found read_varint(const std::uint8_t* begin, const std::uint8_t* end,
                                              std::uint32_t& value,
                                              std::uint32_t& size_bytes) noexcept {
    value = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
        if (begin + i == end) return Frame::Found::incomplete;
        value |= static_cast<std::uint32_t>(begin[i] & 0x7F) << (7 * i);
        if (begin[i] < 0x80) {
            size_bytes = i + 1;
            return Frame::Found::whole;
        }
    }
    return Frame::Found::malformed;
}

/// Finds the packet that starts at `begin`.
[[nodiscard]] inline Frame::Found find_frame(const std::uint8_t* begin, const std::uint8_t* end,
                                             Frame& frame) noexcept {
    if (end - begin < 2) return Frame::Found::incomplete;
    std::uint32_t length_bytes = 0;
    const Frame::Found length = read_varint(begin + 1, end, frame.body_bytes, length_bytes);
    if (length != Frame::Found::whole) return length;
    frame.first = begin[0];
    frame.body = begin + 1 + length_bytes;
    frame.size_bytes = 1 + length_bytes + frame.body_bytes;
    return frame.size_bytes <= static_cast<std::size_t>(end - begin) ? Frame::Found::whole
                                                                     : Frame::Found::incomplete;
}

/// What a receiver needs of a PUBLISH.
struct Delivery {
    std::uint16_t packet_id = 0;
    const std::uint8_t* topic = nullptr;
    std::uint16_t topic_bytes = 0;
    const std::uint8_t* payload = nullptr;
    std::uint32_t payload_bytes = 0;
};

/// Shape  false: the lengths inside `frame` do not add up.
[[nodiscard]] inline bool read_delivery(const Frame& frame, mqtt::ProtocolVersion version,
                                        Delivery& delivery) noexcept {
    const std::uint32_t size = frame.body_bytes;
    if (size < 2) return false;
    delivery.topic_bytes = read_u16(frame.body);
    delivery.topic = frame.body + 2;
    std::uint32_t at = 2u + delivery.topic_bytes;
    delivery.packet_id = 0;
    if (frame.qos() != mqtt::QoS::at_most_once) {
        if (at + 2 > size) return false;
        delivery.packet_id = read_u16(frame.body + at);
        at += 2;
    }
    if (version == mqtt::ProtocolVersion::v5) {
        if (at > size) return false;
        std::uint32_t properties_bytes = 0;
        std::uint32_t length_bytes = 0;
        if (read_varint(frame.body + at, frame.body + size, properties_bytes, length_bytes) !=
            Frame::Found::whole) {
            return false;
        }
        at += length_bytes + properties_bytes;
    }
    if (at > size) return false;
    delivery.payload = frame.body + at;
    delivery.payload_bytes = size - at;
    return true;
}

}  // namespace mitu::bench
