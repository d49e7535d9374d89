#include "sim/scenario/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "sim/scenario/values.hpp"
#include "sim/scenario/words.hpp"

namespace mitu::sim::scenario {
namespace {

using mqtt::PacketType;

constexpr std::string_view none = "none";

/// Collects the fields of one packet.
class Collector {
public:
    void number(std::string name, std::uint64_t value, bool is_usual = false) {
        fields.push_back({std::move(name), fmt::format("{}", value), false, is_usual, false});
    }
    void flag(std::string name, bool value) { number(std::move(name), value ? 1 : 0, !value); }
    void text(std::string name, std::string_view value) {
        fields.push_back({std::move(name), std::string{value}, false, false, true});
    }
    void word(std::string name, std::string value, bool is_usual = false) {
        fields.push_back({std::move(name), std::move(value), false, is_usual, false});
    }
    void absent(std::string name) {
        fields.push_back({std::move(name), std::string{none}, true, true, false});
    }
    void maybe(std::string name, const std::optional<std::string_view>& value) {
        value ? text(std::move(name), *value) : absent(std::move(name));
    }
    void maybe(std::string name, const std::optional<ByteView>& value) {
        value ? text(std::move(name), as_text(*value)) : absent(std::move(name));
    }
    template <class Number>
        requires std::is_integral_v<Number>
    void maybe(std::string name, const std::optional<Number>& value) {
        value ? number(std::move(name), *value) : absent(std::move(name));
    }
    void maybe_seconds(std::string name, const std::optional<std::uint32_t>& value) {
        value ? word(std::move(name), seconds_text(*value)) : absent(std::move(name));
    }
    void user(const mqtt::UserProperties& properties) {
        std::string all;
        properties.for_each([&](const mqtt::UserProperties::Pair& pair) {
            all += fmt::format("{}{}={}", all.empty() ? "" : " ", pair.name, pair.value);
        });
        all.empty() ? absent("user_properties") : text("user_properties", all);
    }
    void message(const mqtt::PublishProperties& p) {
        maybe_seconds("message_expiry", p.message_expiry_interval_s);
        maybe("payload_format", p.payload_is_utf8);
        maybe("response_topic", p.response_topic);
        maybe("correlation_data", p.correlation_data);
        maybe("content_type", p.content_type);
        user(p.user);
    }
    void reason(mqtt::ReasonCode value) {
        word("reason", reason_text(value), value == mqtt::ReasonCode::success);
    }
    void reasons(ByteView values) {
        std::string all;
        for (const std::uint8_t value : values) {
            all += (all.empty() ? "" : ",") + reason_text(mqtt::ReasonCode{value});
        }
        all.empty() ? absent("reason") : word("reason", all);
    }

