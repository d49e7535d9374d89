#pragma once
// Session: the MQTT state of one client id. Knows packets and time; no sockets, no other sessions.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/acceptance.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/broker/effects.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/broker/output_batch.hpp"
#include "mitu/broker/profile.hpp"
#include "mitu/broker/things.hpp"
#include "mitu/memory/ring_queue.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/ports/faults.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

/// What all sessions of a shard share. Outlives them.
struct SessionContext {
    const Limits& limits;
    MessageStore& messages;
    Counters& counters;
    ports::Faults& faults;
};

/// Why a connection and its session part.
enum class Parting : std::uint8_t {
    goodbye,            // DISCONNECT with reason 0x00: the will is dropped
    goodbye_with_will,  // DISCONNECT with another reason
    lost,               // the connection broke, timed out, or the client broke a rule
    taken_over,         // another connection with the same client id came
    shutdown,           // the server stops: wills stay unpublished, the client will be back
};

/// A message for one client, as its home shard matched it.
struct Delivery {
    MessageHandle message;
    mqtt::QoS qos = mqtt::QoS::at_most_once;  // effective: the lower of message and subscription
    bool retain = false;                      // the flag that the client sees
    bool is_retained_replay = false;          // sent because of a SUBSCRIBE
    std::span<const std::uint32_t> identifiers;
    std::uint32_t share_serial = 0;
    std::uint8_t attempts = 0;  // shared: how many members could not take it
    [[nodiscard]] bool must_take() const noexcept;
};

/// Delivery::attempts of a message that no other member is left for.
inline constexpr std::uint8_t attempts_exhausted = 0xFF;

inline bool Delivery::must_take() const noexcept { return attempts == attempts_exhausted; }

enum class DeliveryOutcome : std::uint8_t { queued, dropped, give_to_another };

/// The protocol state machine of MQTT 3.1.1 and 5.0, server side, for one client id.
///
/// Lives on the shard that (tenant, client id) hashes to, with or without a connection. Packets,
/// time and completions come in; effects and bytes go out. Outgoing messages are pulled: pump()
/// encodes as many as the connection has room for.
/// Threading  shard-local.
/// Order      each subscriber gets one publisher's messages of one topic and QoS in the order in
///            which deliver() was called (MQTT 5.0 section 4.6).
class Session {
public:
    Session(SessionContext& context, SessionRef self, TenantId tenant, std::string client_id);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // --- a connection comes and goes (session.cpp) ---

    /// Binds a connection and answers with CONNACK. `session_present`: this session existed before.
    void attach(const mqtt::Connect& connect, Acceptance acceptance, ports::ConnectionId connection,
                std::shared_ptr<const Profile> profile, bool session_present, Instant now,
                Effects& effects);
    /// The connection is gone, or is about to be. What the will and the expiry demand happens now
    /// or at next_deadline(). Does nothing if there is no connection.
    void detach(Parting parting, Instant now, Effects& effects);
    /// The session is over: will, subscriptions and queue are dealt with. Erase it afterwards,
    /// when the effects have been applied.
    void end(Instant now, Effects& effects);
    [[nodiscard]] bool has_ended() const noexcept { return ended_; }

    /// Tells a v5 client why and closes. The session is detached (Parting::lost or as given).
    void refuse(mqtt::ReasonCode reason, std::string_view text, Parting parting, Instant now,
                Effects& effects);

    // --- what happens to it (session_inbound.cpp) ---

    void on_packet(const mqtt::Packet& packet, Instant now, Effects& effects);
    void on_completion(Token token, mqtt::ReasonCode reason, Instant now, Effects& effects);
    /// Raises how many answers `serial` waits for (a filter that several shards must learn).
    void expect_more(std::uint32_t serial, std::uint32_t more) noexcept;
    void on_deadline(Instant now, Effects& effects);  // early or repeated calls do nothing
    [[nodiscard]] Instant next_deadline() const noexcept;
    /// Bytes came from the client: it is alive.
    void on_heard(Instant now) noexcept { last_heard_ = now; }

    /// Not before this may the client be read on (message rate, or answers that are due first).
    [[nodiscard]] Instant read_not_before() const noexcept;

    // --- messages for the client (session_outbound.cpp) ---

    [[nodiscard]] DeliveryOutcome deliver(const Delivery& delivery, Instant now);
    /// Encodes what may be sent now: resends, then queued messages within the client's receive
    /// maximum, as long as `batch` has room. True: something is left that could be sent at once.
    bool pump(Instant now, OutputBatch& batch, Effects& effects);

    // --- to look at ---

