// What a connected client can do wrong in the form of a packet, and how it ends: at once, with the
// reason where the version has one, with the will, and with nothing that came behind it heard.

#include <gtest/gtest.h>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

constexpr ReasonCode malformed = ReasonCode::malformed_packet;
constexpr ReasonCode protocol_error = ReasonCode::protocol_error;
constexpr ReasonCode bad_topic = ReasonCode::topic_name_invalid;
constexpr ReasonCode bad_filter = ReasonCode::topic_filter_invalid;
constexpr ReasonCode bad_alias = ReasonCode::topic_alias_invalid;

struct Row {
    const char* ids;   // the statements that it breaks
    const char* what;  // in words
    Bytes bytes;
    ReasonCode reason{};
};

/// The row ends a connection of `version` and nothing else.
void expect_the_end(ProtocolVersion version, const Row& row) {
    SCOPED_TRACE(std::string{row.ids} + ", " + row.what + ": " + hex(row.bytes));
    World world;
    Client& witness = world.client("witness").connect();
    witness.subscribe("will");
    ConnectOptions options = passing(version);
    options.will = WillOptions{.topic = "will", .payload = "gone"};
    Client& client = world.client("client").connect(options);
    client.take_packets();
    client.send_bytes_later(row.bytes);
    client.send_bytes(wire("C0 00"));  // PINGREQ
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.count(PacketType::pingresp), 0u) << "what follows is not heard";
    if (version == v5) {
        EXPECT_EQ(client.goodbye(), row.reason);
        EXPECT_EQ(client.take_packets().size(), 1u) << "DISCONNECT alone";
    } else {
        EXPECT_EQ(bytes_of(client), Strings{}) << "this version has no word for it";
    }
    EXPECT_EQ(witness.take_payloads(), Strings{"gone"});
    EXPECT_TRUE(witness.ping());
}

