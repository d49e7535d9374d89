#include "mitu/client/outbox.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"

namespace mitu::client {

namespace {

constexpr std::uint8_t dup_flag = 0x08;

bool is_in_flight(Outbox::Phase phase) noexcept {
    return phase == Outbox::Phase::awaiting_puback || phase == Outbox::Phase::awaiting_pubrec ||
           phase == Outbox::Phase::awaiting_pubcomp;
}

}  // namespace

std::size_t packet_id_offset(ByteView publish) noexcept {
    // Fixed header byte, Remaining Length of 1..4 bytes, topic with its two bytes of length.
    std::size_t offset = 1;
    while ((publish[offset] & 0x80) != 0) ++offset;
    ++offset;
    const std::size_t topic_bytes = static_cast<std::size_t>(publish[offset]) << 8 |
                                    static_cast<std::size_t>(publish[offset + 1]);
    return offset + 2 + topic_bytes;
}

void Outbox::push(Bytes packet, std::uint64_t token, mqtt::QoS qos) {
    MITU_CHECK(qos != mqtt::QoS::at_most_once);
    Entry entry;
    packet_bytes_ += packet.size();
    entry.packet = std::move(packet);
    entry.token = token;
    entry.qos = qos;
    entries_.push_back(std::move(entry));
    ++count_;
}

Outbox::Entry* Outbox::next_queued() noexcept {
    while (cursor_ < entries_.size() && entries_[cursor_].phase != Phase::queued) ++cursor_;
    return cursor_ < entries_.size() ? &entries_[cursor_] : nullptr;
}

void Outbox::begin(Entry& entry, std::uint64_t id_sequence) noexcept {
    MITU_CHECK(entry.phase == Phase::queued);
    if (entry.packet_id != 0) {
        entry.packet[0] |= dup_flag;
    } else {
        entry.id_sequence = id_sequence;
        entry.packet_id = static_cast<std::uint16_t>(1 + id_sequence % 65'535);
        const std::size_t offset = packet_id_offset(entry.packet);
        entry.packet[offset] = static_cast<std::uint8_t>(entry.packet_id >> 8);
        entry.packet[offset + 1] = static_cast<std::uint8_t>(entry.packet_id & 0xFF);
    }
    sent_end_ = std::max(sent_end_, index_of(entry) + 1);
    entry.phase =
        entry.qos == mqtt::QoS::exactly_once ? Phase::awaiting_pubrec : Phase::awaiting_puback;
    ++inflight_count_;
}

Outbox::Entry* Outbox::find(std::uint16_t packet_id) noexcept {
    const auto oldest = oldest_id_sequence();
    if (!oldest || packet_id == 0) return nullptr;
    // Identifiers in use lie within one circle from the oldest, and sequences ascend up to
    // sent_end_.
    const std::uint64_t distance = (packet_id - 1U + 65'535U - *oldest % 65'535) % 65'535;
    const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(head_);
    const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(sent_end_);
    const auto found = std::lower_bound(
        begin, end, *oldest + distance,
        [](const Entry& entry, std::uint64_t sequence) { return entry.id_sequence < sequence; });
    if (found == end || found->packet_id != packet_id || !is_in_flight(found->phase)) {
        return nullptr;
    }
    return &*found;
}

void Outbox::release_packet(Entry& entry) noexcept {
    packet_bytes_ -= entry.packet.size();
    entry.packet = Bytes{};
    entry.phase = Phase::awaiting_pubcomp;
}

void Outbox::finish(Entry& entry) noexcept {
    MITU_CHECK(entry.phase != Phase::done);
    if (is_in_flight(entry.phase)) --inflight_count_;
    if (entry.packet_id == 0) {
        // Never sent: it takes the sequence of the one before, so that sequences still ascend.
        const std::size_t index = index_of(entry);
        if (index > head_) entry.id_sequence = entries_[index - 1].id_sequence;
    }
    packet_bytes_ -= entry.packet.size();
    entry.packet = Bytes{};
    entry.phase = Phase::done;
    --count_;
    drop_done_at_front();
}

std::size_t Outbox::index_of(const Entry& entry) const noexcept {
    return static_cast<std::size_t>(&entry - entries_.data());
}

void Outbox::drop_done_at_front() noexcept {
    while (head_ < entries_.size() && entries_[head_].phase == Phase::done) ++head_;
    cursor_ = std::max(cursor_, head_);
    sent_end_ = std::max(sent_end_, head_);
    if (head_ == entries_.size()) {
        entries_.clear();
        // A burst must not leave its table behind in a device that then idles for hours.
        if (entries_.capacity() > 64) entries_ = {};
    } else if (head_ >= 32 && head_ * 2 >= entries_.size()) {
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    } else {
        return;
    }
    cursor_ -= head_;
    sent_end_ -= head_;
    head_ = 0;
}

void Outbox::requeue_unacknowledged() noexcept {
    for (std::size_t i = head_; i < entries_.size(); ++i) {
        Entry& entry = entries_[i];
        if (entry.phase != Phase::awaiting_puback && entry.phase != Phase::awaiting_pubrec) {
            continue;
        }
        entry.phase = Phase::queued;
        --inflight_count_;
    }
    cursor_ = head_;
}

void Outbox::restart(std::vector<std::uint64_t>& lost) {
    std::erase_if(entries_, [](const Entry& entry) { return entry.phase == Phase::done; });
    std::erase_if(entries_, [&](const Entry& entry) {
        const bool was_sent = entry.packet_id != 0;
        if (!was_sent || entry.qos != mqtt::QoS::exactly_once) return false;
        lost.push_back(entry.token);
        packet_bytes_ -= entry.packet.size();
        --count_;
        return true;
    });
    for (Entry& entry : entries_) {
        entry.phase = Phase::queued;
        entry.packet_id = 0;
        entry.packet[0] &= static_cast<std::uint8_t>(~dup_flag);
    }
    inflight_count_ = 0;
    head_ = cursor_ = sent_end_ = 0;
}

std::optional<std::uint64_t> Outbox::oldest_id_sequence() const noexcept {
    for (std::size_t i = head_; i < entries_.size(); ++i) {
        const Entry& entry = entries_[i];
        if (entry.phase != Phase::done && entry.packet_id != 0) return entry.id_sequence;
        if (entry.phase == Phase::queued) return std::nullopt;  // none behind it was sent
    }
    return std::nullopt;
}

}  // namespace mitu::client
