#pragma once
// Session: the MQTT state of one client id. Knows packets and time; no sockets, no other sessions.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "mitu/admission/memory_pressure.hpp"
#include "mitu/admission/quota_ledger.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/acceptance.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/broker/effects.hpp"
#include "mitu/broker/filter_set.hpp"
#include "mitu/broker/journal.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/broker/output_batch.hpp"
#include "mitu/broker/profile.hpp"
#include "mitu/broker/refusals.hpp"
#include "mitu/broker/session_memory.hpp"
#include "mitu/broker/session_parts.hpp"
#include "mitu/broker/short_text.hpp"
#include "mitu/broker/things.hpp"
#include "mitu/broker/tracer.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/ports/faults.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::mqtt {
struct OutgoingPublish;
}

namespace mitu::broker {

/// What all sessions of a shard share. Outlives them.
struct SessionContext {
    const Limits& limits;
    MessageStore& messages;
    Counters& counters;
    ports::Faults& faults;
    memory::SlabPool& memory;
    const Instant& now;                                   // of the turn, for what is noted
    admission::QuotaLedger* ledger = nullptr;             // null: tenants have no quotas
    const admission::MemoryPressure* pressure = nullptr;  // null: there is no budget
    const Journal* journal = nullptr;                     // null: nothing is kept
    bool can_break = faults.can_fire();
    const Tracer* tracer = nullptr;  // null: nobody can follow anything
};

/// What the shard itself keeps about a session: out of reach of what the session does with its own
/// memory, so that a session that has broken can be put away by what stands here.
struct SessionNotes {
    Instant timer_at = Instant::never();  // the timer that is set for it
    std::shared_ptr<const Profile> profile;
    memory::SlabHolding memory;
    StoredSessionId kept = 0;  // its name in the store; 0: it is not kept there
    ports::ConnectionId connection;
    Things::Cookie thing = 0;  // not 0: a device, and counted as connected
    std::uint32_t subscription_count = 0;
    std::uint32_t subscriptions_taken : 26 = 0;  // of the tenant's quota
    std::uint32_t lives : 6 = 0;                 // how often it was built anew after it broke
    TenantId tenant;
    std::uint16_t listener_index = 0;  // of the connection
};

/// Why a connection and its session part.
enum class Parting : std::uint8_t {
    goodbye,            // DISCONNECT with reason 0x00: the will is dropped
    goodbye_with_will,  // DISCONNECT with another reason
    lost,               // the connection broke, timed out, or the client broke a rule
    taken_over,         // another connection with the same client id came
    shutdown,  // the server stops, and the client will be back: what is written down about it, its
               // will too, stays as it was while it was here, for whoever serves next
};

/// A message for one client, as its home shard matched it.
struct Delivery {
    MessageHandle message;
    Instant expires_at = Instant::never();
    std::uint64_t content_bytes = 0;
    mqtt::QoS qos = mqtt::QoS::at_most_once;  // effective: the lower of message and subscription
    bool retain = false;                      // the flag that the client sees
    bool is_retained_replay = false;          // sent because of a SUBSCRIBE
    std::span<const std::uint32_t> identifiers;
    StoredMessageId stored_id = 0;  // not 0: it stands in the session's queue in the store
    std::uint32_t share_serial = 0;
    std::uint8_t attempts = 0;  // shared: how many members could not take it
    [[nodiscard]] bool must_take() const noexcept;
};

/// Delivery::attempts of a message that no other member is left for.
inline constexpr std::uint8_t attempts_exhausted = 0x7F;

inline bool Delivery::must_take() const noexcept { return attempts == attempts_exhausted; }

enum class DeliveryOutcome : std::uint8_t {
    queued,
    kept,  // it stays in the store; nothing refers to the message in memory
    dropped,
    give_to_another,
};

/// What the store had, and was given a place in memory.
struct LoadedMessage {
    MessageHandle message;  // one reference, which the session takes over; none: PUBREC has come
    StoredMessageId id = 0;
    std::uint64_t content_bytes = 0;
    QueueRow row;
};

/// The protocol state machine of MQTT 3.1.1 and 5.0, server side, for one client id.
///
/// Lives on the shard that (tenant, client id) hashes to, with or without a connection. Packets,
/// time and completions come in; effects and bytes go out. Outgoing messages are pulled: pump()
/// encodes as many as the connection has room for.
///
/// What only a busy session needs (session_parts.hpp) stands behind pointers that are null while it
/// is idle: an idle one takes some 200 bytes with its client id, whatever its queues can hold.
///
/// Everything but what only looks may fault (memory::ZoneFault) and is called in a fault zone: all
/// that a session has is plain and lies in its own memory, it writes nothing else but its Effects,
/// and where it calls on what others share (messages, the output batch) the zone pauses.
///
/// Threading  shard-local.
/// Order      each subscriber gets one publisher's messages of one topic and QoS in the order in
///            which deliver() was called (MQTT 5.0 section 4.6).
class Session {
public:
    /// Shape  a client id for which the session has no memory is cut: see has_name().
    Session(SessionContext& context, SessionNotes& notes, SessionRef self, TenantId tenant,
            std::string_view client_id);
    ~Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // --- a connection comes and goes (session.cpp) ---