// [MQTT-4.13.1-1], [MQTT-4.13.2-1]
TEST(conformance_packets, end_the_connection_with_the_reason_of_their_fault) {
    const std::vector<Row> rows{
        // --- fixed header ---
        {"MQTT-1.5.5-1", "a length in more bytes than it needs", wire("C0 80 00"), malformed},
        {"MQTT-1.5.5-1", "a length of five bytes", wire("30 80 80 80 80 01"), malformed},
        {"MQTT-2.1.3-1", "flags of PUBACK", wire("41 02 00 01"), malformed},
        {"MQTT-2.1.3-1", "flags of PUBREC", wire("52 02 00 01"), malformed},
        {"MQTT-2.1.3-1", "flags of PUBCOMP", wire("74 02 00 01"), malformed},
        {"MQTT-2.1.3-1", "flags of PINGREQ", wire("C8 00"), malformed},
        {"MQTT-3.6.1-1", "flags of PUBREL", wire("60 02 00 01"), malformed},
        {"MQTT-3.6.1-1", "DUP of PUBREL", wire("6A 02 00 01"), malformed},
        {"MQTT-3.8.1-1", "flags of SUBSCRIBE", packet(0x80, "0001 00 <a> 00"), malformed},
        {"MQTT-3.8.1-1", "DUP of SUBSCRIBE", packet(0x8A, "0001 00 <a> 00"), malformed},
        {"MQTT-3.10.1-1", "flags of UNSUBSCRIBE", packet(0xA0, "0001 00 <a>"), malformed},
        {"MQTT-3.14.1-1", "flags of DISCONNECT", wire("E1 00"), malformed},
        {"MQTT-3.15.1-1", "flags of AUTH", packet(0xF1, "18 {15 <m>}"), malformed},
        {"section 2.1.2", "packet type 0", wire("00 00"), malformed},
        {"section 2.1.2", "a packet of servers", wire("D0 00"), protocol_error},
        {"MQTT-3.1.0-2", "a second CONNECT", packet(0x10, "<MQTT> 05 02 0000 00 <id>"),
         protocol_error},
        // --- PUBLISH ---
        {"MQTT-3.3.1-4", "QoS 3", packet(0x36, "<a> 0001 00"), malformed},
        {"MQTT-3.3.1-2", "DUP with QoS 0", packet(0x38, "<a> 00"), malformed},
        {"MQTT-2.2.1-3", "identifier 0", packet(0x32, "<a> 0000 00"), protocol_error},
        {"MQTT-2.2.2-1", "no Property Length", packet(0x30, "<a>"), malformed},
        {"MQTT-1.5.4-1 MQTT-3.3.2-1", "a topic that is no UTF-8", packet(0x30, "0002 C0 AF 00"),
         malformed},
        {"MQTT-1.5.4-1", "a surrogate", packet(0x30, "0003 ED A0 80 00"), malformed},
        {"MQTT-1.5.4-2 MQTT-4.7.3-2", "U+0000", packet(0x30, "0003 61 00 62 00"), malformed},
        {"MQTT-3.3.2-2 MQTT-4.7.0-1", "# in a topic", packet(0x30, "<a/#> 00"), bad_topic},
        {"MQTT-3.3.2-2 MQTT-4.7.0-1", "+ in a topic", packet(0x30, "<+/a> 00"), bad_topic},
        {"MQTT-4.7.3-1", "no topic and no alias", packet(0x30, "0000 00"), protocol_error},
        {"MQTT-3.3.2-8", "alias 0", packet(0x30, "<a> {23 0000}"), bad_alias},
        {"MQTT-3.3.2-9 MQTT-3.2.2-17", "an alias above the maximum", packet(0x30, "<a> {23 FFFF}"),
         bad_alias},
        {"section 3.3.2.3.4", "an alias that stands for nothing", packet(0x30, "0000 {23 0001}"),
         protocol_error},
        {"MQTT-3.3.2-13", "a response topic that is no UTF-8", packet(0x30, "<a> {08 0001 FF}"),
         malformed},
        {"MQTT-3.3.2-14", "a response topic with a wildcard", packet(0x30, "<a> {08 <b/+>}"),
         protocol_error},
        {"MQTT-3.3.2-19", "a content type that is no UTF-8", packet(0x30, "<a> {03 0001 80}"),
         malformed},
        {"MQTT-1.5.7-1", "a user property's name that is no UTF-8",
         packet(0x30, "<a> {26 0001 FE <v>}"), malformed},
        {"MQTT-1.5.7-1", "a user property's value with U+0000",
         packet(0x30, "<a> {26 <n> 0001 00}"), malformed},
        {"MQTT-3.3.4-6", "a subscription identifier", packet(0x30, "<a> {0B 01}"), protocol_error},
        {"section 2.2.2.2", "a property of another packet", packet(0x30, "<a> {11 00000001}"),
         malformed},
        {"section 3.3.2.3.2", "a property twice", packet(0x30, "<a> {01 00 01 00}"),
         protocol_error},
        // --- acknowledgements ---
        {"MQTT-3.4.2-1", "PUBACK with a code of PUBREL", wire("40 03 00 01 92"), protocol_error},
        {"MQTT-3.5.2-1", "PUBREC with a code of SUBACK", wire("50 03 00 01 01"), protocol_error},
        {"MQTT-3.6.2-1", "PUBREL with a code of PUBACK", wire("62 03 00 01 10"), protocol_error},
        {"MQTT-3.7.2-1", "PUBCOMP with an unknown code", wire("70 03 00 01 FF"), protocol_error},
        // --- SUBSCRIBE, UNSUBSCRIBE ---
        {"MQTT-2.2.1-3", "SUBSCRIBE with identifier 0", packet(0x82, "0000 00 <a> 00"),
         protocol_error},
        {"MQTT-3.8.3-1", "a filter that is no UTF-8", packet(0x82, "0001 00 0001 FF 00"),
         malformed},
        {"MQTT-4.7.3-2", "a filter with U+0000", packet(0x82, "0001 00 0001 00 00"), malformed},
        {"MQTT-3.8.3-2", "no filter", packet(0x82, "0001 00"), protocol_error},
        {"MQTT-3.8.3-4", "No Local on a shared subscription",
         packet(0x82, "0001 00 <$share/g/a> 04"), protocol_error},
        {"MQTT-3.8.3-5", "reserved bit 6", packet(0x82, "0001 00 <a> 40"), malformed},
        {"MQTT-3.8.3-5", "reserved bit 7", packet(0x82, "0001 00 <a> 80"), malformed},
        {"section 3.8.3.1", "QoS 3", packet(0x82, "0001 00 <a> 03"), protocol_error},
        {"section 3.8.3.1", "Retain Handling 3", packet(0x82, "0001 00 <a> 30"), protocol_error},
        {"section 3.8.2.1.2", "subscription identifier 0", packet(0x82, "0001 {0B 00} <a> 00"),
         protocol_error},
        {"MQTT-4.7.1-1", "# that is not last", packet(0x82, "0001 00 <#/a> 00"), bad_filter},
        {"MQTT-4.7.1-1", "# within a level", packet(0x82, "0001 00 <a#> 00"), bad_filter},
        {"MQTT-4.7.1-2", "+ within a level", packet(0x82, "0001 00 <a+/b> 00"), bad_filter},
        {"MQTT-4.7.3-1", "an empty filter", packet(0x82, "0001 00 0000 00"), bad_filter},
        {"MQTT-4.8.2-1", "no ShareName", packet(0x82, "0001 00 <$share//a> 00"), bad_filter},
        {"MQTT-4.8.2-2", "a wildcard in a ShareName", packet(0x82, "0001 00 <$share/g+/a> 00"),
         bad_filter},
        {"MQTT-4.8.2-2", "no filter behind it", packet(0x82, "0001 00 <$share/g> 00"), bad_filter},
        {"MQTT-2.2.1-3", "UNSUBSCRIBE with identifier 0", packet(0xA2, "0000 00 <a>"),
         protocol_error},
        {"MQTT-3.10.3-1", "a filter that is no UTF-8", packet(0xA2, "0001 00 0001 FF"), malformed},
        {"MQTT-3.10.3-2", "no filter", packet(0xA2, "0001 00"), protocol_error},
        // --- DISCONNECT, AUTH ---
        {"MQTT-3.14.2-1", "an unknown code", wire("E0 01 05"), protocol_error},
        {"MQTT-3.14.2-1", "a code of servers", wire("E0 01 8E"), protocol_error},
        {"section 3.14.2.2.2", "a session that was to end is prolonged",
         packet(0xE0, "00 {11 00000001}"), protocol_error},
        {"MQTT-3.15.2-1", "a code of DISCONNECT in AUTH", packet(0xF0, "87 {15 <m>}"),
         protocol_error},
        {"MQTT-4.12.0-7", "AUTH without a method in CONNECT", packet(0xF0, "19 {15 <m>}"),
         protocol_error},
    };
    for (const Row& row : rows) expect_the_end(v5, row);
}

