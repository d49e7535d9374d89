#include "mitu/mqtt/encode.hpp"

#include "mitu/mqtt/encode_parts.hpp"

namespace mitu::mqtt {
namespace {

template <PacketType type, unsigned flags = 0>
constexpr std::uint8_t first_byte_of =
    static_cast<std::uint8_t>((static_cast<unsigned>(type) << 4) | flags);

std::uint8_t first_byte(const Publish& packet) noexcept {
    return publish_first_byte(packet.dup, packet.qos, packet.retain);
}
std::uint8_t first_byte(const Puback&) noexcept { return first_byte_of<PacketType::puback>; }
std::uint8_t first_byte(const Pubrec&) noexcept { return first_byte_of<PacketType::pubrec>; }
std::uint8_t first_byte(const Pubrel&) noexcept { return first_byte_of<PacketType::pubrel, 2>; }
std::uint8_t first_byte(const Pubcomp&) noexcept { return first_byte_of<PacketType::pubcomp>; }
std::uint8_t first_byte(const Pingreq&) noexcept { return first_byte_of<PacketType::pingreq>; }
std::uint8_t first_byte(const Pingresp&) noexcept { return first_byte_of<PacketType::pingresp>; }
std::uint8_t first_byte(const Connect&) noexcept { return first_byte_of<PacketType::connect>; }
std::uint8_t first_byte(const Connack&) noexcept { return first_byte_of<PacketType::connack>; }
std::uint8_t first_byte(const Subscribe&) noexcept {
    return first_byte_of<PacketType::subscribe, 2>;
}
std::uint8_t first_byte(const Suback&) noexcept { return first_byte_of<PacketType::suback>; }
std::uint8_t first_byte(const Unsubscribe&) noexcept {
    return first_byte_of<PacketType::unsubscribe, 2>;
}
std::uint8_t first_byte(const Unsuback&) noexcept { return first_byte_of<PacketType::unsuback>; }
std::uint8_t first_byte(const Disconnect&) noexcept {
    return first_byte_of<PacketType::disconnect>;
}
std::uint8_t first_byte(const Auth&) noexcept { return first_byte_of<PacketType::auth>; }

template <class Sink>
void put_body(Sink& sink, const Packet& packet, ProtocolVersion version) noexcept {
    std::visit([&sink, version](const auto& p) { put(sink, p, version); }, packet);
}

/// The Remaining Length; nullopt: the packet cannot be encoded.
std::optional<std::uint32_t> remaining_length(const Packet& packet,
                                              ProtocolVersion version) noexcept {
    if (std::holds_alternative<Auth>(packet) && version != ProtocolVersion::v5) {
        return std::nullopt;
    }
    SizeSink size;
    put_body(size, packet, version);
    if (!size.fits()) return std::nullopt;
    return size.bytes();
}

}  // namespace

std::uint32_t encoded_size(const Packet& packet, ProtocolVersion version) noexcept {
    const std::optional<std::uint32_t> remaining = remaining_length(packet, version);
    return remaining ? 1 + varint_size(*remaining) + *remaining : 0;
}

std::uint32_t encode(const Packet& packet, ProtocolVersion version, MutableByteView out) noexcept {
    const std::optional<std::uint32_t> remaining = remaining_length(packet, version);
    if (!remaining) return 0;
    const std::uint32_t size = 1 + varint_size(*remaining) + *remaining;
    if (out.size() < size) return 0;
    ByteSink sink{out.data()};
    sink.u8(std::visit([](const auto& p) { return first_byte(p); }, packet));
    sink.varint(*remaining);
    put_body(sink, packet, version);
    return size;
}

}  // namespace mitu::mqtt
