#pragma once
// The packets of MQTT 3.1.1 and 5.0 as plain structs that borrow.
//
// One struct per packet, both versions: what 3.1.1 does not carry has its default. Every text and
// byte field borrows the bytes that were decoded (or what the caller lends to encode()). Values
// are already validated by decode(): text is UTF-8 as section 1.5.4 demands, numbers are in range.

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::mqtt {

/// The user properties of a packet: pairs of text, in order, names may repeat.
/// Shape     `block` is an encoded property block (identifiers and values, without the length in
///           front); only its user properties (0x26) count, others in it are skipped.
/// Lifetime  borrows.
/// Source    MQTT 5.0 section 2.2.2.2, 3.1.2.11.8.
struct UserProperties {
    ByteView block;

    struct Pair {
        std::string_view name;
        std::string_view value;
    };
    /// Calls `visit(Pair)` for each pair in order. Cost: one pass over the block.
    template <class Visit>
    void for_each(Visit visit) const;
    /// Takes the next pair off the front of `rest`; nullopt: no more. Defined in properties.cpp.
    static std::optional<Pair> next(ByteView& rest) noexcept;
};

struct ConnectProperties {
    std::uint32_t session_expiry_interval_s = 0;  // absent: 0; 0xFFFFFFFF: never
    std::uint16_t receive_maximum = 65'535;       // 1..65535
    std::uint32_t maximum_packet_size = 0;        // 0: no limit was named
    std::uint16_t topic_alias_maximum = 0;
    bool request_response_information = false;
    bool request_problem_information = true;
    std::optional<std::string_view> authentication_method;
    std::optional<ByteView> authentication_data;
    UserProperties user;
};

/// Takes the next Subscription Identifier off the front of a property block, such as
/// PublishProperties::subscription_identifiers; nullopt: no more. Defined in properties.cpp.
[[nodiscard]] std::optional<std::uint32_t> next_subscription_identifier(ByteView& rest) noexcept;

/// Properties of an application message; those of a will carry its delay too.
struct PublishProperties {
    std::optional<bool> payload_is_utf8;  // Payload Format Indicator
    std::optional<std::uint32_t> message_expiry_interval_s;
    std::optional<std::uint16_t> topic_alias;  // 1..65535; PUBLISH only
    std::optional<std::string_view> response_topic;
    std::optional<ByteView> correlation_data;
    std::optional<std::string_view> content_type;
    /// PUBLISH from the server: an encoded property block whose Subscription Identifiers (0x0B)
    /// count. From a client it is a protocol error and never decoded.
    ByteView subscription_identifiers;
    UserProperties user;
};

struct Will {
    std::string_view topic;
    ByteView payload;
    QoS qos = QoS::at_most_once;
    bool retain = false;
    std::uint32_t delay_interval_s = 0;
    PublishProperties properties;
};

struct Connect {
    ProtocolVersion version = ProtocolVersion::v5;
    bool clean_start = true;  // 3.1.1: clean session
    std::uint16_t keep_alive_s = 0;
    std::string_view client_id;
    std::optional<std::string_view> user_name;
    std::optional<ByteView> password;
    std::optional<Will> will;
    ConnectProperties properties;
};

struct ConnackProperties {
    std::optional<std::uint32_t> session_expiry_interval_s;
    std::optional<std::uint16_t> receive_maximum;
    std::optional<QoS> maximum_qos;  // 0 or 1
    std::optional<bool> retain_available;
    std::optional<std::uint32_t> maximum_packet_size;
    std::optional<std::string_view> assigned_client_identifier;
    std::optional<std::uint16_t> topic_alias_maximum;
    std::optional<std::string_view> reason_string;
    std::optional<bool> wildcard_subscription_available;
    std::optional<bool> subscription_identifiers_available;
    std::optional<bool> shared_subscription_available;
    std::optional<std::uint16_t> server_keep_alive_s;
    std::optional<std::string_view> response_information;
    std::optional<std::string_view> server_reference;
    std::optional<std::string_view> authentication_method;
    std::optional<ByteView> authentication_data;
    UserProperties user;
};

struct Connack {
    bool session_present = false;
    /// 3.1.1 return codes 1..5 are decoded to, and encoded from, the nearest v5 codes: 0x84, 0x85,
    /// 0x88, 0x86, 0x87 (anything else that is an error becomes 3 or 5).
    ReasonCode reason = ReasonCode::success;
    ConnackProperties properties;
};

struct Publish {
    bool dup = false;
    QoS qos = QoS::at_most_once;
    bool retain = false;
    std::uint16_t packet_id = 0;  // 0 with QoS 0, else 1..65535
    std::string_view topic;       // empty only with a topic alias
    PublishProperties properties;
    ByteView payload;
};

/// Reason string and user properties: what every acknowledgement of version 5 may carry.
struct AckProperties {
    std::optional<std::string_view> reason_string;
    UserProperties user;
};

struct Ack {
    std::uint16_t packet_id = 0;
    ReasonCode reason = ReasonCode::success;
    AckProperties properties;
};
struct Puback : Ack {};
struct Pubrec : Ack {};
struct Pubrel : Ack {};
struct Pubcomp : Ack {};

/// MQTT 5.0 section 3.8.3.1. Version 3.1.1 knows only `qos`.
struct SubscriptionOptions {
    QoS qos = QoS::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    RetainHandling retain_handling = RetainHandling::send_at_subscribe;
    bool operator==(const SubscriptionOptions&) const noexcept = default;
};

/// The filters of a SUBSCRIBE, still encoded: walk them with next().
struct SubscriptionList {
    ByteView encoded;
    struct Entry {
        std::string_view filter;
        SubscriptionOptions options;
    };
    /// Takes the next entry off the front of `rest`; nullopt: no more.
    static std::optional<Entry> next(ByteView& rest) noexcept;
};

/// The filters of an UNSUBSCRIBE, still encoded.
struct FilterList {
    ByteView encoded;
    static std::optional<std::string_view> next(ByteView& rest) noexcept;
};

struct Subscribe {
    std::uint16_t packet_id = 0;
    SubscriptionList filters;                              // at least one
    std::optional<std::uint32_t> subscription_identifier;  // 1..268'435'455
    UserProperties user;
};

struct Suback {
    std::uint16_t packet_id = 0;
    ByteView reasons;  // one ReasonCode per filter, in order; 3.1.1: 0, 1, 2 or 0x80
    AckProperties properties;
};

struct Unsubscribe {
    std::uint16_t packet_id = 0;
    FilterList filters;  // at least one
    UserProperties user;
};

struct Unsuback {
    std::uint16_t packet_id = 0;
    ByteView reasons;  // one per filter; empty in 3.1.1
    AckProperties properties;
};

struct Pingreq {};
struct Pingresp {};

struct Disconnect {
    ReasonCode reason = ReasonCode::success;
    std::optional<std::uint32_t> session_expiry_interval_s;
    std::optional<std::string_view> reason_string;
    std::optional<std::string_view> server_reference;
    UserProperties user;
};

struct Auth {
    ReasonCode reason = ReasonCode::success;
    std::optional<std::string_view> authentication_method;
    std::optional<ByteView> authentication_data;
    std::optional<std::string_view> reason_string;
    UserProperties user;
};

using Packet = std::variant<Publish, Puback, Pubrec, Pubrel, Pubcomp, Pingreq, Pingresp, Connect,
                            Connack, Subscribe, Suback, Unsubscribe, Unsuback, Disconnect, Auth>;

template <class Visit>
void UserProperties::for_each(Visit visit) const {
    ByteView rest = block;
    while (auto pair = next(rest)) visit(*pair);
}

}  // namespace mitu::mqtt