// [MQTT-4.8.0-1]
TEST(conformance_packets, of_3_1_1_end_the_connection_without_a_word) {
    const std::vector<Row> rows{
        {"section 2.2.3", "a length of five bytes", wire("30 80 80 80 80 01")},
        {"MQTT-2.2.2-1 MQTT-2.2.2-2", "flags of PUBACK", wire("41 02 00 01")},
        {"MQTT-2.2.2-1 MQTT-2.2.2-2", "flags of PINGREQ", wire("C1 00")},
        {"MQTT-3.6.1-1", "flags of PUBREL", wire("60 02 00 01")},
        {"MQTT-3.8.1-1", "flags of SUBSCRIBE", packet(0x80, "0001 <a> 00")},
        {"MQTT-3.10.1-1", "flags of UNSUBSCRIBE", packet(0xA0, "0001 <a>")},
        {"MQTT-3.14.1-1", "flags of DISCONNECT", wire("E2 00")},
        {"section 2.2.1", "packet type 15", wire("F0 00")},
        {"section 2.2.1", "a packet of servers", wire("20 02 00 00")},
        {"MQTT-3.1.0-2", "a second CONNECT", packet(0x10, "<MQTT> 04 02 0000 <id>")},
        {"MQTT-3.3.1-4", "QoS 3", packet(0x36, "<a> 0001")},
        {"MQTT-3.3.1-2", "DUP with QoS 0", packet(0x38, "<a>")},
        {"MQTT-2.3.1-1", "PUBLISH with identifier 0", packet(0x32, "<a> 0000")},
        {"MQTT-1.5.3-1 MQTT-3.3.2-1", "a topic that is no UTF-8", packet(0x30, "0002 C0 AF")},
        {"MQTT-1.5.3-1", "a surrogate", packet(0x30, "0003 ED BF BF")},
        {"MQTT-1.5.3-2 MQTT-4.7.3-2", "U+0000", packet(0x30, "0003 61 00 62")},
        {"MQTT-3.3.2-2 MQTT-4.7.1-1", "# in a topic", packet(0x30, "<a/#>")},
        {"MQTT-3.3.2-2 MQTT-4.7.1-1", "+ in a topic", packet(0x30, "<+>")},
        {"MQTT-4.7.3-1", "an empty topic", packet(0x30, "0000")},
        {"MQTT-2.3.1-1", "SUBSCRIBE with identifier 0", packet(0x82, "0000 <a> 00")},
        {"MQTT-3.8.3-1", "a filter that is no UTF-8", packet(0x82, "0001 0001 FF 00")},
        {"MQTT-3.8.3-3", "SUBSCRIBE without a filter", packet(0x82, "0001")},
        {"MQTT-3.8.3-4", "reserved bits", packet(0x82, "0001 <a> 04")},
        {"MQTT-3.8.3-4", "QoS 3", packet(0x82, "0001 <a> 03")},
        {"MQTT-4.7.1-2", "# that is not last", packet(0x82, "0001 <#/a> 00")},
        {"MQTT-4.7.1-2", "# within a level", packet(0x82, "0001 <a#> 00")},
        {"MQTT-4.7.1-3", "+ within a level", packet(0x82, "0001 <a+> 00")},
        {"MQTT-4.7.3-1", "an empty filter", packet(0x82, "0001 0000 00")},
        {"MQTT-2.3.1-1", "UNSUBSCRIBE with identifier 0", packet(0xA2, "0000 <a>")},
        {"MQTT-3.10.3-1", "a filter that is no UTF-8", packet(0xA2, "0001 0001 FF")},
        {"MQTT-3.10.3-2", "UNSUBSCRIBE without a filter", packet(0xA2, "0001")},
        {"section 3.4", "a PUBACK of 5.0", wire("40 03 00 01 00")},
        {"section 3.14", "a DISCONNECT of 5.0", wire("E0 01 00")},
    };
    for (const Row& row : rows) expect_the_end(v3_1_1, row);
}

}  // namespace
}  // namespace mitu::conformance
