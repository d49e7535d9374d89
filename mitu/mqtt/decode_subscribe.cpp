// SUBSCRIBE, UNSUBSCRIBE and their acknowledgements, and the lists they carry.
#include "mitu/mqtt/decode_parts.hpp"
#include "mitu/mqtt/reasons.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::mqtt {
namespace {

constexpr unsigned option_qos = 0x03;
constexpr unsigned option_no_local = 0x04;
constexpr unsigned option_retain_as_published = 0x08;
constexpr unsigned option_reserved_v5 = 0xC0;
constexpr unsigned option_reserved_v3 = 0xFC;

constexpr unsigned retain_handling_of(unsigned options) noexcept { return options >> 4 & 3U; }

std::string_view read_filter(Reader& in) noexcept {
    const std::uint8_t* const where = in.at();
    const std::string_view filter = in.text();
    if (!in.failed() && !is_valid_topic_filter(filter)) {
        in.fail(ReasonCode::topic_filter_invalid,
                "[MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], [MQTT-4.8.2-1], [MQTT-4.8.2-2] "
                "this is not a Topic Filter",
                where);
    }
    return filter;
}

void check_options(Reader& in, std::string_view filter, bool v5) noexcept {
    const unsigned options = in.u8();
    if (in.failed()) return;
    const std::uint8_t* const where = in.at() - 1;
    if ((options & (v5 ? option_reserved_v5 : option_reserved_v3)) != 0) {
        in.malformed("[MQTT-3.8.3-5] reserved bits of the Subscription Options are 0", where);
    } else if ((options & option_qos) == 3) {
        if (v5) {
            in.fail(ReasonCode::protocol_error,
                    "MQTT 5.0 section 3.8.3.1: the Maximum QoS is 0, 1 or 2", where);
        } else {
            in.malformed("MQTT 3.1.1 [MQTT-3.8.3-4] the requested QoS is 0, 1 or 2", where);
        }
    } else if (retain_handling_of(options) == 3) {
        in.fail(ReasonCode::protocol_error,
                "MQTT 5.0 section 3.8.3.1: Retain Handling is 0, 1 or 2", where);
    } else if ((options & option_no_local) != 0 && parse_shared(filter)) {
        in.fail(ReasonCode::protocol_error,
                "[MQTT-3.8.3-4] a Shared Subscription does not have No Local", where);
    }
}

void check_reasons(Reader& in, PacketType type, const DecodeOptions& options, ByteView codes,
                   const char* rule) noexcept {
    if (in.failed()) return;
    if (codes.empty()) {
        in.fail(ReasonCode::protocol_error,
                "[MQTT-3.8.4-6], MQTT 5.0 section 3.11.3: there is a reason code for each filter",
                in.at());
        return;
    }
    for (const std::uint8_t& code : codes) {
        const bool known = is_v5(options) ? may_carry(type, code) : code <= 2 || code == 0x80;
        if (!known) {
            in.fail(ReasonCode::protocol_error, rule, &code);
            return;
        }
    }
}

/// Takes a length and so many bytes off the front; nullopt, and `rest` empty: it is too short.
std::optional<std::string_view> take_text(ByteView& rest) noexcept {
    const ByteView list = rest;
    rest = {};
    if (list.size() < 2) return std::nullopt;
    const auto size = static_cast<std::size_t>((list[0] << 8) | list[1]);
    if (list.size() < 2 + size) return std::nullopt;
    rest = list.subspan(2 + size);
    return as_text(list.subspan(2, size));
}

}  // namespace

void decode_subscribe(Reader& in, const DecodeOptions& options, Subscribe& out) noexcept {
    out.packet_id = in.packet_id();
    if (is_v5(options)) {
        PropertyCursor property{in, PropertyPlace::subscribe};
        while (property.next()) {
            if (property.id() == Property::subscription_identifier) {
                out.subscription_identifier = property.u32();
            }
        }
        out.user = property.user();
    }
    const std::uint8_t* const list_at = in.at();
    if (in.left() == 0) {
        in.fail(ReasonCode::protocol_error, "[MQTT-3.8.3-2] SUBSCRIBE has at least one filter",
                list_at);
    }
    while (in.left() != 0) {
        const std::string_view filter = read_filter(in);
        check_options(in, filter, is_v5(options));
    }
    out.filters.encoded = {list_at, in.at()};
}

void decode_unsubscribe(Reader& in, const DecodeOptions& options, Unsubscribe& out) noexcept {
    out.packet_id = in.packet_id();
    if (is_v5(options)) {
        PropertyCursor property{in, PropertyPlace::unsubscribe};
        while (property.next()) {
        }
        out.user = property.user();
    }
    const std::uint8_t* const list_at = in.at();
    if (in.left() == 0) {
        in.fail(ReasonCode::protocol_error, "[MQTT-3.10.3-2] UNSUBSCRIBE has at least one filter",
                list_at);
    }
    while (in.left() != 0) static_cast<void>(read_filter(in));
    out.filters.encoded = {list_at, in.at()};
}

void decode_suback(Reader& in, const DecodeOptions& options, Suback& out) noexcept {
    out.packet_id = in.packet_id();
    if (is_v5(options)) decode_ack_properties(in, out.properties);
    out.reasons = in.rest();
    check_reasons(in, PacketType::suback, options, out.reasons,
                  "[MQTT-3.9.3-2] this is not a reason code of SUBACK");
}

void decode_unsuback(Reader& in, const DecodeOptions& options, Unsuback& out) noexcept {
    out.packet_id = in.packet_id();
    if (!is_v5(options)) return;
    decode_ack_properties(in, out.properties);
    out.reasons = in.rest();
    check_reasons(in, PacketType::unsuback, options, out.reasons,
                  "[MQTT-3.11.3-2] this is not a reason code of UNSUBACK");
}

std::optional<SubscriptionList::Entry> SubscriptionList::next(ByteView& rest) noexcept {
    const std::optional<std::string_view> filter = take_text(rest);
    if (!filter || rest.empty()) return std::nullopt;
    const unsigned options = rest[0];
    if ((options & option_qos) == 3 || retain_handling_of(options) == 3) {
        rest = {};
        return std::nullopt;
    }
    rest = rest.subspan(1);
    Entry entry;
    entry.filter = *filter;
    entry.options.qos = static_cast<QoS>(options & option_qos);
    entry.options.no_local = (options & option_no_local) != 0;
    entry.options.retain_as_published = (options & option_retain_as_published) != 0;
    entry.options.retain_handling = static_cast<RetainHandling>(retain_handling_of(options));
    return entry;
}

std::optional<std::string_view> FilterList::next(ByteView& rest) noexcept {
    return take_text(rest);
}

}  // namespace mitu::mqtt
