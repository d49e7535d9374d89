// CONNECT, CONNACK, DISCONNECT, AUTH.
#include <gtest/gtest.h>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/expect.hpp"

namespace mitu::mqtt {

using namespace testing;
using enum Sender;

TEST(decode_connect, accepts_every_version_and_form) {
    expect_rows({
        {"MQTT 5.0 section 3.1", "5.0", client, v5, packet(0x10, "<MQTT> 05 02 003C 00 <id>"),
         valid},
        {"MQTT 3.1.1 section 3.1", "3.1.1", client, v5, packet(0x10, "<MQTT> 04 02 003C <id>"),
         valid},
        {"MQTT 3.1 section 3.1", "3.1", client, v5, packet(0x10, "<MQIsdp> 03 02 003C <id>"),
         valid},
        {"MQTT 3.1 section 3.1", "neither user name nor password though the flags say so, 3.1",
         client, v5, packet(0x10, "<MQIsdp> 03 C2 0000 <id>"), valid},
        {"MQTT 3.1 section 3.1", "no password though the flag says so, 3.1", client, v5,
         packet(0x10, "<MQIsdp> 03 C2 0000 <id> <user>"), valid},
        {"MQTT 5.0 section 3.1", "its own version counts, not the options'", client, v3,
         packet(0x10, "<MQTT> 05 00 0000 00 <id>"), valid},
        {"MQTT-3.1.3-6", "an empty client id, 5.0", client, v5,
         packet(0x10, "<MQTT> 05 00 0000 00 0000"), valid},
        {"MQTT-3.1.3-6", "an empty client id, 3.1.1", client, v3,
         packet(0x10, "<MQTT> 04 02 0000 0000"), valid},
        {"MQTT-3.1.2-17", "user name and password", client, v3,
         packet(0x10, "<MQTT> 04 C2 0000 <id> <user> 0002 00FF"), valid},
        {"MQTT 5.0 section 3.1.2.9", "a password without a user name, 5.0", client, v5,
         packet(0x10, "<MQTT> 05 42 0000 00 <id> <pw>"), valid},
        {"MQTT-3.1.2-9", "a will", client, v3,
         packet(0x10, "<MQTT> 04 36 0000 <id> <gone> 0003 'bye'"), valid},
        {"MQTT-3.1.2-9", "a will with properties", client, v5,
         packet(0x10, "<MQTT> 05 0E 0000 00 <id> {18 00000005 01 01} <gone> <bye>"), valid},
        {"MQTT-3.1.2-9", "an empty will payload", client, v5,
         packet(0x10, "<MQTT> 05 06 0000 00 <id> 00 <gone> 0000"), valid},
    });
}

TEST(decode_connect, refuses_unknown_protocols) {
    constexpr ReasonCode unsupported = ReasonCode::unsupported_protocol_version;
    expect_rows({
        {"MQTT-3.1.2-1", "another name", client, v5, packet(0x10, "<AMQP> 05 02 0000 00 <id>"),
         unsupported},
        {"MQTT-3.1.2-1", "the case counts", client, v5, packet(0x10, "<mqtt> 05 02 0000 00 <id>"),
         unsupported},
        {"MQTT-3.1.2-1", "a longer name", client, v5, packet(0x10, "<MQTTX> 05 02 0000 00 <id>"),
         unsupported},
        {"MQTT-3.1.2-1", "no name", client, v5, packet(0x10, "0000 05 02 0000 00 <id>"),
         unsupported},
        {"MQTT-3.1.2-2", "version 6", client, v5, packet(0x10, "<MQTT> 06 02 0000 00 <id>"),
         unsupported},
        {"MQTT-3.1.2-2", "version 6 of another shape", client, v5, packet(0x10, "<MQTT> 06"),
         unsupported},
        {"MQTT-3.1.2-2", "version 0", client, v5, packet(0x10, "<MQTT> 00 02 0000 <id>"),
         unsupported},
        {"MQTT-3.1.2-2", "version 3 with the name of 3.1.1", client, v5,
         packet(0x10, "<MQTT> 03 02 0000 <id>"), unsupported},
        {"MQTT-3.1.2-2", "version 4 with the name of 3.1", client, v5,
         packet(0x10, "<MQIsdp> 04 02 0000 <id>"), unsupported},
        {"MQTT-3.1.2-2", "a bridge's version", client, v5, packet(0x10, "<MQTT> 84 02 0000 <id>"),
         unsupported},
    });
}

TEST(decode_connect, refuses_every_fault) {
    expect_rows({
        {"MQTT-3.1.4-1", "empty", client, v5, wire("10 00"), malformed},
        {"MQTT-3.1.4-1", "a name longer than the packet", client, v5, packet(0x10, "0005 'MQTT'"),
         malformed},
        {"MQTT-3.1.4-1", "no version", client, v5, packet(0x10, "<MQTT>"), malformed},
        {"MQTT-3.1.4-1", "no flags", client, v5, packet(0x10, "<MQTT> 05"), malformed},
        {"MQTT-3.1.4-1", "half a keep alive", client, v5, packet(0x10, "<MQTT> 05 02 00"),
         malformed},
        {"MQTT-2.2.2-1", "no Property Length", client, v5, packet(0x10, "<MQTT> 05 02 0000"),
         malformed},
        {"MQTT-3.1.3-3", "no client id", client, v3, packet(0x10, "<MQTT> 04 02 0000"), malformed},
        {"MQTT-3.1.2-3", "the reserved flag", client, v5, packet(0x10, "<MQTT> 05 03 0000 00 <id>"),
         malformed},
        {"MQTT-3.1.2-3", "the reserved flag in 3.1.1", client, v3,
         packet(0x10, "<MQTT> 04 01 0000 <id>"), malformed},
        {"MQTT-3.1.2-11", "a Will QoS without a will", client, v5,
         packet(0x10, "<MQTT> 05 0A 0000 00 <id>"), malformed},
        {"MQTT-3.1.2-13", "Will Retain without a will", client, v5,
         packet(0x10, "<MQTT> 05 22 0000 00 <id>"), malformed},
        {"MQTT-3.1.2-12", "Will QoS 3", client, v5,
         packet(0x10, "<MQTT> 05 1E 0000 00 <id> 00 <t> <p>"), malformed},
        {"MQTT-3.1.2-22", "a password without a user name, 3.1.1", client, v3,
         packet(0x10, "<MQTT> 04 42 0000 <id> <pw>"), malformed},
        {"MQTT-3.1.2-9", "a will that is not there", client, v3,
         packet(0x10, "<MQTT> 04 06 0000 <id>"), malformed},
        {"MQTT-3.1.2-9", "a will without its payload", client, v3,
         packet(0x10, "<MQTT> 04 06 0000 <id> <gone>"), malformed},
        {"MQTT-3.1.2-16", "a user name without its flag", client, v3,
         packet(0x10, "<MQTT> 04 02 0000 <id> <user>"), malformed},
        {"MQTT-3.1.2-17", "a user name that is not there", client, v3,
         packet(0x10, "<MQTT> 04 82 0000 <id>"), malformed},
        {"MQTT-3.1.2-19", "a password that is not there", client, v5,
         packet(0x10, "<MQTT> 05 C2 0000 00 <id> <user>"), malformed},
        {"MQTT-1.5.4-1", "[MQTT-3.1.3-4] a client id that is not text", client, v3,
         packet(0x10, "<MQTT> 04 02 0000 0001 FF"), malformed},
        {"MQTT-1.5.4-2", "[MQTT-3.1.3-4] a client id with U+0000", client, v3,
         packet(0x10, "<MQTT> 04 02 0000 0001 00"), malformed},
        {"MQTT-1.5.4-1", "[MQTT-3.1.3-12] a user name that is not text", client, v3,
         packet(0x10, "<MQTT> 04 82 0000 <id> 0001 80"), malformed},
        {"MQTT-1.5.4-1", "[MQTT-3.1.3-11] a will topic that is not text", client, v3,
         packet(0x10, "<MQTT> 04 06 0000 <id> 0001 80 0000"), malformed},
        {"MQTT-4.7.0-1", "a will topic with a wildcard", client, v3,
         packet(0x10, "<MQTT> 04 06 0000 <id> <gone/+> 0000"), ReasonCode::topic_name_invalid},
        {"MQTT-4.7.3-1", "an empty will topic", client, v5,
         packet(0x10, "<MQTT> 05 06 0000 00 <id> 00 0000 0000"), ReasonCode::topic_name_invalid},
        {"MQTT-3.1.3-8", "an empty client id without a clean session, 3.1.1", client, v3,
         packet(0x10, "<MQTT> 04 00 0000 0000"), ReasonCode::client_identifier_not_valid},
        {"MQTT 3.1 section 3.1", "an empty client id, 3.1", client, v3,
         packet(0x10, "<MQIsdp> 03 02 0000 0000"), ReasonCode::client_identifier_not_valid},
        {"MQTT 3.1 section 3.1", "half a user name, 3.1", client, v3,
         packet(0x10, "<MQIsdp> 03 82 0000 <id> 0004 'us'"), malformed},
        {"MQTT 3.1 section 3.1", "a will that is not there, 3.1", client, v3,
         packet(0x10, "<MQIsdp> 03 06 0000 <id>"), malformed},
        {"MQTT-3.1.4-1", "malformed comes before the client id", client, v3,
         packet(0x10, "<MQTT> 04 00 0000 0000 00"), malformed},
        {"MQTT 5.0 section 3.1.2.11.3", "Receive Maximum 0", client, v5,
         packet(0x10, "<MQTT> 05 02 0000 {21 0000} <id>"), protocol_error},
        {"MQTT 5.0 section 3.1.2.11.4", "Maximum Packet Size 0", client, v5,
         packet(0x10, "<MQTT> 05 02 0000 {27 00000000} <id>"), protocol_error},
        {"MQTT 5.0 section 3.1.2.11.6", "Request Response Information 2", client, v5,
         packet(0x10, "<MQTT> 05 02 0000 {19 02} <id>"), protocol_error},
        {"MQTT 5.0 section 3.1.2.11.10", "Authentication Data without a method", client, v5,
         packet(0x10, "<MQTT> 05 02 0000 {16 <x>} <id>"), protocol_error},
        {"MQTT-3.3.2-14", "a will's response topic with a wildcard", client, v5,
         packet(0x10, "<MQTT> 05 06 0000 00 <id> {08 <r/#>} <gone> <bye>"), protocol_error},
    });
}

TEST(decode_connect, fills_every_field) {
    const Bytes bytes = packet(
        0x10,
        "<MQTT> 05 F6 003C"
        "{11 0000000A | 21 0014 | 27 00010000 | 22 0005 | 19 01 | 17 00 | 15 <scram> | 16 <data> |"
        " 26 <k> <v>} <client>"
        "{18 00000007 | 01 01 | 02 00000009 | 03 <ct> | 08 <r> | 09 <cd> | 26 <wk> <wv>}"
        "<gone> <bye> <user> <secret>");
    const auto decoded = decode(bytes, {client, v5}).value().value();
    const auto& connect = std::get<Connect>(decoded.packet);
    EXPECT_EQ(connect.version, ProtocolVersion::v5);
    EXPECT_TRUE(connect.clean_start);
    EXPECT_EQ(connect.keep_alive_s, 60);
    EXPECT_EQ(connect.client_id, "client");
    EXPECT_EQ(connect.user_name, "user");
    EXPECT_EQ(as_text(*connect.password), "secret");
    EXPECT_EQ(connect.properties.session_expiry_interval_s, 10U);
    EXPECT_EQ(connect.properties.receive_maximum, 20);
    EXPECT_EQ(connect.properties.maximum_packet_size, 65'536U);
    EXPECT_EQ(connect.properties.topic_alias_maximum, 5);
    EXPECT_TRUE(connect.properties.request_response_information);
    EXPECT_FALSE(connect.properties.request_problem_information);
    EXPECT_EQ(connect.properties.authentication_method, "scram");
    EXPECT_EQ(as_text(*connect.properties.authentication_data), "data");
    ByteView user = connect.properties.user.block;
    EXPECT_EQ(UserProperties::next(user)->name, "k");
    const Will& will = connect.will.value();
    EXPECT_EQ(will.topic, "gone");
    EXPECT_EQ(as_text(will.payload), "bye");
    EXPECT_EQ(will.qos, QoS::exactly_once);
    EXPECT_TRUE(will.retain);
    EXPECT_EQ(will.delay_interval_s, 7U);
    EXPECT_EQ(will.properties.payload_is_utf8, true);
    EXPECT_EQ(will.properties.message_expiry_interval_s, 9U);
    EXPECT_EQ(will.properties.content_type, "ct");
    EXPECT_EQ(will.properties.response_topic, "r");
    EXPECT_EQ(as_text(*will.properties.correlation_data), "cd");
    ByteView will_user = will.properties.user.block;
    EXPECT_EQ(UserProperties::next(will_user)->value, "wv");
}

TEST(decode_connect, knows_the_defaults_of_absent_properties) {
    const Bytes bytes = packet(0x10, "<MQTT> 05 00 0000 00 <id>");
    const auto decoded = decode(bytes, {client, v5}).value().value();
    const auto& properties = std::get<Connect>(decoded.packet).properties;
    EXPECT_EQ(properties.session_expiry_interval_s, 0U);
    EXPECT_EQ(properties.receive_maximum, 65'535);
    EXPECT_EQ(properties.maximum_packet_size, 0U);
    EXPECT_FALSE(properties.request_response_information);
    EXPECT_TRUE(properties.request_problem_information);
    EXPECT_TRUE(properties.user.block.empty());
}

TEST(decode_connack, accepts_and_refuses) {
    expect_rows({
        {"MQTT 5.0 section 3.2", "success", server, v5, wire("20 03 00 00 00"), valid},
        {"MQTT-3.2.2-3", "session present", server, v5, wire("20 03 01 00 00"), valid},
        {"MQTT 3.1.1 section 3.2", "success in 3.1.1", server, v3, wire("20 02 01 00"), valid},
        {"MQTT 3.1.1 section 3.2", "refused in 3.1.1", server, v3, wire("20 02 00 05"), valid},
        {"MQTT-3.1.2-2", "an older server refuses 5.0", server, v5, wire("20 02 00 01"), valid},
        {"MQTT-2.2.2-1", "no Property Length", server, v5, wire("20 02 00 00"), malformed},
        {"MQTT-2.2.2-1", "an older server's other codes", server, v5, wire("20 02 00 02"),
         malformed},
        {"MQTT 3.1.1 section 3.2.2.3", "return code 6", server, v3, wire("20 02 00 06"), malformed},
        {"MQTT-3.2.2-1", "reserved flags", server, v5, wire("20 03 02 00 00"), malformed},
        {"MQTT-3.2.2-1", "reserved flags in 3.1.1", server, v3, wire("20 02 80 00"), malformed},
        {"MQTT-3.2.2-6", "session present though refused", server, v5, wire("20 03 01 87 00"),
         protocol_error},
        {"MQTT-3.2.2-6", "session present though refused, 3.1.1", server, v3, wire("20 02 01 05"),
         protocol_error},
        {"MQTT-3.2.2-8", "a code of another packet", server, v5, wire("20 03 00 8E 00"),
         protocol_error},
        {"MQTT 5.0 section 3.2", "empty", server, v5, wire("20 00"), malformed},
        {"MQTT 5.0 section 3.2", "bytes left over", server, v5, wire("20 04 00 00 00 00"),
         malformed},
        {"MQTT 5.0 section 3.2.2.3.4", "Maximum QoS 2", server, v5, packet(0x20, "00 00 {24 02}"),
         protocol_error},
        {"MQTT 5.0 section 3.2.2.3.3", "Receive Maximum 0", server, v5,
         packet(0x20, "00 00 {21 0000}"), protocol_error},
    });
}

TEST(decode_connack, maps_the_return_codes_of_3_1_1) {
    const auto reason = [](std::string_view text) {
        const Bytes bytes = wire(text);
        return std::get<Connack>(decode(bytes, {server, v3}).value().value().packet).reason;
    };
    EXPECT_EQ(reason("20 02 00 00"), ReasonCode::success);
    EXPECT_EQ(reason("20 02 00 01"), ReasonCode::unsupported_protocol_version);
    EXPECT_EQ(reason("20 02 00 02"), ReasonCode::client_identifier_not_valid);
    EXPECT_EQ(reason("20 02 00 03"), ReasonCode::server_unavailable);
    EXPECT_EQ(reason("20 02 00 04"), ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(reason("20 02 00 05"), ReasonCode::not_authorized);
}

TEST(decode_connack, fills_every_field) {
    const Bytes bytes =
        packet(0x20,
               "01 00 {11 00000001 | 21 0002 | 24 01 | 25 00 | 27 00000003 | 12 <id> | 22 0004 |"
               " 1F <why> | 28 00 | 29 01 | 2A 00 | 13 0005 | 1A <info> | 1C <ref> | 15 <m> |"
               " 16 <d> | 26 <k> <v>}");
    const auto decoded = decode(bytes, {server, v5}).value().value();
    const auto& connack = std::get<Connack>(decoded.packet);
    EXPECT_TRUE(connack.session_present);
    const ConnackProperties& properties = connack.properties;
    EXPECT_EQ(properties.session_expiry_interval_s, 1U);
    EXPECT_EQ(properties.receive_maximum, 2);
    EXPECT_EQ(properties.maximum_qos, QoS::at_least_once);
    EXPECT_EQ(properties.retain_available, false);
    EXPECT_EQ(properties.maximum_packet_size, 3U);
    EXPECT_EQ(properties.assigned_client_identifier, "id");
    EXPECT_EQ(properties.topic_alias_maximum, 4);
    EXPECT_EQ(properties.reason_string, "why");
    EXPECT_EQ(properties.wildcard_subscription_available, false);
    EXPECT_EQ(properties.subscription_identifiers_available, true);
    EXPECT_EQ(properties.shared_subscription_available, false);
    EXPECT_EQ(properties.server_keep_alive_s, 5);
    EXPECT_EQ(properties.response_information, "info");
    EXPECT_EQ(properties.server_reference, "ref");
    EXPECT_EQ(properties.authentication_method, "m");
    EXPECT_EQ(as_text(*properties.authentication_data), "d");
    ByteView user = properties.user.block;
    EXPECT_EQ(UserProperties::next(user)->value, "v");
}

TEST(decode_disconnect, accepts_and_refuses) {
    expect_rows({
        {"MQTT 5.0 section 3.14.2.1", "of 0 bytes", client, v5, wire("E0 00"), valid},
        {"MQTT 5.0 section 3.14.2.2.1", "of 1 byte", client, v5, wire("E0 01 04"), valid},
        {"MQTT 5.0 section 3.14.2", "of 2 bytes", client, v5, wire("E0 02 04 00"), valid},
        {"MQTT 5.0 section 3.14.2.2", "with all properties", client, v5,
         packet(0xE0, "00 {11 00000001 1F <why> 26 <k> <v>}"), valid},
        {"MQTT 5.0 section 3.14.2.2.5", "moved", server, v5, packet(0xE0, "9D {1C <other>}"),
         valid},
        {"MQTT-3.14.2-2", "a server's session expiry", server, v5, packet(0xE0, "00 {11 00000001}"),
         protocol_error},
        {"MQTT-3.14.2-1", "a code of CONNACK", client, v5, wire("E0 01 84"), protocol_error},
        {"MQTT-3.14.2-1", "an unknown code", server, v5, wire("E0 02 03 00"), protocol_error},
        {"MQTT 5.0 section 3.14", "bytes left over", client, v5, wire("E0 03 00 00 00"), malformed},
    });
}

TEST(decode_auth, accepts_and_refuses) {
    expect_rows({
        {"MQTT 5.0 section 3.15.2.1", "the short form", server, v5, wire("F0 00"), valid},
        {"MQTT-4.12.0-2", "continue", server, v5, packet(0xF0, "18 {15 <m> 16 <d>}"), valid},
        {"MQTT-4.12.0-3", "continue, from the client", client, v5,
         packet(0xF0, "18 {15 <m> 16 <d> 1F <why> 26 <k> <v>}"), valid},
        {"MQTT-4.12.1-1", "re-authenticate", client, v5, packet(0xF0, "19 {15 <m>}"), valid},
        {"MQTT-3.15.2-1", "re-authenticate, from the server", server, v5,
         packet(0xF0, "19 {15 <m>}"), protocol_error},
        {"MQTT-3.15.2-1", "success, from the client", client, v5, packet(0xF0, "00 {15 <m>}"),
         protocol_error},
        {"MQTT-3.15.2-1", "the short form, from the client", client, v5, wire("F0 00"),
         protocol_error},
        {"MQTT-3.15.2-1", "a code of DISCONNECT", server, v5, packet(0xF0, "87 {15 <m>}"),
         protocol_error},
        {"MQTT 5.0 section 3.15.2.2.2", "no method", client, v5, packet(0xF0, "18 00"),
         protocol_error},
        {"MQTT 5.0 section 3.15.2.2.3", "data without a method", client, v5,
         packet(0xF0, "18 {16 <d>}"), protocol_error},
        {"MQTT-2.2.2-1", "no Property Length", server, v5, packet(0xF0, "18"), malformed},
    });
}

}  // namespace mitu::mqtt
