#pragma once
// Bytes to packets. Pure: no socket, clock, allocation or log.

#include <cstdint>
#include <optional>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::mqtt {

/// What the peer did wrong, and where.
struct DecodeError {
    ReasonCode reason = ReasonCode::malformed_packet;
    /// Offset, from the start of the packet, of the byte at fault.
    std::uint32_t offset_bytes = 0;
    /// A fixed text that says which rule was broken, with its normative id where it has one.
    const char* rule = "";
};

enum class Sender : std::uint8_t { client, server };

struct DecodeOptions {
    Sender sender = Sender::client;
    /// The version that CONNECT agreed on. CONNECT itself says its own.
    ProtocolVersion version = ProtocolVersion::v5;
    /// Larger packets are refused with packet_too_large as soon as their fixed header is read.
    std::uint32_t packet_bytes_max = packet_bytes_limit;
};

struct Decoded {
    Packet packet;
    std::uint32_t size_bytes = 0;  // how much of the input this packet took
};

/// Reads one packet from the front of `bytes`.
/// Shape     nullopt: valid so far but incomplete; call again with more bytes.
/// Errors    the ReasonCode that MQTT 5.0 names for the fault: malformed_packet, protocol_error,
///           packet_too_large, topic_name_invalid, topic_filter_invalid,
///           unsupported_protocol_version, ...; an error is final for the connection.
///           What depends on the state of a session (a packet id in use, an alias never set, a
///           second CONNECT) is not judged here.
/// Lifetime  the packet borrows `bytes`.
/// Source    MQTT 5.0 sections 2 and 3; MQTT 3.1.1 sections 2 and 3.
[[nodiscard]] Result<std::optional<Decoded>, DecodeError> decode(
    ByteView bytes, const DecodeOptions& options) noexcept;

/// How many bytes the packet at the front of `bytes` will have in all; nullopt: not yet known
/// (fewer than 2..5 bytes). Lets a reader size its buffer once.
/// Errors    malformed_packet: the Remaining Length is not a Variable Byte Integer.
[[nodiscard]] Result<std::optional<std::uint32_t>, DecodeError> packet_size(
    ByteView bytes) noexcept;

}  // namespace mitu::mqtt
