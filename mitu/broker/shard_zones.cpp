// Sessions that break: what the shard does when a fault zone was left by a fault.
//
// A session breaks in the middle of whatever the shard is doing, perhaps as one of a thousand
// recipients. So first it only stops to be found, and its connection is told to close; it is put
// away at the next point of the turn where nothing is half done.

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {

using mqtt::ReasonCode;

namespace {

// What is left behind is looked for at most this often.
constexpr Duration mend_interval = Duration::seconds(1);

}  // namespace

ReasonCode Shard::reason_of(memory::ZoneFault fault) noexcept {
    return fault == memory::ZoneFault::budget_spent ? ReasonCode::quota_exceeded
                                                    : ReasonCode::implementation_specific_error;
}

void Shard::break_session(const SessionRef& ref, memory::ZoneFault fault) {
    counters_.session_faults[static_cast<std::size_t>(fault)].add();
    sessions_.set_broken(ref);
    broken_.push_back({ref, fault});
    // What the session says itself is not asked: only what stands outside of it. A connection that
    // is still being attached is not its own: its CONNECT is to be answered first [MQTT-3.14.0-1].
    Connection* const connection = find(sessions_.notes(ref).connection);
    const bool is_its_own = connection != nullptr &&
                            connection->state == Connection::State::attached &&
                            session_of(*connection) == ref;
    ports_.faults.broke(
        seen_from_outside(ref, fault, is_its_own ? connection->id : ports::ConnectionId{}));
    trace::log(trace::Level::warn, "session_broke",
               {{"fault", to_text(fault)},
                {"session", ref.index},
                {"shard", id_.value},
                {"peer", is_its_own ? ports::address_text(connection->peer) : std::string{}}});
    if (!is_its_own) return;
    if (connection->version == mqtt::ProtocolVersion::v5) {
        mqtt::Disconnect disconnect;
        disconnect.reason = reason_of(fault);
        Bytes& out = output_of(*connection);
        const std::size_t before = out.size();
        out.resize(before + mqtt::encoded_size(disconnect, connection->version));
        const auto written =
            mqtt::encode(disconnect, connection->version, MutableByteView{out}.subspan(before));
        MITU_CHECK(written != 0);
    }
    close(*connection);
}

ports::BrokenSession Shard::seen_from_outside(const SessionRef& ref, memory::ZoneFault fault,
                                              ports::ConnectionId connection) {
    return {sessions_.notes(ref).tenant.value, sessions_.name_hash(ref), connection,
            to_text(fault)};
}

void Shard::bury_broken() {
    while (!broken_.empty()) {
        const Broken next = broken_.back();
        broken_.pop_back();
        bury(next);
    }
}

/// A session that is kept is built anew from the store. Of any other this is the end, as far as it
/// can still be had from it: will, subscriptions, and what other members of a shared subscription
/// are to have, if its memory is sound. Then all of its memory goes, unread; what it leaves behind
/// elsewhere is mended.
void Shard::bury(const Broken& broken) {
    Session& session = sessions_.broken(broken.session);
    SessionNotes& notes = sessions_.notes(broken.session);
    count_fault(broken.session, broken.fault);
    if (!notes.connection.is_none()) leave_connection(notes);
    if (notes.thing != 0) ports_.things->on_detached(notes.thing, false, now_);
    notes.thing = 0;
    const std::uint32_t subscriptions = notes.subscription_count;
    counters_.subscriptions.subtract(subscriptions);
    has_lost_references_ = true;  // those that it had, and in effects that nobody will see
    if (notes.kept != 0 && keeps(notes.tenant)) {
        ports_.faults.buried(seen_from_outside(broken.session, broken.fault, {}), false);
        begin_rebuild(broken.session);
        return;
    }

    Effects last{turn_memory_};
    bool is_sound = leaves_memory_sound(broken.fault);
    if (is_sound) {
        // Once more from the start, if it had begun: nobody has seen what it asked for.
        is_sound = !memory::in_fault_zone([&] { session.end_again(now_, last); });
        if (!is_sound) last.list.clear();
    }
    // Some may be missing: what cannot be read any more, and what the call that broke had taken out
    // already, by UNSUBSCRIBE or by the session's end.
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < last.list.size(); ++i) {
        if (std::holds_alternative<UnsubscribeEffect>(last.list[i])) ++found;
    }
    ports_.faults.buried(seen_from_outside(broken.session, broken.fault, {}), is_sound);
    carry_out(broken.session, notes.tenant, last);
    // Fewer than the shard knows of: the others are looked for.
    if (found < subscriptions) lose_subscriptions(broken.session);
    if (keeps(notes.tenant) && !is_sound && !is_shutting_down_) {
        const StoredWillId will = believed_will(broken.session);
        if (!will.is_none()) journal_->erase_will(will);
    }
    sessions_.erase(broken.session);
}

// --- what sessions that broke have left behind ---

void Shard::lose_subscriptions(const SessionRef& session) {
    lost_subscribers_.push_back(session);
    SubscriptionMail mail;
    mail.subscriber.session = session;
    for (std::uint16_t i = 0; i < ports_.mailroom.shard_count(); ++i) {
        if (ShardId{i} != id_) send_subscription(ShardId{i}, MailKind::forget, mail);
    }
}

/// As long as it takes to look at everything, so not for each that breaks.
void Shard::mend() {
    if (now_ < mend_at_ || (!has_lost_references_ && lost_subscribers_.empty())) return;
    mend_at_ = now_ + mend_interval +
               Duration::microseconds(static_cast<std::int64_t>(sessions_.size()) * 2);
    if (!lost_subscribers_.empty()) mend_subscriptions();
    if (has_lost_references_) mend_references();
}

void Shard::mend_subscriptions() {
    const std::size_t removed = subscriptions_.remove_sessions(lost_subscribers_);
    lost_subscribers_.clear();
    trace::log(trace::Level::info, "subscriptions_mended",
               {{"subscriptions", removed}, {"shard", id_.value}});
}

void Shard::mend_references() {
    has_lost_references_ = false;
    auto count = messages_.recount();
    sessions_.for_each([&](Session& session) {
        session.for_each_message([&](MessageHandle h) { count.add(h); });
    });
    retained_.for_each([&](MessageHandle h) { count.add(h); });
    for (const Awaiting& item : awaiting_) {
        if (!item.message.is_none()) count.add(item.message);
    }
    for (const DueWill& will : wills_) count.add(will.message);
    for (const auto& [ticket, reading] : reading_) {
        for (const LoadedMessage& loaded : reading.messages) {
            if (!loaded.message.is_none()) count.add(loaded.message);
        }
    }
    for (const Peer& peer : peers_) {
        for (const DeliverBacklog& item : peer.deliver) count.add(item.message);
        for (const PublishBacklog& item : peer.publish) {
            if (!item.message.is_none()) count.add(item.message);
        }
    }
    const std::uint64_t mended = messages_.settle(count);
    counters_.references_mended_total.add(mended);
    if (mended != 0) {
        trace::log(trace::Level::info, "references_mended",
                   {{"references", mended}, {"shard", id_.value}});
    }
}

}  // namespace mitu::broker
