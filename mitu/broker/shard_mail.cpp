// To and from the other shards.

#include <algorithm>

#include "mitu/broker/shard.hpp"

namespace mitu::broker {

std::uint32_t Shard::inline_bytes_max() const noexcept {
    // Small lanes (simulation) carry small records; whatever is larger goes as a shared block.
    return std::min(limits_.inline_record_bytes_max, lane_record_bytes_max_ / 4);
}

// --- in ---

/// The next record that is seen this turn. The other shard may be writing right now: what it has
/// just published may be seen or not, record by record.
std::optional<memory::Lane::Record> Shard::peek(memory::Lane& lane) const {
    if (ports_.faults.fire(ports::Fault::mail_late)) return std::nullopt;
    return lane.peek();
}

/// What was popped is room for the writer again.
void Shard::release(memory::Lane& lane, ShardId writer) {
    lane.release();
    ports_.mailroom.wake(writer);
}

void Shard::take_mail() {
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (ShardId{i} != id_) take_control(ShardId{i});
    }
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (ShardId{i} != id_) take_deliver(ShardId{i});
    }
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (ShardId{i} != id_) take_publish(ShardId{i});
    }
}

void Shard::take_control(ShardId from) {
    auto& lane = ports_.mailroom.lane(from, id_, LaneKind::control);
    bool any = false;
    while (const auto record = peek(lane)) {
        any = true;
        switch (static_cast<MailKind>(record->kind)) {
            case MailKind::completion: {
                const auto mail = read_completion(record->bytes);
                complete({mail.index, mail.generation, id_}, mail.token, mail.reason, mail.kept,
                         mail.packet_id);
                break;
            }
            case MailKind::connection:
                on_connection_mail(read_connection(record->bytes));
                break;
            default:
                MITU_CHECK_MSG(false, "not for the control lane");
        }
        lane.pop();
    }
    if (any) release(lane, from);
}

void Shard::take_deliver(ShardId from) {
    auto& lane = ports_.mailroom.lane(from, id_, LaneKind::deliver);
    std::uint32_t budget_bytes = limits_.turn_mail_bytes_max;
    bool any = false;
    while (const auto record = peek(lane)) {
        any = true;
        if (static_cast<MailKind>(record->kind) == MailKind::announced) {
            on_announced(read_announce(record->bytes).ticket);
            lane.pop();
            continue;
        }
        const DeliverMail mail = read_deliver(record->bytes);
        if (const auto handle = store(mail.content)) {
            mail.for_each([&](const MailRecipient& r, std::span<const std::uint32_t> identifiers,
                              StoredSessionId kept) {
                deliver_local(*handle, mail.content.message, r, identifiers, kept);
            });
            messages_.release(*handle);
        } else {
            deliver_without_memory(mail);
        }
        if (mail.content.large != nullptr) mail.content.large->release();
        const auto size = static_cast<std::uint32_t>(record->bytes.size());
        lane.pop();
        if (lane.is_worth_releasing()) release(lane, from);
        if (size >= budget_bytes) break;
        budget_bytes -= size;
    }
    if (any) release(lane, from);
}

/// Whoever has a row of it reads it when its turn comes, in order; for the others it is lost.
void Shard::deliver_without_memory(const DeliverMail& mail) {
    const MessageView& message = mail.content.message;
    std::uint64_t lost = 0;
    mail.for_each(
        [&](const MailRecipient& recipient, std::span<const std::uint32_t>, StoredSessionId kept) {
            const SessionRef ref{recipient.index, recipient.generation, id_};
            Session* const session = sessions_.get(ref);
            if (session == nullptr && kept != 0 && recipient.share_serial == 0) {
                // It has ended; or it broke, and is read from the store with what waits there for
                // it.
                if (!sessions_.has(ref)) journal_->erase_row(kept, message.stored_id, false);
                return;
            }
            if (session == nullptr || recipient.is_kept == 0 || recipient.share_serial != 0) {
                ++lost;
                return;
            }
            Delivery delivery;
            delivery.content_bytes = message.content_bytes();
            delivery.qos = static_cast<mqtt::QoS>(recipient.qos);
            delivery.stored_id = message.stored_id;
            auto outcome = DeliveryOutcome::dropped;
            if (!guarded(ref, [&] { outcome = session->deliver_later(delivery); })) return;
            if (outcome == DeliveryOutcome::dropped) return drop_row(ref, delivery.stored_id);
            if (Connection* const connection = find(session->connection())) touch(*connection);
        });
    if (lost != 0) count_no_room(message, lost);
}

void Shard::take_publish(ShardId from) {
    auto& lane = ports_.mailroom.lane(from, id_, LaneKind::publish);
    std::uint32_t budget_bytes = limits_.turn_mail_bytes_max;
    bool any = false;
    while (peers_are_clear() && (journal_ == nullptr || journal_->has_room())) {
        const auto record = peek(lane);
        if (!record) break;
        any = true;
        take_publish_record(*record);
        const auto size = static_cast<std::uint32_t>(record->bytes.size());
        lane.pop();
        if (lane.is_worth_releasing()) release(lane, from);
        if (size >= budget_bytes) break;
        budget_bytes -= size;
    }
    if (any) release(lane, from);
}

