// PUBLISH and its acknowledgements, and the fast way for a message on its way to one subscriber.
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/encode_parts.hpp"

namespace mitu::mqtt {
namespace {

template <class Sink>
void put_publish(Sink& sink, const Publish& packet, bool v5) noexcept {
    sink.text(packet.topic);
    if (packet.qos != QoS::at_most_once) sink.u16(packet.packet_id);
    if (v5) {
        put_properties(sink, [&packet](auto& to) {
            const PublishProperties& properties = packet.properties;
            if (properties.message_expiry_interval_s) {
                to.four(Property::message_expiry_interval, *properties.message_expiry_interval_s);
            }
            if (properties.topic_alias) to.two(Property::topic_alias, *properties.topic_alias);
            to.subscription_identifiers(properties.subscription_identifiers);
            put_forwarded(to, properties);
        });
    }
    sink.raw(packet.payload);
}

template <class Sink>
void put_ack(Sink& sink, const Ack& packet, bool v5) noexcept {
    sink.u16(packet.packet_id);
    if (!v5) return;
    const bool bare =
        !packet.properties.reason_string && !has_user_properties(packet.properties.user);
    if (bare && packet.reason == ReasonCode::success) return;
    sink.u8(static_cast<std::uint8_t>(packet.reason));
    if (!bare) put_ack_properties(sink, packet.properties);
}

/// All lengths of an outgoing PUBLISH; packet_bytes 0: it cannot be encoded.
struct Layout {
    std::uint32_t properties_bytes = 0;
    std::uint32_t remaining_bytes = 0;
    PublishSize size;
};

Layout lay_out(const OutgoingPublish& publish, bool v5) noexcept {
    Layout layout;
    if (publish.topic.size() > text_bytes_max) return layout;
    std::uint64_t header = 2 + publish.topic.size();
    if (publish.qos != QoS::at_most_once) header += 2;
    if (v5) {
        std::uint64_t properties = publish.forwarded_properties.size();
        if (publish.topic_alias != 0) properties += 3;
        if (publish.message_expiry_interval_s) properties += 5;
        for (const std::uint32_t identifier : publish.subscription_identifiers) {
            if (identifier > remaining_length_max) return layout;
            properties += 1 + varint_size(identifier);
        }
        if (properties > remaining_length_max) return layout;
        layout.properties_bytes = static_cast<std::uint32_t>(properties);
        header += varint_size(layout.properties_bytes) + properties;
    }
    const std::uint64_t remaining = header + publish.payload.size();
    if (remaining > remaining_length_max) return layout;
    layout.remaining_bytes = static_cast<std::uint32_t>(remaining);
    const std::uint32_t fixed = 1 + varint_size(layout.remaining_bytes);
    layout.size.header_bytes = fixed + static_cast<std::uint32_t>(header);
    layout.size.packet_bytes = fixed + layout.remaining_bytes;
    return layout;
}

}  // namespace

void put(SizeSink& sink, const Publish& packet, ProtocolVersion version) noexcept {
    put_publish(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Publish& packet, ProtocolVersion version) noexcept {
    put_publish(sink, packet, version == ProtocolVersion::v5);
}
void put(SizeSink& sink, const Ack& packet, ProtocolVersion version) noexcept {
    put_ack(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Ack& packet, ProtocolVersion version) noexcept {
    put_ack(sink, packet, version == ProtocolVersion::v5);
}

PublishSize publish_size(const OutgoingPublish& publish, ProtocolVersion version) noexcept {
    return lay_out(publish, version == ProtocolVersion::v5).size;
}

std::uint32_t encode_publish_header(const OutgoingPublish& publish, ProtocolVersion version,
                                    MutableByteView out) noexcept {
    const bool v5 = version == ProtocolVersion::v5;
    const Layout layout = lay_out(publish, v5);
    if (layout.size.packet_bytes == 0 || out.size() < layout.size.header_bytes) return 0;
    ByteSink sink{out.data()};
    sink.u8(publish_first_byte(publish.dup, publish.qos, publish.retain));
    sink.varint(layout.remaining_bytes);
    sink.text(publish.topic);
    if (publish.qos != QoS::at_most_once) sink.u16(publish.packet_id);
    if (v5) {
        sink.varint(layout.properties_bytes);
        if (publish.message_expiry_interval_s) {
            sink.four(Property::message_expiry_interval, *publish.message_expiry_interval_s);
        }
        if (publish.topic_alias != 0) sink.two(Property::topic_alias, publish.topic_alias);
        for (const std::uint32_t identifier : publish.subscription_identifiers) {
            sink.id(Property::subscription_identifier);
            sink.varint(identifier);
        }
        sink.raw(publish.forwarded_properties);
    }
    return layout.size.header_bytes;
}

std::uint32_t forwarded_properties_size(const PublishProperties& properties) noexcept {
    SizeSink size;
    put_forwarded(size, properties);
    return size.fits() ? size.bytes() : 0;
}

std::uint32_t encode_forwarded_properties(const PublishProperties& properties,
                                          MutableByteView out) noexcept {
    const std::uint32_t size = forwarded_properties_size(properties);
    if (size == 0 || out.size() < size) return 0;
    ByteSink sink{out.data()};
    put_forwarded(sink, properties);
    return size;
}

}  // namespace mitu::mqtt
