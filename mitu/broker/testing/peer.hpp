#pragma once
// A scripted MQTT client without a socket: bytes in, bytes out. Whoever drives it (a test, the
// simulator, a scenario over TCP) owns the transport, the time and the order of events.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::broker::testing {

inline constexpr mqtt::QoS qos0 = mqtt::QoS::at_most_once;
inline constexpr mqtt::QoS qos1 = mqtt::QoS::at_least_once;
inline constexpr mqtt::QoS qos2 = mqtt::QoS::exactly_once;

using UserPairs = std::vector<std::pair<std::string, std::string>>;

struct PublishOptions {
    mqtt::QoS qos = qos0;
    bool retain = false;
    bool dup = false;
    std::uint16_t packet_id = 0;  // 0: the next free one
    std::optional<std::uint16_t> topic_alias{};
    std::optional<std::uint32_t> message_expiry_s{};
    std::optional<bool> payload_is_utf8{};
    std::optional<std::string> response_topic{};
    std::optional<std::string> correlation_data{};
    std::optional<std::string> content_type{};
    UserPairs user_properties{};
    std::vector<std::uint32_t> subscription_identifiers{};  // which no client may send
};

struct WillOptions {
    std::string topic{};
    std::string payload{};
    mqtt::QoS qos = qos0;
    bool retain = false;
    std::uint32_t delay_s = 0;
    std::optional<std::uint32_t> message_expiry_s{};
    std::optional<bool> payload_is_utf8{};
    std::optional<std::string> response_topic{};
    std::optional<std::string> correlation_data{};
    std::optional<std::string> content_type{};
    UserPairs user_properties{};
};

struct ConnectOptions {
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    bool clean_start = true;
    std::uint16_t keep_alive_s = 0;
    std::uint32_t session_expiry_s = 0;
    std::uint16_t receive_maximum = 65'535;
    std::uint32_t maximum_packet_size = 0;
    std::uint16_t topic_alias_maximum = 0;
    bool request_response_information = false;
    bool request_problem_information = true;
    std::optional<std::string> authentication_method{};
    std::optional<std::string> authentication_data{};
    std::optional<std::string> user_name{};
    std::optional<std::string> password{};
    std::optional<WillOptions> will{};
    UserPairs user_properties{};
    std::optional<std::uint16_t> door{};  // the shard that accepts the connection
};

struct SubscribeOptions {
    mqtt::QoS qos = qos0;
    bool no_local = false;
    bool retain_as_published = false;
    mqtt::RetainHandling retain_handling = mqtt::RetainHandling::send_at_subscribe;
    std::uint32_t identifier = 0;  // of the whole packet
};

struct FilterOptions {
    std::string filter;
    SubscribeOptions options{};
};

/// An application message as this client got it.
struct Message {
    std::string topic;  // also when it came as an alias
    std::string payload;
    mqtt::QoS qos = qos0;
    bool retain = false;
    bool dup = false;
    std::uint16_t packet_id = 0;
    std::optional<std::uint16_t> topic_alias;
    bool came_as_alias = false;  // the topic itself was not in the packet
    std::optional<std::uint32_t> message_expiry_s;
    std::optional<bool> payload_is_utf8;
    std::optional<std::string> response_topic;
    std::optional<std::string> correlation_data;
    std::optional<std::string> content_type;
    std::vector<std::uint32_t> identifiers;
    UserPairs user_properties;
};

/// A packet that came in, with the bytes that it borrows.
struct SeenPacket {
    std::shared_ptr<const Bytes> bytes;
    mqtt::Packet packet;
    template <class T>
    [[nodiscard]] const T* as() const noexcept {
        return std::get_if<T>(&packet);
    }
};

/// Answers as the specification demands (PUBACK, PUBREC, PUBREL, PUBCOMP), keeps the state of its
/// session across connections and resends on resume, unless told not to. Holds the broker to the
/// rules that one client can see: packets that decode, their size, topic aliases, receive maximum.
class Peer {
public:
    explicit Peer(std::string client_id);
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    // --- its surroundings ---
    std::function<void(ByteView)> write;                  // where encoded packets go
    std::function<void(std::string_view rule)> complain;  // the broker broke a rule; default: CHECK
    /// Every packet that came, before the peer reacts to it.
    std::function<void(const SeenPacket&)> seen;

    /// A new transport: forgets what belongs to the old one, and the session where both sides know
    /// without a word that it ended with its connection.
    void begin_connection(const ConnectOptions& options);
    void begin_connection() { begin_connection(options_); }
    void send_connect();
    /// Decodes, and reacts as the knobs say. After a complaint about bytes that do not decode, the
    /// rest of the connection is ignored.
    void on_bytes(ByteView bytes);