    /// Binds a connection and answers with CONNACK. `session_present`: this session existed before.
    /// `will` is taken over; `profile` lives until detach().
    void attach(const mqtt::Connect& connect, const Acceptance& acceptance,
                const std::optional<StoredWill>& will, ports::ConnectionId connection,
                const Profile& profile, bool session_present, Instant now, Effects& effects);
    /// The connection is gone, or is about to be. What the will and the expiry demand happens now
    /// or at next_deadline(). Does nothing if there is no connection.
    void detach(Parting parting, Instant now, Effects& effects);
    /// False: there was no memory for its name, and it is good for nothing.
    [[nodiscard]] bool has_name() const noexcept { return has_name_; }
    /// The session is over: will, subscriptions and queue are dealt with. Erase it afterwards,
    /// when the effects have been applied.
    void end(Instant now, Effects& effects);
    /// The same for a session that broke, perhaps in the middle of end(), so that nobody has seen
    /// what that asked for.
    void end_again(Instant now, Effects& effects);
    [[nodiscard]] bool has_ended() const noexcept { return ended_; }

    /// Tells a v5 client why and closes. The session is detached (Parting::lost or as given).
    void refuse(mqtt::ReasonCode reason, std::string_view text, Parting parting, Instant now,
                Effects& effects);

    /// What it may do has changed: from now on `profile` holds, which lives until detach().
    /// Subscriptions that it does not allow end, and so does what they have brought and was not
    /// sent yet.
    ///
    /// Returns  how many ended.
    std::uint32_t adopt_profile(const Profile& profile, Effects& effects);

    // --- what happens to it (session_inbound.cpp) ---

    /// A packet of so many bytes was read.
    void on_bytes(std::uint32_t bytes, Instant now) {
        if (profile_->bytes_per_s != 0) [[unlikely]]
            charge_byte_rate(bytes, now);
    }
    void on_packet(const mqtt::Packet& packet, Instant now, Effects& effects);
    void on_completion(Token token, mqtt::ReasonCode reason, bool is_kept, Instant now,
                       Effects& effects);
    /// Raises how many answers `serial` waits for (a filter that several shards must learn).
    void expect_more(std::uint32_t serial, std::uint32_t more) noexcept;
    void on_deadline(Instant now, Effects& effects);  // early or repeated calls do nothing
    [[nodiscard]] Instant next_deadline() const noexcept;
    /// Bytes came from the client: it is alive.
    void on_heard(Instant now) noexcept { last_heard_ = now; }

    /// Not before this may the client be read on (message rate, or answers that are due first).
    [[nodiscard]] Instant read_not_before() const noexcept;

    /// Gives back what the session has taken while it was busy, if nothing is left in it. Changes
    /// nothing that can be seen.
    void shed_idle_parts(Instant now);

    // --- messages for the client (session_outbound.cpp) ---

    [[nodiscard]] DeliveryOutcome deliver(const Delivery& delivery, Instant now);
    /// A message of the store for which the shard has no memory (session_backlog.cpp).
    [[nodiscard]] DeliveryOutcome deliver_later(const Delivery& delivery);
    /// Encodes what may be sent now: resends, then queued messages within the client's receive
    /// maximum, as long as `batch` has room. True: something is left that could be sent at once.
    bool pump(Instant now, OutputBatch& batch, Effects& effects);

