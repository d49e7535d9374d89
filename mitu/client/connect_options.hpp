#pragma once
// What a client asks of a server: how to connect, and the properties of a message it owns.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::client {

/// mqtt::PublishProperties that owns its texts.
struct MessageProperties {
    std::optional<bool> payload_is_utf8;
    std::optional<std::uint32_t> message_expiry_interval_s;
    std::optional<std::uint16_t> topic_alias;
    std::optional<std::string> response_topic;
    std::optional<Bytes> correlation_data;
    std::optional<std::string> content_type;
    Bytes user_properties;  // made by mqtt::append_user_property()

    /// Lifetime  borrows this object.
    [[nodiscard]] mqtt::PublishProperties view() const noexcept;
};

struct WillOptions {
    std::string topic;
    Bytes payload;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    bool retain = false;
    std::uint32_t delay_interval_s = 0;
    MessageProperties properties;
};

struct ConnectOptions {
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    /// Said by the first CONNECT of a session object. Later ones resume where there is something to
    /// resume: version 5 with a session expiry, 3.1.1 with clean_start false.
    bool clean_start = true;
    std::uint16_t keep_alive_s = 60;  // 0: none
    std::string client_id;            // empty: the server chooses
    std::optional<std::string> user_name;
    std::optional<Bytes> password;
    std::shared_ptr<const WillOptions> will;

    // Properties of version 5.
    std::uint32_t session_expiry_interval_s = 0;
    /// How many QoS 1 and 2 messages the server may have under way to us; 3.1.1 has no way to say
    /// it, and is not held to it.
    std::uint16_t receive_maximum = 65'535;
    std::uint32_t maximum_packet_size = 0;  // 0: no limit
    std::uint16_t topic_alias_maximum = 0;  // aliases that the server may use towards us
    bool request_response_information = false;
    bool request_problem_information = true;
    std::optional<std::string> authentication_method;
    std::optional<Bytes> authentication_data;
    Bytes user_properties;  // made by mqtt::append_user_property()

    // Limits of our own.
    std::uint16_t inflight_count_max = 64;     // QoS 1 and 2 publishes without an answer; 1..65535
    std::uint32_t outbox_bytes_max = 1 << 20;  // of packets waiting or without an answer
    Duration response_timeout = Duration::seconds(20);  // for CONNACK and PINGRESP

    /// Lifetime  borrows this object.
    [[nodiscard]] mqtt::Connect view(bool clean) const noexcept;
};

}  // namespace mitu::client
