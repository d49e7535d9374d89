#pragma once
// The kinds of rows. Each is a column family on disk; its name there is to_text(). The numbers are
// in batches only, never on disk.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mitu::store {

enum class Family : std::uint8_t {
    meta,           // name -> number
    sessions,       // tenant 0 client id -> SessionRecord
    subscriptions,  // session, filter -> SubscriptionRecord
    wills,          // session, will -> WillRecord; with one byte more -> time: it is due since then
    inbound,        // session, packet id -> nothing: a QoS 2 PUBLISH that was taken, no PUBREL yet
    queue,          // session, position -> QueueEntry
    flight,         // session, position -> FlightRecord: what of the queue is on its way
    messages,       // message -> MessageRecord, which several queues refer to
    references,     // message, session or stream -> nothing: who has an entry that does
    released,       // message -> nothing: a reference went away, look whether it was the last
    streams,        // stream, position -> QueueEntry, which many sessions read
    stream_names,   // tenant 0 filter -> stream
    cursors,        // session, stream -> position: the first one that the session still needs
    stream_order,   // stream, position, session -> nothing: the cursors of a stream, the last first
    retained,       // tenant 0 topic -> MessageRecord
    discards,       // session -> nothing: the rows of a session that has ended, to be cleared away
    values,         // space 0 key -> bytes, for other parts
};
inline constexpr std::size_t family_count = static_cast<std::size_t>(Family::values) + 1;

inline constexpr std::array<std::string_view, family_count> family_names{
    "meta",    "sessions",     "subscriptions", "wills",    "inbound", "queue",
    "flight",  "messages",     "references",    "released", "streams", "stream_names",
    "cursors", "stream_order", "retained",      "discards", "values"};

[[nodiscard]] constexpr std::size_t index_of(Family family) noexcept {
    return static_cast<std::size_t>(family);
}

[[nodiscard]] constexpr std::string_view to_text(Family family) noexcept {
    return family_names[static_cast<std::size_t>(family)];
}

[[nodiscard]] constexpr Family family_at(std::size_t index) noexcept {
    return static_cast<Family>(index);
}

}  // namespace mitu::store
