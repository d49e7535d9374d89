#include "mitu/store/record.hpp"

#include <algorithm>

#include "mitu/store/codec.hpp"

namespace mitu::store {
namespace {

constexpr std::uint8_t flag_retain = 0x04;  // beside QoS, which is the two lowest bits
constexpr std::uint8_t flag_expires = 0x08;
constexpr std::uint8_t flag_shared = 0x10;
constexpr std::uint8_t flags_known = 0x1F;

std::uint8_t flags_of(std::uint8_t qos, bool retain, WallTime expires_at) {
    return static_cast<std::uint8_t>((qos & 3) | (retain ? flag_retain : 0) |
                                     (expires_at == wall_never ? 0 : flag_expires));
}

void encode_time(Encoder& encoder, WallTime time) {
    encoder.number(static_cast<std::uint64_t>(std::max<std::int64_t>(time.unix_ms, 0)));
}

/// A time with never as its common case: 0, or one more than the time.
void encode_deadline(Encoder& encoder, WallTime time) {
    encoder.number(time == wall_never
                       ? 0
                       : static_cast<std::uint64_t>(std::max<std::int64_t>(time.unix_ms, 0)) + 1);
}

WallTime decode_time(Decoder& decoder) noexcept {
    constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return WallTime{static_cast<std::int64_t>(decoder.number_up_to(max))};
}

WallTime decode_deadline(Decoder& decoder) noexcept {
    const WallTime time = decode_time(decoder);
    return time.unix_ms == 0 ? wall_never : WallTime{time.unix_ms - 1};
}

bool has_known_flags(std::uint8_t flags) noexcept {
    return (flags & ~flags_known) == 0 && (flags & 3) != 3;
}

}  // namespace

void encode(const MessageRecord& record, Bytes& to) {
    Encoder encoder{to};
    encoder.byte(flags_of(record.qos, record.retain, record.expires_at));
    encode_time(encoder, record.stored_at);
    if (record.expires_at != wall_never) encode_time(encoder, record.expires_at);
    encoder.text(record.topic);
    encoder.text(record.publisher);
    encoder.bytes(record.properties);
    append(to, record.payload);  // to the end: its size is what is left
}

std::optional<MessageRecord> decode_message(ByteView bytes) noexcept {
    Decoder decoder{bytes};
    MessageRecord record;
    const std::uint8_t flags = decoder.byte();
    if (!has_known_flags(flags) || (flags & flag_shared) != 0) return std::nullopt;
    record.qos = flags & 3;
    record.retain = (flags & flag_retain) != 0;
    record.stored_at = decode_time(decoder);
    if ((flags & flag_expires) != 0) record.expires_at = decode_time(decoder);
    record.topic = decoder.text();
    record.publisher = decoder.text();
    record.properties = decoder.bytes();
    if (!decoder.is_sound()) return std::nullopt;
    record.payload = decoder.rest();
    return record;
}

void encode(const SessionRecord& record, Bytes& to) {
    Encoder encoder{to};
    encoder.number(record.id.value);
    encoder.byte(record.protocol_version);
    encoder.number(record.expiry_interval_s);
    encode_deadline(encoder, record.expires_at);
    encode_time(encoder, record.last_seen_at);
    encoder.bytes(record.extra);
}

std::optional<SessionRecord> decode_session(ByteView bytes) noexcept {
    Decoder decoder{bytes};
    SessionRecord record;
    record.id = SessionId{decoder.number()};
    record.protocol_version = decoder.byte();
    record.expiry_interval_s = static_cast<std::uint32_t>(decoder.number_up_to(0xFFFF'FFFF));
    record.expires_at = decode_deadline(decoder);
    record.last_seen_at = decode_time(decoder);
    record.extra = decoder.bytes();
    if (!decoder.is_sound() || record.id.value == 0) return std::nullopt;
    return record;
}

void encode(const SubscriptionRecord& record, Bytes& to) {
    Encoder encoder{to};
    encoder.byte(record.options);
    encoder.number(record.identifier);
    if (record.stream.value != 0) encoder.number(record.stream.value);
}

std::optional<SubscriptionRecord> decode_subscription(ByteView bytes) noexcept {
    Decoder decoder{bytes};
    SubscriptionRecord record;
    record.options = decoder.byte();
    record.identifier = static_cast<std::uint32_t>(decoder.number_up_to(0xFFFF'FFFF));
    if (!decoder.is_at_end()) record.stream = StreamId{decoder.number()};
    if (!decoder.is_sound()) return std::nullopt;
    return record;
}

void encode(const WillRecord& record, Bytes& to) {
    Encoder encoder{to};
    encoder.text(record.tenant);
    encoder.text(record.client_id);
    encoder.number(record.delay_s);
    encode(record.message, to);
}

std::optional<WillRecord> decode_will(ByteView bytes) noexcept {
    Decoder decoder{bytes};
    WillRecord record;
    record.tenant = decoder.text();
    record.client_id = decoder.text();
    record.delay_s = static_cast<std::uint32_t>(decoder.number_up_to(0xFFFF'FFFF));
    if (!decoder.is_sound()) return std::nullopt;
    const auto message = decode_message(decoder.rest());
    if (!message) return std::nullopt;
    record.message = *message;
    return record;
}

void encode(const QueueEntry& record, Bytes& to) {
    Encoder encoder{to};
    const bool is_shared = record.message.value != 0;
    encoder.byte(static_cast<std::uint8_t>(flags_of(record.qos, record.retain, record.expires_at) |
                                           (is_shared ? flag_shared : 0)));
    if (record.expires_at != wall_never) encode_time(encoder, record.expires_at);
    const std::size_t count = std::min(record.identifiers.size(), QueueEntry::identifiers_max);
    encoder.number(count);
    for (const std::uint32_t identifier : record.identifiers.first(count)) {
        encoder.number(identifier);
    }
    if (is_shared) {
        encoder.number(record.message.value);
    } else {
        encode(record.body, to);
    }
}

std::optional<DecodedQueueEntry> decode_queue_entry(ByteView bytes) noexcept {
    Decoder decoder{bytes};
    DecodedQueueEntry entry;
    const std::uint8_t flags = decoder.byte();
    if (!has_known_flags(flags)) return std::nullopt;
    entry.qos = flags & 3;
    entry.retain = (flags & flag_retain) != 0;
    if ((flags & flag_expires) != 0) entry.expires_at = decode_time(decoder);
    entry.identifier_count =
        static_cast<std::uint8_t>(decoder.number_up_to(QueueEntry::identifiers_max));
    for (std::size_t i = 0; i < entry.identifier_count; ++i) {
        entry.identifiers[i] = static_cast<std::uint32_t>(decoder.number_up_to(0xFFFF'FFFF));
    }
    if (!decoder.is_sound()) return std::nullopt;
    if ((flags & flag_shared) != 0) {
        entry.message = MessageId{decoder.number()};
        if (!decoder.is_sound() || entry.message.value == 0) return std::nullopt;
    } else {
        entry.body = decoder.rest();
        if (entry.body.empty()) return std::nullopt;
    }
    return entry;
}

void encode(const FlightRecord& record, Bytes& to) {
    append_big_endian(to, record.packet_id);
    to.push_back(static_cast<std::uint8_t>(record.state));
}

std::optional<FlightRecord> decode_flight(ByteView bytes) noexcept {
    if (bytes.size() != 3 || bytes[2] > static_cast<std::uint8_t>(FlightState::released)) {
        return std::nullopt;
    }
    return FlightRecord{read_big_endian<std::uint16_t>(bytes.data()),
                        static_cast<FlightState>(bytes[2])};
}

Bytes encode_count(std::int64_t count) {
    Bytes bytes;
    append_big_endian(bytes, static_cast<std::uint64_t>(count));
    return bytes;
}

std::optional<std::int64_t> decode_count(ByteView bytes) noexcept {
    if (bytes.size() != 8) return std::nullopt;
    return static_cast<std::int64_t>(read_big_endian<std::uint64_t>(bytes.data()));
}

}  // namespace mitu::store