    // --- what waits in the store (session_backlog.cpp) ---

    /// Whether it is time to read on.
    [[nodiscard]] bool wants_backlog() const noexcept;
    /// Behind which message to read, and from now on `ticket` is the answer.
    [[nodiscard]] StoredMessageId begin_read(std::uint32_t ticket) noexcept;
    /// The answer. `read_up_to`: all that lies there up to here is in it or was before; `is_end`:
    /// there was nothing more when it was read.
    void take_backlog(std::uint32_t ticket, std::span<const LoadedMessage> messages,
                      StoredMessageId read_up_to, bool is_end, Effects& effects);
    /// There is no answer now; another question will come.
    void put_off_read(std::uint32_t ticket);
    /// Whether so much waits there that what was never counted matters: what came before this
    /// process, or before the session broke.
    [[nodiscard]] bool wants_count() const noexcept;
    /// How much waits in the store alone.
    struct Away {
        std::uint32_t messages = 0;
        std::uint64_t bytes = 0;
    };
    [[nodiscard]] std::uint32_t queue_messages_max() const noexcept;
    [[nodiscard]] std::uint64_t queue_bytes_max() const noexcept;
    [[nodiscard]] Away away() const noexcept {
        return {away_count_, std::uint64_t{away_units_} * away_unit_bytes};
    }
    void set_away(const Away& away) noexcept;
    /// As it stands in the store: of a server that begins, or of a session that broke.
    void restore(const KeptSession& kept, Instant now);
    void restore_will(const StoredWill& will);
    void restore_filter(std::string_view filter);
    void restore_incoming(std::uint16_t packet_id);
    /// It was connected when the server's last process ended.
    [[nodiscard]] bool was_cut_by_us() const noexcept { return was_cut_by_us_; }
    /// The client is back in time: that it was gone was the server's doing.
    void forgive_will(Effects& effects) {
        if (was_cut_by_us_) drop_will(effects);
    }

    // --- to look at ---

    [[nodiscard]] const SessionRef& self() const noexcept { return self_; }
    [[nodiscard]] TenantId tenant() const noexcept { return tenant_; }
    /// Lifetime  the session.
    [[nodiscard]] std::string_view client_id() const noexcept { return client_id_.view(); }
    /// The largest packet that the client takes on this connection.
    [[nodiscard]] std::uint32_t packet_bytes_max() const noexcept { return packet_bytes_max_; }
    [[nodiscard]] ports::ConnectionId connection() const noexcept { return connection_; }
    [[nodiscard]] bool is_attached() const noexcept { return !connection_.is_none(); }
    [[nodiscard]] mqtt::ProtocolVersion version() const noexcept { return version_; }
    /// Null before the first connection.
    [[nodiscard]] const Profile* profile() const noexcept { return profile_; }
    [[nodiscard]] Instant last_heard() const noexcept { return last_heard_; }
    [[nodiscard]] std::uint32_t queued_count() const noexcept {
        return (outbox_ ? outbox_->queued_count() : 0) + away_count_;
    }
    [[nodiscard]] const StoredWill* will() const noexcept { return will_; }
    [[nodiscard]] std::uint32_t expiry_s() const noexcept { return expiry_s_; }
    [[nodiscard]] Instant detached_at() const noexcept { return detached_at_; }
    [[nodiscard]] std::uint32_t inflight_count() const noexcept {
        return outbox_ ? outbox_->inflight.size() : 0;
    }
    [[nodiscard]] std::size_t subscription_count() const noexcept { return filters_.size(); }
    /// As the client sent them, with `$share/NAME/`.
    [[nodiscard]] const FilterSet& filters() const noexcept { return filters_; }
    [[nodiscard]] std::size_t identifier_set_count() const noexcept {
        return outbox_ ? outbox_->identifier_set_count : 0;
    }
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const noexcept {
        return losses_ != nullptr ? losses_->drops[static_cast<std::size_t>(reason)] : 0;
    }
    /// What was refused last; null: nothing ever was.
    [[nodiscard]] const Refusals* refusals() const noexcept {
        return losses_ != nullptr ? &losses_->last : nullptr;
    }
    /// Of messages that wait, retained ones that a SUBSCRIBE brought not counted.
    [[nodiscard]] std::uint64_t queued_bytes() const noexcept {
        return (outbox_ != nullptr ? outbox_->waiting_bytes : 0) +
               std::uint64_t{away_units_} * away_unit_bytes;
    }
    /// Counts a message that did not reach this client, by reason, here and for the shard. Which
    /// it was, or its topic, is for those who follow it.
    void count_drop(DropReason reason, std::uint64_t n = 1, MessageHandle which = {},
                    std::string_view topic = {});
    [[nodiscard]] Parting last_parting() const noexcept { return last_parting_; }

