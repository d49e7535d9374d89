// What is written down, and what waits for it: answers, deliveries, whole connections.

#include <algorithm>
#include <utility>

#include "mitu/broker/shard.hpp"
#include "mitu/mqtt/topic.hpp"
#include "mitu/ports/trial.hpp"

namespace mitu::broker {

using mqtt::QoS;
using mqtt::ReasonCode;

// --- messages, at the topic's home ---

std::uint32_t Shard::count_rows(QoS qos) const noexcept {
    if (qos == QoS::at_most_once) return 0;
    return static_cast<std::uint32_t>(std::ranges::count_if(
        matches_.recipients,
        [qos](const Recipient& recipient) { return is_kept(recipient, qos); }));
}

namespace {

QueueRow row_for(const Recipient& recipient, const MessageView& message,
                 std::span<const std::uint32_t> identifiers) {
    QueueRow row;
    row.qos = std::min(message.qos, recipient.qos);
    row.retain = recipient.retain_as_published && message.retain;
    row.identifiers = identifiers.subspan(recipient.identifier_begin, recipient.identifier_count);
    return row;
}

}  // namespace

/// Writes down the message, one row for each session that it is kept for, and the number under
/// which it came, all in one batch. Who has a row gets it once that is written; before, a read of
/// the queue could miss what was delivered. True: the publisher is answered later.
bool Shard::keep_and_deliver(MessageHandle handle, std::uint32_t rows, const Origin& origin,
                             ReasonCode outcome) {
    const MessageView message = messages_.view(handle);
    const bool is_sync = journal_->durability(message.tenant) == Durability::sync;
    if (message.retain) {
        if (message.payload.empty()) {
            journal_->erase_retained(message.tenant, message.topic);
        } else {
            journal_->put_retained(message);
        }
    }
    // Exactly once: nobody has it before the number under which it came is written down.
    const bool has_number = origin.kept != 0 && (rows != 0 || journal_->accepts());
    const bool all_wait =
        message.qos == QoS::exactly_once && (rows != 0 || has_number || !origin.will.is_none());
    Awaiting later;
    std::vector<Recipient> at_once;
    if (rows != 0) journal_->put_message(message, rows);
    if (has_number) {
        journal_->put_incoming(origin.kept, origin.packet_id);
        later.is_kept = true;
    }
    for (const Recipient& recipient : matches_.recipients) {
        const bool has_row = rows != 0 && is_kept(recipient, message.qos);
        if (has_row) {
            journal_->put_row(recipient.kept, message,
                              row_for(recipient, message, matches_.identifiers));
        }
        (has_row || all_wait ? later.recipients : at_once).push_back(recipient);
    }
    later.identifiers = matches_.identifiers;
    if (!at_once.empty()) deliver_to(handle, at_once, later.identifiers);

    const bool is_answered_later = origin.token.serial != 0;
    if (later.recipients.empty() && !is_answered_later) return false;
    later.batch = journal_->current();
    later.wants_sync = is_sync;
    later.reason = outcome;
    if (is_answered_later) later.origin = origin;
    messages_.retain(handle);
    later.message = handle;
    wants_sync_ |= is_sync;
    awaiting_.push_back(std::move(later));
    return is_answered_later;
}

/// A message of a shared subscription for its next member, if one of the two has a queue in the
/// store: the new row and the end of the old one are one step. False: neither has.
bool Shard::keep_for_member(MessageHandle handle, std::uint32_t share_serial, std::uint8_t attempts,
                            const Recipient& member, const Origin& refused) {
    const MessageView message = messages_.view(handle);
    const bool has_row = is_kept(member, message.qos) && keeps(message.tenant);
    if (!has_row) {
        if (refused.kept != 0)
            journal_->erase_row(refused.kept, message.stored_id, refused.packet_id != 0);
        return false;
    }
    // Its content may lie in what the store of messages is about to move.
    const Bytes content = [&] {
        Bytes bytes;
        for (const ByteView part : {as_bytes(message.topic), message.properties, message.payload}) {
            bytes.insert(bytes.end(), part.begin(), part.end());
        }
        return bytes;
    }();
    const ByteView all{content};
    MessageView copy = message;
    copy.stored_id = journal_->next_message(false);
    copy.topic = as_text(all.first(message.topic.size()));
    copy.properties = all.subspan(message.topic.size(), message.properties.size());
    copy.payload = all.subspan(message.topic.size() + message.properties.size());
    const auto stored = messages_.add(copy);
    if (!stored) {  // the old row stays, and is read again when its session is
        count_no_room(message);
        return true;
    }
    journal_->put_message(copy, 1);
    journal_->put_row(member.kept, copy, row_for(member, copy, members_.identifiers));
    if (refused.kept != 0)
        journal_->erase_row(refused.kept, message.stored_id, refused.packet_id != 0);
    Awaiting later;
    later.message = *stored;
    later.batch = journal_->current();
    later.wants_sync = journal_->durability(message.tenant) == Durability::sync;
    later.share_serial = share_serial;
    later.attempts = attempts;
    later.recipients = {member};
    later.identifiers = members_.identifiers;
    wants_sync_ |= later.wants_sync;
    awaiting_.push_back(std::move(later));
    return true;
}

Origin Shard::origin_of(const SessionRef& session, bool is_kept) noexcept {
    Origin origin;
    origin.session = session;
    if (is_kept) origin.kept = sessions_.notes(session).kept;
    return origin;
}

void Shard::drop_row(const SessionRef& session, StoredMessageId message) {
    journal_->erase_row(sessions_.notes(session).kept, message, false);
}

// --- sessions and subscriptions ---

void Shard::keep_subscription(TenantId tenant, const SubscribeEffect& effect,
                              Subscriber& subscriber) {
    if (!keeps(tenant)) return;
    const StoredSessionId kept = sessions_.notes(subscriber.session).kept;
    if (kept == 0) return;
    subscriber.kept = kept;
    KeptSubscription entry;
    entry.filter = effect.filter;
    entry.group = effect.group;
    entry.qos = subscriber.qos;
    entry.no_local = subscriber.no_local;
    entry.retain_as_published = subscriber.retain_as_published;
    entry.identifier = subscriber.subscription_identifier;
    journal_->put_subscription(kept, entry);
    wants_hold_ = true;
}

void Shard::forget_subscription(TenantId tenant, const SessionRef& ref,
                                const UnsubscribeEffect& effect) {
    if (!keeps(tenant)) return;
    const StoredSessionId kept = sessions_.notes(ref).kept;
    const Session* const session = sessions_.get(ref);
    // One that ends goes as a whole; one that has broken meanwhile is read from the store again.
    if (kept == 0 || (session != nullptr && session->has_ended())) return;
    journal_->erase_subscription(kept, effect.filter, effect.group);
    wants_hold_ = true;
}

bool Shard::keep_session(Session& session, SessionNotes& notes) {
    if (!keeps(notes.tenant)) return false;
    if (notes.kept == 0) return false;
    KeptSession kept;
    kept.id = notes.kept;
    kept.tenant = notes.tenant;
    kept.client_id = session.client_id();
    kept.expiry_s = session.expiry_s();
    kept.version = session.version();
    kept.detached_at = session.is_attached() ? Instant::never() : session.detached_at();
    journal_->put_session(kept);
    return true;
}

void Shard::forget_session(const SessionRef& ref, SessionNotes& notes) {
    if (journal_ == nullptr) return;
    const Session* const session = sessions_.get(ref);
    if (session == nullptr) return;
    if (notes.kept != 0) {
        journal_->erase_session(notes.kept, notes.tenant, session->client_id());
    }
}

void Shard::apply_to_queue(const SessionRef& session, TenantId tenant, const QueueEffect& effect) {
    const StoredSessionId kept = sessions_.notes(session).kept;
    if (kept == 0 || !keeps(tenant)) return;
    using Kind = QueueEffect::Kind;
    switch (effect.kind) {
        case Kind::number:
            journal_->number_row(kept, effect.message, effect.packet_id);
            if (effect.qos == QoS::exactly_once) wants_hold_ = true;
            break;
        case Kind::erase:
            journal_->erase_row(kept, effect.message, effect.packet_id != 0);
            break;
        case Kind::release:
            journal_->release_row(kept, effect.message, effect.packet_id);
            wants_hold_ = true;
            break;
        case Kind::end_release:
            journal_->erase_released(kept, effect.packet_id);
            break;
        case Kind::erase_incoming:
            journal_->erase_incoming(kept, effect.packet_id);
            wants_hold_ = true;
            break;
    }
}

/// What was put down just now is to be written before the client hears of it.
void Shard::hold(Connection& connection, TenantId tenant) {
    wants_sync_ |= journal_->durability(tenant) == Durability::sync;
    work_of(connection).held_until = journal_->current();
    held_.push_back({journal_->current(), connection.id});
}

// --- wills ---

void Shard::keep_will(const StoredWill& will, TenantId tenant, std::string_view client_id) {
    KeptWill kept;
    kept.id = will.id;
    kept.tenant = tenant;
    kept.client_id = client_id;
    kept.message = messages_.view(will.message);
    kept.delay_s = will.delay_s;
    kept.expiry_s = will.expiry_s;
    journal_->put_will(kept);
}

/// First that it is due, then its message: so whatever is lost with the process, the will or its
/// message is there, and never both.
void Shard::publish_kept_will(const RouteEffect& route, const SessionRef& session) {
    journal_->put_will_due(route.will);
    wills_.push_back(
        {journal_->current(), route.hold, route.message.expires_at, session, route.will});
}

void Shard::release_wills(Journal::Batch written) {
    while (!wills_.empty() && wills_.front().batch <= written) {
        const DueWill will = wills_.front();
        wills_.pop_front();
        MessageView message = messages_.view(will.message);
        message.expires_at = will.expires_at;
        Origin origin;
        origin.session = will.session;
        origin.will = will.id;
        route(message, origin);
        messages_.release(will.message);
    }
}

/// Its message is put down, or nobody will have it.
void Shard::forget_will_of(const Origin& origin) {
    if (!origin.will.is_none()) journal_->erase_will(origin.will);
}

/// What a client publishes comes behind the will of its last connection, also if it does not wait
/// for CONNACK. Wills wait for one batch: nobody looks whose they are.
void Shard::wait_for_wills(Connection& connection) {
    if (wills_.empty()) return;
    Connection::Work& work = work_of(connection);
    work.holds_input = true;
    if (work.held_until != 0) return;
    work.held_until = wills_.back().batch;
    held_.push_back({work.held_until, connection.id});
}

// --- how far it has come ---

bool Shard::has_journal_news() const noexcept {
    if (journal_->has_chunk() || journal_->has_put()) return true;
    const Journal::Progress progress = journal_->progress();
    if (!wills_.empty() && wills_.front().batch <= progress.written) return true;
    if (!held_.empty() && held_.front().batch <= progress.synced) return true;
    if (awaiting_.empty() || !peers_are_clear()) return false;
    const Awaiting& next = awaiting_.front();
    return next.batch <= (next.wants_sync ? progress.synced : progress.written);
}

void Shard::run_journal() {
    const Journal::Progress progress = journal_->progress();
    while (!awaiting_.empty() && peers_are_clear()) {
        const Awaiting& front = awaiting_.front();
        if (front.batch > (front.wants_sync ? progress.synced : progress.written)) break;
        Awaiting next = std::move(awaiting_.front());
        awaiting_.pop_front();
        settle_awaiting(next);
    }
    release_wills(progress.written);
    while (!held_.empty() && held_.front().batch <= progress.synced) {
        Connection* const connection = find(held_.front().connection);
        held_.pop_front();
        if (connection == nullptr || !connection->work) continue;
        connection->work->holds_input = false;
        if (connection->work->held_until > progress.synced) {
            if (connection->is_paused) resume_later(*connection);
            continue;
        }
        connection->work->held_until = 0;
        ports::pass_trial(ports::TrialPoint::shard_hold_ended);
        touch(*connection);
        if (connection->is_paused) resume_later(*connection);
    }
    while (const QueueChunk* const chunk = journal_->take_chunk()) on_chunk(*chunk);
    while (const auto count = journal_->take_count()) on_counted(*count);
    while (const RecalledSession* const recalled = journal_->take_recalled()) {
        on_recalled(*recalled);
    }
}

void Shard::settle_awaiting(Awaiting& awaiting) {
    if (awaiting.announce.ticket != 0) return announce(awaiting.announce);
    ports::pass_trial(ports::TrialPoint::shard_before_answer);
    if (awaiting.share_serial != 0) {
        deliver_to_member(awaiting.message, awaiting.share_serial, awaiting.attempts,
                          awaiting.recipients.front(), awaiting.identifiers);
    } else if (!awaiting.recipients.empty()) {
        deliver_to(awaiting.message, awaiting.recipients, awaiting.identifiers);
    }
    const Origin& origin = awaiting.origin;
    complete(origin.session, origin.token, awaiting.reason, awaiting.is_kept ? origin.kept : 0,
             origin.packet_id);
    ports::pass_trial(ports::TrialPoint::shard_answered);
    messages_.release(awaiting.message);
}

void Shard::end_journal_turn() {
    journal_->hand_over(wants_sync_);
    wants_sync_ = false;
}

// --- reading ---

void Shard::read_backlog(const SessionRef& ref) {
    constexpr std::uint32_t messages_max = 128;
    Session* const session = sessions_.get(ref);
    if (session == nullptr || !session->wants_backlog() || reads_later(ref)) return;
    const std::uint32_t ticket = next_ticket();
    const StoredMessageId after = session->begin_read(ticket);
    reading_[ticket].session = ref;
    journal_->read_queue(sessions_.notes(ref).kept, after, messages_max, limits_.queue_ahead_bytes,
                         ticket);
}

/// What was read may have been put down by another shard a moment ago, and its delivery be still on
/// the way: the session would get it twice. So every shard is asked to deliver first what it has
/// put down; what the session is given meanwhile, it remembers as newcomers.
void Shard::on_chunk(const QueueChunk& chunk) {
    const auto it = reading_.find(chunk.ticket);
    if (it == reading_.end()) return;
    Reading& reading = it->second;
    Session* const session = sessions_.get(reading.session);
    if (session == nullptr || !session->is_attached()) {
        reading_.erase(it);
        return;
    }
    if (chunk.is_failed) {
        const SessionRef ref = reading.session;
        reading_.erase(it);
        if (guarded(ref, [&] { session->put_off_read(chunk.ticket); })) read_later(ref);
        return;
    }
    bool was_refused = false;
    reading.up_to = chunk.up_to;
    reading.is_end = chunk.is_end;
    for (const QueuedMessage& queued : chunk.messages) {
        LoadedMessage loaded;
        loaded.row = queued.row;
        loaded.id = queued.message.stored_id;
        if (!queued.is_released) {
            MessageView message = queued.message;
            message.tenant = session->tenant();
            const auto handle = messages_.add(message);
            if (!handle) {                   // what is left is read again
                messages_.forget_refusal();  // nothing is lost
                was_refused = true;
                reading.is_end = false;
                const bool is_numbered = reading.messages.empty() || queued.row.packet_id != 0;
                reading.up_to = is_numbered ? 0 : reading.messages.back().id;
                break;
            }
            loaded.message = *handle;
            loaded.content_bytes = queued.message.content_bytes();
        }
        const auto& identifiers = queued.row.identifiers;
        reading.identifiers.insert(reading.identifiers.end(), identifiers.begin(),
                                   identifiers.end());
        reading.messages.push_back(loaded);
    }
    if (was_refused) {
        read_later(reading.session);
    } else if (!slow_reads_.empty()) {
        slow_reads_.erase(reading.session.index);
    }
    reading.awaited = static_cast<std::uint32_t>(peers_.size());
    ask_announce(chunk.ticket);
}

// --- reading again ---

/// Who asks at once again is refused at once again.
void Shard::read_later(const SessionRef& session) {
    constexpr Duration at_first = Duration::milliseconds(20);
    constexpr Duration at_most = Duration::seconds(5);
    constexpr std::uint32_t doublings_max = 8;
    SlowRead& slow = slow_reads_[session.index];
    if (slow.session != session) slow = {session, {}, 0};
    const std::int64_t times = std::int64_t{1} << std::min(slow.attempts++, doublings_max);
    slow.at = now_ + std::min(at_first * times, at_most);
}

bool Shard::reads_later(const SessionRef& session) {
    if (slow_reads_.empty()) return false;
    const auto it = slow_reads_.find(session.index);
    return it != slow_reads_.end() && it->second.session == session && !it->second.at.is_never() &&
           it->second.at > now_;
}

void Shard::run_slow_reads() {
    for (auto it = slow_reads_.begin(); it != slow_reads_.end();) {
        SlowRead& slow = it->second;
        Session* const session = sessions_.get(slow.session);
        if (session == nullptr || !session->is_attached()) {
            it = slow_reads_.erase(it);
            continue;
        }
        if (slow.at <= now_) {
            slow.at = Instant::never();  // it is being read; how often it was tried stays
            if (Connection* const connection = find(session->connection())) touch(*connection);
        }
        ++it;
    }
}

// --- counting ---

std::uint32_t Shard::next_ticket() noexcept {
    const std::uint32_t ticket = next_ticket_++;
    if (next_ticket_ == 0) next_ticket_ = 1;
    return ticket;
}

/// A session that came from the store has a queue that was never counted. It is, before that could
/// make it much longer than it may be.
void Shard::count_if_wanted(const SessionRef& ref) {
    constexpr std::size_t counted_at_once_max = 64;
    const Session* const session = sessions_.get(ref);
    if (session == nullptr || !session->wants_count() || counting_.size() >= counted_at_once_max) {
        return;
    }
    for (const auto& [ticket, counting] : counting_) {
        if (counting.session == ref) return;
    }
    const std::uint32_t ticket = next_ticket();
    counting_[ticket] = {ref, session->away()};
    journal_->count_queue(sessions_.notes(ref).kept, session->queue_messages_max(),
                          session->queue_bytes_max(), ticket);
}

void Shard::on_counted(const QueueCount& count) {
    const auto it = counting_.find(count.ticket);
    if (it == counting_.end()) return;
    const Counting counting = it->second;
    counting_.erase(it);
    Session* const session = sessions_.get(counting.session);
    if (session == nullptr || !session->wants_count() || count.is_failed) return;
    // What has come since is perhaps counted twice, until the client comes.
    const Session::Away now = session->away();
    const Session::Away& before = counting.before;
    Session::Away all{count.messages, count.bytes};
    if (now.messages > before.messages) all.messages += now.messages - before.messages;
    if (now.bytes > before.bytes) all.bytes += now.bytes - before.bytes;
    session->set_away(all);
}

void Shard::ask_announce(std::uint32_t ticket) {
    const AnnounceMail mail{id_, ticket};
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        const ShardId to{i};
        if (to == id_) continue;
        Peer& peer = peers_[i];
        auto& lane = ports_.mailroom.lane(id_, to, LaneKind::publish);
        if (peer.publish.empty() && write_announce(lane, MailKind::announce, mail)) continue;
        PublishBacklog item;
        item.kind = MailKind::announce;
        item.subscription = [mail](memory::Lane& later) {
            return write_announce(later, MailKind::announce, mail);
        };
        peer.publish.push_back(std::move(item));
    }
    on_announce(mail);
}

