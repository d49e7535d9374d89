// Limits and storms, as far as a shard has to do with them: who is let in, who is slowed down, who
// has to go. What is allowed and what is held stands in mitu/admission.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/admission/entry.hpp"
#include "mitu/base/hash.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {

using admission::Bound;
using admission::Limit;
using admission::Quota;
using admission::Scope;
using mqtt::ReasonCode;

namespace {

constexpr Duration shed_interval = Duration::seconds(1);

/// How a connection that met this bound is refused.
ReasonCode reason_at_entry(Limit limit) noexcept {
    switch (limit) {
        case Limit::ban:
        case Limit::flapping:
            return ReasonCode::banned;
        case Limit::memory:
            return ReasonCode::server_busy;
        case Limit::connect_rate:
            return ReasonCode::connection_rate_exceeded;
        default:
            return ReasonCode::quota_exceeded;
    }
}

/// Whole seconds, at least one: what a client is asked to stay away.
std::uint32_t seconds_until(Instant at, Instant now) noexcept {
    if (at <= now) return 1;
    constexpr std::int64_t week_s = 7 * 24 * 3'600;
    constexpr std::int64_t second_ns = 1'000'000'000;
    const std::int64_t wait_s = ((at - now).count_ns() - 1) / second_ns + 1;
    return static_cast<std::uint32_t>(std::min(wait_s, week_s));
}

}  // namespace

// --- who comes in ---

/// Before anything is proved, so before a password is hashed: where it comes from, and whether all
/// together come too fast. Once for each CONNECT, on the shard that reads it.
std::optional<Shard::Turnaway> Shard::look_at_stranger(const Connection& connection) {
    if (ports_.admission == nullptr) return std::nullopt;
    admission::Control& control = *ports_.admission;
    auto refusal = admission::judge_address(control, bans_, connection.peer.ip, now_);
    if (!refusal && !control.ledger.has_doorkeeper(connection.listener_index)) {
        refusal = admission::judge_pace(control, connection.listener_index, now_);
    }
    if (!refusal) return std::nullopt;
    return Turnaway{reason_at_entry(refusal->bound.limit), refusal->bound, refusal->retry_at};
}

/// The transport has sent somebody away before it spent anything on it: nobody could be told.
void Shard::note_refused_at_door(const ports::PeerAddress& peer, const Bound& bound, Instant now) {
    counters_.connections_refused_total.add();
    counters_.refuse(bound);
    admission::RefusedAttempt attempt;
    attempt.address = peer.ip;
    attempt.reason = static_cast<std::uint8_t>(reason_at_entry(bound.limit));
    attempt.text =
        fmt::format("before the handshake: {} ({})", to_text(bound.limit), to_text(bound.scope));
    attempt.bound = bound;
    attempt.has_bound = true;
    attempt.last = now;
    refused_attempts_.note(std::move(attempt));
}

Shard::Turnaway Shard::turned_away(const admission::Ban& ban) {
    at_hand_.ban_reason = ban.reason;
    const Scope whose =
        ban.target.kind == admission::BanKind::network ? Scope::server : Scope::client;
    return {ReasonCode::banned, {Limit::ban, whose}, ban.expires_at};
}

/// Who somebody is has been proved: bans of the name, flapping, and the tenant's pace.
std::optional<Shard::Turnaway> Shard::look_at_proved(TenantId tenant, std::string_view client_id,
                                                     std::string_view user) {
    if (ports_.admission == nullptr) return std::nullopt;
    admission::Control& control = *ports_.admission;
    if (fault_watch_.take_due(hash_bytes(client_id, tenant.value))) {
        ban_for_faults(tenant, client_id);
    }
    const admission::BanSnapshot& bans = bans_.look(control.bans);
    const admission::Ban* ban = bans.find_client(tenant, client_id, now_);
    if (ban == nullptr && !user.empty()) ban = bans.find_user(tenant, user, now_);
    if (ban != nullptr) return turned_away(*ban);
    const std::uint64_t name_hash = hash_bytes(client_id, tenant.value);
    if (const auto ready = client_paces_.try_connect(
            name_hash, control.client_connects_per_minute.load(std::memory_order_relaxed), now_)) {
        return Turnaway{
            ReasonCode::connection_rate_exceeded, {Limit::connect_rate, Scope::client}, *ready};
    }
    auto& pace = control.ledger.tenant(tenant).connect_rate();
    if (!pace.try_take(1, now_)) {
        return Turnaway{ReasonCode::connection_rate_exceeded,
                        {Limit::connect_rate, Scope::tenant},
                        pace.ready_at(now_)};
    }
    if (!flapping_.is_flapping(name_hash, now_)) return std::nullopt;
    const Instant until = now_ + flapping_.options().ban;
    const bool is_set = control.bans.set(
        {admission::BanTarget::client(tenant, client_id),
         fmt::format("connected more than {} times in {} s", flapping_.options().connects_max,
                     flapping_.options().window.count_s()),
         "flapping detection", now_, until});
    if (is_set) counters_.flapping_bans_total.add();
    trace::log(trace::Level::warn, "client_flaps",
               {{"client", client_id}, {"tenant", tenant.value}, {"is_banned", is_set}});
    return Turnaway{ReasonCode::banned, {Limit::flapping, Scope::client}, until};
}