    /// Calls visit(handle) for each message that the session has a reference to.
    template <class Visit>
    void for_each_message(Visit visit) const;

private:
    static constexpr std::uint32_t set_flag = 0x8000'0000;
    static constexpr std::uint32_t never_expires_s = 0xFFFF'FFFF;
    static constexpr std::uint32_t away_unit_bytes = 64;
    static constexpr std::uint32_t token_life_shift = 24;
    // A SUBSCRIBE has far fewer filters.
    static constexpr std::uint32_t token_entry_mask = (1U << token_life_shift) - 1;

    // session.cpp
    [[nodiscard]] SessionMemory memory() const noexcept {
        return {context_.memory, notes_.memory, context_.can_break ? &context_.faults : nullptr};
    }
    /// Where a simulated run, or a test of the zones themselves, lets a session break.
    void fault_point() const {
        if (context_.can_break) [[unlikely]]
            maybe_break();
    }
    void maybe_break() const;
    /// Nobody is to have it.
    void drop_will(Effects& effects);
    /// In memory: in the store it stays.
    void leave_will() noexcept;
    void publish_will(Instant now, Effects& effects);
    /// Never: the session does not expire, or has a connection, or is over.
    [[nodiscard]] Instant expires_at() const noexcept;
    /// The same for the will.
    [[nodiscard]] Instant will_at() const noexcept;
    [[nodiscard]] Inbox& use_inbox();
    [[nodiscard]] Outbox* try_use_outbox();  // null: no memory
    void forget_connection();
    void redispatch_shared(Effects& effects);
    void send(const mqtt::Packet& packet, Effects& effects);
    void send_ack(mqtt::PacketType type, std::uint16_t packet_id, mqtt::ReasonCode reason,
                  Effects& effects);
    void drop_what_is_denied(const AccessVariables& values, Effects& effects);
    [[nodiscard]] AccessVariables access_variables(const Profile& profile) const noexcept;
    [[nodiscard]] std::uint32_t next_serial() noexcept;
    /// What is asked in this life of the session is not answered in its next.
    [[nodiscard]] Token token(std::uint32_t serial, std::uint32_t entry) const noexcept {
        return {serial,
                (entry & token_entry_mask) | std::uint32_t{notes_.lives} << token_life_shift};
    }

    // session_inbound.cpp
    void on_publish(const mqtt::Publish& publish, Instant now, Effects& effects);
    [[nodiscard]] std::optional<std::string_view> resolve_alias(const mqtt::Publish& publish,
                                                                Instant now, Effects& effects);
    [[nodiscard]] bool may_publish(std::string_view topic);
    [[nodiscard]] std::optional<mqtt::ReasonCode> judge_publish(std::string_view topic,
                                                                const mqtt::Publish& publish);
    void charge_message_rate(Instant now);
    void owe_ack(const mqtt::Publish& publish, std::uint32_t serial,
                 std::optional<mqtt::ReasonCode> refused, Effects& effects);
    void send_due_acks(Effects& effects);
    void confirm_again(std::uint16_t packet_id, Effects& effects);
    void orphan_pending_acks();
    [[nodiscard]] std::optional<std::uint32_t> find_pending_ack(
        std::uint32_t serial) const noexcept;
    /// Null: no such message is between PUBLISH and PUBREL.
    [[nodiscard]] Incoming* find_incoming(std::uint16_t packet_id) noexcept;
    void forget_incoming(std::uint16_t packet_id);
    void on_pubrel(const mqtt::Pubrel& pubrel, Effects& effects);
    void on_subscribe(const mqtt::Subscribe& subscribe, Instant now, Effects& effects);
    void make_room_for(PendingOperation& operation, std::size_t filter_count);
    void on_unsubscribe(const mqtt::Unsubscribe& unsubscribe, Effects& effects);
    [[nodiscard]] mqtt::ReasonCode judge_subscription(const mqtt::SubscriptionList::Entry& entry);
    void finish_operation(PendingOperation& operation, Effects& effects);
    void on_disconnect(const mqtt::Disconnect& disconnect, Instant now, Effects& effects);

