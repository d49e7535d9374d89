#pragma once
// Internal: one decoder per packet. Each starts behind the fixed header, whose flags were checked,
// and fills `out`; faults end up in the reader, which also finds bytes left over.

#include <cstdint>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/properties.hpp"
#include "mitu/mqtt/wire.hpp"

namespace mitu::mqtt {

inline bool is_v5(const DecodeOptions& options) noexcept {
    return options.version == ProtocolVersion::v5;
}

// decode_connect.cpp
void decode_connect(Reader& in, Connect& out) noexcept;
void decode_connack(Reader& in, const DecodeOptions& options, Connack& out) noexcept;
void decode_disconnect(Reader& in, const DecodeOptions& options, Disconnect& out) noexcept;
void decode_auth(Reader& in, const DecodeOptions& options, Auth& out) noexcept;

// decode_publish.cpp
void decode_publish(Reader& in, std::uint8_t first_byte, const DecodeOptions& options,
                    Publish& out) noexcept;
void decode_ack(Reader& in, PacketType type, const DecodeOptions& options, Ack& out) noexcept;
/// Stores what PUBLISH and a will have in common.
void store_message_property(Reader& in, const PropertyCursor& property,
                            PublishProperties& out) noexcept;
/// Reads the properties of an acknowledgement.
void decode_ack_properties(Reader& in, AckProperties& out) noexcept;

// decode_subscribe.cpp
void decode_subscribe(Reader& in, const DecodeOptions& options, Subscribe& out) noexcept;
void decode_suback(Reader& in, const DecodeOptions& options, Suback& out) noexcept;
void decode_unsubscribe(Reader& in, const DecodeOptions& options, Unsubscribe& out) noexcept;
void decode_unsuback(Reader& in, const DecodeOptions& options, Unsuback& out) noexcept;

}  // namespace mitu::mqtt
