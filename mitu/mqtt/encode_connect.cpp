// CONNECT, CONNACK, DISCONNECT and AUTH.
#include "mitu/mqtt/encode_parts.hpp"

namespace mitu::mqtt {
namespace {

constexpr std::uint16_t receive_maximum_default = 65'535;

std::uint8_t connect_flags(const Connect& packet) noexcept {
    unsigned flags = packet.clean_start ? 0x02U : 0U;
    if (packet.will) {
        flags |= 0x04U | (static_cast<unsigned>(packet.will->qos) << 3) |
                 (packet.will->retain ? 0x20U : 0U);
    }
    if (packet.password) flags |= 0x40U;
    if (packet.user_name) flags |= 0x80U;
    return static_cast<std::uint8_t>(flags);
}

/// What equals the default of section 3.1.2.11 is left out.
template <class Sink>
void put_connect_properties(Sink& sink, const ConnectProperties& properties) noexcept {
    if (properties.session_expiry_interval_s != 0) {
        sink.four(Property::session_expiry_interval, properties.session_expiry_interval_s);
    }
    if (properties.receive_maximum != receive_maximum_default) {
        sink.two(Property::receive_maximum, properties.receive_maximum);
    }
    if (properties.maximum_packet_size != 0) {
        sink.four(Property::maximum_packet_size, properties.maximum_packet_size);
    }
    if (properties.topic_alias_maximum != 0) {
        sink.two(Property::topic_alias_maximum, properties.topic_alias_maximum);
    }
    if (properties.request_response_information) {
        sink.flag(Property::request_response_information, true);
    }
    if (!properties.request_problem_information) {
        sink.flag(Property::request_problem_information, false);
    }
    if (properties.authentication_method) {
        sink.text(Property::authentication_method, *properties.authentication_method);
    }
    if (properties.authentication_data) {
        sink.binary(Property::authentication_data, *properties.authentication_data);
    }
    sink.user(properties.user);
}

template <class Sink>
void put_will_properties(Sink& sink, const Will& will) noexcept {
    if (will.delay_interval_s != 0) {
        sink.four(Property::will_delay_interval, will.delay_interval_s);
    }
    if (will.properties.message_expiry_interval_s) {
        sink.four(Property::message_expiry_interval, *will.properties.message_expiry_interval_s);
    }
    put_forwarded(sink, will.properties);
}

template <class Sink>
void put_connect(Sink& sink, const Connect& packet) noexcept {
    const bool v5 = packet.version == ProtocolVersion::v5;
    sink.text(packet.version == ProtocolVersion::v3_1 ? "MQIsdp" : "MQTT");
    sink.u8(static_cast<std::uint8_t>(packet.version));
    sink.u8(connect_flags(packet));
    sink.u16(packet.keep_alive_s);
    if (v5) {
        put_properties(sink,
                       [&packet](auto& to) { put_connect_properties(to, packet.properties); });
    }
    sink.text(packet.client_id);
    if (packet.will) {
        const Will& will = *packet.will;
        if (v5) put_properties(sink, [&will](auto& to) { put_will_properties(to, will); });
        sink.text(will.topic);
        sink.binary(will.payload);
    }
    if (packet.user_name) sink.text(*packet.user_name);
    if (packet.password) sink.binary(*packet.password);
}

/// The return code of 3.1.1 that says most nearly the same.
std::uint8_t return_code_of(ReasonCode reason) noexcept {
    switch (reason) {
        case ReasonCode::unsupported_protocol_version:
            return 1;
        case ReasonCode::client_identifier_not_valid:
            return 2;
        case ReasonCode::bad_user_name_or_password:
            return 4;
        case ReasonCode::not_authorized:
        case ReasonCode::banned:
        case ReasonCode::bad_authentication_method:
            return 5;
        default:
            return is_error(reason) ? 3 : 0;
    }
}

template <class Sink>
void put_connack_properties(Sink& sink, const ConnackProperties& properties) noexcept {
    const auto flag = [&sink](Property id, const std::optional<bool>& value) {
        if (value) sink.flag(id, *value);
    };
    const auto two = [&sink](Property id, const std::optional<std::uint16_t>& value) {
        if (value) sink.two(id, *value);
    };
    const auto four = [&sink](Property id, const std::optional<std::uint32_t>& value) {
        if (value) sink.four(id, *value);
    };
    const auto text = [&sink](Property id, const std::optional<std::string_view>& value) {
        if (value) sink.text(id, *value);
    };
    four(Property::session_expiry_interval, properties.session_expiry_interval_s);
    two(Property::receive_maximum, properties.receive_maximum);
    if (properties.maximum_qos) {
        sink.flag(Property::maximum_qos, *properties.maximum_qos != QoS::at_most_once);
    }
    flag(Property::retain_available, properties.retain_available);
    four(Property::maximum_packet_size, properties.maximum_packet_size);
    text(Property::assigned_client_identifier, properties.assigned_client_identifier);
    two(Property::topic_alias_maximum, properties.topic_alias_maximum);
    text(Property::reason_string, properties.reason_string);
    flag(Property::wildcard_subscription_available, properties.wildcard_subscription_available);
    flag(Property::subscription_identifiers_available,
         properties.subscription_identifiers_available);
    flag(Property::shared_subscription_available, properties.shared_subscription_available);
    two(Property::server_keep_alive, properties.server_keep_alive_s);
    text(Property::response_information, properties.response_information);
    text(Property::server_reference, properties.server_reference);
    text(Property::authentication_method, properties.authentication_method);
    if (properties.authentication_data) {
        sink.binary(Property::authentication_data, *properties.authentication_data);
    }
    sink.user(properties.user);
}

template <class Sink>
void put_connack(Sink& sink, const Connack& packet, bool v5) noexcept {
    sink.u8(packet.session_present ? 1 : 0);
    if (!v5) return sink.u8(return_code_of(packet.reason));
    sink.u8(static_cast<std::uint8_t>(packet.reason));
    put_properties(sink, [&packet](auto& to) { put_connack_properties(to, packet.properties); });
}

template <class Sink>
void put_disconnect(Sink& sink, const Disconnect& packet, bool v5) noexcept {
    if (!v5) return;
    const bool bare = !packet.session_expiry_interval_s && !packet.reason_string &&
                      !packet.server_reference && !has_user_properties(packet.user);
    if (bare && packet.reason == ReasonCode::success) return;
    sink.u8(static_cast<std::uint8_t>(packet.reason));
    if (bare) return;
    put_properties(sink, [&packet](auto& to) {
        if (packet.session_expiry_interval_s) {
            to.four(Property::session_expiry_interval, *packet.session_expiry_interval_s);
        }
        if (packet.reason_string) to.text(Property::reason_string, *packet.reason_string);
        if (packet.server_reference) to.text(Property::server_reference, *packet.server_reference);
        to.user(packet.user);
    });
}

template <class Sink>
void put_auth(Sink& sink, const Auth& packet) noexcept {
    const bool bare = !packet.authentication_method && !packet.authentication_data &&
                      !packet.reason_string && !has_user_properties(packet.user);
    if (bare && packet.reason == ReasonCode::success) return;
    sink.u8(static_cast<std::uint8_t>(packet.reason));
    put_properties(sink, [&packet](auto& to) {
        if (packet.authentication_method) {
            to.text(Property::authentication_method, *packet.authentication_method);
        }
        if (packet.authentication_data) {
            to.binary(Property::authentication_data, *packet.authentication_data);
        }
        if (packet.reason_string) to.text(Property::reason_string, *packet.reason_string);
        to.user(packet.user);
    });
}

}  // namespace

void put(SizeSink& sink, const Connect& packet, ProtocolVersion /*version*/) noexcept {
    put_connect(sink, packet);
}
void put(ByteSink& sink, const Connect& packet, ProtocolVersion /*version*/) noexcept {
    put_connect(sink, packet);
}
void put(SizeSink& sink, const Connack& packet, ProtocolVersion version) noexcept {
    put_connack(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Connack& packet, ProtocolVersion version) noexcept {
    put_connack(sink, packet, version == ProtocolVersion::v5);
}
void put(SizeSink& sink, const Disconnect& packet, ProtocolVersion version) noexcept {
    put_disconnect(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Disconnect& packet, ProtocolVersion version) noexcept {
    put_disconnect(sink, packet, version == ProtocolVersion::v5);
}
void put(SizeSink& sink, const Auth& packet, ProtocolVersion /*version*/) noexcept {
    put_auth(sink, packet);
}
void put(ByteSink& sink, const Auth& packet, ProtocolVersion /*version*/) noexcept {
    put_auth(sink, packet);
}

}  // namespace mitu::mqtt
