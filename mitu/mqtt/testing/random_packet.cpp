#include "mitu/mqtt/testing/random_packet.hpp"

#include <array>
#include <utility>

#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/reasons.hpp"

namespace mitu::mqtt::testing {

std::uint16_t PacketMaker::u16_from_1() {
    return static_cast<std::uint16_t>(1 + random_.below(65'535));
}

std::uint32_t PacketMaker::u32() {
    // Small numbers and the edges of encodings are worth as much as all others together.
    constexpr std::array<std::uint32_t, 8> edges{0,      1,      0x7F,       0x80,
                                                 0x3FFF, 0x4000, 0xFFFFFFFE, 0xFFFFFFFF};
    return coin() ? edges[random_.below(edges.size())] : static_cast<std::uint32_t>(random_.next());
}

std::string_view PacketMaker::keep(std::string text) {
    return texts_.emplace_back(std::move(text));
}

ByteView PacketMaker::keep_bytes(Bytes bytes) { return bytes_.emplace_back(std::move(bytes)); }

std::string_view PacketMaker::text() {
    constexpr std::array<std::string_view, 8> pieces{"a",  "device",           "\x01", "\x7F", "é",
                                                     "米", "\xF0\x90\x80\x80", "+#/$"};
    std::string out;
    for (auto n = random_.below(6); n > 0; --n) out += pieces[random_.below(pieces.size())];
    return keep(std::move(out));
}

std::string_view PacketMaker::topic() {
    constexpr std::array<std::string_view, 6> levels{"", "a", "thing", "米兔", "$SYS", "x y"};
    std::string out{levels[1 + random_.below(levels.size() - 1)]};
    for (auto n = random_.below(4); n > 0; --n) {
        out += '/';
        out += levels[random_.below(levels.size())];
    }
    return keep(std::move(out));
}

std::string_view PacketMaker::filter() {
    std::string out;
    if (random_.chance(0.2)) out += "$share/group/";
    if (random_.chance(0.1)) {
        out += '#';
        return keep(std::move(out));
    }
    if (coin()) out += "+/";
    out += topic();
    if (coin()) out += "/+";
    if (coin()) out += "/#";
    return keep(std::move(out));
}

ByteView PacketMaker::binary() {
    Bytes out(static_cast<std::size_t>(random_.below(random_.chance(0.05) ? 300 : 12)));
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next());
    return keep_bytes(std::move(out));
}

UserProperties PacketMaker::user() {
    Bytes block;
    if (random_.chance(0.3)) {
        for (auto n = 1 + random_.below(3); n > 0; --n) {
            static_cast<void>(append_user_property(block, text(), text()));
        }
    }
    return {keep_bytes(std::move(block))};
}

ReasonCode PacketMaker::reason(PacketType type) {
    if (coin()) {
        return type == PacketType::auth ? ReasonCode::continue_authentication : ReasonCode::success;
    }
    for (;;) {
        const auto code = static_cast<std::uint8_t>(random_.next());
        if (may_carry(type, code)) return static_cast<ReasonCode>(code);
    }
}

ByteView PacketMaker::reasons(PacketType type, bool v5) {
    constexpr std::array<std::uint8_t, 4> of_3_1_1{0, 1, 2, 0x80};
    Bytes out(static_cast<std::size_t>(1 + random_.below(4)));
    for (auto& code : out) {
        code = v5 ? static_cast<std::uint8_t>(reason(type)) : of_3_1_1[random_.below(4)];
    }
    return keep_bytes(std::move(out));
}

template <class Draw>
auto PacketMaker::perhaps(Draw draw) -> std::optional<decltype(draw())> {
    if (!random_.chance(0.3)) return std::nullopt;
    return draw();
}

void PacketMaker::fill_message(PublishProperties& properties) {
    properties.payload_is_utf8 = perhaps([this] { return coin(); });
    properties.message_expiry_interval_s = perhaps([this] { return u32(); });
    properties.response_topic = perhaps([this] { return topic(); });
    properties.correlation_data = perhaps([this] { return binary(); });
    properties.content_type = perhaps([this] { return text(); });
    properties.user = user();
}

void PacketMaker::fill(AckProperties& properties) {
    properties.reason_string = perhaps([this] { return text(); });
    properties.user = user();
}

Connect PacketMaker::connect(ProtocolVersion version) {
    const bool v5 = version == ProtocolVersion::v5;
    Connect out;
    out.version = version;
    out.clean_start = coin();
    out.keep_alive_s = u16();
    out.client_id = text();
    if (!v5 && out.client_id.empty()) out.clean_start = true;
    if (out.version == ProtocolVersion::v3_1 && out.client_id.empty()) out.client_id = "c";
    out.user_name = perhaps([this] { return text(); });
    if (v5 || out.user_name) out.password = perhaps([this] { return binary(); });
    if (coin()) {
        Will& will = out.will.emplace();
        will.topic = topic();
        will.payload = binary();
        will.qos = qos();
        will.retain = coin();
        if (v5) {
            will.delay_interval_s = u32();
            fill_message(will.properties);
        }
    }
    if (!v5) return out;
    ConnectProperties& properties = out.properties;
    properties.session_expiry_interval_s = u32();
    if (coin()) properties.receive_maximum = u16_from_1();
    properties.maximum_packet_size = u32();
    properties.topic_alias_maximum = u16();
    properties.request_response_information = coin();
    properties.request_problem_information = coin();
    properties.authentication_method = perhaps([this] { return text(); });
    if (properties.authentication_method) {
        properties.authentication_data = perhaps([this] { return binary(); });
    }
    properties.user = user();
    return out;
}

Connack PacketMaker::connack(bool v5) {
    constexpr std::array<ReasonCode, 6> of_3_1_1{ReasonCode::success,
                                                 ReasonCode::unsupported_protocol_version,
                                                 ReasonCode::client_identifier_not_valid,
                                                 ReasonCode::server_unavailable,
                                                 ReasonCode::bad_user_name_or_password,
                                                 ReasonCode::not_authorized};
    Connack out;
    out.reason = v5 ? reason(PacketType::connack) : of_3_1_1[random_.below(of_3_1_1.size())];
    out.session_present = out.reason == ReasonCode::success && coin();
    if (!v5) return out;
    ConnackProperties& properties = out.properties;
    properties.session_expiry_interval_s = perhaps([this] { return u32(); });
    properties.receive_maximum = perhaps([this] { return u16_from_1(); });
    properties.maximum_qos = perhaps([this] { return static_cast<QoS>(random_.below(2)); });
    properties.retain_available = perhaps([this] { return coin(); });
    properties.maximum_packet_size = perhaps([this] { return u32() | 1U; });
    properties.assigned_client_identifier = perhaps([this] { return text(); });
    properties.topic_alias_maximum = perhaps([this] { return u16(); });
    properties.reason_string = perhaps([this] { return text(); });
    properties.wildcard_subscription_available = perhaps([this] { return coin(); });
    properties.subscription_identifiers_available = perhaps([this] { return coin(); });
    properties.shared_subscription_available = perhaps([this] { return coin(); });
    properties.server_keep_alive_s = perhaps([this] { return u16(); });
    properties.response_information = perhaps([this] { return text(); });
    properties.server_reference = perhaps([this] { return text(); });
    properties.authentication_method = perhaps([this] { return text(); });
    properties.authentication_data = perhaps([this] { return binary(); });
    properties.user = user();
    return out;
}

Publish PacketMaker::publish(Sender sender, bool v5) {
    Publish out;
    out.qos = qos();
    if (out.qos != QoS::at_most_once) {
        out.dup = coin();
        out.packet_id = u16_from_1();
    }
    out.retain = coin();
    out.topic = topic();
    out.payload = binary();
    if (!v5) return out;
    fill_message(out.properties);
    out.properties.topic_alias = perhaps([this] { return u16_from_1(); });
    if (out.properties.topic_alias && coin()) out.topic = {};
    if (sender == Sender::server && coin()) {
        Bytes block;
        for (auto n = random_.below(4); n > 0; --n) {
            const auto identifier =
                static_cast<std::uint32_t>(1 + random_.below(coin() ? 200 : remaining_length_max));
            static_cast<void>(append_subscription_identifier(block, identifier));
        }
        out.properties.subscription_identifiers = keep_bytes(std::move(block));
    }
    return out;
}

template <class Kind>
Kind PacketMaker::ack(PacketType type, bool v5) {
    Kind out;
    out.packet_id = u16_from_1();
    if (!v5) return out;
    out.reason = reason(type);
    fill(out.properties);
    return out;
}

Subscribe PacketMaker::subscribe(bool v5) {
    Subscribe out;
    out.packet_id = u16_from_1();
    Bytes list;
    for (auto n = 1 + random_.below(4); n > 0; --n) {
        const std::string_view chosen = filter();
        SubscriptionOptions options;
        options.qos = qos();
        if (v5) {
            options.no_local = coin() && !chosen.starts_with("$share/");
            options.retain_as_published = coin();
            options.retain_handling = static_cast<RetainHandling>(random_.below(3));
        }
        static_cast<void>(append_subscription(list, chosen, options));
    }
    out.filters.encoded = keep_bytes(std::move(list));
    if (!v5) return out;
    out.subscription_identifier = perhaps(
        [this] { return static_cast<std::uint32_t>(1 + random_.below(remaining_length_max)); });
    out.user = user();
    return out;
}

Suback PacketMaker::suback(bool v5) {
    Suback out;
    out.packet_id = u16_from_1();
    out.reasons = reasons(PacketType::suback, v5);
    if (v5) fill(out.properties);
    return out;
}

Unsubscribe PacketMaker::unsubscribe(bool v5) {
    Unsubscribe out;
    out.packet_id = u16_from_1();
    Bytes list;
    for (auto n = 1 + random_.below(4); n > 0; --n) {
        static_cast<void>(append_filter(list, filter()));
    }
    out.filters.encoded = keep_bytes(std::move(list));
    if (v5) out.user = user();
    return out;
}

Unsuback PacketMaker::unsuback(bool v5) {
    Unsuback out;
    out.packet_id = u16_from_1();
    if (!v5) return out;
    out.reasons = reasons(PacketType::unsuback, true);
    fill(out.properties);
    return out;
}

Disconnect PacketMaker::disconnect(Sender sender, bool v5) {
    Disconnect out;
    if (!v5) return out;
    out.reason = reason(PacketType::disconnect);
    if (sender == Sender::client) {
        out.session_expiry_interval_s = perhaps([this] { return u32(); });
    }
    out.reason_string = perhaps([this] { return text(); });
    out.server_reference = perhaps([this] { return text(); });
    out.user = user();
    return out;
}

Auth PacketMaker::auth(Sender sender) {
    Auth out;
    if (sender == Sender::server && random_.chance(0.2)) return out;  // the short form
    const ReasonCode final =
        sender == Sender::client ? ReasonCode::re_authenticate : ReasonCode::success;
    out.reason = coin() ? ReasonCode::continue_authentication : final;
    out.authentication_method = text();
    out.authentication_data = perhaps([this] { return binary(); });
    out.reason_string = perhaps([this] { return text(); });
    out.user = user();
    return out;
}

Packet PacketMaker::draw(Sender sender, ProtocolVersion version) {
    texts_.clear();
    bytes_.clear();
    const bool v5 = version == ProtocolVersion::v5;
    const bool client = sender == Sender::client;
    switch (random_.below(11)) {
        case 0:
            return ack<Puback>(PacketType::puback, v5);
        case 1:
            return ack<Pubrec>(PacketType::pubrec, v5);
        case 2:
            return ack<Pubrel>(PacketType::pubrel, v5);
        case 3:
            return ack<Pubcomp>(PacketType::pubcomp, v5);
        case 4:
            return client ? Packet{Pingreq{}} : Packet{Pingresp{}};
        case 5:
            return client ? Packet{connect(version)} : Packet{connack(v5)};
        case 6:
            return client ? Packet{subscribe(v5)} : Packet{suback(v5)};
        case 7:
            return client ? Packet{unsubscribe(v5)} : Packet{unsuback(v5)};
        case 8:
            if (client || v5) return disconnect(sender, v5);
            return publish(sender, v5);
        case 9:
            if (v5) return auth(sender);
            return publish(sender, v5);
        default:
            return publish(sender, v5);
    }
}

}  // namespace mitu::mqtt::testing