void Shard::take_publish_record(const memory::Lane::Record& record) {
    const auto kind = static_cast<MailKind>(record.kind);
    if (kind == MailKind::subscribe) {
        subscribe_here(read_subscription(record.bytes));
        return;
    }
    if (kind == MailKind::unsubscribe) {
        unsubscribe_here(read_subscription(record.bytes));
        return;
    }
    if (kind == MailKind::forget) {
        lost_subscribers_.push_back(read_subscription(record.bytes).subscriber.session);
        return;
    }
    if (kind == MailKind::announce) {
        on_announce(read_announce(record.bytes));
        return;
    }
    const PublishMail mail = read_publish(record.bytes);
    if (kind == MailKind::publish) {
        route_here(mail.content, mail.origin);
    } else if (const auto handle = store(mail.content)) {
        dispatch_shared(*handle, mail.share_serial, mail.attempts, mail.origin);
        messages_.release(*handle);
    } else {
        count_no_room(mail.content.message);
    }
    if (mail.content.large != nullptr) mail.content.large->release();
}

bool Shard::peers_are_clear() const noexcept {
    return std::all_of(peers_.begin(), peers_.end(),
                       [](const Peer& peer) { return peer.deliver.empty(); });
}

// --- out ---

void Shard::send_control(ShardId to, const std::function<bool(memory::Lane&)>& write) {
    Peer& peer = peers_[to.value];
    auto& lane = ports_.mailroom.lane(id_, to, LaneKind::control);
    if (peer.control.empty() && write(lane)) return;
    peer.control.push_back(write);
}

/// Nullopt: it is too large to be copied, and there is no memory for a block. It waits.
std::optional<MailedMessage> Shard::mailable(MessageHandle message) {
    if (messages_.content_bytes(message) <= inline_bytes_max()) {
        return MailedMessage{messages_.view(message), nullptr};
    }
    LargeBlock* const block = messages_.share(message);
    if (block == nullptr) return std::nullopt;
    return MailedMessage{messages_.view(message), block};
}

bool Shard::try_send_deliver(ShardId to, MessageHandle message, const RecipientList& recipients) {
    const auto content = mailable(message);
    auto& lane = ports_.mailroom.lane(id_, to, LaneKind::deliver);
    if (!content || !write_deliver(lane, *content, recipients.bytes(), recipients.count())) {
        return false;
    }
    post_if_much(lane, to);
    return true;
}

bool Shard::try_send_publish(ShardId to, const PublishBacklog& item) {
    auto& lane = ports_.mailroom.lane(id_, to, LaneKind::publish);
    if (item.message.is_none()) return item.subscription(lane);
    PublishMail mail;
    const auto content = mailable(item.message);
    if (!content) return false;
    mail.content = *content;
    mail.origin = item.origin;
    mail.share_serial = item.share_serial;
    mail.attempts = item.attempts;
    return write_publish(lane, item.kind, mail);
}

void Shard::flush_backlogs() {
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = peers_[i];
        const ShardId to{i};
        while (!peer.control.empty() &&
               peer.control.front()(ports_.mailroom.lane(id_, to, LaneKind::control))) {
            peer.control.pop_front();
        }
        while (!peer.deliver.empty()) {
            const DeliverBacklog& item = peer.deliver.front();
            if (item.message.is_none()) {
                auto& lane = ports_.mailroom.lane(id_, to, LaneKind::deliver);
                if (!write_announce(lane, MailKind::announced, item.announced)) break;
            } else {
                if (!try_send_deliver(to, item.message, item.recipients)) break;
                messages_.release(item.message);
            }
            peer.deliver.pop_front();
        }
        while (!peer.publish.empty() && try_send_publish(to, peer.publish.front())) {
            const MessageHandle message = peer.publish.front().message;
            if (!message.is_none()) messages_.release(message);
            peer.publish.pop_front();
        }
    }
}

/// The other shard begins with what there is, while this one writes on.
void Shard::post_if_much(memory::Lane& lane, ShardId to) {
    if (!lane.is_worth_publishing()) return;
    lane.publish();
    ports_.mailroom.wake(to);
}

void Shard::post_mail() {
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        const ShardId to{i};
        if (to == id_) continue;
        bool any = false;
        for (const LaneKind kind : {LaneKind::control, LaneKind::deliver, LaneKind::publish}) {
            auto& lane = ports_.mailroom.lane(id_, to, kind);
            any |= lane.has_unpublished();
            lane.publish();
        }
        if (any) ports_.mailroom.wake(to);
    }
}

}  // namespace mitu::broker
