#pragma once
// The constants of MQTT 3.1.1 and 5.0, spelled as the specifications spell them.

#include <cstdint>
#include <string_view>

namespace mitu::mqtt {

/// MQTT 5.0 section 2.1.2.
enum class PacketType : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

/// The protocol level byte of CONNECT. The rules of 3.1 ("MQIsdp") are those of 3.1.1, except where
/// the code names it.
enum class ProtocolVersion : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class QoS : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

/// MQTT 5.0 section 4.8.2 of SUBSCRIBE options, bits 4 and 5.
enum class RetainHandling : std::uint8_t {
    send_at_subscribe = 0,
    send_if_new_subscription = 1,
    do_not_send = 2,
};

/// MQTT 5.0 section 2.4. `granted_qos_0` and `normal_disconnection` share 0x00 with `success`.
enum class ReasonCode : std::uint8_t {
    success = 0x00,
    granted_qos_1 = 0x01,
    granted_qos_2 = 0x02,
    disconnect_with_will_message = 0x04,
    no_matching_subscribers = 0x10,
    no_subscription_existed = 0x11,
    continue_authentication = 0x18,
    re_authenticate = 0x19,
    unspecified_error = 0x80,
    malformed_packet = 0x81,
    protocol_error = 0x82,
    implementation_specific_error = 0x83,
    unsupported_protocol_version = 0x84,
    client_identifier_not_valid = 0x85,
    bad_user_name_or_password = 0x86,
    not_authorized = 0x87,
    server_unavailable = 0x88,
    server_busy = 0x89,
    banned = 0x8A,
    server_shutting_down = 0x8B,
    bad_authentication_method = 0x8C,
    keep_alive_timeout = 0x8D,
    session_taken_over = 0x8E,
    topic_filter_invalid = 0x8F,
    topic_name_invalid = 0x90,
    packet_identifier_in_use = 0x91,
    packet_identifier_not_found = 0x92,
    receive_maximum_exceeded = 0x93,
    topic_alias_invalid = 0x94,
    packet_too_large = 0x95,
    message_rate_too_high = 0x96,
    quota_exceeded = 0x97,
    administrative_action = 0x98,
    payload_format_invalid = 0x99,
    retain_not_supported = 0x9A,
    qos_not_supported = 0x9B,
    use_another_server = 0x9C,
    server_moved = 0x9D,
    shared_subscriptions_not_supported = 0x9E,
    connection_rate_exceeded = 0x9F,
    maximum_connect_time = 0xA0,
    subscription_identifiers_not_supported = 0xA1,
    wildcard_subscriptions_not_supported = 0xA2,
};

[[nodiscard]] constexpr bool is_error(ReasonCode code) noexcept {
    return static_cast<std::uint8_t>(code) >= 0x80;
}

/// The enumerator's own name, for logs, metrics and --json. "unknown" for a value not listed.
[[nodiscard]] std::string_view to_text(ReasonCode code) noexcept;
[[nodiscard]] std::string_view to_text(PacketType type) noexcept;

/// The largest packet the format can carry: 5 bytes of fixed header, 268'435'455 remaining.
inline constexpr std::uint32_t remaining_length_max = 268'435'455;
inline constexpr std::uint32_t packet_bytes_limit = remaining_length_max + 5;

}  // namespace mitu::mqtt