    // session_backlog.cpp
    [[nodiscard]] bool is_kept() const noexcept { return notes_.kept != 0; }
    [[nodiscard]] Backlog* backlog() const noexcept {
        return outbox_ != nullptr ? outbox_->backlog : nullptr;
    }
    [[nodiscard]] bool is_over_the_queue(std::uint32_t more, std::uint64_t bytes) const noexcept;
    [[nodiscard]] DeliveryOutcome leave_in_store(const Delivery& delivery);
    void begin_backlog_at(StoredMessageId message);
    [[nodiscard]] bool is_in_memory(StoredMessageId message) const noexcept;
    [[nodiscard]] DeliveryOutcome deliver_behind(const Delivery& delivery);
    [[nodiscard]] bool is_far_ahead() const noexcept;
    void begin_backlog(StoredMessageId cursor);
    [[nodiscard]] StoredMessageId last_in_memory() const noexcept;
    [[nodiscard]] std::optional<Outgoing> entry_for(const Delivery& delivery);
    void take_loaded(const LoadedMessage& loaded, Effects& effects);
    void take_newcomers(std::span<const LoadedMessage> messages, StoredMessageId up_to);
    void add_waiting(Outgoing entry, std::uint64_t content_bytes);
    void count_away(std::uint64_t content_bytes) noexcept;
    void uncount_away(std::uint64_t content_bytes) noexcept;
    void put_away(Effects& effects);
    void end_backlog() noexcept;
    [[nodiscard]] StoredMessageId stored_id(const Outgoing& entry) const noexcept;
    void erase_row(const Outgoing& entry, Effects& effects);
    [[nodiscard]] bool wants_number() const noexcept;
    void number_waiting(Instant now, Effects& effects);

    // session_limits.cpp
    [[nodiscard]] Losses* try_use_losses();  // null: no memory
    void note_refusal(RefusalKind kind, std::optional<admission::Bound> bound);
    [[nodiscard]] bool is_traced() const noexcept {
        return context_.tracer != nullptr && context_.tracer->is_on();
    }
    void trace_drop(DropReason reason, std::uint64_t n, MessageHandle which,
                    std::string_view topic) const;
    void trace_refusal(RefusalKind kind, const std::optional<admission::Bound>& bound) const;
    void trace_sent(const mqtt::OutgoingPublish& publish, std::string_view topic) const;
    void charge_byte_rate(std::uint32_t bytes, Instant now);
    [[nodiscard]] bool has_spent_bytes(Instant now) const noexcept;
    [[nodiscard]] std::optional<mqtt::ReasonCode> judge_shape(std::string_view topic,
                                                              const mqtt::Publish& publish);
    [[nodiscard]] std::optional<admission::Bound> over_the_limit(
        std::string_view filter) const noexcept;
    [[nodiscard]] std::optional<admission::Bound> take_subscription();
    void untake_subscription() noexcept;

