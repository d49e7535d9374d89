#pragma once
// For tests: packets drawn at random that the other side must accept.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/random.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::mqtt::testing {

/// Draws valid packets. What a version cannot carry keeps its default, so that a packet survives
/// encode() and decode() unchanged.
/// Lifetime  packets borrow texts and bytes of the maker until the next packet is drawn.
class PacketMaker {
public:
    explicit PacketMaker(std::uint64_t seed) : random_{seed} {}

    /// A packet that `sender` may send; a CONNECT is of `version`.
    [[nodiscard]] Packet draw(Sender sender, ProtocolVersion version);

private:
    [[nodiscard]] bool coin() { return random_.chance(0.5); }
    [[nodiscard]] std::uint16_t u16() { return static_cast<std::uint16_t>(random_.next()); }
    [[nodiscard]] std::uint16_t u16_from_1();
    [[nodiscard]] std::uint32_t u32();
    [[nodiscard]] QoS qos() { return static_cast<QoS>(random_.below(3)); }
    [[nodiscard]] std::string_view keep(std::string text);
    [[nodiscard]] ByteView keep_bytes(Bytes bytes);
    [[nodiscard]] std::string_view text();
    [[nodiscard]] std::string_view topic();
    [[nodiscard]] std::string_view filter();
    [[nodiscard]] ByteView binary();
    [[nodiscard]] UserProperties user();
    [[nodiscard]] ReasonCode reason(PacketType type);
    [[nodiscard]] ByteView reasons(PacketType type, bool v5);
    template <class Draw>
    [[nodiscard]] auto perhaps(Draw draw) -> std::optional<decltype(draw())>;

    void fill_message(PublishProperties& properties);
    void fill(AckProperties& properties);
    [[nodiscard]] Connect connect(ProtocolVersion version);
    [[nodiscard]] Connack connack(bool v5);
    [[nodiscard]] Publish publish(Sender sender, bool v5);
    template <class Kind>
    [[nodiscard]] Kind ack(PacketType type, bool v5);
    [[nodiscard]] Subscribe subscribe(bool v5);
    [[nodiscard]] Suback suback(bool v5);
    [[nodiscard]] Unsubscribe unsubscribe(bool v5);
    [[nodiscard]] Unsuback unsuback(bool v5);
    [[nodiscard]] Disconnect disconnect(Sender sender, bool v5);
    [[nodiscard]] Auth auth(Sender sender);

    Prng random_;
    std::deque<std::string> texts_;
    std::deque<Bytes> bytes_;
};

}  // namespace mitu::mqtt::testing
