#pragma once
// Model: what the specification says must be so, followed from what crosses the broker's edge.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/mqtt/packet.hpp"
#include "sim/authority.hpp"
#include "sim/client_key.hpp"
#include "sim/keeping.hpp"
#include "sim/observer.hpp"

namespace mitu::sim {

class Checker;

using MessageNumber = std::uint32_t;  // from 1

/// An application message of the run: published by an actor, or a will.
struct MessageRecord {
    MessageNumber number = 0;
    ClientKey publisher;
    std::string topic;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    bool retain = false;
    std::optional<std::uint32_t> expiry_s;
    std::uint32_t size_bytes = 0;  // of the payload

    std::uint32_t read_count = 0;  // how often the broker took in a PUBLISH of it
    std::uint32_t read_in_session = 0;
    std::uint32_t packet_bytes = 0;  // of the last PUBLISH that was read
    /// Its publisher repeated it in another session than it thinks (a CONNACK that it never saw).
    bool changed_session = false;
    std::uint64_t first_read_step = 0;
    Instant first_read_at;
    Instant last_read_at;
    bool is_accepted = false;  // PUBACK or PUBREC without error; a will: it is due
    bool is_refused = false;
    std::uint64_t accepted_step = 0;
    std::uint64_t server_number = 0;  // that accepted it
    std::uint64_t read_by_server = 0;
    bool changed_server = false;  // several servers have taken it in
    bool was_forgotten = false;   // a loss of power may have taken all that came of it

    enum class Will : std::uint8_t { none, armed, waiting, due, cancelled, unsure };
    Will will = Will::none;
    Instant will_due_at = Instant::never();
    Duration will_slack;      // so much earlier it may have been due
    Instant will_settled_at;  // when it became due, or was taken back by a DISCONNECT
};

/// One message at one session.
struct DeliveryRecord {
    std::uint32_t written_count = 0;      // PUBLISH packets, repeats included
    std::uint32_t transaction_count = 0;  // of those, with DUP 0
    bool is_qos2 = false;
    bool is_released = false;         // PUBREL was written
    ConnectionSerial connection = 0;  // that carried it last
    bool is_finished = false;         // PUBACK or PUBCOMP was read
    Instant finished_at;
    bool is_replay = false;       // of a retained message, or sent as one
    bool may_come_again = false;  // a server ended before it had written down that this is over
};

struct SubscriptionRecord {
    mqtt::SubscriptionOptions options;
    bool is_confirmed = false;  // by SUBACK
    std::uint64_t confirmed_step = 0;
    std::uint32_t pending_count = 0;     // operations on it whose answer is open, or was lost
    std::uint64_t first_asked_step = 0;  // the first SUBSCRIBE of this session
    mqtt::QoS qos_ever_max = mqtt::QoS::at_most_once;  // of all that was asked for
    bool local_ever = false;                           // some of it without No Local
    std::uint64_t unsubscribed_step = 0;               // of UNSUBACK; 0: it may be in force

    [[nodiscard]] bool is_stable() const noexcept { return is_confirmed; }
};

/// One life of one session: from a CONNACK without Session Present to its end.
struct SessionRecord {
    std::uint32_t number = 0;
    ClientKey key;
    std::map<std::string, SubscriptionRecord> subscriptions;  // those that are over too
    std::set<std::string> shared_ever;  // shared subscriptions that it asked for at some time
    std::map<MessageNumber, DeliveryRecord> deliveries;
    std::map<std::uint16_t, MessageNumber> ids_in_use;  // QoS 1 and 2 to the client, until the end
    /// Ids that a server may have forgotten when it ended, or may go on with.
    std::map<std::uint16_t, MessageNumber> ids_in_doubt;
    /// Messages that must arrive here, whose acknowledgement is open.
    std::set<MessageNumber> owed;
    ConnectionSerial connection = 0;  // 0: the client is away
    bool has_ended = false;
    Instant ended_at = Instant::never();
    Instant ends_at = Instant::never();  // while the client is away
    Duration end_slack;                  // so much later it may end
    Instant left_at;                     // when it and its client parted last
    /// A server ended while the client was connected: time counts from the next start.
    std::optional<std::uint32_t> cut_expiry_s;
    bool was_held_up = false;    // what was sent at last may wait in the broker still
    bool end_is_unsure = false;  // a DISCONNECT may or may not have been seen
    bool is_unsure = false;      // a clean start that was never answered may have ended it
    std::uint32_t packet_bytes_min = 0xFFFF'FFFF;  // the smallest maximum it ever named

