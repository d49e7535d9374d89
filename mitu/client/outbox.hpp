#pragma once
// The QoS 1 and 2 publishes of one client, from publish() to the last acknowledgement.

#include <cstdint>
#include <optional>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::client {

/// Keeps publishes in the order in which they were given, which is the order they are sent and,
/// after a reconnect, sent again [MQTT-4.6.0-1]. Knows packet identifiers and windows; writes no
/// packet itself.
/// Threading  whoever owns the session.
/// Cost       one allocation per publish (its packet); an acknowledgement finds its publish by
/// binary
///            search. Empty, it owns next to no memory.
class Outbox {
public:
    enum class Phase : std::uint8_t {
        queued,  // waits for the window; with a packet id: was sent on an earlier connection
        awaiting_puback,
        awaiting_pubrec,
        awaiting_pubcomp,  // the packet itself is gone: only PUBREL is owed
        done,              // leaves as soon as those before it have left
    };

    struct Entry {
        Bytes packet;  // an encoded PUBLISH
        std::uint64_t token = 0;
        std::uint64_t id_sequence = 0;  // packet_id is 1 + (id_sequence % 65535)
        std::uint16_t packet_id = 0;    // 0: none yet
        mqtt::QoS qos = mqtt::QoS::at_least_once;
        Phase phase = Phase::queued;
    };

    void push(Bytes packet, std::uint64_t token, mqtt::QoS qos);

    /// The oldest publish that waits, if any; it stays the answer until begin() or finish().
    [[nodiscard]] Entry* next_queued() noexcept;
    /// Puts `entry`, which next_queued() gave, in flight; sets DUP where it was sent before, else
    /// gives it `id_sequence`.
    void begin(Entry& entry, std::uint64_t id_sequence) noexcept;

    /// The publish in flight under `packet_id`. Invalidated by push() and finish().
    [[nodiscard]] Entry* find(std::uint16_t packet_id) noexcept;
    /// PUBREC came: the payload can go.
    void release_packet(Entry& entry) noexcept;
    void finish(Entry& entry) noexcept;

    /// A connection resumes the session: whatever waited for PUBACK or PUBREC is queued again under
    /// its packet id. Those that wait for PUBCOMP stay in flight; walk them with for_each().
    void requeue_unacknowledged() noexcept;
    /// The session is gone on the other side. QoS 1 is queued again as new; QoS 2 that was in
    /// flight is taken out and its token appended to `lost`.
    void restart(std::vector<std::uint64_t>& lost);

    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t i = head_; i < entries_.size(); ++i) {
            if (entries_[i].phase != Phase::done) visit(entries_[i]);
        }
    }

    [[nodiscard]] bool is_empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint32_t inflight_count() const noexcept { return inflight_count_; }
    [[nodiscard]] std::uint64_t packet_bytes() const noexcept { return packet_bytes_; }
    /// The id_sequence given out longest ago and still in use; nullopt: none is.
    [[nodiscard]] std::optional<std::uint64_t> oldest_id_sequence() const noexcept;

private:
    void drop_done_at_front() noexcept;
    [[nodiscard]] std::size_t index_of(const Entry& entry) const noexcept;

    std::vector<Entry> entries_;
    std::size_t head_ = 0;    // entries before it are done
    std::size_t cursor_ = 0;  // no queued entry is before it
    // None from here on was ever sent under its present id; before it, id sequences ascend.
    std::size_t sent_end_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t inflight_count_ = 0;
    std::uint64_t packet_bytes_ = 0;
};

/// Where the packet identifier of an encoded QoS 1 or 2 PUBLISH stands.
[[nodiscard]] std::size_t packet_id_offset(ByteView publish) noexcept;

}  // namespace mitu::client