/// A session has broken over what its client said. That there was no memory is not its doing.
void Shard::count_fault(const SessionRef& ref, memory::ZoneFault fault) {
    if (ports_.admission == nullptr || fault == memory::ZoneFault::no_memory) return;
    const SessionNotes& notes = sessions_.notes(ref);
    const std::uint64_t name_hash = sessions_.name_hash(ref);
    if (notes.connection.is_none() || !fault_watch_.is_one_too_many(name_hash, now_)) return;
    const std::string name = believed_name(ref);
    if (name.empty()) {
        fault_watch_.note_due(name_hash);
    } else {
        ban_for_faults(notes.tenant, name);
    }
}

void Shard::ban_for_faults(TenantId tenant, std::string_view client_id) {
    const auto& options = fault_watch_.options();
    const bool is_set =
        ports_.admission->bans.set({admission::BanTarget::client(tenant, client_id),
                                    fmt::format("its session broke more than {} times in {} s",
                                                options.faults_max, options.window.count_s()),
                                    "fault detection", now_, now_ + options.ban});
    if (is_set) counters_.fault_bans_total.add();
    trace::log(trace::Level::warn, "client_breaks",
               {{"client", client_id}, {"tenant", tenant.value}, {"is_banned", is_set}});
}

// --- places ---

/// A place for one connection, and for a session if it is new. A connection that takes the place of
/// another (`replaced`) changes nothing, unless it comes through another listener.
std::optional<Bound> Shard::take_places(TenantId tenant, std::uint16_t listener_index,
                                        const SessionNotes* replaced, bool is_new_session) {
    if (ports_.admission == nullptr) return std::nullopt;
    admission::QuotaLedger& ledger = ports_.admission->ledger;
    const bool same_listener = replaced != nullptr && replaced->listener_index == listener_index;
    if (!same_listener && !ledger.try_take_listener(listener_index)) {
        return Bound{Limit::connections, Scope::listener};
    }
    if (replaced == nullptr) {
        if (const auto whose = ledger.try_take(tenant, Quota::connections)) {
            ledger.give_back_listener(listener_index);
            return Bound{Limit::connections, *whose};
        }
    }
    if (is_new_session) {
        if (const auto whose = ledger.try_take(tenant, Quota::sessions)) {
            if (replaced == nullptr) ledger.give_back(tenant, Quota::connections);
            if (!same_listener) ledger.give_back_listener(listener_index);
            return Bound{Limit::sessions, *whose};
        }
    }
    // The old connection gives back its own place when it goes.
    if (replaced != nullptr) ledger.take(tenant, Quota::connections);
    if (same_listener) ledger.take_listener(listener_index);
    return std::nullopt;
}

void Shard::give_back_connection(TenantId tenant, std::uint16_t listener_index) noexcept {
    if (ports_.admission == nullptr) return;
    ports_.admission->ledger.give_back(tenant, Quota::connections);
    ports_.admission->ledger.give_back_listener(listener_index);
}

/// The session's connection is gone.
void Shard::leave_connection(SessionNotes& notes) noexcept {
    counters_.clients.subtract();
    give_back_connection(notes.tenant, notes.listener_index);
    notes.connection = ports::ConnectionId{};
}

/// A session that takes the place of one that has just given its own back.
void Shard::take_session_again(TenantId tenant) {
    if (ports_.admission != nullptr) ports_.admission->ledger.take(tenant, Quota::sessions);
}

