#pragma once
// Wire: turns the bytes that cross the broker's edge on one connection into sightings of packets.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::sim {

/// One direction of one connection.
class PacketStream {
public:
    explicit PacketStream(mqtt::Sender sender) : sender_{sender} {}

    using Visit = std::function<void(const mqtt::Packet&, std::uint32_t size_bytes)>;
    /// Calls `visit` for each packet that is whole now. Errors: the rule that the bytes break; the
    /// stream is of no use from then on.
    std::optional<std::string> feed(ByteView bytes, mqtt::ProtocolVersion& version,
                                    const Visit& visit);
    [[nodiscard]] bool is_broken() const noexcept { return is_broken_; }

private:
    mqtt::Sender sender_;
    Bytes input_;
    bool is_broken_ = false;
};

}  // namespace mitu::sim
