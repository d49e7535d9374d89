// A message finds its way: home shard, subscribers, retained messages.

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/broker/sys_topic.hpp"

namespace mitu::broker {

using mqtt::QoS;
using mqtt::ReasonCode;

namespace {

/// Another member has been asked in vain. attempts_exhausted stays what it is.
std::uint8_t one_more(std::uint8_t attempts) noexcept {
    return attempts == attempts_exhausted ? attempts_exhausted
                                          : static_cast<std::uint8_t>(attempts + 1);
}

}  // namespace

// --- from the publisher to the topic's home ---

void Shard::route(const MessageView& message, const Origin& origin) {
    const ShardId home = topic_home(message.tenant, message.topic, ports_.mailroom.shard_count());
    if (home == id_) {
        route_here({message, nullptr}, origin);
        return;
    }
    PublishMail mail;
    mail.content.message = message;
    mail.origin = origin;
    const bool is_large = message.content_bytes() > inline_bytes_max();
    if (is_large) {
        mail.content.large = LargeBlock::create(message);
        if (mail.content.large == nullptr) {
            count_lost(message, DropReason::no_memory);
            forget_will_of(origin);
            complete(origin.session, origin.token, ReasonCode::quota_exceeded);
            return;
        }
    }
    Peer& peer = peers_[home.value];
    auto& lane = ports_.mailroom.lane(id_, home, LaneKind::publish);
    if (peer.publish.empty() && write_publish(lane, MailKind::publish, mail)) {
        post_if_much(lane, home);
        if (is_large) mail.content.large->release();
        return;
    }
    // Wills and the server's own messages do not wait for credit; publishers do (can_route).
    const auto handle =
        is_large ? messages_.adopt(message, mail.content.large) : messages_.add(message);
    if (!handle) {
        if (is_large) mail.content.large->release();
        count_no_room(message);
        forget_will_of(origin);
        complete(origin.session, origin.token, ReasonCode::quota_exceeded);
        return;
    }
    peer.publish.push_back({*handle, MailKind::publish, origin, 0, 0, {}});
}

/// Whether publishers may be read.
bool Shard::can_route() { return may_use_lanes() && disk_has_room(); }

bool Shard::may_use_lanes() {
    return peers_.size() == 1 ||
           (!ports_.faults.fire(ports::Fault::lane_full) && lanes_have_room());
}

bool Shard::disk_has_room() const noexcept { return journal_ == nullptr || journal_->has_room(); }

bool Shard::has_credit() { return disk_has_room() && lanes_have_room(); }

bool Shard::lanes_have_room() {
    if (peers_.size() == 1) return true;
    const std::uint32_t reserve = inline_bytes_max() * 2 + 1'024;
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (ShardId{i} == id_) continue;
        if (!peers_[i].is_clear()) return false;
        if (!ports_.mailroom.lane(id_, ShardId{i}, LaneKind::publish).has_free(reserve)) {
            return false;
        }
    }
    return true;
}

std::optional<MessageHandle> Shard::store(const MailedMessage& content) {
    if (ports_.faults.fire(ports::Fault::message_store_full)) {
        messages_.forget_refusal();
        return std::nullopt;
    }
    if (content.large == nullptr) return messages_.add(content.message);
    content.large->retain();
    const auto handle = messages_.adopt(content.message, content.large);
    if (!handle) content.large->release();
    return handle;
}

void Shard::route_here(const MailedMessage& content, const Origin& origin) {
    forget_will_of(origin);  // in one batch with what becomes of its message
    if (const auto reason = route_at_home(content, origin)) {
        complete(origin.session, origin.token, *reason);
    }
}

