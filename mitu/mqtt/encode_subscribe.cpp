// SUBSCRIBE, UNSUBSCRIBE, their acknowledgements, and the builders of what packets borrow.
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/encode_parts.hpp"

namespace mitu::mqtt {
namespace {

template <class Sink>
void put_subscribe(Sink& sink, const Subscribe& packet, bool v5) noexcept {
    sink.u16(packet.packet_id);
    if (v5) {
        put_properties(sink, [&packet](auto& to) {
            if (packet.subscription_identifier) {
                to.id(Property::subscription_identifier);
                to.varint(*packet.subscription_identifier);
            }
            to.user(packet.user);
        });
    }
    ByteView rest = packet.filters.encoded;
    while (const auto entry = SubscriptionList::next(rest)) {
        sink.text(entry->filter);
        sink.u8(options_byte(entry->options, v5));
    }
}

template <class Sink>
void put_suback(Sink& sink, const Suback& packet, bool v5) noexcept {
    sink.u16(packet.packet_id);
    if (v5) {
        put_ack_properties(sink, packet.properties);
        return sink.raw(packet.reasons);
    }
    for (const std::uint8_t code : packet.reasons) {
        sink.u8(is_error(static_cast<ReasonCode>(code)) ? std::uint8_t{0x80} : code);
    }
}

template <class Sink>
void put_unsubscribe(Sink& sink, const Unsubscribe& packet, bool v5) noexcept {
    sink.u16(packet.packet_id);
    if (v5) put_properties(sink, [&packet](auto& to) { to.user(packet.user); });
    ByteView rest = packet.filters.encoded;
    while (const auto filter = FilterList::next(rest)) sink.text(*filter);
}

template <class Sink>
void put_unsuback(Sink& sink, const Unsuback& packet, bool v5) noexcept {
    sink.u16(packet.packet_id);
    if (!v5) return;
    put_ack_properties(sink, packet.properties);
    sink.raw(packet.reasons);
}

/// Makes room for `size` more bytes at the end and gives a sink that writes there.
ByteSink extend(Bytes& bytes, std::size_t size) {
    const std::size_t before = bytes.size();
    bytes.resize(before + size);
    return ByteSink{bytes.data() + before};
}

}  // namespace

void put(SizeSink& sink, const Subscribe& packet, ProtocolVersion version) noexcept {
    put_subscribe(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Subscribe& packet, ProtocolVersion version) noexcept {
    put_subscribe(sink, packet, version == ProtocolVersion::v5);
}
void put(SizeSink& sink, const Suback& packet, ProtocolVersion version) noexcept {
    put_suback(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Suback& packet, ProtocolVersion version) noexcept {
    put_suback(sink, packet, version == ProtocolVersion::v5);
}
void put(SizeSink& sink, const Unsubscribe& packet, ProtocolVersion version) noexcept {
    put_unsubscribe(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Unsubscribe& packet, ProtocolVersion version) noexcept {
    put_unsubscribe(sink, packet, version == ProtocolVersion::v5);
}
void put(SizeSink& sink, const Unsuback& packet, ProtocolVersion version) noexcept {
    put_unsuback(sink, packet, version == ProtocolVersion::v5);
}
void put(ByteSink& sink, const Unsuback& packet, ProtocolVersion version) noexcept {
    put_unsuback(sink, packet, version == ProtocolVersion::v5);
}

bool append_user_property(Bytes& block, std::string_view name, std::string_view value) {
    if (name.size() > text_bytes_max || value.size() > text_bytes_max) return false;
    ByteSink sink = extend(block, 5 + name.size() + value.size());
    sink.id(Property::user_property);
    sink.text(name);
    sink.text(value);
    return true;
}

bool append_subscription_identifier(Bytes& block, std::uint32_t identifier) {
    if (identifier == 0 || identifier > remaining_length_max) return false;
    ByteSink sink = extend(block, 1 + varint_size(identifier));
    sink.id(Property::subscription_identifier);
    sink.varint(identifier);
    return true;
}

bool append_subscription(Bytes& list, std::string_view filter, const SubscriptionOptions& options) {
    if (filter.size() > text_bytes_max) return false;
    ByteSink sink = extend(list, 3 + filter.size());
    sink.text(filter);
    sink.u8(options_byte(options, true));
    return true;
}

bool append_filter(Bytes& list, std::string_view filter) {
    if (filter.size() > text_bytes_max) return false;
    ByteSink sink = extend(list, 2 + filter.size());
    sink.text(filter);
    return true;
}

}  // namespace mitu::mqtt
