#include "bench/encoded.hpp"

#include "mitu/base/check.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::bench {

Bytes encoded(const mqtt::Packet& packet, mqtt::ProtocolVersion version) {
    Bytes bytes(mqtt::encoded_size(packet, version));
    MITU_CHECK(!bytes.empty());
    MITU_CHECK(mqtt::encode(packet, version, bytes) == bytes.size());
    return bytes;
}

Bytes subscribe_packet(std::uint16_t packet_id, std::span<const std::string> filters, mqtt::QoS qos,
                       mqtt::ProtocolVersion version) {
    Bytes list;
    for (const std::string& filter : filters) {
        MITU_CHECK(mqtt::append_subscription(list, filter, {.qos = qos}));
    }
    return encoded(mqtt::Subscribe{.packet_id = packet_id,
                                   .filters = {.encoded = list},
                                   .subscription_identifier = {},
                                   .user = {}},
                   version);
}

}  // namespace mitu::bench