void Shard::give_back_subscriptions(SessionNotes& notes) noexcept {
    if (notes.subscriptions_taken <= notes.subscription_count) return;
    ports_.admission->ledger.give_back(notes.tenant, Quota::subscriptions,
                                       notes.subscriptions_taken - notes.subscription_count);
    notes.subscriptions_taken = notes.subscription_count & 0x3FF'FFFFU;  // fewer than it had
}

// --- how it is told ---

Shard::Turnaway Shard::no_place(const Bound& bound) const {
    const Duration wait =
        ports_.admission != nullptr ? ports_.admission->options.retry_after : Duration::seconds(30);
    return {ReasonCode::quota_exceeded, bound, now_ + wait};
}

/// `tenant` null: nobody knows yet whose client this is.
void Shard::turn_away(Connection& connection, const TenantId* tenant, const Turnaway& away) {
    counters_.refuse(away.bound);
    if (ports_.admission != nullptr && tenant != nullptr) {
        ports_.admission->ledger.tenant(*tenant).count_refusal(away.bound.limit);
    }
    // A ban without end has nothing to wait for.
    const std::uint32_t retry_after_s =
        away.retry_at.is_never() ? 0 : seconds_until(away.retry_at, now_);
    std::string text = fmt::format("{} ({})", to_text(away.bound.limit), to_text(away.bound.scope));
    if (retry_after_s != 0) text += fmt::format("; try again in {} s", retry_after_s);
    refuse_connect(connection, away.reason, text, retry_after_s, &away.bound);
}

void Shard::note_attempt(const Connection& connection, ReasonCode reason, std::string_view text,
                         const Bound* bound) {
    admission::RefusedAttempt attempt;
    attempt.has_tenant = at_hand_.tenant.has_value();
    attempt.tenant = at_hand_.tenant.value_or(tenant_default);
    attempt.client_id = at_hand_.client_id.substr(0, 64);
    attempt.address = connection.peer.ip;
    attempt.reason = static_cast<std::uint8_t>(reason);
    attempt.text = text.substr(0, 128);
    if (!at_hand_.ban_reason.empty()) attempt.text += ": " + at_hand_.ban_reason.substr(0, 128);
    if (bound != nullptr) {
        attempt.bound = *bound;
        attempt.has_bound = true;
        if (ports_.admission != nullptr) {
            attempt.bound_value = ports_.admission->ledger.value_of(*bound, attempt.tenant,
                                                                    connection.listener_index);
        }
    }
    attempt.last = now_;
    if (tracer_.is_on()) [[unlikely]]
        trace_attempt(attempt);
    refused_attempts_.note(std::move(attempt));
}

std::uint32_t Shard::packet_bytes_max(std::uint16_t listener_index) const noexcept {
    if (ports_.admission == nullptr) return limits_.packet_bytes_max;
    const std::uint32_t own = ports_.admission->ledger.listener_packet_bytes_max(listener_index);
    return own != 0 ? std::min(own, limits_.packet_bytes_max) : limits_.packet_bytes_max;
}

// --- the paces of tenants, listeners and the server ---

Shard::TenantPace& Shard::pace_of(TenantId tenant) {
    if (tenant.value >= paces_.size()) paces_.resize(std::size_t{tenant.value} + 1);
    TenantPace& pace = paces_[tenant.value];
    if (pace.account == nullptr) pace.account = &ports_.admission->ledger.tenant(tenant);
    return pace;
}

/// A packet of a client was read. If its tenant, its listener or the server has spent its rate,
/// this one has a place in the queue for it, and the client is read on when that has come.
void Shard::charge_paces(TenantId tenant, Connection& connection, std::size_t bytes,
                         bool is_publish) {
    TenantPace& pace = pace_of(tenant);
    Wait wait{pace.bytes.take(pace.account->byte_rate(), static_cast<std::int64_t>(bytes), now_),
              {Limit::byte_rate, Scope::tenant}};
    pace.traffic.bytes_received += bytes;
    ++pace.traffic.packets_received;
    if (is_publish) {
        ++pace.traffic.messages_received;
        wait.prolong(pace.messages.take(pace.account->message_rate(), 1, now_), Limit::message_rate,
                     Scope::tenant);
    }
    if (ports_.admission->ledger.has_traffic_rates()) [[unlikely]] {
        charge_traffic(connection.listener_index, bytes, is_publish, wait);
    }
    if (wait.until <= now_) [[likely]]
        return;
    if (connection.state != Connection::State::attached) return;  // that was its last
    counters_.rate_limited_total.add();
    counters_.refuse(wait.bound);
    if (wait.bound.scope == Scope::tenant) pace.account->count_refusal(wait.bound.limit);
    pause(connection);
    Connection::Work& work = work_of(connection);
    if (work.resume_at.is_never() || work.resume_at < wait.until) {
        resume_at(connection, wait.until);
    }
}