/// Nullopt: the answer follows when what was to be kept is kept.
std::optional<ReasonCode> Shard::route_at_home(const MailedMessage& content, const Origin& origin) {
    const MessageView& message = content.message;
    counters_.messages_routed_total.add();
    subscriptions_.match(message.tenant, message.topic, message.publisher, matches_);
    const bool is_matched = !matches_.recipients.empty();
    if (!is_matched) counters_.messages_unmatched_total.add();
    if (tracer_.is_on()) [[unlikely]]
        trace_message(TraceKind::routed, message, {}, matches_.recipients.size());
    const auto thing = ports_.things != nullptr ? parse_thing_topic(message.topic) : std::nullopt;
    const ReasonCode outcome =
        is_matched || thing ? ReasonCode::success : ReasonCode::no_matching_subscribers;
    bool is_answered_later = false;

    if (is_matched || message.retain) {
        MailedMessage kept = content;
        // Figures of the server come again after a restart, and are not the tenant's to pay for.
        const bool is_sys = message.retain && is_sys_topic(message.topic);
        const bool is_durable = journal_ != nullptr && !is_sys && keeps(message.tenant);
        const std::uint32_t rows = is_durable ? count_rows(message.qos) : 0;
        // A publisher that is kept may repeat it, whoever it was for.
        const bool has_number = is_durable && origin.kept != 0 && journal_->accepts();
        const bool is_put_down =
            is_durable && (rows != 0 || message.retain || has_number || !origin.will.is_none());
        if (is_durable && (rows != 0 || message.retain)) [[unlikely]] {
            const bool is_new = rows != 0 || !message.payload.empty();
            // A will was taken when there was room, and goes when its message is there.
            if (is_new && origin.will.is_none() && !journal_->accepts()) {
                count_lost(message, DropReason::store_full);
                return ReasonCode::quota_exceeded;
            }
            if (rows != 0) kept.message.stored_id = journal_->next_message(rows > 1);
        }
        const auto handle = store(kept);
        if (!handle) {
            count_no_room(message);
            return ReasonCode::quota_exceeded;
        }
        if (message.retain) {
            // Refused as a whole, so that the publisher's "no" means that nothing has happened.
            const bool is_shed = !message.payload.empty() && !is_sys && refuses_retained();
            const bool is_put = !is_shed && retained_.put(*handle);
            counters_.retained_messages.set(retained_.count());
            if (!is_put) {
                count_lost(message, DropReason::retained_quota);
                counters_.refuse(
                    is_shed ? admission::Bound{admission::Limit::memory, admission::Scope::server}
                            : retained_.refusal());
                messages_.release(*handle);
                return ReasonCode::quota_exceeded;
            }
        }
        if (is_put_down) [[unlikely]] {
            is_answered_later = keep_and_deliver(*handle, rows, origin, outcome);
        } else if (is_matched) {
            deliver_to(*handle, matches_.recipients, matches_.identifiers);
        }
        messages_.release(*handle);
    }
    if (thing) {
        ports_.things->on_publish(message.tenant, thing->device, thing->rest, message.payload, now_,
                                  server_publishes_);
    }
    if (is_answered_later) return std::nullopt;
    return outcome;
}

// --- from the home to the subscribers ---

void Shard::deliver_to(MessageHandle handle, std::span<const Recipient> recipients,
                       std::span<const std::uint32_t> all_identifiers) {
    const MessageView message = messages_.view(handle);
    const QoS published_qos = message.qos;
    const bool published_retain = message.retain;
    // Recipients come ordered by shard, shared ones at the end; both ways each shard's list is
    // sent once it is complete.
    for (const Recipient& r : recipients) {
        MailRecipient mail;
        mail.index = r.session.index;
        mail.generation = r.session.generation;
        mail.share_serial = r.share_serial;
        mail.identifier_count = r.identifier_count;
        mail.qos = static_cast<std::uint8_t>(std::min(published_qos, r.qos)) & 3;
        mail.retain = r.retain_as_published && published_retain ? 1 : 0;
        mail.is_kept = message.stored_id != 0 && is_kept(r, published_qos) ? 1 : 0;
        const std::span<const std::uint32_t> identifiers =
            all_identifiers.subspan(r.identifier_begin, r.identifier_count);
        if (r.session.shard == id_) {
            deliver_local(handle, message, mail, identifiers, r.kept);
        } else {
            RecipientList& list = peers_[r.session.shard.value].recipients;
            list.add(mail, identifiers, r.kept);
            if (list.bytes().size() > lane_record_bytes_max_ / 4) {
                send_deliver(r.session.shard, handle, list);  // a record has its largest size
            }
        }
    }
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (!peers_[i].recipients.empty()) send_deliver(ShardId{i}, handle, peers_[i].recipients);
    }
}

