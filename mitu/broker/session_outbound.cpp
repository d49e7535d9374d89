// Messages for the client: the queue, the flight, the acknowledgements.

#include <algorithm>

#include "mitu/broker/session.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;

// --- into the queue ---

DeliveryOutcome Session::deliver(const Delivery& delivery, Instant now) {
    const bool shared = delivery.share_serial != 0;
    const auto drop = [&](DropReason reason) {
        count_drop(reason, 1, delivery.message);
        return DeliveryOutcome::dropped;
    };
    if (ended_) {
        return shared && !delivery.must_take() ? DeliveryOutcome::give_to_another
                                               : drop(DropReason::session_ended);
    }
    if (delivery.expires_at <= now) return drop(DropReason::expired);
    if (!is_attached()) {
        if (shared && !delivery.must_take()) return DeliveryOutcome::give_to_another;
        if (delivery.qos == QoS::at_most_once) return drop(DropReason::offline_qos0);
    }
    if (delivery.qos == QoS::at_most_once && !shared && queued_count() != 0 &&
        context_.pressure != nullptr &&
        context_.pressure->is_on(admission::SheddingStep::drop_qos0_to_slow)) [[unlikely]] {
        return drop(DropReason::memory_pressure);
    }
    const std::uint64_t bytes = delivery.content_bytes;
    const bool is_kept = delivery.stored_id != 0;
    if (is_kept) {
        if (!is_attached()) return leave_in_store(delivery);
        if (backlog() == nullptr && is_far_ahead()) begin_backlog(last_in_memory());
        if (backlog() != nullptr && delivery.stored_id > backlog()->cursor) {
            return deliver_behind(delivery);
        }
    }
    const auto no_room = [&] {
        if (is_kept && backlog() == nullptr && !is_over_the_queue(1, bytes)) {
            begin_backlog_at(delivery.stored_id);
            return leave_in_store(delivery);
        }
        if (shared && !delivery.must_take()) return DeliveryOutcome::give_to_another;
        return drop(DropReason::queue_full);
    };
    if (!make_room(delivery, bytes)) return no_room();

    // A session that may have no more memory is as full as one whose queue is.
    const auto made = entry_for(delivery);
    if (!made) return no_room();
    Outbox* const out = outbox_;
    Outgoing entry = *made;
    entry.packet_id = out->next_arrival;
    SessionMemory own = memory();
    auto& queue = delivery.qos == QoS::at_most_once ? out->waiting_qos0 : out->waiting;
    if (!queue.try_push(own, entry)) return no_room();
    ++out->next_arrival;
    if (delivery.is_retained_replay) {
        ++out->waiting_retained;
    } else {
        out->waiting_bytes += bytes;
    }
    fault_point();
    return DeliveryOutcome::queued;
}

bool Session::make_room(const Delivery& delivery, std::uint64_t bytes) {
    if (context_.faults.fire(ports::Fault::outbox_full)) return false;
    if (delivery.is_retained_replay) {
        return (outbox_ != nullptr ? outbox_->waiting_retained : 0) <
               context_.limits.queue_retained_max;
    }
    if (bytes > queue_bytes_max()) return false;
    if (outbox_ == nullptr) return !is_over_the_queue(1, bytes);
    Outbox& out = *outbox_;
    // What a SUBSCRIBE brought at once is bounded by itself: it neither pushes live messages out
    // nor is pushed out by them.
    const auto is_full = [&] { return is_over_the_queue(1, bytes); };
    // The oldest QoS 0 message goes first: its sender never asked for more.
    std::uint32_t oldest = 0;
    while (is_full()) {
        while (oldest < out.waiting_qos0.size() &&
               out.waiting_qos0.at(oldest).is_retained_replay != 0) {
            ++oldest;
        }
        if (oldest == out.waiting_qos0.size()) return false;
        const Outgoing evicted = out.waiting_qos0.at(oldest);
        out.waiting_qos0.erase_at(oldest);
        leave_queue(evicted);
        count_drop(DropReason::evicted_qos0, 1, evicted.message);
        forget(evicted);
    }
    return true;
}

void Session::leave_queue(const Outgoing& entry) noexcept {
    leave_queue(entry, content_bytes(entry));
}

void Session::leave_queue(const Outgoing& entry, std::uint64_t content_bytes) noexcept {
    if (entry.is_retained_replay != 0) {
        --outbox_->waiting_retained;
    } else {
        outbox_->waiting_bytes -= content_bytes;
    }
}

std::uint64_t Session::content_bytes(const Outgoing& entry) const noexcept {
    const memory::ZonePause pause;
    return context_.messages.content_bytes(entry.message);
}