    [[nodiscard]] const SessionRef& self() const noexcept { return self_; }
    [[nodiscard]] TenantId tenant() const noexcept { return tenant_; }
    [[nodiscard]] const std::string& client_id() const noexcept { return client_id_; }
    [[nodiscard]] ports::ConnectionId connection() const noexcept { return connection_; }
    [[nodiscard]] bool is_attached() const noexcept { return !connection_.is_none(); }
    [[nodiscard]] mqtt::ProtocolVersion version() const noexcept { return version_; }
    [[nodiscard]] const std::shared_ptr<const Profile>& profile() const noexcept {
        return profile_;
    }
    [[nodiscard]] Instant last_heard() const noexcept { return last_heard_; }
    [[nodiscard]] std::uint32_t queued_count() const noexcept {
        return waiting_.size() + waiting_qos0_.size();
    }
    [[nodiscard]] std::uint32_t inflight_count() const noexcept { return inflight_.size(); }
    [[nodiscard]] std::size_t subscription_count() const noexcept { return subscriptions_.size(); }
    [[nodiscard]] std::size_t identifier_set_count() const noexcept {
        return identifier_sets_.size();
    }
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const noexcept {
        return drops_ ? (*drops_)[static_cast<std::size_t>(reason)] : 0;
    }
    /// Counts a message that did not reach this client, by reason, here and for the shard.
    void count_drop(DropReason reason, std::uint64_t n = 1);
    [[nodiscard]] Parting last_parting() const noexcept { return last_parting_; }

    // The shard's own notes.
    Instant timer_at = Instant::never();  // the timer that is set for this session
    Things::Cookie thing = 0;             // not 0: a device, and counted as connected

private:
    /// A message queued or in flight. 16 bytes: a fleet has very many.
    struct Outgoing {
        MessageHandle message;          // none: PUBREC came, only the id is still in use
        std::uint32_t identifiers = 0;  // 0: none; a subscription identifier; or set_flag | index
        std::uint32_t share_serial = 0;
        std::uint16_t packet_id = 0;  // while it waits: its number in the order of arrival
        std::uint8_t qos : 2 = 0;
        std::uint8_t retain : 1 = 0;
        std::uint8_t is_retained_replay : 1 = 0;
        std::uint8_t sent : 1 = 0;        // at least once, on whatever connection
        std::uint8_t uses_quota : 1 = 0;  // counts against this connection's receive maximum
        std::uint8_t awaits_pubcomp : 1 = 0;
        std::uint8_t attempts = 0;
    };
    static_assert(sizeof(Outgoing) == 16);

    /// An answer owed to a publisher. Answers leave in the order of the publishes [MQTT-4.6.0-2].
    struct PendingAck {
        std::uint32_t serial = 0;
        std::uint16_t packet_id = 0;
        mqtt::QoS qos = mqtt::QoS::at_least_once;
        bool done = false;
        /// QoS 2: the connection that it was owed to is gone, and the publish was not yet repeated.
        bool is_orphaned = false;
        mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    };

    /// A SUBSCRIBE or UNSUBSCRIBE that waits for home shards.
    struct PendingOperation {
        std::uint32_t serial = 0;
        std::uint16_t packet_id = 0;
        bool is_subscribe = true;
        std::uint32_t remaining = 0;
        Bytes reasons;
    };

    /// A QoS 2 message between PUBLISH and PUBREL.
    struct Incoming {
        std::uint16_t packet_id = 0;
        bool uses_quota = false;  // it came on this connection: counts against our receive maximum
    };

    struct Subscription {
        mqtt::SubscriptionOptions options;
        std::uint32_t identifier = 0;
    };

    /// Topic names behind numbers, one direction of one connection.
    struct Aliases {
        std::vector<std::string> incoming;  // index: alias - 1; empty text: not set
        std::vector<std::string> outgoing;
        std::uint16_t outgoing_max = 0;
        std::uint16_t outgoing_next = 0;
    };

    static constexpr std::uint32_t set_flag = 0x8000'0000;
    static constexpr std::uint32_t never_expires_s = 0xFFFF'FFFF;
    using DropCounts = std::array<std::uint64_t, drop_reason_count>;

    // session.cpp
    void drop_will() noexcept;
    void publish_will(Instant now, Effects& effects);
    void forget_connection();
    void redispatch_shared(Effects& effects);
    void send(const mqtt::Packet& packet, Effects& effects);
    void send_ack(mqtt::PacketType type, std::uint16_t packet_id, mqtt::ReasonCode reason,
                  Effects& effects);
    [[nodiscard]] AccessVariables access_variables(const Profile& profile) const noexcept;
    [[nodiscard]] std::uint32_t next_serial() noexcept;

    // session_inbound.cpp
    void on_publish(const mqtt::Publish& publish, Instant now, Effects& effects);
    [[nodiscard]] std::optional<std::string_view> resolve_alias(const mqtt::Publish& publish,
                                                                Instant now, Effects& effects);
    [[nodiscard]] std::optional<mqtt::ReasonCode> judge_publish(std::string_view topic,
                                                                const mqtt::Publish& publish);
    void charge_message_rate(Instant now) noexcept;
    void owe_ack(const mqtt::Publish& publish, std::uint32_t serial,
                 std::optional<mqtt::ReasonCode> refused, Effects& effects);
    void send_due_acks(Effects& effects);
    void confirm_again(std::uint16_t packet_id, Effects& effects);
    void orphan_pending_acks();
    [[nodiscard]] std::optional<std::uint32_t> find_pending_ack(
        std::uint32_t serial) const noexcept;
    [[nodiscard]] std::vector<Incoming>::iterator find_incoming(std::uint16_t packet_id) noexcept;
    void forget_incoming(std::uint16_t packet_id);
    void on_pubrel(const mqtt::Pubrel& pubrel, Effects& effects);
    void on_subscribe(const mqtt::Subscribe& subscribe, Instant now, Effects& effects);
    void on_unsubscribe(const mqtt::Unsubscribe& unsubscribe, Effects& effects);
    [[nodiscard]] mqtt::ReasonCode judge_subscription(const mqtt::SubscriptionList::Entry& entry);
    void finish_operation(PendingOperation& operation, Effects& effects);
    void on_disconnect(const mqtt::Disconnect& disconnect, Instant now, Effects& effects);