void Shard::deliver_local(MessageHandle message, const MessageView& view,
                          const MailRecipient& recipient,
                          std::span<const std::uint32_t> identifiers, StoredSessionId kept) {
    const SessionRef ref{recipient.index, recipient.generation, id_};
    Session* const session = sessions_.get(ref);
    if (session == nullptr) {
        deliver_to_nobody(message, view, recipient, recipient.is_kept != 0 ? kept : 0);
        return;
    }
    Delivery delivery;
    delivery.message = message;
    delivery.expires_at = view.expires_at;
    delivery.content_bytes = view.content_bytes();
    delivery.qos = static_cast<QoS>(recipient.qos);
    delivery.retain = recipient.retain != 0;
    delivery.is_retained_replay = recipient.is_retained_replay != 0;
    delivery.identifiers = identifiers;
    delivery.share_serial = recipient.share_serial;
    delivery.attempts = recipient.attempts;
    if (recipient.is_kept != 0) delivery.stored_id = view.stored_id;
    // The reference that the queue will have, if it takes the message.
    messages_.retain(message);
    auto outcome = DeliveryOutcome::dropped;
    if (!guarded(ref, [&] { outcome = session->deliver(delivery, now_); })) {
        // What is in a queue that can be believed goes to another member when the session is put
        // away; else this is the one reference that can.
        if (recipient.share_serial != 0 && !leaves_memory_sound(broken_.back().fault)) {
            redispatch(message, recipient.share_serial, one_more(recipient.attempts),
                       origin_of(ref, recipient.is_kept != 0));
        }
        return;
    }
    switch (outcome) {
        case DeliveryOutcome::queued:
            if (tracer_.is_on()) [[unlikely]]
                trace_queued(*session, view, delivery);
            if (Connection* const connection = find(session->connection())) touch(*connection);
            break;
        case DeliveryOutcome::dropped:
            if (delivery.stored_id != 0) drop_row(ref, delivery.stored_id);
            messages_.release(message);
            break;
        case DeliveryOutcome::kept:
            if (tracer_.is_on()) [[unlikely]]
                trace_queued(*session, view, delivery);
            messages_.release(message);
            // If nothing else is in its queue, nothing else makes it read.
            if (Connection* const connection = find(session->connection())) touch(*connection);
            count_if_wanted(ref);
            break;
        case DeliveryOutcome::give_to_another:
            redispatch(message, recipient.share_serial, one_more(recipient.attempts),
                       origin_of(ref, recipient.is_kept != 0));
            break;
    }
}

/// The session has ended while the message was on its way, or has broken and is read again: what
/// was written down for it goes, or waits for it.
void Shard::deliver_to_nobody(MessageHandle message, const MessageView& view,
                              const MailRecipient& recipient, StoredSessionId kept) {
    const SessionRef ref{recipient.index, recipient.generation, id_};
    const bool waits = kept != 0 && sessions_.has(ref);
    if (recipient.share_serial != 0 && !(waits && recipient.attempts == attempts_exhausted)) {
        Origin refused;
        refused.session = ref;
        refused.kept = kept;
        messages_.retain(message);
        redispatch(message, recipient.share_serial, one_more(recipient.attempts), refused);
        return;
    }
    if (kept != 0 && !waits) journal_->erase_row(kept, view.stored_id, false);
}

void Shard::send_deliver(ShardId to, MessageHandle message, RecipientList& recipients) {
    Peer& peer = peers_[to.value];
    if (!peer.deliver.empty() || !try_send_deliver(to, message, recipients)) {
        messages_.retain(message);
        peer.deliver.push_back({message, std::move(recipients)});
    }
    recipients.clear();
}

// --- shared subscriptions ---

/// Takes over one reference of `message`. `refused`: the session that does not take it.
void Shard::redispatch(MessageHandle message, std::uint32_t share_serial, std::uint8_t attempts,
                       const Origin& refused) {
    const MessageView view = messages_.view(message);
    const ShardId home = topic_home(view.tenant, view.topic, ports_.mailroom.shard_count());
    if (home == id_) {
        dispatch_shared(message, share_serial, attempts, refused);
        messages_.release(message);
        return;
    }
    const PublishBacklog item{message, MailKind::redispatch, refused, share_serial, attempts, {}};
    if (peers_[home.value].publish.empty() && try_send_publish(home, item)) {
        messages_.release(message);
        return;
    }
    peers_[home.value].publish.push_back(item);
}

