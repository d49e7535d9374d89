// Turns, timers, and the life of sessions.

#include "mitu/broker/shard.hpp"

#include <algorithm>
#include <utility>

#include "mitu/broker/placement.hpp"

namespace mitu::broker {

namespace {

// Long enough for turns that come in bursts to find their memory again.
constexpr Duration trim_interval = Duration::seconds(2);

admission::QuotaLedger* ledger_of(const ShardPorts& ports) noexcept {
    return ports.admission != nullptr ? &ports.admission->ledger : nullptr;
}

admission::ControlOptions options_of(const ShardPorts& ports) {
    return ports.admission != nullptr ? ports.admission->options : admission::ControlOptions{};
}

}  // namespace

Shard::Shard(ShardId id, const Limits& limits, const ShardPorts& ports)
    : id_{id},
      limits_{limits},
      ports_{ports},
      journal_{ports.journal},
      messages_{limits.message_bytes_max, counters_, limits.message_heap,
                TenantBytes{ledger_of(ports), ports.mailroom.shard_count()}},
      session_memory_{{.pool_bytes_max = limits.session_pool_bytes_max,
                       .holding_bytes_max = limits.session_bytes_max}},
      session_context_{
          limits_,          messages_,
          counters_,        ports_.faults,
          session_memory_,  now_,
          ledger_of(ports), ports.admission != nullptr ? &ports.admission->memory : nullptr,
          ports.journal},
      sessions_{session_context_, id},
      retained_{messages_, limits.retained_messages_max, ledger_of(ports)},
      batch_{messages_, limits.output_bytes_turn_max, limits.gather_bytes_min},
      peers_(ports.mailroom.shard_count()),
      flapping_{options_of(ports).flapping},
      fault_watch_{options_of(ports).faults},
      refused_attempts_{options_of(ports).refused_attempts_max} {
    session_context_.tracer = &tracer_;
    counters_.escapes = &turn_memory_.escapes();
    for (std::uint16_t i = 0; i < ports_.mailroom.shard_count(); ++i) {
        if (ShardId{i} == id_) continue;
        lane_record_bytes_max_ =
            std::min({lane_record_bytes_max_,
                      ports_.mailroom.lane(id_, ShardId{i}, LaneKind::publish).record_bytes_max(),
                      ports_.mailroom.lane(id_, ShardId{i}, LaneKind::deliver).record_bytes_max()});
    }
}

Shard::~Shard() {
    // Mail that nobody will read any more may own memory.
    for (std::uint16_t from = 0; from < ports_.mailroom.shard_count(); ++from) {
        if (ShardId{from} == id_) continue;
        for (const LaneKind kind : {LaneKind::control, LaneKind::deliver, LaneKind::publish}) {
            auto& lane = ports_.mailroom.lane(ShardId{from}, id_, kind);
            while (const auto record = lane.peek()) {
                switch (static_cast<MailKind>(record->kind)) {
                    case MailKind::connection: {
                        const auto mail = read_connection(record->bytes);
                        const std::unique_ptr<Arrival> arrival{mail.arrival};
                        ports_.network.close(ports_.network.attach(mail.connection));
                        break;
                    }
                    case MailKind::deliver:
                        if (auto* large = read_deliver(record->bytes).content.large)
                            large->release();
                        break;
                    case MailKind::publish:
                    case MailKind::redispatch:
                        if (auto* large = read_publish(record->bytes).content.large)
                            large->release();
                        break;
                    default:
                        break;  // owns nothing
                }
                lane.pop();
            }
        }
    }
}

void Shard::turn(Instant now, std::span<const ports::NetworkEvent> events) {
    now_ = now;
    counters_.turns_total.add();
    ports_.mailroom.stay_awake(id_);
    // Events first: a connection taken over from the mail may get the index of one that closed.
    for (const auto& event : events) on_event(event);
    take_mail();
    if (journal_ != nullptr) run_journal();
    resume_all();
    run_timers();
    if (!rebuilds_.empty()) run_rebuilds();
    if (!slow_reads_.empty()) run_slow_reads();
    shed_slowest();
    run_things();
    drain_some();
    bury_broken();
    flush_backlogs();
    flush_all();
    bury_broken();
    if (journal_ != nullptr) end_journal_turn();
    post_mail();
    mend();
    messages_.tidy();  // nobody has a view of a message now
    tidy_memory();
    if (now_ >= trim_at_) {
        messages_.trim();
        session_memory_.trim();
        settle_paces();
        tracer_.expire(now_);
        trim_at_ = now_ + trim_interval;
    }
}

Instant Shard::next_deadline() {
    ports_.mailroom.fall_asleep(id_);
    const Instant at_once{};
    const auto awake = [&] {
        ports_.mailroom.stay_awake(id_);
        return at_once;
    };
    if (!touched_.empty() || !server_publishes_.empty() || !broken_.empty()) return awake();
    if (messages_.has_more_to_tidy()) return awake();
    if (journal_ != nullptr && has_journal_news()) return awake();
    if (!resumable_.empty() && has_credit()) return awake();
    const bool takes_publishes = peers_are_clear() && (journal_ == nullptr || journal_->has_room());
    for (std::uint16_t i = 0; i < ports_.mailroom.shard_count(); ++i) {
        const ShardId peer{i};
        if (peer == id_) continue;
        if (!ports_.mailroom.lane(peer, id_, LaneKind::control).empty() ||
            !ports_.mailroom.lane(peer, id_, LaneKind::deliver).empty() ||
            (takes_publishes && !ports_.mailroom.lane(peer, id_, LaneKind::publish).empty())) {
            return awake();
        }
        // A lane that has drained half way is worth another try.
        const auto drained = [&](LaneKind kind) {
            auto& lane = ports_.mailroom.lane(id_, peer, kind);
            return lane.free_bytes() >= lane.capacity_bytes() / 2;
        };
        if ((!peers_[i].deliver.empty() && drained(LaneKind::deliver)) ||
            (!peers_[i].publish.empty() && drained(LaneKind::publish)) ||
            (!peers_[i].control.empty() && drained(LaneKind::control))) {
            return awake();
        }
    }
    Instant deadline = std::min(timers_.next(), retained_.next_deadline());
    if (ports_.things != nullptr) deadline = std::min(deadline, ports_.things->next_deadline());
    deadline = std::min(deadline, next_shedding());
    deadline = std::min(deadline, next_rebuild());
    for (const auto& [index, slow] : slow_reads_) deadline = std::min(deadline, slow.at);
    if (is_shutting_down_) deadline = std::min(deadline, shutdown_deadline_);
    if (drain_ && !is_shutting_down_) deadline = std::min(deadline, drain_->next_at);
    if (has_lost_references_ || !lost_subscribers_.empty()) {
        deadline = std::min(deadline, mend_at_);
    }
    return deadline;
}

// --- timers ---

void Shard::prune_timers() {
    constexpr std::size_t outdated_max = 4'096;
    const std::size_t wanted_max = sessions_.size() + 2 * std::size_t{connection_count_};
    if (timers_.size() < outdated_max + 2 * wanted_max) return;
    timers_.prune([&](const TimerQueue::Note& note) {
        if (note.kind == TimerQueue::Kind::session) {
            const Session* const session = sessions_.get(note.index, note.generation);
            return session != nullptr && sessions_.notes(session->self()).timer_at == note.at;
        }
        const Connection* const connection = find({note.index, note.generation});
        return connection != nullptr &&
               (connection->deadline() == note.at || connection->resume_at() == note.at ||
                valid_until(*connection) == note.at);
    });
}

void Shard::run_timers() {
    prune_timers();
    while (const auto note = timers_.take_due(now_)) {
        if (note->kind == TimerQueue::Kind::session) {
            Session* const session = sessions_.get(note->index, note->generation);
            if (session == nullptr) continue;
            SessionNotes& notes = sessions_.notes(session->self());
            if (notes.timer_at != note->at) continue;
            notes.timer_at = Instant::never();
            on_session_timer(*session);
            continue;
        }
        Connection* const connection = find({note->index, note->generation});
        if (connection == nullptr) continue;
        if (connection->resume_at() <= now_) {
            connection->work->resume_at = Instant::never();
            // It was we who did not read: its keep alive counts from here.
            if (Session* const waited = sessions_.get(session_of(*connection))) {
                waited->on_heard(now_);
            }
            resume_later(*connection);
        }
        if (valid_until(*connection) <= now_) outlive(*connection);
        if (connection->deadline() <= now_) {
            // CONNECT did not come, was not admitted in time, or the last bytes were not taken.
            if (connection->state != Connection::State::closing) {
                counters_.connections_refused_total.add();
            }
            ports_.network.close(connection->id);
            remove_connection(*connection);
        }
    }
    resume_all();
    retained_.expire(now_, journal_);
    counters_.retained_messages.set(retained_.count());
}

void Shard::on_session_timer(Session& session) {
    Connection* const connection = find(session.connection());
    // Whom we do not read for reasons of our own (a full lane, answers that are due) cannot be
    // heard; whom we do not read because it takes nothing from us can be silent all the same.
    if (connection != nullptr && connection->is_paused && !connection->is_blocked) {
        session.on_heard(now_);
    }
    const SessionRef self = session.self();
    const bool was_away = !session.is_attached();
    Effects effects{turn_memory_};
    if (!guarded(self, [&] { session.on_deadline(now_, effects); })) return;
    if (was_away && session.has_ended() && ports_.admission != nullptr) {
        ports_.admission->ledger.tenant(session.tenant()).count_expired();
    }
    apply(session, connection, effects);
    if (Session* const still = sessions_.get(self)) arm(*still);
    // Nothing to write, most of the time: the connection stays idle.
    if (connection != nullptr && connection->work && connection->work->is_done()) {
        give_back_work(*connection);
    }
}

void Shard::arm(Session& session) {
    SessionNotes& notes = sessions_.notes(session.self());
    const Instant at = session.next_deadline();
    if (at >= notes.timer_at) return;  // what is set comes early enough, and will look again
    notes.timer_at = at;
    timers_.add({at, TimerQueue::Kind::session, session.self().index, session.self().generation});
}

// --- effects ---

void Shard::apply(const Session& session, Connection* connection, Effects& effects) {
    send_out(session, connection, effects);
    const bool is_attached = session.is_attached();
    // Nearly every packet: an answer at most, and nothing that the shard would have to note.
    if (is_attached && effects.list.empty()) return;
    const SessionRef self = session.self();
    if (connection != nullptr && !is_attached) close(*connection);
    if (!is_attached || !std::holds_alternative<RouteEffect>(effects.list[0])) {
        note_subscriptions(session, sessions_.notes(self));  // before it may break of what follows
    }
    const TenantId tenant = session.tenant();
    const bool outer = std::exchange(wants_hold_, false);
    carry_out(self, tenant, effects);
    if (std::exchange(wants_hold_, outer) && connection != nullptr) hold(*connection, tenant);
    if (!is_attached) settle(self);
}

void Shard::carry_out(const SessionRef& self, TenantId tenant, Effects& effects) {
    // What follows from one at once (a completion) has effects of its own.
    for (std::size_t i = 0; i < effects.list.size(); ++i) {
        const Effect& effect = effects.list[i];
        if (const auto* e = std::get_if<RouteEffect>(&effect)) {
            Origin origin{self, e->token};
            if (e->packet_id != 0) {
                origin.kept = sessions_.notes(self).kept;
                origin.packet_id = e->packet_id;
            }
            if (!e->will.is_none()) {
                publish_kept_will(*e, self);
                continue;
            }
            route(e->message, origin);
            if (!e->hold.is_none()) messages_.release(e->hold);
        } else if (const auto* s = std::get_if<SubscribeEffect>(&effect)) {
            subscribe(tenant, *s);
        } else if (const auto* u = std::get_if<UnsubscribeEffect>(&effect)) {
            unsubscribe(tenant, self, *u);
        } else if (const auto* r = std::get_if<RedispatchEffect>(&effect)) {
            Origin refused = origin_of(self, r->is_kept);
            refused.packet_id = r->packet_id;
            redispatch(r->message, r->share_serial, r->attempts, refused);
        } else if (const auto* q = std::get_if<QueueEffect>(&effect)) {
            apply_to_queue(self, tenant, *q);
        } else if (const auto* a = std::get_if<AuthenticateEffect>(&effect)) {
            authenticate(self, *a);
        } else if (const auto* w = std::get_if<ForgetWillEffect>(&effect)) {
            journal_->erase_will(w->will);
        }
    }
    effects.list.clear();
}

/// What the shard itself knows about a session without connection follows what has happened to it.
void Shard::settle(const SessionRef& self) {
    Session* const session = sessions_.get(self);
    if (session == nullptr) return;  // it broke meanwhile
    SessionNotes& notes = sessions_.notes(self);
    note_detached(*session, notes);
    if (session->has_ended()) {
        counters_.subscriptions.subtract(notes.subscription_count);
        forget_session(self, notes);
        sessions_.erase(self);
        return;
    }
    if (session->last_parting() != Parting::shutdown) keep_session(*session, notes);
    // With a connection that is for flush() to do, once a turn.
    if (!guarded(self, [&] { session->shed_idle_parts(now_); })) return;
    arm(*session);
}

void Shard::note_subscriptions(const Session& session, SessionNotes& notes) {
    const auto subscriptions = static_cast<std::uint32_t>(session.subscription_count());
    if (subscriptions == notes.subscription_count) return;
    counters_.subscriptions.add(subscriptions);
    counters_.subscriptions.subtract(notes.subscription_count);
    notes.subscription_count = subscriptions;
    give_back_subscriptions(notes);
}

void Shard::note_detached(const Session& session, SessionNotes& notes) {
    if (!notes.connection.is_none()) {
        if (tracer_.is_on()) [[unlikely]]
            trace_detached(session);
        leave_connection(notes);
    }
    if (notes.thing == 0) return;
    ports_.things->on_detached(notes.thing, session.last_parting() == Parting::goodbye, now_);
    notes.thing = 0;
}

void Shard::part(Session& session, Parting parting) {
    const SessionRef self = session.self();
    Effects effects{turn_memory_};
    if (!guarded(self, [&] { session.detach(parting, now_, effects); })) return;
    apply(session, nullptr, effects);
}

void Shard::refuse(Session& session, Connection* connection, mqtt::ReasonCode reason,
                   std::string_view text, Parting parting) {
    const SessionRef self = session.self();
    Effects effects{turn_memory_};
    if (!guarded(self, [&] { session.refuse(reason, text, parting, now_, effects); })) return;
    apply(session, connection, effects);
}

bool Shard::kick(TenantId tenant, std::string_view client_id, Instant now) {
    now_ = now;
    Session* const session = sessions_.find(tenant, client_id);
    if (session == nullptr || !session->is_attached()) return false;
    refuse(*session, find(session->connection()), mqtt::ReasonCode::administrative_action,
           "disconnected by an operator", Parting::lost);
    return true;
}

/// Between turns: nobody has anything in the turn's arena.
void Shard::tidy_memory() {
    turn_memory_.reset();
    const memory::SlabPoolStats stats = session_memory_.stats();
    counters_.session_held_bytes.set(stats.held);
    counters_.session_slab_bytes.set(stats.open);
    counters_.session_blocks_reused_total.set(stats.reused_total);
    counters_.escaped_to_heap_total.set(turn_memory_.escapes().count_total());
}

// --- the server's own messages ---

void Shard::run_things() {
    if (ports_.things == nullptr) return;
    if (ports_.things->next_deadline() <= now_) ports_.things->on_deadline(now_);
    // Answers may cause more of them, but not without end: nobody answers an answer.
    std::vector<ServerPublish> publishes;
    publishes.swap(server_publishes_);
    for (const ServerPublish& publish : publishes) this->publish(publish, now_);
}

void Shard::publish(const ServerPublish& publish, Instant now) {
    now_ = now;
    MessageView message;
    message.tenant = publish.tenant;
    message.qos = publish.qos;
    message.retain = publish.retain;
    message.topic = publish.topic;
    message.payload = as_bytes(publish.payload);
    route(message, Origin{});
}

// --- the end ---

void Shard::begin_shutdown(Instant now) {
    now_ = now;
    is_shutting_down_ = true;
    shutdown_deadline_ = now + limits_.shutdown_timeout;
    connections_.for_each([&](Connection& connection) {
        if (connection.state == Connection::State::free) return;
        if (connection.state == Connection::State::attached) {
            if (Session* const session = sessions_.get(session_of(connection))) {
                refuse(*session, &connection, mqtt::ReasonCode::server_shutting_down,
                       "the server is stopping", Parting::shutdown);
                return;
            }
        }
        if (connection.state != Connection::State::closing) close(connection);
    });
    flush_all();
    post_mail();
}

bool Shard::finished() const noexcept {
    return is_shutting_down_ && (connection_count_ == 0 || now_ >= shutdown_deadline_);
}

}  // namespace mitu::broker