    // session_outbound.cpp
    void on_puback(const mqtt::Puback& puback, Effects& effects);
    void on_pubrec(const mqtt::Pubrec& pubrec, Effects& effects);
    void on_pubcomp(const mqtt::Pubcomp& pubcomp, Effects& effects);
    [[nodiscard]] std::optional<std::uint32_t> find_inflight(
        std::uint16_t packet_id) const noexcept;
    void finish_inflight(std::uint32_t position);
    [[nodiscard]] std::optional<std::uint32_t> intern(std::span<const std::uint32_t> identifiers);
    [[nodiscard]] std::span<const std::uint32_t> identifiers_of(const Outgoing& entry) const;
    [[nodiscard]] bool make_room(const Delivery& delivery, std::uint64_t bytes);
    void forget(const Outgoing& entry) noexcept;
    [[nodiscard]] MessageView view(const Outgoing& entry) const noexcept;
    [[nodiscard]] std::uint64_t content_bytes(const Outgoing& entry) const noexcept;
    [[nodiscard]] std::uint16_t take_packet_id() noexcept;
    enum class Sent : std::uint8_t { yes, no_room, impossible };
    [[nodiscard]] Sent send_publish(Outgoing& entry, const MessageView& view, Instant now,
                                    OutputBatch& batch);
    [[nodiscard]] static bool arrived_before(const Outgoing& a, const Outgoing& b) noexcept;
    /// False: the batch has no room, and nothing changed.
    [[nodiscard]] bool pump_one(memory::ArenaQueue<Outgoing>& queue, Instant now,
                                OutputBatch& batch, Effects& effects);
    [[nodiscard]] bool resend(Instant now, OutputBatch& batch, Effects& effects);
    void give_up(const Outgoing& entry, DropReason reason, Effects& effects);
    void restart_inflight() noexcept;
    [[nodiscard]] std::uint16_t outgoing_alias(std::string_view topic, bool& is_known);
    void learn_alias(std::string_view topic);
    void leave_queue(const Outgoing& entry) noexcept;
    void leave_queue(const Outgoing& entry, std::uint64_t content_bytes) noexcept;

    SessionContext& context_;
    SessionNotes& notes_;
    ShortText<23> client_id_;  // 23 is what every server takes [MQTT-3.1.3-5]
    SessionRef self_;
    TenantId tenant_;

    // The connection, while there is one.
    std::uint16_t send_quota_max_ = 0;  // the client's receive maximum, at most ours
    ports::ConnectionId connection_;
    const Profile* profile_ = nullptr;
    Instant last_heard_;
    std::uint32_t packet_bytes_max_ = mqtt::packet_bytes_limit;  // the client's
    std::uint32_t keep_alive_ms_ = 0;                            // 0: none; already times 1.5
    std::uint16_t outgoing_alias_max_ = 0;
    mqtt::ProtocolVersion version_ = mqtt::ProtocolVersion::v5;
    Parting last_parting_ = Parting::lost;
    bool wants_problem_information_ = true;

    // The session, with or without connection.
    bool ended_ = false;
    bool has_name_ = false;
    bool knows_away_ = true;      // away_count_ is all that waits there
    bool was_cut_by_us_ = false;  // it was connected when the server's last process ended
    std::uint16_t next_packet_id_ = 1;
    std::uint32_t next_serial_ = 1;
    std::uint32_t expiry_s_ = 0;
    std::uint32_t away_count_ = 0;            // messages that wait in the store alone
    std::uint32_t away_units_ = 0;            // their bytes, each rounded up
    Instant detached_at_ = Instant::never();  // detached only: will and expiry count from here
    FilterSet filters_;                       // with `$share/NAME/` where a client said so

    // Null while there is nothing in them.
    Inbox* inbox_ = nullptr;
    Outbox* outbox_ = nullptr;
    Aliases* aliases_ = nullptr;
    StoredWill* will_ = nullptr;
    Losses* losses_ = nullptr;
};
static_assert(std::is_trivially_destructible_v<Session>);

template <class Visit>
void Session::for_each_message(Visit visit) const {
    if (will_ != nullptr) visit(will_->message);
    if (outbox_ == nullptr) return;
    if (const Backlog* const waiting = outbox_->backlog) {
        for (std::uint32_t i = 0; i < waiting->newcomers.size(); ++i) {
            visit(waiting->newcomers.at(i).entry.message);
        }
    }
    for (const auto* queue : outbox_->queues()) {
        for (std::uint32_t i = 0; i < queue->size(); ++i) {
            if (!queue->at(i).message.is_none()) visit(queue->at(i).message);
        }
    }
}

}  // namespace mitu::broker