    // --- talking: each writes one packet and returns its id (publish at QoS 0: 0) ---
    std::uint16_t publish(std::string_view topic, std::string_view payload,
                          const PublishOptions& options = {});
    std::uint16_t subscribe(std::string_view filter, const SubscribeOptions& options = {});
    std::uint16_t subscribe(std::span<const FilterOptions> filters, std::uint32_t identifier,
                            const UserPairs& user_properties = {}, std::uint16_t packet_id = 0);
    std::uint16_t unsubscribe(std::string_view filter);
    std::uint16_t unsubscribe(std::span<const std::string> filters,
                              const UserPairs& user_properties = {}, std::uint16_t packet_id = 0);
    void ping();
    void disconnect(mqtt::ReasonCode reason = mqtt::ReasonCode::success,
                    std::optional<std::uint32_t> session_expiry_s = std::nullopt);
    void acknowledge(const Message& message);  // PUBACK or PUBREC
    /// Sends the acknowledgements that it owes, in order, and acknowledges from now on.
    void release_acks();
    void send(const mqtt::Packet& packet);
    /// Whatever they mean, the peer takes no notice; it stops to hold the broker to its receive
    /// maximum on this connection.
    void send_bytes(ByteView bytes);

    // --- what came ---
    /// Messages since the last call, QoS 2 repeats left out.
    std::vector<Message> take_messages();
    /// Only their payloads, in order.
    std::vector<std::string> take_payloads();
    /// Every packet of this connection since the last call.
    std::vector<SeenPacket> take_packets() { return std::exchange(packets_, {}); }
    [[nodiscard]] const std::vector<SeenPacket>& packets() const noexcept { return packets_; }
    /// How many packets of a type came on this connection.
    [[nodiscard]] std::uint32_t count(mqtt::PacketType type) const noexcept {
        return counts_[static_cast<std::size_t>(type)];
    }
    /// The CONNACK of the present (or last) connection.
    [[nodiscard]] const mqtt::Connack* connack() const noexcept;
    [[nodiscard]] bool session_present() const noexcept;
    /// Why the broker said that it closes.
    [[nodiscard]] std::optional<mqtt::ReasonCode> goodbye() const noexcept { return goodbye_; }
    /// The reason of the last acknowledgement of `packet_id`; nullopt: none came.
    [[nodiscard]] std::optional<mqtt::ReasonCode> outcome(std::uint16_t packet_id) const;
    [[nodiscard]] std::size_t unacknowledged_count() const noexcept { return sent_.size(); }
    /// Payloads of its own QoS 1 and 2 messages that the broker has taken over since the last call.
    std::vector<std::string> take_confirmed() { return std::exchange(confirmed_, {}); }
    /// The topic that an alias of the broker stands for; empty: it was never set.
    [[nodiscard]] std::string topic_of_alias(std::uint16_t alias) const;
    [[nodiscard]] const std::string& id() const noexcept { return client_id_; }
    [[nodiscard]] const ConnectOptions& options() const noexcept { return options_; }

    // --- how it behaves ---
    bool acknowledges = true;  // answers PUBLISH, PUBREC and PUBREL by itself
    bool resends = true;       // when a session is resumed

private:
    struct SentPublish {
        std::string topic;
        std::string payload;
        PublishOptions options;
        bool is_released = false;  // QoS 2: PUBREC came
    };
    struct Owed {
        mqtt::PacketType type;
        std::uint16_t packet_id;
        bool operator==(const Owed&) const noexcept = default;
    };

    [[nodiscard]] std::uint16_t take_id();
    void write_packet(const mqtt::Packet& packet);
    void send_publish(std::uint16_t id, const SentPublish& publish, bool dup);
    void send_ack(const Owed& ack);
    void owe(Owed ack);
    void on_own_ack(mqtt::PacketType type, const mqtt::Ack& ack);
    void handle(const SeenPacket& packet);
    void on_connack(const SeenPacket& packet);
    void forget_session();
    void on_publish(const mqtt::Publish& publish);
    void on_ack(mqtt::PacketType type, const mqtt::Ack& ack);

    std::string client_id_;
    ConnectOptions options_;
    Bytes input_;
    bool is_deaf_ = false;   // after bytes that do not decode
    bool sent_raw_ = false;  // send_bytes() was used
    std::optional<SeenPacket> connack_;
    std::optional<mqtt::ReasonCode> goodbye_;
    std::array<std::uint32_t, 16> counts_{};
    std::vector<SeenPacket> packets_;
    std::deque<Message> messages_;
    std::map<std::uint16_t, std::string> aliases_;
    std::set<std::uint16_t> unfinished_;  // QoS 1 and 2 that came, until our PUBACK or PUBCOMP
    std::vector<Owed> owed_;              // acknowledgements held back
    // The session's.
    std::uint32_t session_expiry_s_ = 0;  // as CONNACK or DISCONNECT have it
    std::uint16_t next_id_ = 1;
    std::map<std::uint16_t, SentPublish> sent_;  // QoS 1 and 2 on their way out
    std::vector<std::uint16_t> sent_order_;      // their ids in the order of their sending
    std::set<std::uint16_t> received_qos2_;      // ids between PUBLISH and PUBREL
    std::map<std::uint16_t, mqtt::ReasonCode> outcomes_;
    std::vector<std::string> confirmed_;
};

}  // namespace mitu::broker::testing