/// Gives the message to the member behind the one that refused it. When all have refused, the next
/// one has to take it, into the queue of an absent client if need be.
void Shard::dispatch_shared(MessageHandle message, std::uint32_t share_serial,
                            std::uint8_t attempts, const Origin& refused) {
    const bool was_last = attempts == attempts_exhausted;
    members_.clear();
    auto member =
        was_last ? std::nullopt
                 : subscriptions_.next_member(share_serial, attempts, refused.session, members_);
    if (!member && !was_last) {
        attempts = attempts_exhausted;
        member = subscriptions_.next_member(share_serial, 0, refused.session, members_);
    }
    if (!member) {
        count_lost(messages_.view(message), DropReason::no_shared_member);
        if (refused.kept != 0) {
            journal_->erase_row(refused.kept, messages_.view(message).stored_id,
                                refused.packet_id != 0);
        }
        return;
    }
    if (journal_ != nullptr && keep_for_member(message, share_serial, attempts, *member, refused)) {
        return;
    }
    deliver_to_member(message, share_serial, attempts, *member, members_.identifiers);
}

void Shard::deliver_to_member(MessageHandle message, std::uint32_t share_serial,
                              std::uint8_t attempts, const Recipient& member,
                              std::span<const std::uint32_t> all_identifiers) {
    MailRecipient mail;
    mail.index = member.session.index;
    mail.generation = member.session.generation;
    mail.share_serial = share_serial;
    mail.identifier_count = member.identifier_count;
    const MessageView view = messages_.view(message);
    mail.qos = static_cast<std::uint8_t>(std::min(view.qos, member.qos)) & 3;
    mail.attempts = attempts;
    mail.is_kept = view.stored_id != 0 && is_kept(member, view.qos) ? 1 : 0;
    const auto of_member =
        all_identifiers.subspan(member.identifier_begin, member.identifier_count);
    // What the member does not take asks for the next one, which uses the same list.
    const std::vector<std::uint32_t> identifiers(of_member.begin(), of_member.end());
    if (member.session.shard == id_) {
        deliver_local(message, view, mail, identifiers, member.kept);
        return;
    }
    RecipientList list;
    list.add(mail, identifiers, member.kept);
    send_deliver(member.session.shard, message, list);
}

// --- subscriptions ---

void Shard::subscribe(TenantId tenant, const SubscribeEffect& effect) {
    SubscriptionMail mail;
    mail.tenant = tenant;
    mail.token = effect.token;
    mail.subscriber = effect.subscriber;
    keep_subscription(tenant, effect, mail.subscriber);
    mail.send_retained = effect.send_retained;
    if (effect.subscriber.no_local && effect.send_retained) {
        if (const Session* const session = sessions_.get(effect.subscriber.session)) {
            mail.subscriber_key = publisher_key(tenant, session->client_id());
        }
    }
    mail.filter = effect.filter;
    mail.group = effect.group;
    const auto home = filter_home(tenant, effect.filter, ports_.mailroom.shard_count());
    if (!home) {
        if (Session* const session = sessions_.get(effect.subscriber.session)) {
            session->expect_more(effect.token.serial,
                                 static_cast<std::uint32_t>(peers_.size()) - 1);
        }
    }
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (home && *home != ShardId{i}) continue;
        if (ShardId{i} == id_) {
            subscribe_here(mail);
            continue;
        }
        send_subscription(ShardId{i}, MailKind::subscribe, mail);
    }
}

void Shard::subscribe_here(const SubscriptionMail& mail) {
    static_cast<void>(subscriptions_.add(mail.tenant, mail.filter, mail.group, mail.subscriber));
    if (mail.send_retained) send_retained(mail);
    complete(mail.subscriber.session, mail.token, ReasonCode::success);
}

void Shard::unsubscribe_here(const SubscriptionMail& mail) {
    subscriptions_.remove(mail.tenant, mail.filter, mail.group, mail.subscriber.session);
    complete(mail.subscriber.session, mail.token, ReasonCode::success);
}

