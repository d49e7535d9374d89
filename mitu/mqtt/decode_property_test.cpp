// Every property in every packet: allowed or not, once or more often, whole or cut.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/expect.hpp"

namespace mitu::mqtt {

using namespace testing;

namespace {

/// A packet with a hole for its properties.
struct Place {
    const char* name;
    Sender sender;
    std::uint8_t first_byte;
    const char* body;  // `$` stands for the properties
    const char* also;  // properties without which the packet would be wrong for another reason
};

constexpr std::array<Place, 14> places{{
    {"CONNECT", Sender::client, 0x10, "<MQTT> 05 02 0000 {$} <id>", ""},
    {"will", Sender::client, 0x10, "<MQTT> 05 06 0000 00 <id> {$} <t> <p>", ""},
    {"CONNACK", Sender::server, 0x20, "00 00 {$}", ""},
    {"PUBLISH", Sender::server, 0x30, "<t> {$} 'p'", ""},
    {"PUBACK", Sender::client, 0x40, "0001 00 {$}", ""},
    {"PUBREC", Sender::client, 0x50, "0001 00 {$}", ""},
    {"PUBREL", Sender::client, 0x62, "0001 00 {$}", ""},
    {"PUBCOMP", Sender::client, 0x70, "0001 00 {$}", ""},
    {"SUBSCRIBE", Sender::client, 0x82, "0001 {$} <f> 00", ""},
    {"SUBACK", Sender::server, 0x90, "0001 {$} 00", ""},
    {"UNSUBSCRIBE", Sender::client, 0xA2, "0001 {$} <f>", ""},
    {"UNSUBACK", Sender::server, 0xB0, "0001 {$} 00", ""},
    {"DISCONNECT", Sender::client, 0xE0, "00 {$}", ""},
    {"AUTH", Sender::client, 0xF0, "18 {$}", "15 <m>"},
}};

/// MQTT 5.0 section 2.2.2.2, table 2-4, typed from the specification.
struct Known {
    unsigned id;
    const char* value;
    const char* packets;
};

constexpr std::array<Known, 27> known{{
    {0x01, "01", "PUBLISH will"},
    {0x02, "00000001", "PUBLISH will"},
    {0x03, "<text>", "PUBLISH will"},
    {0x08, "<topic>", "PUBLISH will"},
    {0x09, "<data>", "PUBLISH will"},
    {0x0B, "8001", "PUBLISH SUBSCRIBE"},
    {0x11, "00000001", "CONNECT CONNACK DISCONNECT"},
    {0x12, "<text>", "CONNACK"},
    {0x13, "0001", "CONNACK"},
    {0x15, "<text>", "CONNECT CONNACK AUTH"},
    {0x16, "<data>", "CONNECT CONNACK AUTH"},
    {0x17, "01", "CONNECT"},
    {0x18, "00000001", "will"},
    {0x19, "01", "CONNECT"},
    {0x1A, "<text>", "CONNACK"},
    {0x1C, "<text>", "CONNACK DISCONNECT"},
    {0x1F, "<text>", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"},
    {0x21, "0001", "CONNECT CONNACK"},
    {0x22, "0001", "CONNECT CONNACK"},
    {0x23, "0001", "PUBLISH"},
    {0x24, "01", "CONNACK"},
    {0x25, "01", "CONNACK"},
    {0x26, "<name> <value>",
     "CONNECT will CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE "
     "UNSUBACK DISCONNECT AUTH"},
    {0x27, "00000001", "CONNECT CONNACK"},
    {0x28, "01", "CONNACK"},
    {0x29, "01", "CONNACK"},
    {0x2A, "01", "CONNACK"},
}};

bool names(std::string_view packets, std::string_view name) {
    return fmt::format(" {} ", packets).find(fmt::format(" {} ", name)) != std::string::npos;
}

Bytes fill(const Place& place, std::string_view properties) {
    std::string body = place.body;
    body.replace(body.find('$'), 1, properties);
    return packet(place.first_byte, body);
}

std::string one(const Known& property) {
    return fmt::format("{:02X} {}", property.id, property.value);
}

/// The other properties that a packet with `property` needs.
std::string company(const Place& place, const Known& property) {
    if (property.id == 0x15) return "";
    if (property.id == 0x16 && std::string_view{place.name} == "CONNECT") return "15 <m>";
    return place.also;
}

void expect_reason(const Place& place, const Bytes& bytes, ReasonCode expected) {
    const ExactCopy copy{bytes};
    const auto decoded = decode(copy.view(), {place.sender, ProtocolVersion::v5});
    if (expected == valid) {
        ASSERT_TRUE(decoded.has_value()) << decoded.error().rule << "\n" << hex(bytes);
        ASSERT_TRUE(decoded->has_value());
    } else {
        ASSERT_FALSE(decoded.has_value()) << hex(bytes);
        EXPECT_EQ(to_text(decoded.error().reason), to_text(expected)) << decoded.error().rule;
    }
}

}  // namespace

TEST(decode_property, stands_only_where_the_specification_puts_it) {
    for (const Place& place : places) {
        for (const Known& property : known) {
            SCOPED_TRACE(fmt::format("{:#x} in {}", property.id, place.name));
            const bool allowed = names(property.packets, place.name);
            expect_reason(place, fill(place, company(place, property) + one(property)),
                          allowed ? valid : malformed);
        }
    }
}

TEST(decode_property, appears_once_unless_it_may_repeat) {
    for (const Place& place : places) {
        for (const Known& property : known) {
            if (!names(property.packets, place.name)) continue;
            SCOPED_TRACE(fmt::format("{:#x} in {}", property.id, place.name));
            const bool may_repeat =
                property.id == 0x26 ||
                (property.id == 0x0B && std::string_view{place.name} == "PUBLISH");
            expect_reason(place,
                          fill(place, company(place, property) + one(property) + one(property)),
                          may_repeat ? valid : protocol_error);
        }
    }
}

TEST(decode_property, is_whole) {
    for (const Place& place : places) {
        for (const Known& property : known) {
            if (!names(property.packets, place.name)) continue;
            const Bytes whole = wire(one(property));
            for (std::size_t size = 1; size < whole.size(); ++size) {
                SCOPED_TRACE(
                    fmt::format("{:#x} in {}, {} bytes of it", property.id, place.name, size));
                const std::string cut = hex(ByteView{whole}.first(size));
                expect_reason(place, fill(place, company(place, property) + cut), malformed);
            }
        }
    }
}

TEST(decode_property, is_known) {
    for (const Place& place : places) {
        for (unsigned id = 0; id < 0x80; ++id) {
            bool is_known = false;
            for (const Known& property : known) is_known = is_known || property.id == id;
            if (is_known) continue;
            SCOPED_TRACE(fmt::format("{:#x} in {}", id, place.name));
            expect_reason(place, fill(place, fmt::format("{} {:02X} 00", place.also, id)),
                          malformed);
        }
        // Identifiers are Variable Byte Integers: a second byte, a needless one, an endless one.
        expect_reason(place, fill(place, "A6 01 00"), malformed);
        expect_reason(place, fill(place, "A6 00 <name> <value>"), malformed);
        expect_reason(place, fill(place, "FF FF FF FF FF"), malformed);
    }
}

TEST(decode_property, that_is_a_flag_is_0_or_1) {
    for (const Place& place : places) {
        for (const Known& property : known) {
            const bool is_byte = std::string_view{property.value} == "01";
            if (!is_byte || !names(property.packets, place.name)) continue;
            for (const char* const value : {"00", "01", "02", "FF"}) {
                SCOPED_TRACE(fmt::format("{:#x} = {} in {}", property.id, value, place.name));
                const bool flag = value[0] == '0' && value[1] <= '1';
                expect_reason(place, fill(place, fmt::format("{:02X} {}", property.id, value)),
                              flag ? valid : protocol_error);
            }
        }
    }
}

TEST(decode_property, that_must_not_be_0_is_not) {
    const auto expect = [](std::string_view name, std::string_view property, ReasonCode reason) {
        for (const Place& place : places) {
            if (place.name != name) continue;
            SCOPED_TRACE(fmt::format("{} in {}", property, name));
            expect_reason(place, fill(place, property), reason);
        }
    };
    expect("CONNECT", "21 0000", protocol_error);
    expect("CONNACK", "21 0000", protocol_error);
    expect("CONNECT", "27 00000000", protocol_error);
    expect("CONNACK", "27 00000000", protocol_error);
    expect("PUBLISH", "23 0000", ReasonCode::topic_alias_invalid);
    expect("PUBLISH", "0B 00", protocol_error);
    expect("SUBSCRIBE", "0B 00", protocol_error);
    // These may be.
    expect("CONNECT", "22 0000", valid);
    expect("CONNECT", "11 00000000", valid);
    expect("CONNACK", "13 0000", valid);
    expect("PUBLISH", "02 00000000", valid);
}

TEST(decode_property, that_is_text_is_well_formed) {
    for (const Place& place : places) {
        for (const Known& property : known) {
            const std::string_view value = property.value;
            const bool is_text = value == "<text>" || value == "<topic>";
            if (!is_text || !names(property.packets, place.name)) continue;
            SCOPED_TRACE(fmt::format("{:#x} in {}", property.id, place.name));
            for (const char* const bad : {"0001 FF", "0001 00", "0002 C3 28", "0003 ED A0 80"}) {
                expect_reason(place,
                              fill(place, company(place, property) +
                                              fmt::format("{:02X} {}", property.id, bad)),
                              malformed);
            }
        }
        expect_reason(place, fill(place, fmt::format("{} 26 0001 FF 0000", place.also)), malformed);
        expect_reason(place, fill(place, fmt::format("{} 26 0000 0001 00", place.also)), malformed);
    }
}

}  // namespace mitu::mqtt