    /// 0: none.
    [[nodiscard]] MessageNumber number_under(std::uint16_t packet_id) const {
        for (const auto* ids : {&ids_in_use, &ids_in_doubt}) {
            if (const auto it = ids->find(packet_id); it != ids->end()) return it->second;
        }
        return 0;
    }
};

struct ConnectionRecord {
    ConnectionSerial serial = 0;
    std::string actor;
    bool is_open = true;
    Instant closed_at = Instant::never();
    Instant valid_until = Instant::never();  // what it has proved holds
    bool closed_by_broker = false;
    bool was_cut_by_server = false;        // which ended
    std::optional<Instant> superseded_at;  // another connection has its session, or it broke
    std::string broke_by;                  // the fault that has ended its session; empty: none

    // From CONNECT.
    bool has_connect = false;
    Instant connect_read_at;
    ClientKey key;
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    bool clean_start = true;
    std::uint16_t keep_alive_s = 0;
    std::uint32_t expiry_s = 0;
    std::uint16_t receive_maximum = 65'535;
    std::uint32_t maximum_packet_size = 0;
    MessageNumber will = 0;
    std::uint32_t will_delay_s = 0;

    // From then on.
    bool is_refused = false;
    SessionRecord* session = nullptr;           // after CONNACK
    std::uint32_t server_packet_bytes_max = 0;  // 0: none
    Instant last_read_at;
    std::uint64_t last_read_step = 0;
    bool sent_garbage = false;
    std::optional<mqtt::ReasonCode> breach;  // how the client exceeds, or will in a moment
    bool breach_is_unsure = false;           // something of it was refused, and counts no more
    bool is_held_up = false;  // the network has not taken all that the broker has for it
    Instant held_up_until;    // when it did at last
    std::optional<mqtt::ReasonCode> client_goodbye;  // its DISCONNECT was read
    bool goodbye_is_unsure = false;                  // it may not have been looked at
    std::optional<mqtt::ReasonCode> server_goodbye;
    std::set<std::uint16_t> unacknowledged;  // ids of QoS 1 and 2 that the client has to answer
    std::deque<std::pair<std::uint16_t, MessageNumber>> puback_due;  // in the order of reading
    std::deque<std::pair<std::uint16_t, MessageNumber>> pubrec_due;
    std::uint32_t pings_due = 0;
    std::uint32_t pubcomps_due = 0;
    std::set<std::uint16_t> operations_due;  // SUBSCRIBE and UNSUBSCRIBE

    /// The broker parts from a client before its own last words to it have left, and so before it
    /// closes: when exactly, nobody sees.
    [[nodiscard]] bool was_given_up() const noexcept {
        return closed_by_broker || is_lawless() || client_goodbye.has_value() || is_held_up;
    }
    /// What the broker has written last may have waited for the network until now.
    [[nodiscard]] bool is_held_up_at(Instant at) const noexcept {
        return is_held_up || held_up_until == at;
    }
    /// The client breaks rules, so that the broker closes it at some moment from now on.
    [[nodiscard]] bool is_lawless() const noexcept { return sent_garbage || breach.has_value(); }
    Instant at_ease_since;  // if it is, at the earliest
    /// Nothing is in the way of one more message to it.
    [[nodiscard]] bool is_at_ease() const noexcept {
        return !is_held_up && unacknowledged.empty() && !is_lawless() && session != nullptr &&
               session->ids_in_use.empty();
    }
};

/// One message at one shared subscription ("$share/g/f", of the publisher's tenant).
struct GroupDelivery {
    std::map<std::uint32_t, std::uint64_t> acked_by;  // session number -> step
    bool is_owed = false;
    bool is_excused = false;  // there was a time without a member, or one broke that had it
    bool is_acked = false;
    bool was_left_over = false;  // by a member that broke: on its way to it already, so not in the
                                 // hands of the call that broke
};

/// Follows packets; knows nothing of the broker's insides. Checkers are told of each event before
/// the model takes it in, with the records it is about.
class Model final : public Observer {
public:
    Model() = default;
    void add(Checker& checker) { checkers_.push_back(&checker); }
    /// Whose orders change what clients may do. Call before anything happens.
    void follow(const Authority& authority) noexcept { authority_ = &authority; }
    /// What outlives a server. Without it nothing does.
    void follow(const Keeping& keeping) noexcept { keeping_ = &keeping; }

    // --- what the actors tell ---
    /// Registers a message before it is sent; its payload begins with the text of marker().
    MessageRecord& add_message(MessageRecord record);
    /// The client is about to exceed a maximum of the server, which will close it for `reason`.
    void expect_breach(ConnectionSerial connection, mqtt::ReasonCode reason) {
        connections_[connection].breach = reason;
    }
    [[nodiscard]] static std::string marker(MessageNumber number);
    [[nodiscard]] static MessageNumber number_of(ByteView payload) noexcept;  // 0: none

