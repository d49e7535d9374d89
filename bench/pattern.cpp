#include "bench/pattern.hpp"

#include "mitu/base/check.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::bench {

PublishPattern::PublishPattern(std::string_view topic, mqtt::QoS qos, std::uint32_t payload_bytes,
                               mqtt::ProtocolVersion version, bool retain) {
    MITU_CHECK(payload_bytes >= sizeof(Stamp));
    Bytes payload(payload_bytes);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        payload[i] = static_cast<std::uint8_t>('a' + i % 26);
    }
    const mqtt::Packet packet = mqtt::Publish{
        .qos = qos,
        .retain = retain,
        .packet_id = static_cast<std::uint16_t>(qos == mqtt::QoS::at_most_once ? 0 : 1),
        .topic = topic,
        .properties = {},
        .payload = payload};
    bytes_.resize(mqtt::encoded_size(packet, version));
    MITU_CHECK(!bytes_.empty());
    MITU_CHECK(mqtt::encode(packet, version, bytes_) == bytes_.size());

    payload_offset_ = bytes_.size() - payload_bytes;
    Frame frame;
    MITU_CHECK(find_frame(bytes_.data(), bytes_.data() + bytes_.size(), frame) ==
               Frame::Found::whole);
    topic_offset_ = static_cast<std::size_t>(frame.body - bytes_.data()) + 2;
    if (qos != mqtt::QoS::at_most_once) packet_id_offset_ = topic_offset_ + topic.size();
}

}  // namespace mitu::bench
