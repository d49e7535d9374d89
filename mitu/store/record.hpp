#pragma once
// The values of rows: what they hold, and how they are read from bytes that may be damaged.
//
// A record begins with nothing of its own: its layout is that of the store's schema (schema.hpp).
// Fields may be added at the end, where a reader of an older row finds none and takes the default.

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/store/ids.hpp"

namespace mitu::store {

/// Later than every other time: it does not expire.
inline constexpr WallTime wall_never{std::numeric_limits<std::int64_t>::max()};

/// A message. Borrows; so do all records here.
struct MessageRecord {
    std::string_view topic{};
    std::string_view publisher{};  // its client id, for No Local; empty: the server
    ByteView properties{};         // forwarded ones, encoded
    ByteView payload{};
    std::uint8_t qos = 0;
    bool retain = false;
    WallTime stored_at{};
    WallTime expires_at = wall_never;
};

struct SessionRecord {
    SessionId id{};
    std::uint8_t protocol_version = 5;
    std::uint32_t expiry_interval_s = 0;
    WallTime expires_at = wall_never;  // never: it is connected, or does not expire
    WallTime last_seen_at{};
    ByteView extra{};  // the broker's own: limits that must survive
};

struct SubscriptionRecord {
    std::uint8_t options = 0;      // as in SUBSCRIBE: QoS, No Local, Retain As Published, handling
    std::uint32_t identifier = 0;  // 0: none
    StreamId stream{};             // 0: it has none
};

struct WillRecord {
    std::string_view tenant{};
    std::string_view client_id{};
    std::uint32_t delay_s = 0;
    MessageRecord message{};
};

/// One message for one session (or, in a stream, for many).
struct QueueEntry {
    static constexpr std::size_t identifiers_max = 255;

    std::uint8_t qos = 0;  // the effective one
    bool retain = false;   // as it is to be sent
    WallTime expires_at = wall_never;
    std::span<const std::uint32_t>
        identifiers{};    // subscription identifiers; more than the bound are cut
    MessageId message{};  // 0: the message is in `body`
    MessageRecord body{};
};

/// A QueueEntry as it was read: the identifiers lie in it.
struct DecodedQueueEntry {
    std::uint8_t qos = 0;
    bool retain = false;
    WallTime expires_at = wall_never;
    std::array<std::uint32_t, QueueEntry::identifiers_max> identifiers{};
    std::uint8_t identifier_count = 0;
    MessageId message{};
    ByteView body;  // an encoded MessageRecord; empty: it is that of `message`
};

enum class FlightState : std::uint8_t { sent, received, released };  // received: PUBREC has come

struct FlightRecord {
    std::uint16_t packet_id = 0;
    FlightState state = FlightState::sent;
};

void encode(const MessageRecord& record, Bytes& to);
void encode(const SessionRecord& record, Bytes& to);
void encode(const SubscriptionRecord& record, Bytes& to);
void encode(const WillRecord& record, Bytes& to);
void encode(const QueueEntry& record, Bytes& to);
void encode(const FlightRecord& record, Bytes& to);

/// Errors    nullopt: damaged.
/// Lifetime  borrows `bytes`.
[[nodiscard]] std::optional<MessageRecord> decode_message(ByteView bytes) noexcept;
[[nodiscard]] std::optional<SessionRecord> decode_session(ByteView bytes) noexcept;
[[nodiscard]] std::optional<SubscriptionRecord> decode_subscription(ByteView bytes) noexcept;
[[nodiscard]] std::optional<WillRecord> decode_will(ByteView bytes) noexcept;
[[nodiscard]] std::optional<DecodedQueueEntry> decode_queue_entry(ByteView bytes) noexcept;
[[nodiscard]] std::optional<FlightRecord> decode_flight(ByteView bytes) noexcept;

/// A count or a position as a value of its own: eight bytes, big-endian.
[[nodiscard]] Bytes encode_count(std::int64_t count);
[[nodiscard]] std::optional<std::int64_t> decode_count(ByteView bytes) noexcept;

}  // namespace mitu::store