    // --- Observer ---
    void on_opened(ConnectionSerial connection, std::string_view actor, Instant at) override;
    void on_heard(ConnectionSerial connection, Instant at) override;
    void on_read(const Sighting& sighting) override;
    void on_written(const Sighting& sighting) override;
    void on_held_up(ConnectionSerial connection, bool is_held_up, Instant at) override;
    void on_garbage_read(ConnectionSerial connection, Instant at) override;
    void on_closed(ConnectionSerial connection, bool by_broker, Instant at,
                   std::uint64_t step) override;
    void on_server(ServerEvent event, Instant at) override;
    void on_credential(ConnectionSerial connection, Instant valid_until) override {
        connections_[connection].valid_until = valid_until;
    }
    void on_rights(Instant at, std::uint64_t step) override;
    void on_session_broke(const SessionBreak& broken) override;
    void on_session_buried(const SessionBreak& broken, bool is_whole) override;

    // --- to look at ---
    [[nodiscard]] MessageRecord* message(MessageNumber number) noexcept;
    [[nodiscard]] const std::vector<std::unique_ptr<MessageRecord>>& messages() const noexcept {
        return messages_;
    }
    /// The session that lives (or may live) under this key; null: none.
    [[nodiscard]] SessionRecord* live_session(const ClientKey& key) noexcept;
    [[nodiscard]] const std::vector<std::unique_ptr<SessionRecord>>& sessions() const noexcept {
        return sessions_;
    }
    [[nodiscard]] const std::map<ConnectionSerial, ConnectionRecord>& connections() const noexcept {
        return connections_;
    }
    using GroupDeliveries = std::map<MessageNumber, std::map<std::string, GroupDelivery>>;
    [[nodiscard]] const GroupDeliveries& group_deliveries() const noexcept {
        return group_deliveries_;
    }
    [[nodiscard]] std::uint64_t server_number() const noexcept { return server_number_; }
    /// What was answered by the server that accepted it has not been lost since.
    [[nodiscard]] bool is_still_kept(const MessageRecord& message) const;
    /// A CONNECT was taken in and its client was gone before CONNACK: nobody saw what came of it.
    /// Or its CONNACK still waits for the network.
    [[nodiscard]] bool may_have_unseen_session(const ClientKey& key, ConnectionSerial except) const;
    /// Nothing that the broker owes is open: deliveries, answers, wills.
    [[nodiscard]] bool is_settled() const;
    /// So many messages of a shared subscription may have been in the hands of the very calls that
    /// broke, and are lost with them; whether this is one that may.
    [[nodiscard]] std::uint64_t group_losses_max(const std::string& tenant,
                                                 const std::string& filter) const;
    [[nodiscard]] bool may_have_been_in_hand(const MessageRecord& message,
                                             const std::string& filter) const;
    /// The message may be missing at the session without fault: it expires, is too large, ...
    [[nodiscard]] static bool may_miss(const SessionRecord& session, const MessageRecord& message);
    /// Lets time pass for wills and sessions.
    void pass_time(Instant now, std::uint64_t step);

private:
    void read_connect(ConnectionRecord& c, const mqtt::Connect& connect, Instant at);
    void read_publish(ConnectionRecord& c, const mqtt::Publish& publish, const Sighting& s);
    void read_ack(ConnectionRecord& c, std::uint16_t id, bool is_error, const Sighting& s);
    static void acknowledge(ConnectionRecord& c, std::uint16_t id, Instant at);
    void finish_delivery(SessionRecord& session, std::uint16_t id);
    void read_subscribe(ConnectionRecord& c, const mqtt::Subscribe& subscribe, const Sighting& s);
    void read_unsubscribe(ConnectionRecord& c, const mqtt::Unsubscribe& unsubscribe);
    void lose_operations(ConnectionRecord& c);
    void written_connack(ConnectionRecord& c, const mqtt::Connack& connack, const Sighting& s);
    void written_publish(ConnectionRecord& c, const mqtt::Publish& publish, const Sighting& s);
    void written_ack(ConnectionRecord& c, std::uint16_t id, mqtt::ReasonCode reason, bool is_pubrec,
                     const Sighting& s);
    void written_suback(ConnectionRecord& c, const mqtt::Suback& suback, const Sighting& s);
    void written_unsuback(ConnectionRecord& c, const mqtt::Unsuback& unsuback, const Sighting& s);
    void accept(MessageRecord& message, Instant at, std::uint64_t step);
    void part(ConnectionRecord& c, Instant at, std::uint64_t step);
    void end_session(SessionRecord& session);
    void note_unseen(const ConnectionRecord& c);
    void disown(MessageNumber number);
    void excuse_groups(MessageNumber number);
    void excuse_groups_of(const SessionRecord& session);
    void will_is_due(MessageRecord& message, Instant at, std::uint64_t step);
    // model_crash.cpp
    [[nodiscard]] bool keeps(const std::string& tenant) const;
    void lose_server(Instant at);
    void leave_behind(ConnectionRecord& c, Instant at);
    void excuse_groups_with(const SessionRecord& session);
    void fall_back(const std::string& tenant);
    void fall_back(SessionRecord& session, Instant since);
    void forget(const std::string& tenant);
    void server_started(Instant at);
    [[nodiscard]] static Instant end_of_stay(Instant closed_at, std::uint32_t expiry_s);
    void check_groups(const std::string& tenant);
    [[nodiscard]] bool may_have_parted(const SessionBreak& broken, const ConnectionRecord* own,
                                       const SessionRecord* session) const;
    [[nodiscard]] bool may_have_been_lost(const MessageRecord& message,
                                          const std::string& filter) const;

