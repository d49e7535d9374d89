#include "mitu/mqtt/properties.hpp"

#include <array>

namespace mitu::mqtt {
namespace {

constexpr std::uint16_t in(PropertyPlace place) noexcept {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(place));
}
template <class... Places>
constexpr std::uint16_t in(PropertyPlace first, Places... others) noexcept {
    return static_cast<std::uint16_t>(in(first) | in(others...));
}

using Table = std::array<PropertyRule, property_id_end>;

constexpr Table make_table() noexcept {
    using enum PropertyPlace;
    using enum PropertyRange;
    using Type = PropertyType;
    Table table{};
    const auto row = [&table](Property id, const PropertyRule& rule) {
        table[static_cast<std::size_t>(id)] = rule;
    };
    row(Property::payload_format_indicator,
        {Type::byte, in(publish, will), zero_or_one,
         "MQTT 5.0 section 3.3.2.3.2: the Payload Format Indicator is 0 or 1"});
    row(Property::message_expiry_interval, {Type::four_bytes, in(publish, will)});
    row(Property::content_type, {Type::text, in(publish, will)});
    row(Property::response_topic, {Type::text, in(publish, will)});
    row(Property::correlation_data, {Type::binary, in(publish, will)});
    row(Property::subscription_identifier,
        {Type::varint, in(publish, subscribe), not_zero,
         "MQTT 5.0 section 3.8.2.1.2: a Subscription Identifier is not 0"});
    row(Property::session_expiry_interval, {Type::four_bytes, in(connect, connack, disconnect)});
    row(Property::assigned_client_identifier, {Type::text, in(connack)});
    row(Property::server_keep_alive, {Type::two_bytes, in(connack)});
    row(Property::authentication_method, {Type::text, in(connect, connack, auth)});
    row(Property::authentication_data, {Type::binary, in(connect, connack, auth)});
    row(Property::request_problem_information,
        {Type::byte, in(connect), zero_or_one,
         "MQTT 5.0 section 3.1.2.11.7: Request Problem Information is 0 or 1"});
    row(Property::will_delay_interval, {Type::four_bytes, in(will)});
    row(Property::request_response_information,
        {Type::byte, in(connect), zero_or_one,
         "MQTT 5.0 section 3.1.2.11.6: Request Response Information is 0 or 1"});
    row(Property::response_information, {Type::text, in(connack)});
    row(Property::server_reference, {Type::text, in(connack, disconnect)});
    row(Property::reason_string, {Type::text, in(connack, acknowledgement, disconnect, auth)});
    row(Property::receive_maximum, {Type::two_bytes, in(connect, connack), not_zero,
                                    "MQTT 5.0 section 3.1.2.11.3: Receive Maximum is not 0"});
    row(Property::topic_alias_maximum, {Type::two_bytes, in(connect, connack)});
    row(Property::topic_alias,
        {Type::two_bytes, in(publish), not_zero, "[MQTT-3.3.2-8] a Topic Alias is not 0"});
    row(Property::maximum_qos, {Type::byte, in(connack), zero_or_one,
                                "MQTT 5.0 section 3.2.2.3.4: Maximum QoS is 0 or 1"});
    row(Property::retain_available, {Type::byte, in(connack), zero_or_one,
                                     "MQTT 5.0 section 3.2.2.3.5: Retain Available is 0 or 1"});
    row(Property::user_property,
        {Type::text_pair, in(connect, will, connack, publish, acknowledgement, subscribe,
                             unsubscribe, disconnect, auth)});
    row(Property::maximum_packet_size,
        {Type::four_bytes, in(connect, connack), not_zero,
         "MQTT 5.0 section 3.1.2.11.4: Maximum Packet Size is not 0"});
    row(Property::wildcard_subscription_available,
        {Type::byte, in(connack), zero_or_one,
         "MQTT 5.0 section 3.2.2.3.11: Wildcard Subscription Available is 0 or 1"});
    row(Property::subscription_identifiers_available,
        {Type::byte, in(connack), zero_or_one,
         "MQTT 5.0 section 3.2.2.3.12: Subscription Identifier Available is 0 or 1"});
    row(Property::shared_subscription_available,
        {Type::byte, in(connack), zero_or_one,
         "MQTT 5.0 section 3.2.2.3.13: Shared Subscription Available is 0 or 1"});
    return table;
}

constexpr Table rules = make_table();
constexpr PropertyRule no_rule{};

/// A property taken off a block that was validated when it was decoded, or made by a caller of
/// encode(). Nothing is judged but whether it lies within the block.
struct RawProperty {
    Property id = Property::user_property;
    ByteView value;
};

/// nullopt: the block is at its end, or what follows is not a property.
std::optional<RawProperty> next_raw(ByteView& rest) noexcept {
    const ByteView block = rest;
    rest = {};
    if (block.empty()) return std::nullopt;
    const PropertyRule& rule = property_rule(block[0]);
    const ByteView after_id = block.subspan(1);
    std::size_t size = 0;
    const auto counted = [&after_id](std::size_t from) -> std::size_t {
        if (after_id.size() < from + 2) return after_id.size() + 1;
        return from + 2 + static_cast<std::size_t>((after_id[from] << 8) | after_id[from + 1]);
    };
    switch (rule.type) {
        case PropertyType::none:
            return std::nullopt;
        case PropertyType::byte:
            size = 1;
            break;
        case PropertyType::two_bytes:
            size = 2;
            break;
        case PropertyType::four_bytes:
            size = 4;
            break;
        case PropertyType::varint: {
            const VarInt number = read_varint(after_id.data(), after_id.size());
            if (number.state != VarInt::State::whole) return std::nullopt;
            size = number.bytes;
            break;
        }
        case PropertyType::text:
        case PropertyType::binary:
            size = counted(0);
            break;
        case PropertyType::text_pair:
            size = counted(counted(0));
            break;
    }
    if (size > after_id.size()) return std::nullopt;
    rest = after_id.subspan(size);
    return RawProperty{static_cast<Property>(block[0]), after_id.first(size)};
}

}  // namespace