void Session::forget(const Outgoing& entry) noexcept {
    if (entry.message.is_none()) return;
    const memory::ZonePause pause;
    context_.messages.release(entry.message);
}

MessageView Session::view(const Outgoing& entry) const noexcept {
    const memory::ZonePause pause;
    return context_.messages.view(entry.message);
}

/// nullopt: no memory for it, and nothing changed.
std::optional<std::uint32_t> Session::intern(std::span<const std::uint32_t> identifiers) {
    if (identifiers.empty()) return 0;
    if (identifiers.size() == 1) return identifiers[0];
    Outbox& out = *outbox_;
    auto& sets = out.identifier_sets;
    if (out.is_empty()) {  // nobody needs them
        sets.clear();
        out.identifier_set_count = 0;
    }
    // Overlapping subscriptions give few distinct sets, again and again.
    for (std::size_t at = 0; at < sets.size(); at += 1 + sets[at]) {
        if (std::ranges::equal(sets.view().subspan(at + 1, sets[at]), identifiers)) {
            return set_flag | static_cast<std::uint32_t>(at);
        }
    }
    SessionMemory own = memory();
    if (!sets.try_reserve(own, sets.size() + 1 + identifiers.size())) return std::nullopt;
    const auto at = static_cast<std::uint32_t>(sets.size());
    sets.push_back(own, static_cast<std::uint32_t>(identifiers.size()));
    sets.append(own, identifiers);
    ++out.identifier_set_count;
    return set_flag | at;
}

std::span<const std::uint32_t> Session::identifiers_of(const Outgoing& entry) const {
    if (entry.identifiers == 0) return {};
    if ((entry.identifiers & set_flag) != 0) {
        const std::uint32_t at = entry.identifiers & ~set_flag;
        const auto sets = outbox_->identifier_sets.view();
        return sets.subspan(at + 1, sets[at]);
    }
    return {&entry.identifiers, 1};
}

// --- onto the wire ---

bool Session::pump(Instant now, OutputBatch& batch, Effects& effects) {
    if (!is_attached() || outbox_ == nullptr) return false;
    fault_point();
    Outbox& out = *outbox_;
    if (resend(now, batch, effects)) return true;
    const bool knows_numbers = out.backlog == nullptr || out.backlog->knows_numbers;
    if (wants_number()) {
        number_waiting(now, effects);
        if (out.resend_position != out.inflight.size()) return true;  // once that is written down
    }
    for (;;) {
        const bool has_quota = knows_numbers && out.resend_position == out.inflight.size() &&
                               out.send_quota_used < send_quota_max_ &&
                               out.inflight.size() < context_.limits.inflight_max;
        const bool has_acknowledged =
            !out.waiting.empty() && has_quota &&
            (out.waiting.front().is_kept == 0 || out.waiting.front().qos != 2);
        if (!has_acknowledged && out.waiting_qos0.empty()) return wants_number();
        if (!batch.has_room()) return true;
        // In the order of arrival, whatever the QoS; only a full window lets QoS 0 overtake.
        const bool is_qos0 =
            !has_acknowledged || (!out.waiting_qos0.empty() &&
                                  arrived_before(out.waiting_qos0.front(), out.waiting.front()));
        if (!pump_one(is_qos0 ? out.waiting_qos0 : out.waiting, now, batch, effects)) return true;
    }
}

bool Session::arrived_before(const Outgoing& a, const Outgoing& b) noexcept {
    return static_cast<std::int16_t>(a.packet_id - b.packet_id) < 0;
}

bool Session::pump_one(memory::ArenaQueue<Outgoing>& queue, Instant now, OutputBatch& batch,
                       Effects& effects) {
    Outgoing entry = queue.front();
    const MessageView view = this->view(entry);
    const bool expired = view.expires_at <= now;
    Sent sent = Sent::impossible;
    if (!expired) {
        entry.packet_id = entry.qos == 0 ? std::uint16_t{0} : take_packet_id();
        sent = send_publish(entry, view, now, batch);
        if (sent == Sent::no_room) return false;
    }
    // Room in flight before it leaves the queue: what is in neither could go to no other member.
    SessionMemory own = memory();
    fault_point();
    if (sent == Sent::yes && entry.qos != 0) outbox_->inflight.make_room(own);
    queue.pop();
    leave_queue(entry, view.content_bytes());
    if (sent == Sent::impossible) {
        give_up(entry, expired ? DropReason::expired : DropReason::too_large_for_client, effects);
        return true;
    }
    if (entry.qos == 0) {
        forget(entry);
        return true;
    }
    entry.sent = 1;
    entry.uses_quota = 1;
    ++outbox_->send_quota_used;
    outbox_->inflight.push(own, entry);
    outbox_->resend_position = outbox_->inflight.size();
    return true;
}

