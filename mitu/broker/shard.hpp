#pragma once
// Shard: one thread's worth of broker. Owns sessions, routes between them, talks to other shards.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "mitu/admission/control.hpp"
#include "mitu/admission/pace_table.hpp"
#include "mitu/admission/refusal_log.hpp"
#include "mitu/broker/connection.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/broker/effects.hpp"
#include "mitu/broker/gate.hpp"
#include "mitu/broker/journal.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/mail.hpp"
#include "mitu/broker/mailroom.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/broker/output_batch.hpp"
#include "mitu/broker/retained_store.hpp"
#include "mitu/broker/session_table.hpp"
#include "mitu/broker/subscription_index.hpp"
#include "mitu/broker/things.hpp"
#include "mitu/broker/timer_queue.hpp"
#include "mitu/broker/tracer.hpp"
#include "mitu/memory/arena.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/memory/slab_pool.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/ports/entropy.hpp"
#include "mitu/ports/faults.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

class ShardInspector;

/// What a shard works with. Everything named here outlives it.
struct ShardPorts {
    Mailroom& mailroom;
    ports::Network& network;
    ports::Entropy& entropy;
    ports::Faults& faults;
    Gate& gate;
    Things* things = nullptr;                 // null: nobody answers on $mitu/things
    admission::Control* admission = nullptr;  // null: no quotas of tenants, no bans, no shedding
    Journal* journal = nullptr;               // null: nothing outlives the process
};

/// One thread, one network, and every session whose (tenant, client id) hashes to it.
///
/// Whoever runs it loops: wait for the network until next_deadline(), then turn(). A turn drains
/// the mail, takes what came in, routes, and flushes each touched connection with one write.
/// Threading  shard-local, except counters(), which any thread may read.
/// Order      one session's publishes of one topic reach each subscriber as received
///            (MQTT 5.0 section 4.6): publisher's shard -> home shard -> subscriber's shard, each
///            step a FIFO.
class Shard {
public:
    Shard(ShardId id, const Limits& limits, const ShardPorts& ports);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    void turn(Instant now, std::span<const ports::NetworkEvent> events);
    /// When turn() is due even if nothing happens. Ask right before waiting: from here on, mail
    /// from another shard wakes the network. An instant in the past: at once.
    [[nodiscard]] Instant next_deadline();

    /// The gate's answer. Call between turns; an answer for a connection that is gone is ignored.
    void on_admission(Admission admission, Instant now);
    /// What a client may do from now on: the profile that it has, another, or null: it is not
    /// admitted any more, and its session ends.
    using RenewProfile = std::function<std::shared_ptr<const Profile>(
        TenantId tenant, std::string_view client_id, const std::shared_ptr<const Profile>& now)>;
    /// Asks `renew` about the sessions in `count` places from `first` on, connected or not, and
    /// acts on it; subscriptions that are not allowed any more end. Call between turns.
    /// Returns  where to go on; nullopt: done.
    [[nodiscard]] std::optional<std::uint32_t> renew_profiles(std::uint32_t first,
                                                              std::uint32_t count,
                                                              const RenewProfile& renew,
                                                              Instant now);
    /// A client that is connected, as dismiss() shows it.
    /// Lifetime  borrows the session.
    struct Present {
        TenantId tenant;
        std::string_view client_id;
        std::string_view user;  // empty: nobody in particular
        const IpAddress& ip;
    };
    /// Why it has to go; nullopt: it stays.
    using JudgePresent = std::function<std::optional<Refusal>(const Present&)>;
    /// Asks `judge` about the clients in `count` places from `first` on, and disconnects those that
    /// have to go; their sessions stay as MQTT says. Call between turns.
    /// Returns  where to go on; nullopt: done.
    [[nodiscard]] std::optional<std::uint32_t> dismiss(std::uint32_t first, std::uint32_t count,
                                                       const JudgePresent& judge, Instant now);
    /// Publishes on behalf of the server.
    void publish(const ServerPublish& publish, Instant now);

