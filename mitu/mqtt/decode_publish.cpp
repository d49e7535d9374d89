// PUBLISH and its acknowledgements: what flows once for every message.
#include "mitu/mqtt/decode_parts.hpp"
#include "mitu/mqtt/reasons.hpp"

namespace mitu::mqtt {
namespace {

const char* rule_of_reason(PacketType type) noexcept {
    switch (type) {
        case PacketType::puback:
            return "[MQTT-3.4.2-1] this is not a reason code of PUBACK";
        case PacketType::pubrec:
            return "[MQTT-3.5.2-1] this is not a reason code of PUBREC";
        case PacketType::pubrel:
            return "[MQTT-3.6.2-1] this is not a reason code of PUBREL";
        default:
            return "[MQTT-3.7.2-1] this is not a reason code of PUBCOMP";
    }
}

}  // namespace

void store_message_property(Reader& in, const PropertyCursor& property,
                            PublishProperties& out) noexcept {
    switch (property.id()) {
        case Property::payload_format_indicator:
            out.payload_is_utf8 = property.flag();
            break;
        case Property::message_expiry_interval:
            out.message_expiry_interval_s = property.u32();
            break;
        case Property::content_type:
            out.content_type = property.text();
            break;
        case Property::correlation_data:
            out.correlation_data = property.bytes();
            break;
        case Property::response_topic: {
            const std::string_view topic = property.text();
            if (topic.empty()) {
                in.fail(ReasonCode::protocol_error,
                        "[MQTT-4.7.3-1] a Response Topic has at least one character",
                        property.at() + 1);
            } else if (const std::size_t wildcard = topic.find_first_of("+#");
                       wildcard != std::string_view::npos) {
                in.fail(ReasonCode::protocol_error,
                        "[MQTT-3.3.2-14] a Response Topic does not contain wildcards",
                        property.bytes().data() + wildcard);
            }
            out.response_topic = topic;
            break;
        }
        default:
            break;
    }
}

void decode_publish(Reader& in, std::uint8_t first_byte, const DecodeOptions& options,
                    Publish& out) noexcept {
    out.dup = (first_byte & 8U) != 0;
    out.qos = static_cast<QoS>(first_byte >> 1 & 3U);
    out.retain = (first_byte & 1U) != 0;
    const std::uint8_t* const topic_at = in.at();
    out.topic = in.topic_name(ReasonCode::topic_name_invalid,
                              "[MQTT-3.3.2-2] a Topic Name does not contain wildcards");
    if (out.qos != QoS::at_most_once) out.packet_id = in.packet_id();
    if (is_v5(options)) {
        PropertyCursor property{in, PropertyPlace::publish};
        while (property.next()) {
            if (property.id() == Property::topic_alias) {
                out.properties.topic_alias = property.u16();
            } else if (property.id() == Property::subscription_identifier) {
                if (options.sender == Sender::client) {
                    in.fail(ReasonCode::protocol_error,
                            "[MQTT-3.3.4-6] a client's PUBLISH has no Subscription Identifier",
                            property.at());
                }
            } else {
                store_message_property(in, property, out.properties);
            }
        }
        out.properties.user = property.user();
        out.properties.subscription_identifiers = property.subscription_identifiers();
    }
    if (out.topic.empty() && !out.properties.topic_alias) {
        in.fail(ReasonCode::protocol_error,
                "[MQTT-4.7.3-1], MQTT 5.0 section 3.3.2.1: no Topic Name and no Topic Alias",
                topic_at);
    }
    out.payload = in.rest();
}

void decode_ack_properties(Reader& in, AckProperties& out) noexcept {
    PropertyCursor property{in, PropertyPlace::acknowledgement};
    while (property.next()) {
        if (property.id() == Property::reason_string) out.reason_string = property.text();
    }
    out.user = property.user();
}

void decode_ack(Reader& in, PacketType type, const DecodeOptions& options, Ack& out) noexcept {
    out.packet_id = in.packet_id();
    if (!is_v5(options) || in.left() == 0) return;
    const std::uint8_t code = in.u8();
    if (!may_carry(type, code)) {
        in.fail(ReasonCode::protocol_error, rule_of_reason(type), in.at() - 1);
    }
    out.reason = static_cast<ReasonCode>(code);
    // Below a Remaining Length of 4 there is no Property Length (section 3.4.2.2.1).
    if (in.left() != 0) decode_ack_properties(in, out.properties);
}

}  // namespace mitu::mqtt