void Shard::on_announce(const AnnounceMail& mail) {
    if (awaiting_.empty()) return announce(mail);
    Awaiting later;
    later.batch = awaiting_.back().batch;
    later.wants_sync = awaiting_.back().wants_sync;
    later.announce = mail;
    awaiting_.push_back(std::move(later));
}

/// Behind every delivery that is on its way there.
void Shard::announce(const AnnounceMail& mail) {
    if (mail.asks == id_) return on_announced(mail.ticket);
    Peer& peer = peers_[mail.asks.value];
    auto& lane = ports_.mailroom.lane(id_, mail.asks, LaneKind::deliver);
    if (peer.deliver.empty() && write_announce(lane, MailKind::announced, mail)) return;
    peer.deliver.push_back({MessageHandle{}, {}, mail});
}

void Shard::on_announced(std::uint32_t ticket) {
    if (const auto asked = recalls_.find(ticket); asked != recalls_.end()) {
        Rebuild& rebuild = rebuilds_.at(asked->second);
        if (--rebuild.awaited != 0) return;
        const SessionNotes& notes = sessions_.notes(rebuild.session);
        journal_->recall(notes.kept, notes.tenant, rebuild.client_id, ticket);
        return;
    }
    const auto it = reading_.find(ticket);
    if (it == reading_.end() || --it->second.awaited != 0) return;
    Reading reading = std::move(it->second);
    reading_.erase(it);
    give_backlog(ticket, reading);
}

void Shard::give_backlog(std::uint32_t ticket, Reading& reading) {
    std::span<const std::uint32_t> identifiers{reading.identifiers};
    for (LoadedMessage& loaded : reading.messages) {
        const std::size_t count = loaded.row.identifiers.size();
        loaded.row.identifiers = identifiers.first(count);
        identifiers = identifiers.subspan(count);
    }
    Session* const session = sessions_.get(reading.session);
    if (session == nullptr || !session->is_attached()) {
        for (const LoadedMessage& loaded : reading.messages) {
            if (!loaded.message.is_none()) messages_.release(loaded.message);
        }
        return;
    }
    Effects effects{turn_memory_};
    if (!guarded(reading.session, [&] {
            session->take_backlog(ticket, reading.messages, reading.up_to, reading.is_end, effects);
        })) {
        return;
    }
    apply(*session, find(session->connection()), effects);
    if (Connection* const connection = find(session->connection())) touch(*connection);
}

}  // namespace mitu::broker