    /// How clients are let go that another process will serve.
    struct Drain {
        Duration settle_time = Duration::milliseconds(200);  // what is acknowledged is delivered
        std::uint32_t clients_per_s = 1'000;
    };
    /// From now on no PUBLISH is taken (nor acknowledged), and clients are told to come back, at
    /// that pace; who has messages under way goes last. Whoever comes is served like the others. It
    /// goes on until begin_shutdown().
    void begin_drain(const Drain& drain, Instant now);
    /// Tells every client why and closes; new connections are refused. finished() once all is
    /// written, or after shutdown_timeout.
    void begin_shutdown(Instant now);
    [[nodiscard]] bool finished() const noexcept;

    // --- before the first turn: what the store has (shard_restore.cpp) ---

    /// A session without connection, on the shard that is its home. Nullopt: there is no place for
    /// it here, and it stays in the store.
    [[nodiscard]] std::optional<SessionRef> restore(const KeptSession& kept, Instant now);
    /// As the client sent it, with `$share/NAME/`. False: there is no place for it.
    [[nodiscard]] bool restore_filter(const SessionRef& session, std::string_view filter);
    void restore_incoming(const SessionRef& session, std::uint16_t packet_id);
    /// That was all of it.
    void restored(const SessionRef& session);
    /// One of its subscriptions, on each shard that is the filter's home.
    void restore_subscription(TenantId tenant, const KeptSubscription& entry,
                              const SessionRef& session, StoredSessionId kept);
    /// False: there is no place for it.
    bool restore_retained(const MessageView& message);
    /// The will of a session that is here. If its client was connected when the last process ended,
    /// it has `grace` to come back. False: there is no place for it.
    bool restore_will(const SessionRef& session, const KeptWill& will, Duration grace);
    /// Of a client whose session is not kept: it is due when the client has not come back in
    /// `grace`.
    bool restore_will(const KeptWill& will, Duration grace, Instant now);
    /// One that was due; when all else is restored, on the shard that is its topic's home.
    void publish_will(const KeptWill& will, Instant now);

    [[nodiscard]] ShardId id() const noexcept { return id_; }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] SessionTable& sessions() noexcept { return sessions_; }
    /// Disconnects a client (administrative_action). False: no such client here.
    bool kick(TenantId tenant, std::string_view client_id, Instant now);
    [[nodiscard]] std::uint32_t stored_message_count() const noexcept {
        return messages_.live_count();
    }
    /// Those that have a home here, and those that are kept at every shard.
    [[nodiscard]] std::size_t indexed_subscription_count() const noexcept {
        return subscriptions_.subscription_count();
    }
    /// Who follows what. Call between turns.
    [[nodiscard]] Tracer& tracer() noexcept { return tracer_; }
    [[nodiscard]] std::size_t timer_count() const noexcept { return timers_.size(); }
    /// Who was refused at CONNECT, and why: the last few.
    [[nodiscard]] const admission::RefusedAttempts& refused_attempts() const noexcept {
        return refused_attempts_;
    }
    /// Counts and remembers a connection that the transport has sent away on its own, for a bound
    /// that would have been met at CONNECT too. From the shard's thread.
    void note_refused_at_door(const ports::PeerAddress& peer, const admission::Bound& bound,
                              Instant now);
    /// Of this shard.
    [[nodiscard]] std::uint64_t tenant_message_bytes(TenantId tenant) const noexcept {
        return messages_.tenants().stored(tenant);
    }

