#pragma once
// A scripted MQTT client on a virtual socket: what tests say in one line, and what it saw.

#include <array>
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

#include "mitu/broker/session.hpp"
#include "mitu/broker/testing/virtual_network.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::broker::testing {

class World;

inline constexpr mqtt::QoS qos0 = mqtt::QoS::at_most_once;
inline constexpr mqtt::QoS qos1 = mqtt::QoS::at_least_once;
inline constexpr mqtt::QoS qos2 = mqtt::QoS::exactly_once;

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
    std::vector<std::pair<std::string, std::string>> user_properties{};
};

struct WillOptions {
    std::string topic{};
    std::string payload{};
    mqtt::QoS qos = qos0;
    bool retain = false;
    std::uint32_t delay_s = 0;
    std::optional<std::uint32_t> message_expiry_s{};
};

struct ConnectOptions {
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    bool clean_start = true;
    std::uint16_t keep_alive_s = 0;
    std::uint32_t session_expiry_s = 0;
    std::uint16_t receive_maximum = 65'535;
    std::uint32_t maximum_packet_size = 0;
    std::uint16_t topic_alias_maximum = 0;
    bool request_problem_information = true;
    std::optional<std::string> authentication_method{};
    std::optional<std::string> user_name{};
    std::optional<WillOptions> will{};
    std::optional<std::uint16_t> door{};  // the shard that accepts the connection
};

struct SubscribeOptions {
    mqtt::QoS qos = qos0;
    bool no_local = false;
    bool retain_as_published = false;
    mqtt::RetainHandling retain_handling = mqtt::RetainHandling::send_at_subscribe;
    std::uint32_t identifier = 0;
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
    std::vector<std::pair<std::string, std::string>> user_properties;
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
/// session across connections and resends on resume, unless told not to.
/// Calls that send run the world until it is quiet, except those named `later`.
class Client {
public:
    Client(World& world, std::string client_id);

    // --- connecting ---
    /// Opens a connection and waits for CONNACK.
    Client& connect(const ConnectOptions& options = {});
    /// The same without running the world.
    Client& connect_later(const ConnectOptions& options = {});
    /// A connection on which nothing was sent yet.
    Client& open(std::optional<std::uint16_t> door = std::nullopt);
    void disconnect(mqtt::ReasonCode reason = mqtt::ReasonCode::success,
                    std::optional<std::uint32_t> session_expiry_s = std::nullopt);
    /// Closes without DISCONNECT.
    void cut();
    /// Breaks the connection: what is on its way is lost.
    void reset();
    /// The broker has not closed, and neither have we.
    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] bool is_connected() const noexcept { return is_open() && connack_.has_value(); }
    /// The CONNACK of the present (or last) connection.
    [[nodiscard]] const mqtt::Connack* connack() const noexcept;
    [[nodiscard]] bool session_present() const noexcept;
    /// Why the broker said that it closes.
    [[nodiscard]] std::optional<mqtt::ReasonCode> goodbye() const noexcept { return goodbye_; }

    // --- talking ---
    /// The answer's reason; QoS 0: success. nullopt: no answer came.
    std::optional<mqtt::ReasonCode> publish(std::string_view topic, std::string_view payload,
                                            const PublishOptions& options = {});
    std::uint16_t publish_later(std::string_view topic, std::string_view payload,
                                const PublishOptions& options = {});
    /// The reasons of SUBACK; empty: none came.
    std::vector<mqtt::ReasonCode> subscribe(std::string_view filter,
                                            const SubscribeOptions& options = {});
    std::uint16_t subscribe_later(std::string_view filter, const SubscribeOptions& options = {});
    std::vector<mqtt::ReasonCode> unsubscribe(std::string_view filter);
    std::uint16_t unsubscribe_later(std::string_view filter);
    bool ping();
    void send_later(const mqtt::Packet& packet);
    void send(const mqtt::Packet& packet);
    void send_bytes_later(ByteView bytes);
    void send_bytes(ByteView bytes);
    void acknowledge(const Message& message);  // PUBACK or PUBREC

    // --- what came ---
    /// Messages since the last call, QoS 2 repeats left out.
    std::vector<Message> take_messages();
    /// Only their payloads, in order.
    std::vector<std::string> take_payloads();
    /// Every packet of this connection since the last call.
    std::vector<SeenPacket> take_packets() { return std::exchange(packets_, {}); }
    /// How many packets of a type came on this connection.
    [[nodiscard]] std::uint32_t count(mqtt::PacketType type) const noexcept {
        return counts_[static_cast<std::size_t>(type)];
    }
    /// The reason of the last acknowledgement of `packet_id`; nullopt: none came.
    [[nodiscard]] std::optional<mqtt::ReasonCode> outcome(std::uint16_t packet_id) const;
    [[nodiscard]] std::size_t unacknowledged_count() const noexcept { return sent_.size(); }
    /// Payloads of its own QoS 1 and 2 messages that the broker has taken over since the last call.
    std::vector<std::string> take_confirmed() { return std::exchange(confirmed_, {}); }
    [[nodiscard]] const std::string& id() const noexcept { return client_id_; }

    // --- how it behaves ---
    bool acknowledges = true;  // answers PUBLISH, PUBREC and PUBREL by itself
    bool resends = true;       // when a session is resumed
    bool reads = true;         // takes bytes from its socket
    /// How many unread bytes its socket holds (a slow reader has few).
    void set_window(std::size_t bytes) noexcept;
    /// How many bytes lie unread in its socket.
    [[nodiscard]] std::size_t unread_bytes() const noexcept;

    [[nodiscard]] std::shared_ptr<const VirtualSocket> socket() const noexcept { return socket_; }

    // --- for the world ---
    [[nodiscard]] bool has_reason() const noexcept;
    void react();

private:
    struct SentPublish {
        std::string topic;
        std::string payload;
        PublishOptions options;
        bool is_released = false;  // QoS 2: PUBREC came
    };

    [[nodiscard]] std::uint16_t take_id();
    void send_publish(std::uint16_t id, const SentPublish& publish, bool dup);
    void handle(const SeenPacket& seen);
    void on_connack(const SeenPacket& seen);
    void forget_session();
    void on_publish(const mqtt::Publish& publish);
    void on_ack(mqtt::PacketType type, const mqtt::Ack& ack);
    template <class T>
    std::vector<mqtt::ReasonCode> reasons_of(std::uint16_t packet_id) const;

    World& world_;
    std::string client_id_;
    std::shared_ptr<VirtualSocket> socket_;
    ConnectOptions options_;
    Bytes input_;
    std::optional<SeenPacket> connack_;
    std::optional<mqtt::ReasonCode> goodbye_;
    std::array<std::uint32_t, 16> counts_{};
    std::vector<SeenPacket> packets_;
    std::deque<Message> messages_;
    std::map<std::uint16_t, std::string> aliases_;
    // The session's.
    std::uint16_t next_id_ = 1;
    std::map<std::uint16_t, SentPublish> sent_;  // QoS 1 and 2 on their way out
    std::vector<std::uint16_t> sent_order_;      // their ids in the order of their sending
    std::set<std::uint16_t> received_qos2_;      // ids between PUBLISH and PUBREL
    std::map<std::uint16_t, mqtt::ReasonCode> outcomes_;
    std::vector<std::string> confirmed_;
};

}  // namespace mitu::broker::testing