bool Session::resend(Instant now, OutputBatch& batch, Effects& effects) {
    Outbox& out = *outbox_;
    while (out.resend_position < out.inflight.size()) {
        if (!batch.has_room()) return true;
        Outgoing& entry = out.inflight.at(out.resend_position);
        if (entry.awaits_pubcomp != 0) {
            const std::array<std::uint8_t, 4> pubrel{
                0x62, 2, static_cast<std::uint8_t>(entry.packet_id >> 8),
                static_cast<std::uint8_t>(entry.packet_id)};
            batch.copy(pubrel);
            ++out.resend_position;
            continue;
        }
        if (out.send_quota_used >= send_quota_max_) return false;  // goes on with the next PUBACK
        const Sent sent = send_publish(entry, view(entry), now, batch);
        if (sent == Sent::no_room) return true;
        if (sent == Sent::impossible) {  // this connection takes smaller packets than the last
            const Outgoing gone = entry;
            out.inflight.erase_at(out.resend_position);
            give_up(gone, DropReason::too_large_for_client, effects);
            continue;
        }
        entry.sent = 1;
        entry.uses_quota = 1;
        ++out.send_quota_used;
        ++out.resend_position;
    }
    return false;
}

Session::Sent Session::send_publish(Outgoing& entry, const MessageView& view, Instant now,
                                    OutputBatch& batch) {
    mqtt::OutgoingPublish publish;
    publish.dup = entry.sent != 0;
    publish.qos = static_cast<QoS>(entry.qos);
    publish.retain = entry.retain != 0;
    publish.packet_id = entry.packet_id;
    publish.topic = view.topic;
    publish.payload = view.payload;
    bool alias_is_known = false;
    if (version_ == ProtocolVersion::v5) {
        publish.forwarded_properties = view.properties;
        publish.subscription_identifiers = identifiers_of(entry);
        if (!view.expires_at.is_never()) {
            // What is left, rounded up; a message already begun is not cut off at 0.
            const Duration left = view.expires_at - now;
            publish.message_expiry_interval_s = static_cast<std::uint32_t>(
                std::max<std::int64_t>(1, (left.count_ms() + 999) / 1'000));
        }
    }
    auto size = mqtt::publish_size(publish, version_);
    if (size.packet_bytes == 0 || size.packet_bytes > packet_bytes_max_) return Sent::impossible;
    // An alias is learned only with a packet that is really sent.
    if (outgoing_alias_max_ != 0) {
        publish.topic_alias = outgoing_alias(view.topic, alias_is_known);
        if (alias_is_known) publish.topic = {};
        const auto plain = size;
        size = mqtt::publish_size(publish, version_);
        if (size.packet_bytes == 0 || size.packet_bytes > packet_bytes_max_) {
            publish.topic_alias = 0;  // the alias itself made it too large
            publish.topic = view.topic;
            size = plain;
        }
    }
    const MutableByteView room = batch.header(size.header_bytes);
    if (room.empty()) return Sent::no_room;
    const auto written = mqtt::encode_publish_header(publish, version_, room);
    MITU_CHECK(written == size.header_bytes);
    batch.commit(written);
    batch.payload(entry.message, view.payload);
    if (publish.topic_alias != 0 && !alias_is_known) learn_alias(view.topic);
    context_.counters.messages_sent_total.add();
    if (is_traced()) [[unlikely]]
        trace_sent(publish, view.topic);
    return Sent::yes;
}

std::uint16_t Session::outgoing_alias(std::string_view topic, bool& is_known) {
    SessionMemory own = memory();
    if (aliases_ == nullptr) aliases_ = memory::make_in<Aliases>(own);
    auto& names = aliases_->outgoing;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i].view() != topic) continue;
        is_known = true;
        return static_cast<std::uint16_t>(i + 1);
    }
    is_known = false;
    if (names.size() < outgoing_alias_max_) {
        return static_cast<std::uint16_t>(names.size() + 1);
    }
    return static_cast<std::uint16_t>(aliases_->outgoing_next + 1);  // the oldest gives way
}

void Session::learn_alias(std::string_view topic) {
    SessionMemory own = memory();
    auto& names = aliases_->outgoing;
    if (names.size() < outgoing_alias_max_) {
        names.push_back(own, {});
        names.back().set(own, topic);
        return;
    }
    names[aliases_->outgoing_next].set(own, topic);
    aliases_->outgoing_next =
        static_cast<std::uint16_t>((aliases_->outgoing_next + 1) % outgoing_alias_max_);
}

