// CONNECT, CONNACK, DISCONNECT and AUTH: what flows once for every connection.
#include "mitu/mqtt/decode_parts.hpp"
#include "mitu/mqtt/reasons.hpp"

namespace mitu::mqtt {
namespace {

constexpr unsigned flag_reserved = 0x01;
constexpr unsigned flag_clean_start = 0x02;
constexpr unsigned flag_will = 0x04;
constexpr unsigned flag_will_retain = 0x20;
constexpr unsigned flag_password = 0x40;
constexpr unsigned flag_user_name = 0x80;

constexpr unsigned will_qos_of(unsigned flags) noexcept { return flags >> 3 & 3U; }

void read_protocol(Reader& in, Connect& out) noexcept {
    const std::uint8_t* const name_at = in.at();
    const std::string_view name = as_text(in.binary());
    if (in.failed()) return;
    const bool named_mqtt = name == "MQTT";
    if (!named_mqtt && name != "MQIsdp") {
        in.fail(ReasonCode::unsupported_protocol_version,
                "[MQTT-3.1.2-1] the protocol name is \"MQTT\"", name_at);
        return;
    }
    const std::uint8_t level = in.u8();
    if (in.failed()) return;
    if (named_mqtt ? level == 4 || level == 5 : level == 3) {
        out.version = static_cast<ProtocolVersion>(level);
        return;
    }
    in.fail(ReasonCode::unsupported_protocol_version,
            "[MQTT-3.1.2-2] the protocol version is 3 (MQIsdp), 4 or 5", in.at() - 1);
}

unsigned read_flags(Reader& in, bool v5) noexcept {
    const unsigned flags = in.u8();
    if (in.failed()) return 0;
    const std::uint8_t* const where = in.at() - 1;
    if ((flags & flag_reserved) != 0) {
        in.malformed("[MQTT-3.1.2-3] the reserved flag of CONNECT is 0", where);
    } else if ((flags & flag_will) == 0 && will_qos_of(flags) != 0) {
        in.malformed("[MQTT-3.1.2-11] without a will, the Will QoS is 0", where);
    } else if ((flags & flag_will) == 0 && (flags & flag_will_retain) != 0) {
        in.malformed("[MQTT-3.1.2-13] without a will, Will Retain is 0", where);
    } else if (will_qos_of(flags) == 3) {
        in.malformed("[MQTT-3.1.2-12] the Will QoS is 0, 1 or 2", where);
    } else if (!v5 && (flags & flag_user_name) == 0 && (flags & flag_password) != 0) {
        in.malformed("MQTT 3.1.1 [MQTT-3.1.2-22] there is no password without a user name", where);
    }
    return in.failed() ? 0 : flags;
}

/// Authentication Data without a method has no meaning (section 3.1.2.11.10).
void check_authentication(Reader& in, const PropertyCursor& properties,
                          const std::uint8_t* where) noexcept {
    if (properties.seen(Property::authentication_data) &&
        !properties.seen(Property::authentication_method)) {
        in.fail(ReasonCode::protocol_error,
                "MQTT 5.0 section 3.1.2.11.10: Authentication Data needs an Authentication Method",
                where);
    }
}

void read_connect_properties(Reader& in, ConnectProperties& out) noexcept {
    const std::uint8_t* const where = in.at();
    PropertyCursor property{in, PropertyPlace::connect};
    while (property.next()) {
        switch (property.id()) {
            case Property::session_expiry_interval:
                out.session_expiry_interval_s = property.u32();
                break;
            case Property::receive_maximum:
                out.receive_maximum = property.u16();
                break;
            case Property::maximum_packet_size:
                out.maximum_packet_size = property.u32();
                break;
            case Property::topic_alias_maximum:
                out.topic_alias_maximum = property.u16();
                break;
            case Property::request_response_information:
                out.request_response_information = property.flag();
                break;
            case Property::request_problem_information:
                out.request_problem_information = property.flag();
                break;
            case Property::authentication_method:
                out.authentication_method = property.text();
                break;
            case Property::authentication_data:
                out.authentication_data = property.bytes();
                break;
            default:
                break;
        }
    }
    out.user = property.user();
    check_authentication(in, property, where);
}

void read_will(Reader& in, unsigned flags, bool v5, Will& out) noexcept {
    out.qos = static_cast<QoS>(will_qos_of(flags));
    out.retain = (flags & flag_will_retain) != 0;
    if (v5) {
        PropertyCursor property{in, PropertyPlace::will};
        while (property.next()) {
            if (property.id() == Property::will_delay_interval) {
                out.delay_interval_s = property.u32();
            } else {
                store_message_property(in, property, out.properties);
            }
        }
        out.properties.user = property.user();
    }
    const std::uint8_t* const topic_at = in.at();
    out.topic = in.topic_name(ReasonCode::topic_name_invalid,
                              "[MQTT-4.7.0-1] a Will Topic does not contain wildcards");
    if (out.topic.empty()) {
        in.fail(ReasonCode::topic_name_invalid,
                "[MQTT-4.7.3-1] a Will Topic has at least one character", topic_at);
    }
    out.payload = in.binary();
}

/// Maps a return code of 3.1.1 to the nearest reason code; nullopt: there is no such code.
std::optional<ReasonCode> reason_of_return_code(std::uint8_t code) noexcept {
    switch (code) {
        case 0:
            return ReasonCode::success;
        case 1:
            return ReasonCode::unsupported_protocol_version;
        case 2:
            return ReasonCode::client_identifier_not_valid;
        case 3:
            return ReasonCode::server_unavailable;
        case 4:
            return ReasonCode::bad_user_name_or_password;
        case 5:
            return ReasonCode::not_authorized;
        default:
            return std::nullopt;
    }
}

void read_connack_properties(Reader& in, ConnackProperties& out) noexcept {
    PropertyCursor property{in, PropertyPlace::connack};
    while (property.next()) {
        switch (property.id()) {
            case Property::session_expiry_interval:
                out.session_expiry_interval_s = property.u32();
                break;
            case Property::receive_maximum:
                out.receive_maximum = property.u16();
                break;
            case Property::maximum_qos:
                out.maximum_qos = static_cast<QoS>(property.u32());
                break;
            case Property::retain_available:
                out.retain_available = property.flag();
                break;
            case Property::maximum_packet_size:
                out.maximum_packet_size = property.u32();
                break;
            case Property::assigned_client_identifier:
                out.assigned_client_identifier = property.text();
                break;
            case Property::topic_alias_maximum:
                out.topic_alias_maximum = property.u16();
                break;
            case Property::reason_string:
                out.reason_string = property.text();
                break;
            case Property::wildcard_subscription_available:
                out.wildcard_subscription_available = property.flag();
                break;
            case Property::subscription_identifiers_available:
                out.subscription_identifiers_available = property.flag();
                break;
            case Property::shared_subscription_available:
                out.shared_subscription_available = property.flag();
                break;
            case Property::server_keep_alive:
                out.server_keep_alive_s = property.u16();
                break;
            case Property::response_information:
                out.response_information = property.text();
                break;
            case Property::server_reference:
                out.server_reference = property.text();
                break;
            case Property::authentication_method:
                out.authentication_method = property.text();
                break;
            case Property::authentication_data:
                out.authentication_data = property.bytes();
                break;
            default:
                break;
        }
    }
    out.user = property.user();
}

}  // namespace

void decode_connect(Reader& in, Connect& out) noexcept {
    read_protocol(in, out);
    const bool v5 = out.version == ProtocolVersion::v5;
    const unsigned flags = read_flags(in, v5);
    out.clean_start = (flags & flag_clean_start) != 0;
    out.keep_alive_s = in.u16();
    if (in.failed()) return;
    if (v5) read_connect_properties(in, out.properties);
    const std::uint8_t* const client_id_at = in.at();
    out.client_id = in.text();
    if ((flags & flag_will) != 0) read_will(in, flags, v5, out.will.emplace());
    // In 3.1 the length of the packet counts for more than these two flags (its section 3.1).
    const bool v3_1 = out.version == ProtocolVersion::v3_1;
    const auto is_there = [&](unsigned flag) {
        return (flags & flag) != 0 && !(v3_1 && in.left() == 0);
    };
    if (is_there(flag_user_name)) out.user_name = in.text();
    if (is_there(flag_password)) out.password = in.binary();
    in.expect_end();  // malformed comes before what is only not allowed
    if (!out.client_id.empty()) return;
    if (v3_1) {
        in.fail(ReasonCode::client_identifier_not_valid,
                "MQTT 3.1 section 3.1: the client id has at least one character", client_id_at);
    } else if (!v5 && !out.clean_start) {
        in.fail(ReasonCode::client_identifier_not_valid,
                "MQTT 3.1.1 [MQTT-3.1.3-8] an empty client id needs a clean session", client_id_at);
    }
}

void decode_connack(Reader& in, const DecodeOptions& options, Connack& out) noexcept {
    const std::uint8_t* const flags_at = in.at();
    const unsigned flags = in.u8();
    if ((flags & 0xFEU) != 0) {
        in.malformed("[MQTT-3.2.2-1] reserved Connect Acknowledge Flags are 0", flags_at);
    }
    out.session_present = (flags & 1U) != 0;
    const std::uint8_t code = in.u8();
    if (in.failed()) return;
    if (is_v5(options) && in.left() != 0) {
        if (!may_carry(PacketType::connack, code)) {
            in.fail(ReasonCode::protocol_error,
                    "[MQTT-3.2.2-8] this is not a reason code of CONNACK", in.at() - 1);
        }
        out.reason = static_cast<ReasonCode>(code);
        read_connack_properties(in, out.properties);
    } else if (const std::optional<ReasonCode> reason = reason_of_return_code(code);
               reason && (!is_v5(options) || code == 1)) {
        // A server that knows only 3.1.1 refuses a CONNECT of 5.0 in its own format, code 1.
        out.reason = *reason;
    } else {
        in.malformed(is_v5(options) ? "[MQTT-2.2.2-1] CONNACK has a Property Length"
                                    : "MQTT 3.1.1 section 3.2.2.3: the return code is 0 to 5",
                     in.at() - 1);
    }
    if (out.session_present && out.reason != ReasonCode::success) {
        in.fail(ReasonCode::protocol_error,
                "[MQTT-3.2.2-6] Session Present is 0 when the connection is refused", flags_at);
    }
}

void decode_disconnect(Reader& in, const DecodeOptions& options, Disconnect& out) noexcept {
    if (in.left() == 0) return;
    const std::uint8_t code = in.u8();
    if (!may_carry(PacketType::disconnect, code)) {
        in.fail(ReasonCode::protocol_error,
                "[MQTT-3.14.2-1] this is not a reason code of DISCONNECT", in.at() - 1);
    }
    out.reason = static_cast<ReasonCode>(code);
    // Below a Remaining Length of 2 there is no Property Length (section 3.14.2.2.1).
    if (in.left() == 0) return;
    PropertyCursor property{in, PropertyPlace::disconnect};
    while (property.next()) {
        switch (property.id()) {
            case Property::session_expiry_interval:
                if (options.sender == Sender::server) {
                    in.fail(ReasonCode::protocol_error,
                            "[MQTT-3.14.2-2] a server's DISCONNECT has no Session Expiry Interval",
                            property.at());
                }
                out.session_expiry_interval_s = property.u32();
                break;
            case Property::reason_string:
                out.reason_string = property.text();
                break;
            case Property::server_reference:
                out.server_reference = property.text();
                break;
            default:
                break;
        }
    }
    out.user = property.user();
}

void decode_auth(Reader& in, const DecodeOptions& options, Auth& out) noexcept {
    const std::uint8_t* const where = in.at();
    const bool short_form = in.left() == 0;  // success without properties (section 3.15.2.1)
    const std::uint8_t code = short_form ? std::uint8_t{0} : in.u8();
    out.reason = static_cast<ReasonCode>(code);
    const ReasonCode other_side =
        options.sender == Sender::client ? ReasonCode::success : ReasonCode::re_authenticate;
    if (!may_carry(PacketType::auth, code) || out.reason == other_side) {
        in.fail(ReasonCode::protocol_error,
                "[MQTT-3.15.2-1] this is not a reason code of AUTH from this side", where);
    }
    if (short_form) return;
    PropertyCursor property{in, PropertyPlace::auth};
    while (property.next()) {
        switch (property.id()) {
            case Property::authentication_method:
                out.authentication_method = property.text();
                break;
            case Property::authentication_data:
                out.authentication_data = property.bytes();
                break;
            case Property::reason_string:
                out.reason_string = property.text();
                break;
            default:
                break;
        }
    }
    out.user = property.user();
    if (!out.authentication_method) {
        in.fail(ReasonCode::protocol_error,
                "MQTT 5.0 section 3.15.2.2.2: AUTH has an Authentication Method", where);
    }
}

}  // namespace mitu::mqtt
