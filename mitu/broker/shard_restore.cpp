// What the store has becomes sessions, subscriptions and retained messages again, before the first
// turn. Queues stay where they are until somebody asks for them.

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard.hpp"

namespace mitu::broker {

std::optional<StoredWill> Shard::stored_will(const KeptWill& kept, const SessionRef& session) {
    const auto handle = messages_.add(kept.message);
    if (!handle) return std::nullopt;
    messages_.set_publisher(*handle, session);
    return StoredWill{*handle, kept.delay_s, kept.expiry_s, kept.id, session};
}

std::optional<SessionRef> Shard::restore(const KeptSession& kept, Instant now) {
    now_ = now;
    if (sessions_.size() >= limits_.sessions_max ||
        sessions_.find(kept.tenant, kept.client_id) != nullptr) {
        return std::nullopt;
    }
    // What was there before is not refused because a quota has become smaller.
    take_session_again(kept.tenant);
    Session* const session = sessions_.create(kept.tenant, kept.client_id);
    if (session == nullptr) return std::nullopt;
    const SessionRef self = session->self();
    if (!guarded(self, [&] { session->restore(kept, now); })) {
        bury_broken();  // it stays in the store as it is
        return std::nullopt;
    }
    sessions_.notes(self).kept = kept.id;
    return self;
}

bool Shard::restore_filter(const SessionRef& ref, std::string_view filter) {
    Session* const session = sessions_.get(ref);
    return session != nullptr && guarded(ref, [&] { session->restore_filter(filter); });
}

void Shard::restore_incoming(const SessionRef& ref, std::uint16_t packet_id) {
    Session* const session = sessions_.get(ref);
    if (session == nullptr) return;
    static_cast<void>(guarded(ref, [&] { session->restore_incoming(packet_id); }));
}

void Shard::restored(const SessionRef& ref) {
    Session* const session = sessions_.get(ref);
    if (session == nullptr) return;
    SessionNotes& notes = sessions_.notes(ref);
    note_subscriptions(*session, notes);
    if (ports_.admission != nullptr && notes.subscription_count > notes.subscriptions_taken) {
        ports_.admission->ledger.take(notes.tenant, admission::Quota::subscriptions,
                                      notes.subscription_count - notes.subscriptions_taken);
        notes.subscriptions_taken = notes.subscription_count;
    }
    arm(*session);
}

void Shard::restore_subscription(TenantId tenant, const KeptSubscription& entry,
                                 const SessionRef& session, StoredSessionId kept) {
    Subscriber subscriber;
    subscriber.session = session;
    subscriber.qos = entry.qos;
    subscriber.no_local = entry.no_local;
    subscriber.retain_as_published = entry.retain_as_published;
    subscriber.subscription_identifier = entry.identifier;
    subscriber.kept = kept;
    static_cast<void>(subscriptions_.add(tenant, entry.filter, entry.group, subscriber));
}

bool Shard::restore_retained(const MessageView& message) {
    const auto handle = messages_.add(message);
    if (!handle) return false;
    const bool is_put = retained_.put(*handle);
    messages_.release(*handle);
    counters_.retained_messages.set(retained_.count());
    return is_put;
}

bool Shard::restore_will(const SessionRef& ref, const KeptWill& kept, Duration grace) {
    Session* const session = sessions_.get(ref);
    if (session == nullptr) return false;
    KeptWill will = kept;
    if (session->was_cut_by_us()) {
        will.delay_s = std::max(will.delay_s, static_cast<std::uint32_t>(grace.count_s()));
    }
    const auto stored = stored_will(will, ref);
    return stored && guarded(ref, [&] { session->restore_will(*stored); });
}

bool Shard::restore_will(const KeptWill& kept, Duration grace, Instant now) {
    now_ = now;
    if (Session* const there = sessions_.find(kept.tenant, kept.client_id)) {
        return restore_next_will(*there, kept, grace);
    }
    if (sessions_.size() >= limits_.sessions_max) return false;
    take_session_again(kept.tenant);
    Session* const session = sessions_.create(kept.tenant, kept.client_id);
    if (session == nullptr) return false;
    const SessionRef self = session->self();
    KeptSession until_due;
    until_due.tenant = kept.tenant;
    until_due.client_id = kept.client_id;
    until_due.expiry_s = static_cast<std::uint32_t>(grace.count_s());
    if (!guarded(self, [&] { session->restore(until_due, now); }) ||
        !restore_will(self, kept, grace)) {
        bury_broken();
        if (sessions_.get(self) != nullptr) sessions_.erase(self);
        return false;
    }
    arm(*session);
    return true;
}

/// Wills come in the order of their connections: the one before was forgiven when its client came
/// back, and so was this one if the session is kept now. That it was had not been written down,
/// because the session broke.
bool Shard::restore_next_will(Session& session, const KeptWill& kept, Duration grace) {
    const SessionRef self = session.self();
    if (sessions_.notes(self).kept != 0) {
        journal_->erase_will(kept.id);
        return false;
    }
    const StoredWillId before = session.will() != nullptr ? session.will()->id : StoredWillId{};
    if (!restore_will(self, kept, grace)) return false;
    if (!before.is_none()) journal_->erase_will(before);
    return true;
}

void Shard::publish_will(const KeptWill& kept, Instant now) {
    now_ = now;
    counters_.wills_published_total.add();
    Origin origin;
    origin.will = kept.id;
    route(kept.message, origin);
}

}  // namespace mitu::broker
