#pragma once
// Internal: which packet may carry which reason code.

#include <array>
#include <cstdint>

#include "mitu/mqtt/types.hpp"

namespace mitu::mqtt {
namespace reasons {

constexpr std::uint16_t packets(PacketType type) noexcept {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(type));
}
template <class... Types>
constexpr std::uint16_t packets(PacketType first, Types... others) noexcept {
    return static_cast<std::uint16_t>(packets(first) | packets(others...));
}

/// MQTT 5.0 section 2.4, table 2-6; the tables of the single packets say the same.
constexpr std::uint16_t carriers(ReasonCode code) noexcept {
    using enum PacketType;
    constexpr std::uint16_t answers =
        packets(connack, puback, pubrec, suback, unsuback, disconnect);
    switch (code) {
        case ReasonCode::success:
            return packets(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect,
                           auth);
        case ReasonCode::granted_qos_1:
        case ReasonCode::granted_qos_2:
            return packets(suback);
        case ReasonCode::disconnect_with_will_message:
            return packets(disconnect);
        case ReasonCode::no_matching_subscribers:
            return packets(puback, pubrec);
        case ReasonCode::no_subscription_existed:
            return packets(unsuback);
        case ReasonCode::continue_authentication:
        case ReasonCode::re_authenticate:
            return packets(auth);
        case ReasonCode::unspecified_error:
        case ReasonCode::implementation_specific_error:
        case ReasonCode::not_authorized:
            return answers;
        case ReasonCode::unsupported_protocol_version:
        case ReasonCode::client_identifier_not_valid:
        case ReasonCode::bad_user_name_or_password:
        case ReasonCode::server_unavailable:
        case ReasonCode::banned:
            return packets(connack);
        case ReasonCode::malformed_packet:
        case ReasonCode::protocol_error:
        case ReasonCode::server_busy:
        case ReasonCode::bad_authentication_method:
        case ReasonCode::packet_too_large:
        case ReasonCode::retain_not_supported:
        case ReasonCode::qos_not_supported:
        case ReasonCode::use_another_server:
        case ReasonCode::server_moved:
        case ReasonCode::connection_rate_exceeded:
            return packets(connack, disconnect);
        case ReasonCode::server_shutting_down:
        case ReasonCode::keep_alive_timeout:
        case ReasonCode::session_taken_over:
        case ReasonCode::receive_maximum_exceeded:
        case ReasonCode::topic_alias_invalid:
        case ReasonCode::message_rate_too_high:
        case ReasonCode::administrative_action:
        case ReasonCode::maximum_connect_time:
            return packets(disconnect);
        case ReasonCode::topic_filter_invalid:
            return packets(suback, unsuback, disconnect);
        case ReasonCode::topic_name_invalid:
        case ReasonCode::payload_format_invalid:
            return packets(connack, puback, pubrec, disconnect);
        case ReasonCode::packet_identifier_in_use:
            return packets(puback, pubrec, suback, unsuback);
        case ReasonCode::packet_identifier_not_found:
            return packets(pubrel, pubcomp);
        case ReasonCode::quota_exceeded:
            return packets(connack, puback, pubrec, suback, disconnect);
        case ReasonCode::shared_subscriptions_not_supported:
        case ReasonCode::subscription_identifiers_not_supported:
        case ReasonCode::wildcard_subscriptions_not_supported:
            return packets(suback, disconnect);
    }
    return 0;
}

constexpr std::array<std::uint16_t, 256> make_table() noexcept {
    std::array<std::uint16_t, 256> table{};
    for (unsigned code = 0; code < table.size(); ++code) {
        table[code] = carriers(static_cast<ReasonCode>(code));
    }
    return table;
}
inline constexpr std::array<std::uint16_t, 256> table = make_table();

}  // namespace reasons

[[nodiscard]] constexpr bool may_carry(PacketType type, std::uint8_t code) noexcept {
    return (reasons::table[code] & reasons::packets(type)) != 0;
}

}  // namespace mitu::mqtt