    // session_outbound.cpp
    void on_puback(const mqtt::Puback& puback);
    void on_pubrec(const mqtt::Pubrec& pubrec, Effects& effects);
    void on_pubcomp(const mqtt::Pubcomp& pubcomp);
    [[nodiscard]] std::optional<std::uint32_t> find_inflight(
        std::uint16_t packet_id) const noexcept;
    void finish_inflight(std::uint32_t position);
    [[nodiscard]] std::uint32_t intern(std::span<const std::uint32_t> identifiers);
    [[nodiscard]] std::span<const std::uint32_t> identifiers_of(const Outgoing& entry) const;
    [[nodiscard]] bool make_room(const Delivery& delivery, std::uint64_t bytes);
    void forget(const Outgoing& entry) noexcept;
    [[nodiscard]] std::uint16_t take_packet_id() noexcept;
    enum class Sent : std::uint8_t { yes, no_room, impossible };
    [[nodiscard]] Sent send_publish(Outgoing& entry, Instant now, OutputBatch& batch);
    [[nodiscard]] static bool arrived_before(const Outgoing& a, const Outgoing& b) noexcept;
    /// False: the batch has no room, and nothing changed.
    [[nodiscard]] bool pump_one(memory::RingQueue<Outgoing>& queue, Instant now, OutputBatch& batch,
                                Effects& effects);
    [[nodiscard]] bool resend(Instant now, OutputBatch& batch, Effects& effects);
    void give_up(const Outgoing& entry, DropReason reason, Effects& effects);
    void restart_inflight() noexcept;
    [[nodiscard]] std::uint16_t outgoing_alias(std::string_view topic, bool& is_known);
    void learn_alias(std::string_view topic);
    void leave_queue(const Outgoing& entry) noexcept;

    SessionContext& context_;
    SessionRef self_;
    TenantId tenant_;
    std::string client_id_;
    std::shared_ptr<const Profile> profile_;

    // The connection, while there is one.
    ports::ConnectionId connection_;
    mqtt::ProtocolVersion version_ = mqtt::ProtocolVersion::v5;
    bool ended_ = false;
    Parting last_parting_ = Parting::lost;
    bool wants_problem_information_ = true;
    std::uint16_t send_quota_max_ = 0;  // the client's receive maximum, at most ours
    std::uint16_t send_quota_used_ = 0;
    std::uint32_t packet_bytes_max_ = mqtt::packet_bytes_limit;  // the client's
    Duration keep_alive_;                                        // 0: none; already times 1.5
    Instant last_heard_;
    Instant rate_due_;  // message rate: when the bucket will be full again (GCRA)
    Instant rate_pause_until_;
    std::unique_ptr<Aliases> aliases_;
    memory::RingQueue<PendingAck> pending_acks_;
    std::uint32_t pending_qos1_count_ = 0;  // of those, QoS 1
    std::uint32_t receive_quota_used_ = 0;  // of incoming_qos2_, those of this connection
    std::vector<PendingOperation> operations_;
    std::uint32_t next_serial_ = 1;

    // The session, with or without connection.
    std::uint32_t expiry_s_ = 0;
    Instant expires_at_ = Instant::never();  // detached only
    Instant will_at_ = Instant::never();     // detached only
    std::optional<StoredWill> will_;
    std::map<std::string, Subscription, std::less<>> subscriptions_;
    std::vector<Incoming> incoming_qos2_;  // by packet id
    std::uint16_t next_packet_id_ = 1;
    std::uint16_t next_arrival_ = 0;
    bool ids_are_ordered_ = true;           // along inflight_, so that they can be searched
    memory::RingQueue<Outgoing> inflight_;  // in the order of their first sending
    std::uint32_t resend_position_ = 0;     // inflight_ from here on is not yet resent
    memory::RingQueue<Outgoing> waiting_;   // QoS 1 and 2
    memory::RingQueue<Outgoing> waiting_qos0_;
    std::uint32_t waiting_retained_ = 0;  // retained messages that a SUBSCRIBE brought
    std::uint64_t waiting_bytes_ = 0;     // of all others
    std::vector<std::vector<std::uint32_t>> identifier_sets_;
    std::unique_ptr<DropCounts> drops_;
};

}  // namespace mitu::broker