void Shard::charge_traffic(std::uint16_t listener_index, std::size_t bytes, bool is_publish,
                           Wait& wait) {
    if (listener_index >= listener_paces_.size()) {
        listener_paces_.resize(std::size_t{listener_index} + 1);
    }
    // Nothing is leased of a rate that is off: when it comes on, it holds from the first packet.
    const auto charge = [&](TrafficPace& pace, admission::QuotaLedger::TrafficRates& rates,
                            Scope scope) {
        if (rates.bytes.is_limited()) {
            wait.prolong(pace.bytes.take(rates.bytes, static_cast<std::int64_t>(bytes), now_),
                         Limit::byte_rate, scope);
        }
        if (is_publish && rates.messages.is_limited()) {
            wait.prolong(pace.messages.take(rates.messages, 1, now_), Limit::message_rate, scope);
        }
    };
    admission::QuotaLedger& ledger = ports_.admission->ledger;
    charge(listener_paces_[listener_index], ledger.listener_traffic(listener_index),
           Scope::listener);
    charge(server_pace_, ledger.server_traffic(), Scope::server);
}

void Shard::resume_at(Connection& connection, Instant at) {
    work_of(connection).resume_at = at;
    timers_.add({at, TimerQueue::Kind::connection, connection.id.index, connection.id.generation});
}

/// A message found no way to some clients, before any session saw it.
void Shard::count_lost(const MessageView& message, DropReason reason, std::uint64_t n) {
    counters_.drop(reason, n);
    if (ports_.admission != nullptr) {
        ports_.admission->ledger.tenant(message.tenant).count_dropped(n);
    }
    if (tracer_.is_on()) [[unlikely]]
        trace_message(TraceKind::dropped, message, to_text(reason), std::nullopt);
}

/// What was counted here goes to the accounts that a scraper reads.
void Shard::settle_paces() noexcept {
    for (TenantPace& pace : paces_) {
        if (pace.traffic == admission::TenantTraffic{}) continue;
        pace.account->count_traffic(pace.traffic);
        pace.traffic = {};
    }
}

// --- too little memory ---

/// Messages that found no room in the store.
void Shard::count_no_room(const MessageView& message, std::uint64_t n) {
    count_lost(message, messages_.refusal(), n);
    if (messages_.refusal() == DropReason::tenant_quota) {
        counters_.refuse({Limit::message_bytes, messages_.tenants().refused_by()});
    }
}

bool Shard::refuses_retained() const noexcept {
    return ports_.admission != nullptr &&
           ports_.admission->memory.is_on(admission::SheddingStep::refuse_retained);
}

/// When the next client has to go, if the pressure stays.
Instant Shard::next_shedding() const noexcept {
    const bool is_on = ports_.admission != nullptr &&
                       ports_.admission->memory.is_on(admission::SheddingStep::disconnect_slowest);
    return is_on ? shed_at_ : Instant::never();
}

/// One at a time, whose queue takes most: the pressure is looked at again before the next.
void Shard::shed_slowest() {
    if (now_ < next_shedding()) return;
    shed_at_ = now_ + shed_interval;
    Session* slowest = nullptr;
    sessions_.for_each([&](Session& session) {
        if (!session.is_attached() || session.queued_bytes() == 0) return;
        if (slowest == nullptr || session.queued_bytes() > slowest->queued_bytes()) {
            slowest = &session;
        }
    });
    if (slowest == nullptr) return;
    counters_.shed_clients_total.add();
    counters_.refuse({Limit::memory, Scope::server});
    trace::log(trace::Level::warn, "client_shed",
               {{"client", slowest->client_id()}, {"queued_bytes", slowest->queued_bytes()}});
    refuse(*slowest, find(slowest->connection()), ReasonCode::quota_exceeded,
           "the server is short of memory, and this client reads too slowly", Parting::lost);
}

}  // namespace mitu::broker