/// Subscriptions travel behind the publishes of the same client, so that a client that does not
/// wait for answers still has its packets handled in order.
void Shard::send_subscription(ShardId to, MailKind kind, const SubscriptionMail& mail) {
    Peer& peer = peers_[to.value];
    auto& lane = ports_.mailroom.lane(id_, to, LaneKind::publish);
    if (peer.publish.empty() && write_subscription(lane, kind, mail)) return;
    PublishBacklog item;
    item.kind = kind;
    item.subscription = [kind, mail = SubscriptionMail{mail}, filter = std::string{mail.filter},
                         group = std::string{mail.group}](memory::Lane& later) mutable {
        mail.filter = filter;
        mail.group = group;
        return write_subscription(later, kind, mail);
    };
    peer.publish.push_back(std::move(item));
}

void Shard::unsubscribe(TenantId tenant, const SessionRef& session,
                        const UnsubscribeEffect& effect) {
    SubscriptionMail mail;
    mail.tenant = tenant;
    mail.token = effect.token;
    mail.subscriber.session = session;
    mail.filter = effect.filter;
    mail.group = effect.group;
    forget_subscription(tenant, session, effect);
    const auto home = filter_home(tenant, effect.filter, ports_.mailroom.shard_count());
    if (!home && effect.token.serial != 0) {
        if (Session* const waiting = sessions_.get(session)) {
            waiting->expect_more(effect.token.serial,
                                 static_cast<std::uint32_t>(peers_.size()) - 1);
        }
    }
    for (std::uint16_t i = 0; i < peers_.size(); ++i) {
        if (home && *home != ShardId{i}) continue;
        if (ShardId{i} == id_) {
            unsubscribe_here(mail);
            continue;
        }
        send_subscription(ShardId{i}, MailKind::unsubscribe, mail);
    }
}

void Shard::send_retained(const SubscriptionMail& mail) {
    const SessionRef session = mail.subscriber.session;
    retained_.match(mail.tenant, mail.filter, now_, [&](MessageHandle handle) {
        const MessageView view = messages_.view(handle);
        // By name: the session that published it may be long gone [MQTT-3.8.3-3].
        if (mail.subscriber.no_local && view.publisher_key == mail.subscriber_key) return;
        MailRecipient r;
        r.index = session.index;
        r.generation = session.generation;
        r.qos = static_cast<std::uint8_t>(std::min(view.qos, mail.subscriber.qos)) & 3;
        r.retain = 1;  // [MQTT-3.3.1-8]
        r.is_retained_replay = 1;
        std::uint32_t identifier = mail.subscriber.subscription_identifier;
        r.identifier_count = identifier != 0 ? 1 : 0;
        const std::span<const std::uint32_t> identifiers{&identifier, r.identifier_count};
        if (session.shard == id_) {
            deliver_local(handle, view, r, identifiers);
        } else {
            RecipientList list;
            list.add(r, identifiers);
            send_deliver(session.shard, handle, list);
        }
    });
}

// --- answers ---

void Shard::complete(const SessionRef& session, Token token, ReasonCode reason,
                     StoredSessionId kept, std::uint16_t packet_id) {
    if (token.serial == 0) return;
    if (session.shard != id_) {
        const CompletionMail mail{session.index, session.generation, token, reason,
                                  kept,          packet_id};
        send_control(session.shard,
                     [mail](memory::Lane& lane) { return write_completion(lane, mail); });
        return;
    }
    Session* const waiting = sessions_.get(session);
    if (waiting == nullptr) {
        // It has ended meanwhile, and nobody will ask for the number.
        if (kept != 0 && !sessions_.has(session)) journal_->erase_incoming(kept, packet_id);
        return;
    }
    Connection* const connection = find(waiting->connection());
    Effects effects{turn_memory_};
    if (!guarded(session,
                 [&] { waiting->on_completion(token, reason, kept != 0, now_, effects); })) {
        return;
    }
    if (connection == nullptr && effects.list.empty()) return;
    apply(*waiting, connection, effects);
    if (connection == nullptr) return;
    touch(*connection);
    if (connection->is_paused) resume_later(*connection);
}

}  // namespace mitu::broker