    Fields fields;
};

std::string version_text(mqtt::ProtocolVersion version) {
    if (version == mqtt::ProtocolVersion::v5) return "5";
    return version == mqtt::ProtocolVersion::v3_1_1 ? "3.1.1" : "3.1";
}

void collect(Collector& c, const mqtt::Connect& p) {
    c.word("v", version_text(p.version));
    c.text("id", p.client_id);
    c.flag("clean_start", p.clean_start);
    c.word("keep_alive", seconds_text(p.keep_alive_s), p.keep_alive_s == 0);
    c.maybe("user", p.user_name);
    if (p.will) c.text("will", p.will->topic);
    const auto& q = p.properties;
    c.word("session_expiry", seconds_text(q.session_expiry_interval_s),
           q.session_expiry_interval_s == 0);
    c.number("receive_maximum", q.receive_maximum, q.receive_maximum == 65'535);
    c.number("maximum_packet_size", q.maximum_packet_size, q.maximum_packet_size == 0);
    c.number("topic_alias_maximum", q.topic_alias_maximum, q.topic_alias_maximum == 0);
    c.user(q.user);
}

void collect(Collector& c, const mqtt::Connack& p) {
    c.reason(p.reason);
    c.flag("session_present", p.session_present);
    const auto& q = p.properties;
    c.maybe_seconds("session_expiry", q.session_expiry_interval_s);
    c.maybe("receive_maximum", q.receive_maximum);
    c.maybe("maximum_qos",
            q.maximum_qos ? std::optional{static_cast<unsigned>(*q.maximum_qos)} : std::nullopt);
    c.maybe("retain_available", q.retain_available);
    c.maybe("maximum_packet_size", q.maximum_packet_size);
    c.maybe("assigned_client_id", q.assigned_client_identifier);
    c.maybe("topic_alias_maximum", q.topic_alias_maximum);
    c.maybe("wildcard_subscription_available", q.wildcard_subscription_available);
    c.maybe("subscription_identifiers_available", q.subscription_identifiers_available);
    c.maybe("shared_subscription_available", q.shared_subscription_available);
    c.maybe_seconds("server_keep_alive", q.server_keep_alive_s
                                             ? std::optional<std::uint32_t>{*q.server_keep_alive_s}
                                             : std::nullopt);
    c.maybe("response_information", q.response_information);
    c.maybe("server_reference", q.server_reference);
    c.maybe("authentication_method", q.authentication_method);
    c.maybe("authentication_data", q.authentication_data);
    c.maybe("reason_string", q.reason_string);
    c.user(q.user);
}

void collect(Collector& c, const mqtt::Publish& p) {
    c.text("topic", p.topic);
    c.text("payload", as_text(p.payload));
    c.number("bytes", p.payload.size(), p.payload.size() < 64);
    c.number("qos", static_cast<unsigned>(p.qos));
    c.flag("retain", p.retain);
    c.flag("dup", p.dup);
    p.packet_id == 0 ? c.absent("id") : c.number("id", p.packet_id);
    c.maybe("topic_alias", p.properties.topic_alias);
    c.flag("alias_only", p.topic.empty());
    c.message(p.properties);
    std::vector<std::uint32_t> identifiers;
    ByteView rest = p.properties.subscription_identifiers;
    while (const auto id = mqtt::next_subscription_identifier(rest)) identifiers.push_back(*id);
    std::sort(identifiers.begin(), identifiers.end());  // their order is the server's choice
    identifiers.empty()
        ? c.absent("subscription_identifier")
        : c.word("subscription_identifier", fmt::format("{}", fmt::join(identifiers, ",")));
}

void collect(Collector& c, const mqtt::Ack& p) {
    c.number("id", p.packet_id);
    c.reason(p.reason);
    c.maybe("reason_string", p.properties.reason_string);
    c.user(p.properties.user);
}

void collect(Collector& c, const mqtt::Subscribe& p) {
    c.number("id", p.packet_id);
    ByteView rest = p.filters.encoded;
    while (const auto entry = mqtt::SubscriptionList::next(rest)) {
        c.text("filter", entry->filter);
        c.number("qos", static_cast<unsigned>(entry->options.qos));
        c.flag("no_local", entry->options.no_local);
        c.flag("retain_as_published", entry->options.retain_as_published);
        const auto handling = static_cast<unsigned>(entry->options.retain_handling);
        c.number("retain_handling", handling, handling == 0);
    }
    c.maybe("subscription_identifier", p.subscription_identifier);
    c.user(p.user);
}

void collect(Collector& c, const mqtt::Unsubscribe& p) {
    c.number("id", p.packet_id);
    ByteView rest = p.filters.encoded;
    while (const auto filter = mqtt::FilterList::next(rest)) c.text("filter", *filter);
    c.user(p.user);
}

template <class Packet>
    requires(std::is_same_v<Packet, mqtt::Suback> || std::is_same_v<Packet, mqtt::Unsuback>)
void collect(Collector& c, const Packet& p) {
    c.number("id", p.packet_id);
    c.reasons(p.reasons);
    c.maybe("reason_string", p.properties.reason_string);
    c.user(p.properties.user);
}

void collect(Collector& /*c*/, const mqtt::Pingreq& /*p*/) {}
void collect(Collector& /*c*/, const mqtt::Pingresp& /*p*/) {}

void collect(Collector& c, const mqtt::Disconnect& p) {
    c.word("reason", reason_text(p.reason));
    c.maybe_seconds("session_expiry", p.session_expiry_interval_s);
    c.maybe("server_reference", p.server_reference);
    c.maybe("reason_string", p.reason_string);
    c.user(p.user);
}

void collect(Collector& c, const mqtt::Auth& p) {
    c.word("reason", reason_text(p.reason));
    c.maybe("authentication_method", p.authentication_method);
    c.maybe("authentication_data", p.authentication_data);
    c.maybe("reason_string", p.reason_string);
    c.user(p.user);
}

}  // namespace

Fields fields_of(const mqtt::Packet& packet) {
    Collector collector;
    std::visit([&](const auto& p) { collect(collector, p); }, packet);
    return std::move(collector.fields);
}

PacketType type_of(const mqtt::Packet& packet) noexcept {
    // In the order of mqtt::Packet.
    static constexpr PacketType types[] = {
        PacketType::publish,  PacketType::puback,     PacketType::pubrec,   PacketType::pubrel,
        PacketType::pubcomp,  PacketType::pingreq,    PacketType::pingresp, PacketType::connect,
        PacketType::connack,  PacketType::subscribe,  PacketType::suback,   PacketType::unsubscribe,
        PacketType::unsuback, PacketType::disconnect, PacketType::auth};
    static_assert(std::size(types) == std::variant_size_v<mqtt::Packet>);
    return types[packet.index()];
}

const Field* find_field(const Fields& fields, std::string_view name) noexcept {
    const auto it = std::find_if(fields.begin(), fields.end(),
                                 [&](const Field& field) { return field.name == name; });
    return it == fields.end() ? nullptr : &*it;
}

std::string text_of(PacketType type, const Fields& fields) {
    constexpr std::size_t shown_bytes_max = 160;
    std::string text{mqtt::to_text(type)};
    for (const Field& field : fields) {
        if (field.is_usual) continue;
        std::string value = field.value;
        const bool is_long = value.size() > shown_bytes_max;
        if (is_long) value.resize(shown_bytes_max);
        if (field.is_text) value = quote(value);
        text += fmt::format(" {}={}{}", field.name, value, is_long ? "..." : "");
    }
    return text;
}

}  // namespace mitu::sim::scenario
