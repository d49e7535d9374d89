// What waits in the store: kept there alone while the client is away or slow, read when its turn
// comes, without a gap and without a repeat.

#include <algorithm>

#include "mitu/broker/session.hpp"

namespace mitu::broker {

using mqtt::QoS;

// --- how much may wait ---

std::uint32_t Session::queue_messages_max() const noexcept {
    return profile_ != nullptr && profile_->queue_messages_max != 0
               ? profile_->queue_messages_max
               : context_.limits.queue_messages_max;
}

std::uint64_t Session::queue_bytes_max() const noexcept {
    return profile_ != nullptr && profile_->queue_bytes_max != 0 ? profile_->queue_bytes_max
                                                                 : context_.limits.queue_bytes_max;
}

bool Session::is_over_the_queue(std::uint32_t more, std::uint64_t bytes) const noexcept {
    const std::uint32_t retained = outbox_ != nullptr ? outbox_->waiting_retained : 0;
    return queued_count() - retained + more > queue_messages_max() ||
           queued_bytes() + bytes > queue_bytes_max();
}

void Session::count_away(std::uint64_t content_bytes) noexcept {
    ++away_count_;
    away_units_ += static_cast<std::uint32_t>((content_bytes + away_unit_bytes) / away_unit_bytes);
}

/// What was written down before this process began was never counted.
void Session::uncount_away(std::uint64_t content_bytes) noexcept {
    if (away_count_ != 0) --away_count_;
    const auto units =
        static_cast<std::uint32_t>((content_bytes + away_unit_bytes) / away_unit_bytes);
    away_units_ = away_count_ == 0 ? 0 : away_units_ - std::min(away_units_, units);
}

bool Session::wants_count() const noexcept {
    constexpr std::uint32_t part = 16;  // of the queue: so far it may be longer than allowed
    return !knows_away_ && !is_attached() &&
           (queued_count() >= queue_messages_max() / part ||
            queued_bytes() >= queue_bytes_max() / part);
}

void Session::set_away(const Away& away) noexcept {
    knows_away_ = true;
    away_count_ = away.messages;
    const std::uint64_t units = away.bytes / away_unit_bytes + away.messages;
    away_units_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(units, 0xFFFF'FFFF));
}

// --- a message comes that stands in the store ---

DeliveryOutcome Session::leave_in_store(const Delivery& delivery) {
    if (is_over_the_queue(1, delivery.content_bytes)) {
        if (delivery.share_serial != 0 && !delivery.must_take()) {
            return DeliveryOutcome::give_to_another;
        }
        count_drop(DropReason::queue_full);
        return DeliveryOutcome::dropped;
    }
    count_away(delivery.content_bytes);
    return DeliveryOutcome::kept;
}

/// The shard has no memory for it, but the store has it: it is read when its turn comes, and what
/// comes after it waits for that.
DeliveryOutcome Session::deliver_later(const Delivery& delivery) {
    if (is_attached()) begin_backlog_at(delivery.stored_id);
    return leave_in_store(delivery);
}

/// So that the next read finds this message. What other shards keep for the session comes in no
/// order: some of what is in memory may stand behind it.
void Session::begin_backlog_at(StoredMessageId message) {
    if (backlog() == nullptr) begin_backlog(last_in_memory());
    Backlog& behind = *backlog();
    if (message <= behind.cursor) {
        behind.in_memory_up_to = std::max(behind.in_memory_up_to, behind.cursor);
        behind.cursor = message - 1;
    }
    if (behind.ticket != 0) behind.cut = std::min(behind.cut, message);
}

bool Session::is_in_memory(StoredMessageId message) const noexcept {
    for (const auto* queue : {&outbox_->inflight, &outbox_->waiting}) {
        for (std::uint32_t i = 0; i < queue->size(); ++i) {
            if (stored_id(queue->at(i)) == message) return true;
        }
    }
    return false;
}

/// For a session that reads from the store, and has not come so far.
DeliveryOutcome Session::deliver_behind(const Delivery& delivery) {
    constexpr std::uint32_t newcomers_max = 1'024;
    Backlog& behind = *backlog();
    // Whatever is read from now on finds it.
    if (behind.ticket == 0 || delivery.stored_id >= behind.cut) return leave_in_store(delivery);
    if (is_over_the_queue(behind.newcomers.size() + 1, delivery.content_bytes)) {
        if (delivery.share_serial != 0 && !delivery.must_take()) {
            return DeliveryOutcome::give_to_another;
        }
        count_drop(DropReason::queue_full);
        return DeliveryOutcome::dropped;
    }
    const auto entry = behind.newcomers.size() < newcomers_max ? entry_for(delivery) : std::nullopt;
    SessionMemory own = memory();
    if (!entry || !behind.newcomers.try_push(own, {*entry, delivery.stored_id})) {
        behind.cut = delivery.stored_id;
        return leave_in_store(delivery);
    }
    return DeliveryOutcome::queued;
}

/// Nullopt: no memory for it.
std::optional<Outgoing> Session::entry_for(const Delivery& delivery) {
    if (try_use_outbox() == nullptr) return std::nullopt;
    const auto identifiers = intern(delivery.identifiers);
    if (!identifiers) return std::nullopt;
    Outgoing entry;
    entry.message = delivery.message;
    entry.identifiers = *identifiers;
    entry.share_serial = delivery.share_serial;
    entry.qos = static_cast<std::uint8_t>(delivery.qos) & 3;
    entry.retain = delivery.retain ? 1 : 0;
    entry.is_retained_replay = delivery.is_retained_replay ? 1 : 0;
    entry.is_kept = delivery.stored_id != 0 ? 1 : 0;
    entry.attempts = delivery.attempts & 0x7F;
    return entry;
}

bool Session::is_far_ahead() const noexcept {
    return outbox_ != nullptr && (outbox_->waiting.size() >= context_.limits.queue_ahead_messages ||
                                  outbox_->waiting_bytes >= context_.limits.queue_ahead_bytes);
}

StoredMessageId Session::stored_id(const Outgoing& entry) const noexcept {
    if (entry.is_kept == 0 || entry.message.is_none()) return 0;
    const memory::ZonePause pause;
    return context_.messages.stored_id(entry.message);
}

StoredMessageId Session::last_in_memory() const noexcept {
    StoredMessageId last = 0;
    if (outbox_ == nullptr) return last;
    for (const auto* queue : {&outbox_->inflight, &outbox_->waiting}) {
        for (std::uint32_t i = 0; i < queue->size(); ++i) {
            last = std::max(last, stored_id(queue->at(i)));
        }
    }
    return last;
}

void Session::begin_backlog(StoredMessageId cursor) {
    SessionMemory own = memory();
    if (try_use_outbox() == nullptr) {
        memory::raise_fault(memory::ZoneFault::no_memory, "no room to read from the store");
    }
    outbox_->backlog = memory::make_in<Backlog>(own);
    outbox_->backlog->cursor = cursor;
    outbox_->backlog->knows_numbers = cursor != 0;
}

void Session::end_backlog() noexcept {
    SessionMemory own = memory();
    for (std::uint32_t i = 0; i < backlog()->newcomers.size(); ++i) {
        forget(backlog()->newcomers.at(i).entry);
    }
    backlog()->free(own);
    own.give_back(outbox_->backlog, sizeof(Backlog));
    outbox_->backlog = nullptr;
}

// --- reading ---

bool Session::wants_backlog() const noexcept {
    return backlog() != nullptr && backlog()->ticket == 0 && is_attached() &&
           (outbox_ == nullptr ||
            outbox_->waiting.size() < context_.limits.queue_ahead_messages / 4);
}

StoredMessageId Session::begin_read(std::uint32_t ticket) noexcept {
    backlog()->ticket = ticket;
    return backlog()->cursor;
}

void Session::add_waiting(Outgoing entry, std::uint64_t content_bytes) {
    SessionMemory own = memory();
    entry.packet_id = outbox_->next_arrival;
    outbox_->waiting.push(own, entry);
    ++outbox_->next_arrival;
    outbox_->waiting_bytes += content_bytes;
}

void Session::take_loaded(const LoadedMessage& loaded, Effects& effects) {
    SessionMemory own = memory();
    if (try_use_outbox() == nullptr) {
        memory::raise_fault(memory::ZoneFault::no_memory, "no room for what the store has");
    }
    Outgoing entry;
    entry.message = loaded.message;
    entry.identifiers = intern(loaded.row.identifiers).value_or(0);
    entry.qos = static_cast<std::uint8_t>(loaded.row.qos) & 3;
    entry.retain = loaded.row.retain ? 1 : 0;
    entry.is_kept = 1;
    if (loaded.row.packet_id == 0) {
        // Rights may have gone while it lay in the store.
        if (!profile_->subscribe.may_subscribe(view(entry).topic, access_variables(*profile_))) {
            erase_row(entry, effects);
            forget(entry);
            count_drop(DropReason::not_authorized);
            return;
        }
        if (entry.qos == 1 && backlog()->repeats_max != 0) {
            --backlog()->repeats_max;
            entry.sent = 1;
        }
        add_waiting(entry, loaded.content_bytes);
        return;
    }
    entry.packet_id = loaded.row.packet_id;
    entry.is_numbered = 1;
    entry.sent = 1;
    entry.awaits_pubcomp = loaded.message.is_none() ? 1 : 0;
    outbox_->ids_are_ordered = outbox_->inflight.empty();
    outbox_->inflight.push(own, entry);
}

void Session::take_backlog(std::uint32_t ticket, std::span<const LoadedMessage> messages,
                           StoredMessageId read_up_to, bool is_end, Effects& effects) {
    const auto give_back = [&](const LoadedMessage& loaded) {
        Outgoing entry;
        entry.message = loaded.message;
        forget(entry);
    };
    if (backlog() == nullptr || backlog()->ticket != ticket) {  // of an earlier connection
        for (const LoadedMessage& loaded : messages) give_back(loaded);
        return;
    }
    fault_point();
    Backlog& behind = *backlog();
    behind.ticket = 0;
    behind.knows_numbers = true;
    StoredMessageId up_to = is_end ? Backlog::no_cut - 1 : std::max(behind.cursor, read_up_to);
    if (behind.cut <= up_to) {
        up_to = std::max(behind.cursor, behind.cut - 1);
        is_end = false;
    }
    // What is on its way is read again if not all of what came with it found room.
    const bool may_have_some = behind.cursor == 0 && !outbox_->inflight.empty();
    for (const LoadedMessage& loaded : messages) {
        const bool is_too_far = loaded.row.packet_id == 0 && loaded.id > up_to;
        const bool is_there = may_have_some && loaded.row.packet_id != 0 &&
                              find_inflight(loaded.row.packet_id).has_value();
        const bool came_before = loaded.row.packet_id == 0 && loaded.id <= behind.in_memory_up_to &&
                                 is_in_memory(loaded.id);
        if (is_too_far || is_there || came_before) {
            give_back(loaded);
            continue;
        }
        if (!loaded.message.is_none()) uncount_away(loaded.content_bytes);
        take_loaded(loaded, effects);
    }
    take_newcomers(messages, up_to);
    behind.cursor = up_to;
    behind.cut = Backlog::no_cut;
    if (is_end) {
        // What expired in the store was counted, and never came.
        away_count_ = away_units_ = 0;
        knows_away_ = true;
        end_backlog();
    }
    fault_point();
}

void Session::put_off_read(std::uint32_t ticket) {
    if (backlog() == nullptr || backlog()->ticket != ticket) return;
    backlog()->ticket = 0;
    take_newcomers({}, backlog()->cursor);  // the next read finds them
    backlog()->cut = Backlog::no_cut;
}

void Session::take_newcomers(std::span<const LoadedMessage> messages, StoredMessageId up_to) {
    auto& newcomers = backlog()->newcomers;
    while (!newcomers.empty()) {
        const Backlog::Newcomer next = newcomers.front();
        newcomers.pop();
        const bool was_read = std::ranges::any_of(
            messages, [&](const LoadedMessage& loaded) { return loaded.id == next.id; });
        const std::uint64_t bytes = content_bytes(next.entry);
        if (!was_read && next.id <= up_to) {
            add_waiting(next.entry, bytes);
            continue;
        }
        if (!was_read) count_away(bytes);  // the next read finds it
        forget(next.entry);
    }
}

// --- the client goes ---

/// Nothing of what the store has needs to stay in memory.
void Session::put_away(Effects& effects) {
    if (backlog() != nullptr) {
        for (std::uint32_t i = 0; i < backlog()->newcomers.size(); ++i) {
            count_away(content_bytes(backlog()->newcomers.at(i).entry));
        }
        end_backlog();
    }
    if (outbox_ == nullptr) return;
    auto& inflight = outbox_->inflight;
    for (std::uint32_t i = 0; i < inflight.size();) {
        const Outgoing entry = inflight.at(i);
        if (entry.is_kept == 0) {
            ++i;
            continue;
        }
        if (!entry.message.is_none()) {
            // A number that is already written down stays what it is; QoS 1 keeps its own too, so
            // that the repeat is one (section 4.4).
            if (entry.qos == 1) {
                QueueEffect effect;
                effect.kind = QueueEffect::Kind::number;
                effect.qos = QoS::at_least_once;
                effect.packet_id = entry.packet_id;
                effect.message = stored_id(entry);
                effects.add(effect);
            }
            count_away(content_bytes(entry));
            forget(entry);
        }
        inflight.erase_at(i);
    }
    outbox_->ids_are_ordered = false;
    auto& waiting = outbox_->waiting;
    for (std::uint32_t i = 0; i < waiting.size();) {
        const Outgoing entry = waiting.at(i);
        if (entry.is_kept == 0) {
            ++i;
            continue;
        }
        const std::uint64_t bytes = content_bytes(entry);
        leave_queue(entry, bytes);
        count_away(bytes);
        forget(entry);
        waiting.erase_at(i);
    }
}

void Session::erase_row(const Outgoing& entry, Effects& effects) {
    if (entry.is_kept == 0 || entry.message.is_none()) return;
    QueueEffect effect;
    effect.kind = QueueEffect::Kind::erase;
    if (entry.is_numbered != 0) effect.packet_id = entry.packet_id;
    effect.message = stored_id(entry);
    effects.add(effect);
}

bool Session::wants_number() const noexcept {
    const Outbox& out = *outbox_;
    const bool knows_numbers = out.backlog == nullptr || out.backlog->knows_numbers;
    return knows_numbers && out.resend_position == out.inflight.size() && !out.waiting.empty() &&
           out.waiting.at(0).is_kept != 0 && out.waiting.at(0).qos == 2 &&
           out.inflight.size() < send_quota_max_ &&
           out.inflight.size() < context_.limits.inflight_max;
}

/// Exactly once: the number under which a message is sent is written down before it is.
void Session::number_waiting(Instant now, Effects& effects) {
    Outbox& out = *outbox_;
    SessionMemory own = memory();
    while (!out.waiting.empty() && out.inflight.size() < send_quota_max_ &&
           out.inflight.size() < context_.limits.inflight_max) {
        Outgoing entry = out.waiting.front();
        if (entry.is_kept == 0 || entry.qos != 2) return;
        const MessageView message = view(entry);
        const std::uint64_t bytes = message.content_bytes();
        if (message.expires_at <= now) {
            out.waiting.pop();
            leave_queue(entry, bytes);
            give_up(entry, DropReason::expired, effects);
            continue;
        }
        entry.packet_id = take_packet_id();
        entry.is_numbered = 1;
        out.inflight.make_room(own);
        fault_point();
        out.waiting.pop();
        leave_queue(entry, bytes);
        out.inflight.push(own, entry);
        QueueEffect effect;
        effect.kind = QueueEffect::Kind::number;
        effect.qos = QoS::exactly_once;
        effect.packet_id = entry.packet_id;
        effect.message = message.stored_id;
        effects.add(effect);
    }
}

// --- as it was when the server began ---

void Session::restore(const KeptSession& kept, Instant now) {
    fault_point();
    profile_ = notes_.profile.get();
    version_ = kept.version;
    expiry_s_ = kept.expiry_s;
    was_cut_by_us_ = kept.detached_at.is_never();
    knows_away_ = false;
    // Time that passed while the server was away does not count for who was connected.
    detached_at_ = kept.detached_at.is_never() ? now : kept.detached_at;
}

void Session::restore_will(const StoredWill& will) {
    SessionMemory own = memory();
    leave_will();
    will_ = ::new (memory::allocate_or_fault(own, sizeof(StoredWill))) StoredWill{will};
}

void Session::restore_filter(std::string_view filter) {
    SessionMemory own = memory();
    if (filters_.add(own, filter) == FilterSet::Added::no_room) {
        memory::raise_fault(memory::ZoneFault::no_memory, "no room for the filters of a session");
    }
}

void Session::restore_incoming(std::uint16_t packet_id) {
    if (find_incoming(packet_id) != nullptr) return;
    SessionMemory own = memory();
    auto& begun = use_inbox().incoming_qos2;
    const auto* const at = std::lower_bound(
        begun.begin(), begun.end(), packet_id,
        [](const Incoming& entry, std::uint16_t id) { return entry.packet_id < id; });
    begun.insert(own, static_cast<std::size_t>(at - begun.begin()), {packet_id, false, true});
}

}  // namespace mitu::broker
