#pragma once
// Packets as bytes, for all that is not on the hot path.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::bench {

inline constexpr std::array<std::uint8_t, 2> pingreq{0xC0, 0x00};
inline constexpr std::array<std::uint8_t, 2> disconnect_packet{0xE0, 0x00};  // v5: reason 0

[[nodiscard]] Bytes encoded(const mqtt::Packet& packet, mqtt::ProtocolVersion version);

/// One SUBSCRIBE with all of `filters`.
[[nodiscard]] Bytes subscribe_packet(std::uint16_t packet_id, std::span<const std::string> filters,
                                     mqtt::QoS qos, mqtt::ProtocolVersion version);

}  // namespace mitu::bench