    struct PendingOperation {
        bool is_subscribe = true;
        std::vector<std::string> filters;
        std::vector<mqtt::SubscriptionOptions> options;
    };

    /// A session that has broken, until it is put away.
    struct Burial {
        MessageNumber will = 0;        // that follows if the session's end can still be had
        bool may_have_parted = false;  // the call that broke may have been its end already
        std::set<std::string> groups;  // shared subscriptions that it may have had
        std::set<std::string> qos2_groups;
        std::set<std::pair<MessageNumber, std::string>> left_over;  // was_left_over, if it is whole
    };
    /// What members that broke may have taken with them of one shared subscription.
    struct GroupBreaks {
        std::uint64_t count = 0;      // of those that could hand over the rest
        std::uint64_t last_step = 0;  // of these
        std::uint64_t all_step = 0;   // the last of those that could not
        std::uint64_t qos2_step = 0;  // the last of them all: what was begun is not begun again
    };

    const Authority* authority_ = nullptr;
    const Keeping* keeping_ = nullptr;
    std::vector<Checker*> checkers_;
    std::vector<std::unique_ptr<MessageRecord>> messages_;  // [number - 1]
    std::vector<std::unique_ptr<SessionRecord>> sessions_;
    std::map<ClientKey, SessionRecord*> live_;
    std::map<ConnectionSerial, ConnectionRecord> connections_;
    std::map<std::pair<ConnectionSerial, std::uint16_t>, PendingOperation> operations_;
    GroupDeliveries group_deliveries_;
    std::set<std::pair<MessageNumber, std::string>> open_groups_;  // owed, not acknowledged
    std::set<MessageNumber> waiting_wills_;
    std::set<ClientKey> unseen_;
    std::map<ClientKey, Burial> burials_;
    std::map<std::pair<std::string, std::string>, GroupBreaks> group_breaks_;  // tenant, filter
    /// Sessions that were over, or may have been, and may be back since a server ended.
    std::set<ClientKey> maybe_back_;
    std::map<std::string, std::uint64_t> kept_since_;  // by tenant: the first server
    std::uint64_t server_number_ = 1;
    bool server_is_stopping_ = false;
    Instant now_;
};

/// One promise. Every call comes before the model takes the event in.
class Checker {
public:
    virtual ~Checker() = default;
    virtual void on_heard(const ConnectionRecord& /*c*/, Instant /*at*/) {}
    virtual void on_read(const ConnectionRecord& /*c*/, const Sighting& /*s*/) {}
    virtual void on_written(const ConnectionRecord& /*c*/, const Sighting& /*s*/) {}
    /// A message reaches the edge on its way to a client.
    virtual void on_delivery(const ConnectionRecord& /*c*/, const MessageRecord& /*m*/,
                             const mqtt::Publish& /*publish*/, const Sighting& /*s*/) {}
    virtual void on_closed(const ConnectionRecord& /*c*/, bool /*by_broker*/, Instant /*at*/) {}
    virtual void on_session_broke(const SessionBreak& /*broken*/) {}
    virtual void on_session_buried(const SessionBreak& /*broken*/, bool /*is_whole*/) {}
    /// The run is over and was given time to become quiet.
    virtual void at_end(Instant /*now*/) {}
};

}  // namespace mitu::sim