private:
    friend class ShardInspector;  // shard_inspect.hpp: what people and tools ask

    /// A message for another shard that its lane had no room for. Bounded: while one waits, no
    /// publisher is read and no publish mail is taken in.
    struct DeliverBacklog {
        MessageHandle message;  // one reference; none: an answer to `announce`
        RecipientList recipients;
        AnnounceMail announced{};
    };
    struct PublishBacklog {
        MessageHandle message;  // one reference; none: `subscription` writes it
        MailKind kind = MailKind::publish;
        Origin origin;  // redispatch: who did not take it
        std::uint32_t share_serial = 0;
        std::uint8_t attempts = 0;
        std::function<bool(memory::Lane&)> subscription;  // writes it, with texts of its own
    };
    struct Peer {
        std::deque<DeliverBacklog> deliver;
        std::deque<PublishBacklog> publish;
        std::deque<std::function<bool(memory::Lane&)>> control;
        RecipientList recipients;  // scratch of the message being routed
        [[nodiscard]] bool is_clear() const noexcept { return deliver.empty() && publish.empty(); }
    };

    // shard.cpp: turns, timers, the life of sessions
    void run_timers();
    void prune_timers();
    void on_session_timer(Session& session);
    void arm(Session& session);
    /// Sends the effects' packets to `connection` (null: nowhere), then carries the others out.
    void apply(const Session& session, Connection* connection, Effects& effects);
    void carry_out(const SessionRef& self, TenantId tenant, Effects& effects);
    void settle(const SessionRef& self);
    void note_subscriptions(const Session& session, SessionNotes& notes);
    /// Tells the client why, detaches the session and closes.
    void refuse(Session& session, Connection* connection, mqtt::ReasonCode reason,
                std::string_view text, Parting parting);
    void part(Session& session, Parting parting);
    void note_detached(const Session& session, SessionNotes& notes);
    void run_things();
    void tidy_memory();

    // shard_zones.cpp: what happens to a session that breaks
    struct Broken {
        SessionRef session;
        memory::ZoneFault fault;
    };
    /// Runs `act` in a fault zone on behalf of the session. False: it has broken, and nobody finds
    /// it any more.
    template <class Act>
    bool guarded(SessionRef session, Act&& act) {
        const auto fault = memory::in_fault_zone(act);
        if (!fault) [[likely]]
            return true;
        break_session(session, *fault);
        return false;
    }
    [[nodiscard]] static mqtt::ReasonCode reason_of(memory::ZoneFault fault) noexcept;
    void break_session(const SessionRef& session, memory::ZoneFault fault);
    [[nodiscard]] ports::BrokenSession seen_from_outside(const SessionRef& ref,
                                                         memory::ZoneFault fault,
                                                         ports::ConnectionId connection);
    void bury_broken();
    void bury(const Broken& broken);
    void mend();
    void mend_references();
    void mend_subscriptions();
    void lose_subscriptions(const SessionRef& session);

    // shard_rebuild.cpp: sessions that broke come back from the store

    /// From the fault until the session is what was written down of it. Meanwhile nobody finds it,
    /// and what is written down for it waits in the store.
    struct Rebuild {
        SessionRef session;
        std::string client_id{};          // empty: nobody knows it until it is read
        std::uint32_t subscriptions = 0;  // that other shards may know of
        std::uint32_t attempts = 0;
        std::uint32_t ticket = 0;   // 0: it waits for `again_at`
        std::uint32_t awaited = 0;  // shards that have not answered `announce`
        Instant again_at = Instant::never();
        /// Who has come back too early.
        struct Visitor {
            AdmissionTicket ticket;
            Admitted admitted;
        };
        std::vector<Visitor> visitors{};
    };
    [[nodiscard]] std::string believed_name(const SessionRef& session);
    [[nodiscard]] StoredWillId believed_will(const SessionRef& session);
    void begin_rebuild(const SessionRef& session);
    void rebuild_later(Rebuild& rebuild);
    void ask_for_rebuild(Rebuild& rebuild);
    void run_rebuilds();
    [[nodiscard]] Instant next_rebuild() const noexcept;
    void on_recalled(const RecalledSession& recalled);
    [[nodiscard]] bool bring_back(Rebuild& rebuild, const RecalledSession& recalled);
    /// Nullopt: it has none, or there is no memory for it.
    [[nodiscard]] std::optional<StoredWill> stored_will(const KeptWill& kept,
                                                        const SessionRef& session);
    void give_up_rebuild(std::uint32_t session_index);
    void let_in_visitors(std::vector<Rebuild::Visitor> visitors);
    /// Null: no session of this name is being built anew.
    [[nodiscard]] Rebuild* find_rebuild(TenantId tenant, std::string_view client_id);
    void wait_for_rebuild(Rebuild& rebuild, Connection& connection, ByteView packet,
                          const Admitted& admitted);

    // shard_connections.cpp: bytes in, bytes out
    void on_event(const ports::NetworkEvent& event);
    void open(const ports::NetworkEvent& event);
    void closed(Connection& connection);
    [[nodiscard]] Connection* find(ports::ConnectionId id) noexcept;
    [[nodiscard]] Connection& add_connection(ports::ConnectionId id, const ports::PeerAddress& peer,
                                             std::uint16_t listener_index);
    void remove_connection(Connection& connection);
    void receive(Connection& connection, ByteView bytes);
    [[nodiscard]] std::size_t process(Connection& connection, ByteView bytes);
    [[nodiscard]] std::optional<std::size_t> process_packet(Connection& connection, ByteView bytes);
    [[nodiscard]] std::optional<std::size_t> process_connect(Connection& connection,
                                                             ByteView bytes);
    [[nodiscard]] bool may_read_on(Connection& connection, ByteView next);
    [[nodiscard]] bool is_held_back(ByteView packet);
    void pause(Connection& connection);
    void resume_later(Connection& connection);
    void resume_all();
    void touch(Connection& connection);
    /// The connection's output buffer, which idle connections do not have.
    [[nodiscard]] Bytes& output_of(Connection& connection);
    void send_out(const Session& session, Connection* connection, Effects& effects);
    void keep_buffer(Bytes&& buffer);
    [[nodiscard]] Connection::Work& work_of(Connection& connection);
    void give_back_work(Connection& connection);
    [[nodiscard]] SessionRef session_of(const Connection& connection) const noexcept;
    void flush(Connection& connection);
    std::size_t write_batch(Connection& connection);
    void flush_all();
    void close(Connection& connection);
    void fail(Connection& connection, const mqtt::DecodeError& error, ByteView packet);

    // shard_admission.cpp: from CONNECT to an attached session
    void greet(Connection& connection, const mqtt::Connect& connect, ByteView packet,
               ByteView input);
    void settle_outcome(Connection& connection, const mqtt::Connect& connect, ByteView packet,
                        ByteView input, AdmissionOutcome outcome);
    void migrate(Connection& connection, ShardId to, ByteView packet, ByteView input,
                 Admitted admitted);
    void admit(Connection& connection, const mqtt::Connect& connect, ByteView packet,
               const Admitted& admitted);
    void refuse_connect(Connection& connection, mqtt::ReasonCode reason, std::string_view text,
                        std::uint32_t retry_after_s = 0, const admission::Bound* bound = nullptr);
    [[nodiscard]] std::string make_client_id(TenantId tenant);

    // shard_authentication.cpp: exchanges, and how long what was proved holds

    /// What is known of a client beyond its session, for the few of which there is something.
    struct Standing {
        std::string method;                  // agreed at CONNECT; empty: none
        std::unique_ptr<Exchange> exchange;  // null: none is under way
        Instant valid_until = Instant::never();
        std::string user;  // empty: as the client id
    };
    void begin_exchange(Connection& connection, const mqtt::Connect& connect, const Login& login,
                        ByteView packet, ByteView input);
    void go_on(Connection& connection, const mqtt::Connect& connect, ByteView packet,
               ByteView input, ByteView data);
    [[nodiscard]] std::optional<std::size_t> process_challenged(Connection& connection,
                                                                ByteView bytes);
    void authenticate(const SessionRef& session, const AuthenticateEffect& effect);
    [[nodiscard]] bool send_auth(Connection& connection, mqtt::ReasonCode reason,
                                 std::string_view method, std::string_view data,
                                 std::uint32_t bytes_max);
    void adopt_profile(const SessionRef& session, std::shared_ptr<const Profile> profile);
    void note_standing(Connection& connection, std::string_view method, std::string_view client_id,
                       std::string_view user, Instant valid_until);
    [[nodiscard]] std::string_view user_of(const Connection& connection,
                                           const Session& session) const;
    [[nodiscard]] Instant valid_until(const Connection& connection) const noexcept;
    void outlive(Connection& connection);

    // shard_drain.cpp: clients go one after the other
    struct Draining {
        Duration interval;
        Duration settle_time;
        Instant next_at;
        std::uint32_t round;                       // from 1
        std::vector<ports::ConnectionId> waiting;  // of this round; the next one is the last
    };
    void drain_some();
    [[nodiscard]] bool let_go(Connection& connection);
    [[nodiscard]] bool holds_back(const Connection& connection, ByteView bytes) const noexcept;

    // shard_limits.cpp: who is let in, who is slowed down, who has to go
    struct Turnaway {
        mqtt::ReasonCode reason;
        admission::Bound bound;
        Instant retry_at;  // never: it is of no use
    };
    /// Whose CONNECT is being dealt with, for the notes about who was refused.
    /// Lifetime  the packet.
    struct AtHand {
        std::optional<TenantId> tenant;  // nullopt: nobody knows yet
        std::string_view client_id{};
        std::string ban_reason{};  // for people; the client is not told
    };
    /// What one tenant has done on this shard, and may still do.
    struct TenantPace {
        admission::TenantAccount* account = nullptr;
        admission::LeasedTokens messages;
        admission::LeasedTokens bytes;
        admission::TenantTraffic traffic;  // not yet in the account
    };
    /// This shard's part of the rates of a listener, or the server.
    struct TrafficPace {
        admission::LeasedTokens messages;
        admission::LeasedTokens bytes;
    };
    [[nodiscard]] std::optional<Turnaway> look_at_stranger(const Connection& connection);
    [[nodiscard]] std::optional<Turnaway> look_at_proved(TenantId tenant,
                                                         std::string_view client_id,
                                                         std::string_view user);
    [[nodiscard]] Turnaway turned_away(const admission::Ban& ban);
    void count_fault(const SessionRef& session, memory::ZoneFault fault);
    void ban_for_faults(TenantId tenant, std::string_view client_id);
    [[nodiscard]] Turnaway no_place(const admission::Bound& bound) const;
    [[nodiscard]] std::optional<admission::Bound> take_places(TenantId tenant,
                                                              std::uint16_t listener_index,
                                                              const SessionNotes* replaced,
                                                              bool is_new_session);
    void give_back_connection(TenantId tenant, std::uint16_t listener_index) noexcept;
    void leave_connection(SessionNotes& notes) noexcept;
    void take_session_again(TenantId tenant);
    void give_back_subscriptions(SessionNotes& notes) noexcept;
    void turn_away(Connection& connection, const TenantId* tenant, const Turnaway& away);
    void note_attempt(const Connection& connection, mqtt::ReasonCode reason, std::string_view text,
                      const admission::Bound* bound);
    [[nodiscard]] std::uint32_t packet_bytes_max(std::uint16_t listener_index) const noexcept;
    [[nodiscard]] TenantPace& pace_of(TenantId tenant);
    /// Until when a client has to wait for a rate that it shares with others, and for which one.
    struct Wait {
        Instant until;
        admission::Bound bound;
        void prolong(Instant due, admission::Limit limit, admission::Scope scope) noexcept {
            if (due > until) *this = {due, {limit, scope}};
        }
    };
    void charge_paces(TenantId tenant, Connection& connection, std::size_t bytes, bool is_publish);
    void charge_traffic(std::uint16_t listener_index, std::size_t bytes, bool is_publish,
                        Wait& wait);
    void resume_at(Connection& connection, Instant at);
    void settle_paces() noexcept;
    void count_lost(const MessageView& message, DropReason reason, std::uint64_t n = 1);
    void count_no_room(const MessageView& message, std::uint64_t n = 1);
    [[nodiscard]] bool refuses_retained() const noexcept;
    [[nodiscard]] Instant next_shedding() const noexcept;
    void shed_slowest();

    // shard_trace.cpp: telling those who follow a client or a topic
    [[nodiscard]] TraceEvent trace_event(TraceKind kind, const Session& session) const;
    void trace_in(const Session& session, ByteView bytes, const mqtt::DecodeOptions& options);
    void trace_out(const Session& session, ByteView packets);
    void trace_attached(const Session& session, const Connection& connection,
                        const mqtt::Connect& connect, bool session_present);
    void trace_detached(const Session& session);
    void trace_attempt(const admission::RefusedAttempt& attempt);
    void trace_message(TraceKind kind, const MessageView& message, std::string_view reason,
                       std::optional<std::uint64_t> recipients);
    void trace_queued(const Session& session, const MessageView& message, const Delivery& delivery);

    // shard_routing.cpp: a message finds its way
    void route(const MessageView& message, const Origin& origin);
    void route_here(const MailedMessage& content, const Origin& origin);
    [[nodiscard]] std::optional<mqtt::ReasonCode> route_at_home(const MailedMessage& content,
                                                                const Origin& origin);
    void deliver_to(MessageHandle message, std::span<const Recipient> recipients,
                    std::span<const std::uint32_t> identifiers);
    void deliver_without_memory(const DeliverMail& mail);
    void deliver_local(MessageHandle message, const MessageView& view,
                       const MailRecipient& recipient, std::span<const std::uint32_t> identifiers,
                       StoredSessionId kept = 0);
    void deliver_to_nobody(MessageHandle message, const MessageView& view,
                           const MailRecipient& recipient, StoredSessionId kept);
    void dispatch_shared(MessageHandle message, std::uint32_t share_serial, std::uint8_t attempts,
                         const Origin& refused);
    void redispatch(MessageHandle message, std::uint32_t share_serial, std::uint8_t attempts,
                    const Origin& refused);
    void send_deliver(ShardId to, MessageHandle message, RecipientList& recipients);
    void subscribe(TenantId tenant, const SubscribeEffect& effect);
    void unsubscribe(TenantId tenant, const SessionRef& session, const UnsubscribeEffect& effect);
    void subscribe_here(const SubscriptionMail& mail);
    void unsubscribe_here(const SubscriptionMail& mail);
    void send_subscription(ShardId to, MailKind kind, const SubscriptionMail& mail);
    void send_retained(const SubscriptionMail& mail);
    /// `kept` not 0: the number under which it came stands in the store, as this session's.
    void complete(const SessionRef& session, Token token, mqtt::ReasonCode reason,
                  StoredSessionId kept = 0, std::uint16_t packet_id = 0);
    [[nodiscard]] std::optional<MessageHandle> store(const MailedMessage& content);
    [[nodiscard]] bool can_route();
    [[nodiscard]] bool may_use_lanes();
    [[nodiscard]] bool disk_has_room() const noexcept;
    [[nodiscard]] bool has_credit();
    [[nodiscard]] bool lanes_have_room();

    // shard_journal.cpp: what is written down, and what waits for it

    /// What happens once a batch has come so far.
    struct Awaiting {
        Journal::Batch batch = 0;
        bool wants_sync = false;
        bool is_kept = false;  // the publisher's number stands in the store
        mqtt::ReasonCode reason = mqtt::ReasonCode::success;
        MessageHandle message;           // one reference
        Origin origin;                   // token 0: nobody waits
        std::uint32_t share_serial = 0;  // to one member of a shared subscription
        std::uint8_t attempts = 0;
        std::vector<Recipient> recipients{};
        std::vector<std::uint32_t> identifiers{};
        AnnounceMail announce{};  // ticket not 0: a shard waits for what stands before this
    };
    /// What was read of a session's queue, until all that it may hold has been delivered.
    struct Reading {
        SessionRef session;
        std::uint32_t awaited = 0;  // shards that have not answered `announce`
        StoredMessageId up_to = 0;
        bool is_end = false;
        std::vector<LoadedMessage> messages{};  // their identifiers lie one behind the other in:
        std::vector<std::uint32_t> identifiers{};
    };
    /// A session's queue could not be read, or there was no memory for what it has.
    struct SlowRead {
        SessionRef session;
        Instant at;  // never: it is being read again
        std::uint32_t attempts = 0;
    };
    /// A session whose queue is being counted, and what was known of it when that began.
    struct Counting {
        SessionRef session;
        Session::Away before;
    };
    /// A will whose message leaves once it is written down that it is due.
    struct DueWill {
        Journal::Batch batch = 0;
        MessageHandle message;  // one reference
        Instant expires_at = Instant::never();
        SessionRef session;
        StoredWillId id;
    };
    struct Held {
        Journal::Batch batch = 0;
        ports::ConnectionId connection;
    };
    [[nodiscard]] bool keeps(TenantId tenant) const noexcept {
        return journal_ != nullptr && journal_->durability(tenant) != Durability::none;
    }
    [[nodiscard]] static bool is_kept(const Recipient& recipient, mqtt::QoS published) noexcept {
        return recipient.kept != 0 && recipient.qos != mqtt::QoS::at_most_once &&
               published != mqtt::QoS::at_most_once;
    }
    [[nodiscard]] std::uint32_t count_rows(mqtt::QoS qos) const noexcept;
    [[nodiscard]] bool keep_and_deliver(MessageHandle message, std::uint32_t rows,
                                        const Origin& origin, mqtt::ReasonCode outcome);
    [[nodiscard]] bool keep_for_member(MessageHandle message, std::uint32_t share_serial,
                                       std::uint8_t attempts, const Recipient& member,
                                       const Origin& refused);
    void deliver_to_member(MessageHandle message, std::uint32_t share_serial, std::uint8_t attempts,
                           const Recipient& member, std::span<const std::uint32_t> identifiers);
    [[nodiscard]] Origin origin_of(const SessionRef& session, bool is_kept) noexcept;
    void drop_row(const SessionRef& session, StoredMessageId message);
    void keep_subscription(TenantId tenant, const SubscribeEffect& effect, Subscriber& subscriber);
    void forget_subscription(TenantId tenant, const SessionRef& session,
                             const UnsubscribeEffect& effect);
    /// False: there was nothing to put down.
    bool keep_session(Session& session, SessionNotes& notes);
    void forget_session(const SessionRef& session, SessionNotes& notes);
    void apply_to_queue(const SessionRef& session, TenantId tenant, const QueueEffect& effect);
    void hold(Connection& connection, TenantId tenant);
    bool restore_next_will(Session& session, const KeptWill& kept, Duration grace);
    void keep_will(const StoredWill& will, TenantId tenant, std::string_view client_id);
    void publish_kept_will(const RouteEffect& route, const SessionRef& session);
    void release_wills(Journal::Batch written);
    void forget_will_of(const Origin& origin);
    void wait_for_wills(Connection& connection);
    void run_journal();
    void settle_awaiting(Awaiting& awaiting);
    void read_backlog(const SessionRef& session);
    void on_chunk(const QueueChunk& chunk);
    void read_later(const SessionRef& session);
    [[nodiscard]] bool reads_later(const SessionRef& session);
    void run_slow_reads();
    [[nodiscard]] std::uint32_t next_ticket() noexcept;
    void count_if_wanted(const SessionRef& session);
    void on_counted(const QueueCount& count);
    void ask_announce(std::uint32_t ticket);
    void on_announce(const AnnounceMail& mail);
    void announce(const AnnounceMail& mail);
    void on_announced(std::uint32_t ticket);
    void give_backlog(std::uint32_t ticket, Reading& reading);
    void end_journal_turn();
    [[nodiscard]] bool has_journal_news() const noexcept;

    // shard_mail.cpp: to and from the other shards
    void take_mail();
    [[nodiscard]] std::optional<memory::Lane::Record> peek(memory::Lane& lane) const;
    void take_control(ShardId from);
    void take_deliver(ShardId from);
    void take_publish(ShardId from);
    void take_publish_record(const memory::Lane::Record& record);
    void on_connection_mail(const ConnectionMail& mail);
    void send_control(ShardId to, const std::function<bool(memory::Lane&)>& write);
    [[nodiscard]] bool try_send_publish(ShardId to, const PublishBacklog& item);
    [[nodiscard]] std::optional<MailedMessage> mailable(MessageHandle message);
    [[nodiscard]] bool try_send_deliver(ShardId to, MessageHandle message,
                                        const RecipientList& recipients);
    [[nodiscard]] bool peers_are_clear() const noexcept;
    void flush_backlogs();
    void post_mail();
    void post_if_much(memory::Lane& lane, ShardId to);
    void release(memory::Lane& lane, ShardId writer);
    [[nodiscard]] std::uint32_t inline_bytes_max() const noexcept;

    ShardId id_;
    Instant now_;
    const Limits& limits_;
    ShardPorts ports_;
    Journal* journal_;
    Counters counters_;
    MessageStore messages_;
    Instant trim_at_;
    memory::Arena turn_memory_;
    memory::SlabPool session_memory_;
    SessionContext session_context_;
    SessionTable sessions_;
    SubscriptionIndex subscriptions_;
    RetainedStore retained_;
    TimerQueue timers_;
    OutputBatch batch_;
    ConnectionTable connections_;
    std::uint32_t connection_count_ = 0;
    std::map<std::uint32_t, Standing> standings_;  // by the connection's index
    std::vector<Peer> peers_;
    std::uint32_t lane_record_bytes_max_ = 0xFFFF'FFFF;
    std::vector<ports::ConnectionId> touched_;
    std::vector<ports::ConnectionId> flushing_;
    std::vector<ports::ConnectionId> resumable_;
    std::vector<ports::ConnectionId> resuming_;
    std::vector<Bytes> spare_buffers_;
    SpareParts<Connection::Work> spare_work_;
    Matches matches_;
    Matches members_;  // of a shared subscription, one after the other
    std::deque<Awaiting> awaiting_;
    std::deque<Held> held_;
    std::deque<DueWill> wills_;
    std::map<std::uint32_t, Reading> reading_;      // by ticket
    std::map<std::uint32_t, SlowRead> slow_reads_;  // by the session's index
    std::map<std::uint32_t, Counting> counting_;    // by ticket
    std::uint32_t next_ticket_ = 1;
    bool wants_hold_ = false;  // what was carried out is to be on the disk first
    bool wants_sync_ = false;  // of the current batch
    std::vector<ServerPublish> server_publishes_;
    std::vector<Broken> broken_;
    std::map<std::uint32_t, Rebuild> rebuilds_;       // by the session's index
    std::map<std::uint32_t, std::uint32_t> recalls_;  // by ticket: of which session
    bool has_lost_references_ = false;
    std::vector<SessionRef> lost_subscribers_;  // gone, and some filters may still name them
    Instant mend_at_;
    admission::BanView bans_;
    admission::FlappingDetector flapping_;
    admission::FaultWatch fault_watch_;
    admission::RefusedAttempts refused_attempts_;
    AtHand at_hand_;
    Tracer tracer_;
    std::vector<TenantPace> paces_;  // by tenant
    admission::ClientPaces client_paces_;
    std::vector<TrafficPace> listener_paces_;  // by listener_index, of those with traffic and rates
    TrafficPace server_pace_;
    Instant shed_at_;
    std::uint32_t next_admission_serial_ = 1;
    std::optional<Draining> drain_;
    bool is_shutting_down_ = false;
    Instant shutdown_deadline_ = Instant::never();
};

}  // namespace mitu::broker
