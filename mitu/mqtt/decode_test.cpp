// The fixed header, incremental reading, and PUBLISH with its acknowledgements.
#include "mitu/mqtt/decode.hpp"

#include <gtest/gtest.h>

#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/expect.hpp"

namespace mitu::mqtt {

using namespace testing;
using enum Sender;

TEST(decode, refuses_what_the_first_byte_gives_away) {
    expect_rows({
        {"MQTT 5.0 section 2.1.2", "packet type 0", client, v5, wire("00 00"), malformed},
        {"MQTT 3.1.1 section 2.2.1", "packet type 15 in 3.1.1", client, v3, wire("F0 00"),
         malformed},
        {"MQTT-2.1.3-1", "flags of CONNECT", client, v5, wire("11 00"), malformed},
        {"MQTT-2.1.3-1", "flags of CONNACK", server, v5, wire("21 02 00 00"), malformed},
        {"MQTT-2.1.3-1", "flags of PUBACK", client, v5, wire("42 02 00 01"), malformed},
        {"MQTT-2.1.3-1", "flags of PUBREC", client, v3, wire("51 02 00 01"), malformed},
        {"MQTT-3.6.1-1", "flags of PUBREL, all 0", client, v5, wire("60 02 00 01"), malformed},
        {"MQTT-3.6.1-1", "flags of PUBREL, another bit", client, v5, wire("6A 02 00 01"),
         malformed},
        {"MQTT-2.1.3-1", "flags of PUBCOMP", client, v5, wire("78 02 00 01"), malformed},
        {"MQTT-3.8.1-1", "flags of SUBSCRIBE", client, v5, wire("80 00"), malformed},
        {"MQTT-2.1.3-1", "flags of SUBACK", server, v5, wire("92 00"), malformed},
        {"MQTT-3.10.1-1", "flags of UNSUBSCRIBE", client, v5, wire("A0 00"), malformed},
        {"MQTT-2.1.3-1", "flags of UNSUBACK", server, v5, wire("B2 00"), malformed},
        {"MQTT-2.1.3-1", "flags of PINGREQ", client, v5, wire("C1 00"), malformed},
        {"MQTT-2.1.3-1", "flags of PINGRESP", server, v5, wire("D8 00"), malformed},
        {"MQTT-3.14.1-1", "flags of DISCONNECT", client, v5, wire("E1 00"), malformed},
        {"MQTT-3.15.1-1", "flags of AUTH", client, v5, wire("F1 00"), malformed},
        {"MQTT-3.3.1-4", "QoS 3", client, v5, wire("36 00"), malformed},
        {"MQTT-3.3.1-2", "DUP with QoS 0", client, v5, wire("38 00"), malformed},
    });
}

TEST(decode, lets_a_client_of_3_1_repeat_its_requests) {
    constexpr ProtocolVersion v3_1 = ProtocolVersion::v3_1;
    const char* const section = "MQTT 3.1 section 2.1";
    expect_rows({
        {section, "PUBREL again", client, v3_1, wire("6A 02 00 01"), valid},
        {section, "SUBSCRIBE again", client, v3_1, packet(0x8A, "0001 <a> 01"), valid},
        {section, "UNSUBSCRIBE again", client, v3_1, packet(0xAA, "0001 <a>"), valid},
        {"MQTT-3.6.1-1", "but with QoS 1", client, v3_1, wire("60 02 00 01"), malformed},
        {"MQTT-3.8.1-1", "and without RETAIN", client, v3_1, packet(0x83, "0001 <a> 01"),
         malformed},
        {"MQTT-3.8.1-1", "3.1.1 has no DUP there", client, v3, packet(0x8A, "0001 <a> 01"),
         malformed},
    });
}

TEST(decode, refuses_packets_that_flow_in_the_other_direction) {
    const char* const section = "MQTT 5.0 section 2.1.2";
    expect_rows({
        {section, "CONNECT from the server", server, v5, wire("10 00"), protocol_error},
        {section, "CONNACK from a client", client, v5, wire("20 00"), protocol_error},
        {section, "SUBSCRIBE from the server", server, v5, wire("82 00"), protocol_error},
        {section, "SUBACK from a client", client, v5, wire("90 00"), protocol_error},
        {section, "UNSUBSCRIBE from the server", server, v5, wire("A2 00"), protocol_error},
        {section, "UNSUBACK from a client", client, v5, wire("B0 00"), protocol_error},
        {section, "PINGREQ from the server", server, v5, wire("C0 00"), protocol_error},
        {section, "PINGRESP from a client", client, v5, wire("D0 00"), protocol_error},
        {section, "DISCONNECT from a server of 3.1.1", server, v3, wire("E0 00"), protocol_error},
        {section, "DISCONNECT from a server of 5.0", server, v5, wire("E0 00"), valid},
    });
}

TEST(decode, knows_the_packets_of_a_fixed_length) {
    expect_rows({
        {"MQTT 5.0 section 3.12", "PINGREQ", client, v5, wire("C0 00"), valid},
        {"MQTT 5.0 section 3.12", "PINGREQ with a body", client, v5, wire("C0 01 00"), malformed},
        {"MQTT 5.0 section 3.13", "PINGRESP", server, v3, wire("D0 00"), valid},
        {"MQTT 5.0 section 3.13", "PINGRESP with a body", server, v3, wire("D0 01 00"), malformed},
        {"MQTT 3.1.1 section 3.14", "DISCONNECT", client, v3, wire("E0 00"), valid},
        {"MQTT 3.1.1 section 3.14", "DISCONNECT with a reason", client, v3, wire("E0 01 00"),
         malformed},
        {"MQTT 3.1.1 section 3.4", "PUBACK", client, v3, wire("40 02 00 01"), valid},
        {"MQTT 3.1.1 section 3.4", "PUBACK with a reason", client, v3, wire("40 03 00 01 00"),
         malformed},
        {"MQTT 3.1.1 section 3.5", "PUBREC cut short", client, v3, wire("50 01 00"), malformed},
        {"MQTT 3.1.1 section 3.6", "PUBREL", client, v3, wire("62 02 00 01"), valid},
        {"MQTT 3.1.1 section 3.7", "PUBCOMP", server, v3, wire("70 02 00 01"), valid},
        {"MQTT 3.1.1 section 3.11", "UNSUBACK", server, v3, wire("B0 02 00 01"), valid},
        {"MQTT 3.1.1 section 3.11", "UNSUBACK with a code", server, v3, wire("B0 03 00 01 00"),
         malformed},
    });
}

TEST(decode, refuses_a_remaining_length_that_is_not_a_variable_byte_integer) {
    expect_rows({
        {"MQTT-1.5.5-1", "five bytes", client, v5, wire("30 80 80 80 80 01"), malformed},
        {"MQTT-1.5.5-1", "longer than needed, two bytes", client, v5, wire("C0 80 00"), malformed},
        {"MQTT-1.5.5-1", "longer than needed, four bytes", client, v3, wire("30 85 80 80 00"),
         malformed},
    });
    EXPECT_FALSE(packet_size(wire("30 80 80 80 80 01")).has_value());
    EXPECT_FALSE(packet_size(wire("30 80 00")).has_value());
}

TEST(decode, tells_the_size_of_a_packet_as_soon_as_it_is_known) {
    const auto size = [](std::string_view text) { return packet_size(wire(text)).value(); };
    EXPECT_EQ(size(""), std::nullopt);
    EXPECT_EQ(size("30"), std::nullopt);
    EXPECT_EQ(size("30 FF FF"), std::nullopt);
    EXPECT_EQ(size("C0 00"), 2U);
    EXPECT_EQ(size("30 7F"), 2U + 127U);
    EXPECT_EQ(size("30 80 01"), 3U + 128U);
    EXPECT_EQ(size("30 FF 7F"), 3U + 16'383U);
    EXPECT_EQ(size("30 80 80 01"), 4U + 16'384U);
    EXPECT_EQ(size("30 80 80 80 01"), 5U + 2'097'152U);
    EXPECT_EQ(size("30 FF FF FF 7F"), packet_bytes_limit);
}

TEST(decode, refuses_too_large_a_packet_at_its_fixed_header) {
    const DecodeOptions options{client, v5, 10};
    // 8 bytes follow a header of 2: just allowed, though none of them is there yet.
    const auto fits = decode(wire("30 08"), options);
    ASSERT_TRUE(fits.has_value());
    EXPECT_FALSE(fits->has_value());
    const auto larger = decode(wire("30 09"), options);
    ASSERT_FALSE(larger.has_value());
    EXPECT_EQ(larger.error().reason, ReasonCode::packet_too_large);
    EXPECT_EQ(decode(wire("30 FF FF FF 7F"), options).error().reason, ReasonCode::packet_too_large);
}

TEST(decode, takes_one_packet_and_leaves_the_next) {
    Bytes stream = wire("C0 00 | 30 07 <a/b> 00 'x' | E0 00");
    ByteView rest = stream;
    std::vector<std::size_t> kinds;
    while (!rest.empty()) {
        const auto decoded = decode(rest, {client, v5}).value().value();
        kinds.push_back(decoded.packet.index());
        rest = rest.subspan(decoded.size_bytes);
    }
    EXPECT_EQ(kinds, (std::vector<std::size_t>{Packet{Pingreq{}}.index(), Packet{Publish{}}.index(),
                                               Packet{Disconnect{}}.index()}));
}

TEST(decode, names_the_byte_at_fault) {
    const auto offset = [](std::string_view text) {
        return decode(wire(text), {client, v5}).error().offset_bytes;
    };
    EXPECT_EQ(offset("30 80 80 80 80"), 4U);                // the fourth byte that continues
    EXPECT_EQ(offset("30 06 <a\xC0> 00 00"), 5U);           // the ill-formed character
    EXPECT_EQ(offset("30 06 <a/#> 00"), 6U);                // the wildcard
    EXPECT_EQ(offset("32 08 <a> 00 00 00 '...'"), 5U);      // the packet id
    EXPECT_EQ(offset("30 0A <a> 06 23 0001 23 0002"), 9U);  // the second topic alias
    EXPECT_EQ(offset("82 07 0001 00 <a> 03"), 8U);          // the options
}

TEST(decode_publish, accepts_every_form_of_a_message) {
    expect_rows({
        {"MQTT-3.3.2-1", "QoS 0", client, v5, packet(0x30, "<a/b> 00 'payload'"), valid},
        {"MQTT 5.0 section 3.3.3", "no payload", client, v5, packet(0x30, "<a/b> 00"), valid},
        {"MQTT-3.3.1-5", "retained", client, v5, packet(0x31, "<a/b> 00 'x'"), valid},
        {"MQTT-2.2.1-3", "QoS 1", client, v5, packet(0x32, "<a> 0001 00 'x'"), valid},
        {"MQTT-3.3.1-1", "QoS 2 again", client, v5, packet(0x3C, "<a> FFFF 00 'x'"), valid},
        {"MQTT 3.1.1 section 3.3", "QoS 0 in 3.1.1", client, v3, packet(0x30, "<a> 'x'"), valid},
        {"MQTT 3.1.1 section 3.3", "QoS 2 in 3.1.1", server, v3, packet(0x34, "<a> 0001"), valid},
        {"MQTT 5.0 section 3.3.2.3.4", "an alias for a name", client, v5,
         packet(0x30, "0000 {23 0001} 'x'"), valid},
        {"MQTT-3.3.4-3", "two subscription identifiers", server, v5,
         packet(0x30, "<a> {0B 01 0B FFFFFF7F} 'x'"), valid},
        {"MQTT-1.5.4-3", "U+FEFF stands for itself", client, v5, packet(0x30, "<\xEF\xBB\xBF> 00"),
         valid},
        {"MQTT-4.7.2-1", "a name with $", client, v5, packet(0x30, "<$SYS/x> 00"), valid},
    });
}

TEST(decode_publish, refuses_every_fault) {
    expect_rows({
        {"MQTT 5.0 section 3.3.2", "no topic", client, v5, wire("30 00"), malformed},
        {"MQTT 5.0 section 3.3.2", "the topic is cut", client, v5, packet(0x30, "0004 'abc'"),
         malformed},
        {"MQTT-1.5.4-1", "a stray continuation", client, v5, packet(0x30, "<a\x80> 00"), malformed},
        {"MQTT-1.5.4-1", "an overlong form", client, v5, packet(0x30, "<\xC0\xAF> 00"), malformed},
        {"MQTT-1.5.4-1", "a surrogate", client, v5, packet(0x30, "<\xED\xA0\x80> 00"), malformed},
        {"MQTT-1.5.4-1", "beyond U+10FFFF", client, v5, packet(0x30, "<\xF4\x90\x80\x80> 00"),
         malformed},
        {"MQTT-1.5.4-1", "a sequence cut", client, v3, packet(0x30, "<abcdefgh\xE7\xB1>"),
         malformed},
        {"MQTT-1.5.4-2", "U+0000", client, v5, packet(0x30, "0003 61 00 62 00"), malformed},
        {"MQTT-1.5.4-2", "U+0000 far in", client, v3, packet(0x30, "000A 'abcdefgh' 00 'x'"),
         malformed},
        {"MQTT-3.3.2-2", "a wildcard #", client, v5, packet(0x30, "<a/#> 00"),
         ReasonCode::topic_name_invalid},
        {"MQTT-3.3.2-2", "a wildcard + within a word", server, v3,
         packet(0x30, "<abcdefgh+ijklmn>"), ReasonCode::topic_name_invalid},
        {"MQTT-4.7.3-1", "no topic, no alias", client, v5, packet(0x30, "0000 00"), protocol_error},
        {"MQTT-4.7.3-1", "no topic in 3.1.1", client, v3, packet(0x30, "0000"), protocol_error},
        {"MQTT-2.2.1-3", "packet id 0", client, v5, packet(0x32, "<a> 0000 00"), protocol_error},
        {"MQTT-2.2.1-3", "packet id 0 in 3.1.1", client, v3, packet(0x34, "<a> 0000"),
         protocol_error},
        {"MQTT 5.0 section 3.3.2.2", "no packet id", client, v3, packet(0x32, "<a>"), malformed},
        {"MQTT-2.2.2-1", "no Property Length", client, v5, packet(0x30, "<a>"), malformed},
        {"MQTT 5.0 section 2.2.2.1", "properties longer than the packet", client, v5,
         packet(0x30, "<a> 05 01"), malformed},
        {"MQTT 5.0 section 2.2.2.1", "a property longer than the properties", client, v5,
         packet(0x30, "<a> {02 0000} 0000"), malformed},
        {"MQTT-1.5.5-1", "a Property Length longer than needed", client, v5,
         packet(0x30, "<a> 80 00"), malformed},
        {"MQTT-3.3.2-8", "topic alias 0", client, v5, packet(0x30, "<a> {23 0000}"),
         ReasonCode::topic_alias_invalid},
        {"MQTT-3.3.4-6", "a client's subscription identifier", client, v5,
         packet(0x30, "<a> {0B 01}"), protocol_error},
        {"MQTT 5.0 section 3.3.2.3.8", "subscription identifier 0", server, v5,
         packet(0x30, "<a> {0B 00}"), protocol_error},
        {"MQTT-3.3.2-14", "a response topic with a wildcard", client, v5,
         packet(0x30, "<a> {08 <r/+>}"), protocol_error},
        {"MQTT-4.7.3-1", "an empty response topic", client, v5, packet(0x30, "<a> {08 0000}"),
         protocol_error},
        {"MQTT-1.5.4-1", "a response topic that is not text", client, v5,
         packet(0x30, "<a> {08 0001 FF}"), malformed},
        {"MQTT-1.5.4-1", "a content type that is not text", client, v5,
         packet(0x30, "<a> {03 0001 FF}"), malformed},
        {"MQTT-1.5.4-1", "a user property's name", client, v5,
         packet(0x30, "<a> {26 0001 FF 0000}"), malformed},
        {"MQTT-1.5.4-2", "a user property's value", client, v5,
         packet(0x30, "<a> {26 0000 0001 00}"), malformed},
    });
}

TEST(decode_publish, fills_every_field) {
    const Bytes bytes = packet(0x3D,
                               "<a/b> 1234 {01 01 | 02 0000000A | 23 0007 | 08 <r> | 09 0002 00FF |"
                               " 26 <k1> <v1> | 0B 05 | 03 <text/plain> | 26 <k2> <v2> | 0B 8001}"
                               "'payload'");
    const auto decoded = decode(bytes, {server, v5}).value().value();
    const auto& publish = std::get<Publish>(decoded.packet);
    EXPECT_TRUE(publish.dup);
    EXPECT_EQ(publish.qos, QoS::exactly_once);
    EXPECT_TRUE(publish.retain);
    EXPECT_EQ(publish.packet_id, 0x1234);
    EXPECT_EQ(publish.topic, "a/b");
    EXPECT_EQ(as_text(publish.payload), "payload");
    EXPECT_EQ(publish.properties.payload_is_utf8, true);
    EXPECT_EQ(publish.properties.message_expiry_interval_s, 10U);
    EXPECT_EQ(publish.properties.topic_alias, 7);
    EXPECT_EQ(publish.properties.response_topic, "r");
    EXPECT_TRUE(equal(*publish.properties.correlation_data, wire("00 FF")));
    EXPECT_EQ(publish.properties.content_type, "text/plain");
    std::string pairs;
    publish.properties.user.for_each([&pairs](const UserProperties::Pair& pair) {
        pairs.append(pair.name).append("=").append(pair.value).append(" ");
    });
    EXPECT_EQ(pairs, "k1=v1 k2=v2 ");
    ByteView identifiers = publish.properties.subscription_identifiers;
    EXPECT_EQ(next_subscription_identifier(identifiers), 5U);
    EXPECT_EQ(next_subscription_identifier(identifiers), 128U);
    EXPECT_EQ(next_subscription_identifier(identifiers), std::nullopt);
}

TEST(decode_publish, borrows_the_bytes_it_was_given) {
    const Bytes bytes = packet(0x30, "<a/b> {26 <k> <v>} 'payload'");
    const auto decoded = decode(bytes, {client, v5}).value().value();
    const auto& publish = std::get<Publish>(decoded.packet);
    const auto within = [&bytes](const void* at) {
        return at >= bytes.data() && at < bytes.data() + bytes.size();
    };
    EXPECT_TRUE(within(publish.topic.data()));
    EXPECT_TRUE(within(publish.payload.data()));
    EXPECT_TRUE(within(publish.properties.user.block.data()));
}

TEST(decode_ack, accepts_the_short_and_the_long_forms) {
    expect_rows({
        {"MQTT 5.0 section 3.4.2.1", "PUBACK of 2 bytes", client, v5, wire("40 02 00 01"), valid},
        {"MQTT 5.0 section 3.4.2.2.1", "PUBACK of 3 bytes", client, v5, wire("40 03 00 01 10"),
         valid},
        {"MQTT 5.0 section 3.4.2", "PUBACK of 4 bytes", client, v5, wire("40 04 00 01 10 00"),
         valid},
        {"MQTT 5.0 section 3.5.2", "PUBREC with a text", server, v5,
         packet(0x50, "0001 97 {1F <full> 26 <a> <b>}"), valid},
        {"MQTT 5.0 section 3.6.2", "PUBREL not found", client, v5, wire("62 03 00 01 92"), valid},
        {"MQTT 5.0 section 3.7.2", "PUBCOMP not found", client, v5, wire("70 03 00 01 92"), valid},
    });
}

TEST(decode_ack, refuses_every_fault) {
    expect_rows({
        {"MQTT-2.2.1-3", "PUBACK 0", client, v5, wire("40 02 00 00"), protocol_error},
        {"MQTT-2.2.1-3", "PUBREL 0 in 3.1.1", client, v3, wire("62 02 00 00"), protocol_error},
        {"MQTT 5.0 section 3.4.2", "PUBACK of 1 byte", client, v5, wire("40 01 00"), malformed},
        {"MQTT-3.4.2-1", "PUBACK with a code of PUBREL", client, v5, wire("40 03 00 01 92"),
         protocol_error},
        {"MQTT-3.5.2-1", "PUBREC with a code of SUBACK", client, v5, wire("50 03 00 01 01"),
         protocol_error},
        {"MQTT-3.6.2-1", "PUBREL with a code of PUBACK", client, v5, wire("62 03 00 01 10"),
         protocol_error},
        {"MQTT-3.7.2-1", "PUBCOMP with an unknown code", client, v5, wire("70 03 00 01 FF"),
         protocol_error},
        {"MQTT 5.0 section 3.4.2.2", "bytes behind the properties", client, v5,
         wire("40 05 00 01 00 00 00"), malformed},
        {"MQTT 5.0 section 3.4.2.2.2", "two reason strings", client, v5,
         packet(0x40, "0001 00 {1F <a> 1F <b>}"), protocol_error},
        {"MQTT-1.5.4-1", "a reason string that is not text", client, v5,
         packet(0x40, "0001 00 {1F 0001 FF}"), malformed},
    });
}

}  // namespace mitu::mqtt
