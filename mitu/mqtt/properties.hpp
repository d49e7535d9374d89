#pragma once
// Internal: the table of properties (what each is and where it may stand) and a cursor over the
// properties of a packet. MQTT 5.0 section 2.2.2.

#include <cstdint>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/types.hpp"
#include "mitu/mqtt/wire.hpp"

namespace mitu::mqtt {

/// MQTT 5.0 section 2.2.2.2.
enum class Property : std::uint8_t {
    payload_format_indicator = 0x01,
    message_expiry_interval = 0x02,
    content_type = 0x03,
    response_topic = 0x08,
    correlation_data = 0x09,
    subscription_identifier = 0x0B,
    session_expiry_interval = 0x11,
    assigned_client_identifier = 0x12,
    server_keep_alive = 0x13,
    authentication_method = 0x15,
    authentication_data = 0x16,
    request_problem_information = 0x17,
    will_delay_interval = 0x18,
    request_response_information = 0x19,
    response_information = 0x1A,
    server_reference = 0x1C,
    reason_string = 0x1F,
    receive_maximum = 0x21,
    topic_alias_maximum = 0x22,
    topic_alias = 0x23,
    maximum_qos = 0x24,
    retain_available = 0x25,
    user_property = 0x26,
    maximum_packet_size = 0x27,
    wildcard_subscription_available = 0x28,
    subscription_identifiers_available = 0x29,
    shared_subscription_available = 0x2A,
};

inline constexpr std::uint8_t property_id_end = 0x2B;

enum class PropertyType : std::uint8_t {
    none,  // not a property
    byte,
    two_bytes,
    four_bytes,
    varint,
    text,
    binary,
    text_pair,
};

/// Where properties stand; the acknowledgements (PUBACK to PUBCOMP, SUBACK, UNSUBACK) are alike.
enum class PropertyPlace : std::uint8_t {
    connect,
    will,
    connack,
    publish,
    acknowledgement,
    subscribe,
    unsubscribe,
    disconnect,
    auth,
};

/// What a number must be beyond fitting its type.
enum class PropertyRange : std::uint8_t { any, zero_or_one, not_zero };

struct PropertyRule {
    PropertyType type = PropertyType::none;
    std::uint16_t places = 0;  // bit n: PropertyPlace n
    PropertyRange range = PropertyRange::any;
    const char* range_rule = "";

    [[nodiscard]] constexpr bool allowed_in(PropertyPlace place) const noexcept {
        return (places >> static_cast<unsigned>(place) & 1U) != 0;
    }
};

/// The row of the property table; type none: there is no such property.
[[nodiscard]] const PropertyRule& property_rule(std::uint8_t id) noexcept;

/// Walks the properties at a reader's front: the length, then each but the user properties, whose
/// place is remembered. Faults end up in the reader: an unknown or misplaced property is a
/// malformed packet (section 2.2.2.2), a repeated one a protocol error.
/// Lifetime  borrows the reader, which must not be used by others until next() said false.
class PropertyCursor {
public:
    PropertyCursor(Reader& in, PropertyPlace place) noexcept;
    /// false: there are no more, or the reader failed; reading goes on behind the properties.
    [[nodiscard]] bool next() noexcept;

    [[nodiscard]] Property id() const noexcept { return id_; }
    [[nodiscard]] std::uint32_t u32() const noexcept { return number_; }
    [[nodiscard]] std::uint16_t u16() const noexcept { return static_cast<std::uint16_t>(number_); }
    [[nodiscard]] bool flag() const noexcept { return number_ != 0; }
    [[nodiscard]] ByteView bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::string_view text() const noexcept { return as_text(bytes_); }
    /// Where the property that next() found starts.
    [[nodiscard]] const std::uint8_t* at() const noexcept { return property_at_; }

    /// After the last next(): the block to find user properties in, empty when it has none.
    [[nodiscard]] UserProperties user() const noexcept {
        return {seen(Property::user_property) ? block_ : ByteView{}};
    }
    [[nodiscard]] ByteView subscription_identifiers() const noexcept {
        return seen(Property::subscription_identifier) ? block_ : ByteView{};
    }
    [[nodiscard]] bool seen(Property id) const noexcept {
        return (seen_ >> static_cast<unsigned>(id) & 1U) != 0;
    }

private:
    void read_value(const PropertyRule& rule) noexcept;

    Reader& in_;
    const std::uint8_t* wide_end_;
    const std::uint8_t* property_at_;
    ByteView block_;
    ByteView bytes_;
    std::uint64_t seen_ = 0;  // bit n: property n
    std::uint32_t number_ = 0;
    PropertyPlace place_;
    Property id_ = Property::user_property;
};

}  // namespace mitu::mqtt