const PropertyRule& property_rule(std::uint8_t id) noexcept {
    return id < property_id_end ? rules[id] : no_rule;
}

PropertyCursor::PropertyCursor(Reader& reader, PropertyPlace place) noexcept
    : in_{reader}, wide_end_{nullptr}, property_at_{nullptr}, place_{place} {
    if (in_.left() == 0) in_.malformed("[MQTT-2.2.2-1] there is a Property Length", in_.at());
    const std::uint32_t size = in_.varint();
    wide_end_ = in_.narrow(size);
    property_at_ = in_.at();
    if (!in_.failed()) block_ = {in_.at(), size};
}

bool PropertyCursor::next() noexcept {
    while (in_.left() != 0) {
        property_at_ = in_.at();
        // The identifier is a Variable Byte Integer, but all that exist fit one byte.
        const std::uint32_t id = in_.varint();
        if (in_.failed()) return false;
        const PropertyRule& rule =
            property_rule(id < property_id_end ? static_cast<std::uint8_t>(id) : std::uint8_t{0});
        if (!rule.allowed_in(place_)) {
            in_.malformed("MQTT 5.0 section 2.2.2.2: this packet may not carry that property",
                          property_at_);
            return false;
        }
        // The table has said that there is such a property. NOLINTNEXTLINE(*EnumCastOutOfRange)
        id_ = static_cast<Property>(id);
        const bool may_repeat =
            id_ == Property::user_property ||
            (id_ == Property::subscription_identifier && place_ == PropertyPlace::publish);
        if (seen(id_) && !may_repeat) {
            in_.fail(ReasonCode::protocol_error,
                     "MQTT 5.0 section 3: it is a Protocol Error to include this property twice",
                     property_at_);
            return false;
        }
        seen_ |= std::uint64_t{1} << id;
        if (rule.type == PropertyType::text_pair) {
            static_cast<void>(in_.text());
            static_cast<void>(in_.text());
            continue;
        }
        read_value(rule);
        return !in_.failed();
    }
    in_.widen(wide_end_);
    return false;
}

void PropertyCursor::read_value(const PropertyRule& rule) noexcept {
    switch (rule.type) {
        case PropertyType::byte:
            number_ = in_.u8();
            break;
        case PropertyType::two_bytes:
            number_ = in_.u16();
            break;
        case PropertyType::four_bytes:
            number_ = in_.u32();
            break;
        case PropertyType::varint:
            number_ = in_.varint();
            break;
        case PropertyType::binary:
            bytes_ = in_.binary();
            return;
        case PropertyType::text:
            bytes_ = as_bytes(in_.text());
            return;
        case PropertyType::text_pair:
        case PropertyType::none:
            return;
    }
    const bool in_range = rule.range == PropertyRange::any ||
                          (rule.range == PropertyRange::not_zero && number_ != 0) ||
                          (rule.range == PropertyRange::zero_or_one && number_ <= 1);
    if (in_range) return;
    in_.fail(
        id_ == Property::topic_alias ? ReasonCode::topic_alias_invalid : ReasonCode::protocol_error,
        rule.range_rule, property_at_ + 1);
}

std::optional<UserProperties::Pair> UserProperties::next(ByteView& rest) noexcept {
    while (const std::optional<RawProperty> property = next_raw(rest)) {
        if (property->id != Property::user_property) continue;
        const ByteView value = property->value;
        const auto name_bytes = static_cast<std::size_t>((value[0] << 8) | value[1]);
        return Pair{as_text(value.subspan(2, name_bytes)), as_text(value.subspan(name_bytes + 4))};
    }
    return std::nullopt;
}

std::optional<std::uint32_t> next_subscription_identifier(ByteView& rest) noexcept {
    while (const std::optional<RawProperty> property = next_raw(rest)) {
        if (property->id != Property::subscription_identifier) continue;
        return read_varint(property->value.data(), property->value.size()).value;
    }
    return std::nullopt;
}

}  // namespace mitu::mqtt