void Session::give_up(const Outgoing& entry, DropReason reason, Effects& effects) {
    count_drop(reason, 1, entry.message);
    if (entry.share_serial != 0 && reason == DropReason::too_large_for_client &&
        entry.attempts != attempts_exhausted) {
        // Another member may take larger packets (MQTT 5.0 section 3.1.2.11.4).
        effects.add(RedispatchEffect{
            entry.message, entry.share_serial, static_cast<std::uint8_t>(entry.attempts + 1),
            entry.is_kept != 0, entry.is_numbered != 0 ? entry.packet_id : std::uint16_t{0}});
        return;
    }
    erase_row(entry, effects);
    forget(entry);
}

std::uint16_t Session::take_packet_id() noexcept {
    if (next_packet_id_ == 0) next_packet_id_ = 1;
    if (outbox_->inflight.empty()) {
        outbox_->ids_are_ordered = true;
    } else {
        while (find_inflight(next_packet_id_)) {
            outbox_->ids_are_ordered = false;  // one old id is overtaken by the whole range
            if (++next_packet_id_ == 0) next_packet_id_ = 1;
        }
    }
    return next_packet_id_++;
}

// --- acknowledgements ---

std::optional<std::uint32_t> Session::find_inflight(std::uint16_t packet_id) const noexcept {
    if (outbox_ == nullptr || outbox_->inflight.empty()) return std::nullopt;
    const auto& inflight = outbox_->inflight;
    if (!outbox_->ids_are_ordered) {
        for (std::uint32_t i = 0; i < inflight.size(); ++i) {
            if (inflight.at(i).packet_id == packet_id) return i;
        }
        return std::nullopt;
    }
    // Ids grow along the queue (they wrap around, differences do not care).
    const std::uint16_t base = inflight.at(0).packet_id;
    const auto wanted = static_cast<std::uint16_t>(packet_id - base);
    std::uint32_t low = 0;
    std::uint32_t high = inflight.size();
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        if (static_cast<std::uint16_t>(inflight.at(middle).packet_id - base) < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == inflight.size() || inflight.at(low).packet_id != packet_id) return std::nullopt;
    return low;
}

void Session::finish_inflight(std::uint32_t position) {
    Outbox& out = *outbox_;
    const Outgoing entry = out.inflight.at(position);
    if (entry.uses_quota != 0) --out.send_quota_used;
    forget(entry);
    out.inflight.erase_at(position);
    if (position < out.resend_position) --out.resend_position;
}

void Session::on_puback(const mqtt::Puback& puback, Effects& effects) {
    const auto position = find_inflight(puback.packet_id);
    // Unknown, or not QoS 1: an answer to what a former connection sent. Nothing to do.
    if (!position || outbox_->inflight.at(*position).qos != 1) return;
    erase_row(outbox_->inflight.at(*position), effects);
    finish_inflight(*position);
}

void Session::on_pubrec(const mqtt::Pubrec& pubrec, Effects& effects) {
    const auto position = find_inflight(pubrec.packet_id);
    if (!position || outbox_->inflight.at(*position).qos != 2) {
        if (!mqtt::is_error(pubrec.reason)) {
            send_ack(PacketType::pubrel, pubrec.packet_id, ReasonCode::packet_identifier_not_found,
                     effects);
        }
        return;
    }
    if (mqtt::is_error(pubrec.reason)) {
        erase_row(outbox_->inflight.at(*position), effects);
        finish_inflight(*position);  // the receiver does not want it [MQTT-4.8.2-6]
        return;
    }
    Outgoing& entry = outbox_->inflight.at(*position);
    if (entry.awaits_pubcomp == 0) {
        if (entry.is_kept != 0) {
            QueueEffect effect;
            effect.kind = QueueEffect::Kind::release;
            effect.message = stored_id(entry);
            effect.packet_id = entry.packet_id;
            effects.add(effect);
        }
        forget(entry);
        entry.message = MessageHandle{};
        entry.awaits_pubcomp = 1;
    }
    send_ack(PacketType::pubrel, pubrec.packet_id, ReasonCode::success, effects);
}

void Session::on_pubcomp(const mqtt::Pubcomp& pubcomp, Effects& effects) {
    const auto position = find_inflight(pubcomp.packet_id);
    if (!position || outbox_->inflight.at(*position).awaits_pubcomp == 0) return;
    if (outbox_->inflight.at(*position).is_kept != 0) {
        QueueEffect effect;
        effect.kind = QueueEffect::Kind::end_release;
        effect.packet_id = pubcomp.packet_id;
        effects.add(effect);
    }
    finish_inflight(*position);
}

void Session::restart_inflight() noexcept {
    if (outbox_ == nullptr) return;
    outbox_->resend_position = 0;
    outbox_->send_quota_used = 0;
    auto& inflight = outbox_->inflight;
    for (std::uint32_t i = 0; i < inflight.size(); ++i) inflight.at(i).uses_quota = 0;
}

}  // namespace mitu::broker
