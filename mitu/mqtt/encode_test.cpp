#include "mitu/mqtt/encode.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "mitu/mqtt/testing/expect.hpp"
#include "mitu/mqtt/testing/wire_text.hpp"

namespace mitu::mqtt {

using namespace testing;

namespace {

std::string encoded(const Packet& packet, ProtocolVersion version) {
    Bytes out(encoded_size(packet, version));
    EXPECT_EQ(encode(packet, version, out), out.size());
    return hex(out);
}

template <class Kind>
Kind ack_of(std::uint16_t packet_id, ReasonCode reason) {
    Kind ack;
    ack.packet_id = packet_id;
    ack.reason = reason;
    return ack;
}

Bytes block_of(std::string_view name, std::string_view value) {
    Bytes block;
    EXPECT_TRUE(append_user_property(block, name, value));
    return block;
}

}  // namespace

TEST(encode, writes_connect_field_by_field) {
    const Bytes user = block_of("k", "v");
    Connect connect;
    connect.keep_alive_s = 60;
    connect.client_id = "client";
    connect.user_name = "user";
    connect.password = as_bytes("secret");
    connect.properties.session_expiry_interval_s = 10;
    connect.properties.receive_maximum = 20;
    connect.properties.maximum_packet_size = 65'536;
    connect.properties.topic_alias_maximum = 5;
    connect.properties.request_response_information = true;
    connect.properties.request_problem_information = false;
    connect.properties.authentication_method = "scram";
    connect.properties.authentication_data = as_bytes("data");
    connect.properties.user.block = user;
    Will& will = connect.will.emplace();
    will.topic = "gone";
    will.payload = as_bytes("bye");
    will.qos = QoS::exactly_once;
    will.retain = true;
    will.delay_interval_s = 7;
    will.properties.payload_is_utf8 = true;
    will.properties.message_expiry_interval_s = 9;
    will.properties.content_type = "ct";
    will.properties.response_topic = "r";
    will.properties.correlation_data = as_bytes("cd");
    EXPECT_EQ(encoded(connect, v5),
              hex(packet(0x10,
                         "<MQTT> 05 F6 003C {11 0000000A 21 0014 27 00010000 22 0005 19 01 17 00"
                         " 15 <scram> 16 <data> 26 <k> <v>} <client>"
                         "{18 00000007 02 00000009 01 01 08 <r> 09 <cd> 03 <ct>}"
                         "<gone> <bye> <user> <secret>")));
    connect.version = ProtocolVersion::v3_1_1;
    EXPECT_EQ(encoded(connect, v5),  // CONNECT goes by its own version
              hex(packet(0x10, "<MQTT> 04 F6 003C <client> <gone> <bye> <user> <secret>")));
    connect.version = ProtocolVersion::v3_1;
    EXPECT_EQ(encoded(connect, v5),
              hex(packet(0x10, "<MQIsdp> 03 F6 003C <client> <gone> <bye> <user> <secret>")));
}

TEST(encode, leaves_out_what_is_the_default) {
    EXPECT_EQ(encoded(Connect{}, v5), hex(packet(0x10, "<MQTT> 05 02 0000 00 0000")));
    EXPECT_EQ(encoded(Connack{}, v5), "20 03 00 00 00");
    EXPECT_EQ(encoded(Disconnect{}, v5), "E0 00");
    EXPECT_EQ(encoded(Auth{}, v5), "F0 00");
    EXPECT_EQ(encoded(Pingreq{}, v5), "C0 00");
    EXPECT_EQ(encoded(Pingresp{}, v5), "D0 00");
}

TEST(encode, writes_acknowledgements_in_their_shortest_form) {
    using enum ReasonCode;
    EXPECT_EQ(encoded(ack_of<Puback>(1, success), v5), "40 02 00 01");
    EXPECT_EQ(encoded(ack_of<Puback>(1, no_matching_subscribers), v5), "40 03 00 01 10");
    EXPECT_EQ(encoded(ack_of<Pubrec>(0xFFFF, quota_exceeded), v5), "50 03 FF FF 97");
    EXPECT_EQ(encoded(ack_of<Pubrel>(2, packet_identifier_not_found), v5), "62 03 00 02 92");
    EXPECT_EQ(encoded(ack_of<Pubcomp>(2, success), v5), "70 02 00 02");
    Puback with_text = ack_of<Puback>(1, success);
    with_text.properties.reason_string = "ok";
    EXPECT_EQ(encoded(with_text, v5), hex(packet(0x40, "0001 00 {1F <ok>}")));
    EXPECT_EQ(encoded(with_text, v3), "40 02 00 01");
    EXPECT_EQ(encoded(ack_of<Pubrec>(1, quota_exceeded), v3), "50 02 00 01");
    Disconnect shutting_down;
    shutting_down.reason = server_shutting_down;
    EXPECT_EQ(encoded(shutting_down, v5), "E0 01 8B");
    EXPECT_EQ(encoded(shutting_down, v3), "E0 00");
    shutting_down.server_reference = "b";
    EXPECT_EQ(encoded(shutting_down, v5), hex(packet(0xE0, "8B {1C <b>}")));
}

TEST(encode, takes_only_user_properties_from_a_block) {
    // A block of other properties is as good as none: the acknowledgement stays short.
    const Bytes others = wire("1F <why> 0B 01");
    Puback ack = ack_of<Puback>(1, ReasonCode::success);
    ack.properties.user.block = others;
    EXPECT_EQ(encoded(ack, v5), "40 02 00 01");
    const Bytes mixed = wire("02 00000001 26 <a> <b> 0B 01 26 <c> <d>");
    ack.properties.user.block = mixed;
    EXPECT_EQ(encoded(ack, v5), hex(packet(0x40, "0001 00 {26 <a> <b> 26 <c> <d>}")));
}

TEST(encode, maps_reasons_to_the_return_codes_of_3_1_1) {
    using enum ReasonCode;
    const auto code = [](ReasonCode reason) {
        Connack connack;
        connack.reason = reason;
        return encoded(connack, ProtocolVersion::v3_1_1);
    };
    EXPECT_EQ(code(success), "20 02 00 00");
    EXPECT_EQ(code(unsupported_protocol_version), "20 02 00 01");
    EXPECT_EQ(code(client_identifier_not_valid), "20 02 00 02");
    EXPECT_EQ(code(server_unavailable), "20 02 00 03");
    EXPECT_EQ(code(bad_user_name_or_password), "20 02 00 04");
    EXPECT_EQ(code(not_authorized), "20 02 00 05");
    EXPECT_EQ(code(banned), "20 02 00 05");
    EXPECT_EQ(code(quota_exceeded), "20 02 00 03");
    EXPECT_EQ(code(unspecified_error), "20 02 00 03");
}

TEST(encode, writes_connack_field_by_field) {
    const Bytes user = block_of("k", "v");
    Connack connack;
    connack.session_present = true;
    ConnackProperties& properties = connack.properties;
    properties.session_expiry_interval_s = 1;
    properties.receive_maximum = 2;
    properties.maximum_qos = QoS::at_least_once;
    properties.retain_available = false;
    properties.maximum_packet_size = 3;
    properties.assigned_client_identifier = "id";
    properties.topic_alias_maximum = 4;
    properties.reason_string = "why";
    properties.wildcard_subscription_available = false;
    properties.subscription_identifiers_available = true;
    properties.shared_subscription_available = false;
    properties.server_keep_alive_s = 5;
    properties.response_information = "info";
    properties.server_reference = "ref";
    properties.authentication_method = "m";
    properties.authentication_data = as_bytes("d");
    properties.user.block = user;
    EXPECT_EQ(encoded(connack, v5),
              hex(packet(0x20,
                         "01 00 {11 00000001 21 0002 24 01 25 00 27 00000003 12 <id> 22 0004"
                         " 1F <why> 28 00 29 01 2A 00 13 0005 1A <info> 1C <ref> 15 <m> 16 <d>"
                         " 26 <k> <v>}")));
    EXPECT_EQ(encoded(connack, v3), "20 02 01 00");
}

TEST(encode, writes_subscriptions_for_either_version) {
    Bytes list;
    ASSERT_TRUE(append_subscription(list, "a/+",
                                    {QoS::at_least_once, true, true, RetainHandling::do_not_send}));
    ASSERT_TRUE(append_subscription(list, "$share/g/#", {QoS::exactly_once}));
    Subscribe subscribe;
    subscribe.packet_id = 0x1234;
    subscribe.filters.encoded = list;
    subscribe.subscription_identifier = 128;
    EXPECT_EQ(encoded(subscribe, v5), hex(packet(0x82, "1234 {0B 8001} <a/+> 2D <$share/g/#> 02")));
    EXPECT_EQ(encoded(subscribe, v3), hex(packet(0x82, "1234 <a/+> 01 <$share/g/#> 02")));

    const Bytes reasons = wire("00 01 02 87");
    Suback suback;
    suback.packet_id = 1;
    suback.reasons = reasons;
    EXPECT_EQ(encoded(suback, v5), hex(packet(0x90, "0001 00 00 01 02 87")));
    EXPECT_EQ(encoded(suback, v3), hex(packet(0x90, "0001 00 01 02 80")));

    Bytes filters;
    ASSERT_TRUE(append_filter(filters, "a"));
    ASSERT_TRUE(append_filter(filters, "b/#"));
    Unsubscribe unsubscribe;
    unsubscribe.packet_id = 1;
    unsubscribe.filters.encoded = filters;
    EXPECT_EQ(encoded(unsubscribe, v5), hex(packet(0xA2, "0001 00 <a> <b/#>")));
    EXPECT_EQ(encoded(unsubscribe, v3), hex(packet(0xA2, "0001 <a> <b/#>")));

    const Bytes gone = wire("00 11");
    Unsuback unsuback;
    unsuback.packet_id = 1;
    unsuback.reasons = gone;
    EXPECT_EQ(encoded(unsuback, v5), hex(packet(0xB0, "0001 00 00 11")));
    EXPECT_EQ(encoded(unsuback, v3), "B0 02 00 01");
}

TEST(encode, refuses_what_the_format_cannot_carry) {
    const std::string long_text(65'536, 'x');
    Publish publish;
    publish.topic = long_text;
    EXPECT_EQ(encoded_size(publish, v5), 0U);
    publish.topic = std::string_view{long_text}.substr(1);
    EXPECT_EQ(encoded_size(publish, v3), 1U + 3 + 2 + 65'535);
    publish.properties.content_type = long_text;
    EXPECT_EQ(encoded_size(publish, v5), 0U);
    EXPECT_NE(encoded_size(publish, v3), 0U) << "3.1.1 does not carry the content type";
    Connect connect;
    connect.password = as_bytes(long_text);
    EXPECT_EQ(encoded_size(connect, v5), 0U);
    EXPECT_EQ(encoded_size(Auth{}, v3), 0U);
    std::array<std::uint8_t, 16> out{};
    EXPECT_EQ(encode(Auth{}, v3, out), 0U);
}

TEST(encode, refuses_packets_above_the_limit) {
    // The payload is never touched while sizes are taken; a view that claims a size is enough.
    const std::uint8_t byte = 0;
    Publish publish;
    publish.topic = "a";
    publish.payload = {&byte, remaining_length_max - 3};
    EXPECT_EQ(encoded_size(publish, v3), packet_bytes_limit);
    publish.payload = {&byte, remaining_length_max - 2};
    EXPECT_EQ(encoded_size(publish, v3), 0U);
    OutgoingPublish outgoing;
    outgoing.topic = "a";
    outgoing.payload = {&byte, remaining_length_max - 3};
    EXPECT_EQ(publish_size(outgoing, v3).packet_bytes, packet_bytes_limit);
    outgoing.payload = {&byte, remaining_length_max - 2};
    EXPECT_EQ(publish_size(outgoing, v3).packet_bytes, 0U);
}

TEST(encode, writes_nothing_where_there_is_no_room) {
    Publish publish;
    publish.topic = "a/b";
    publish.payload = as_bytes("payload");
    Bytes out(encoded_size(publish, v5) - 1, 0xEE);
    EXPECT_EQ(encode(publish, v5, out), 0U);
    EXPECT_EQ(out, Bytes(out.size(), 0xEE));
}

TEST(encode_publish, equals_the_packet_that_it_shortens) {
    const Bytes user = block_of("k", "v");
    Bytes identifiers;
    ASSERT_TRUE(append_subscription_identifier(identifiers, 1));
    ASSERT_TRUE(append_subscription_identifier(identifiers, remaining_length_max));
    Publish publish;
    publish.dup = true;
    publish.qos = QoS::exactly_once;
    publish.retain = true;
    publish.packet_id = 7;
    publish.topic = "a/b";
    publish.payload = as_bytes("payload");
    publish.properties.payload_is_utf8 = true;
    publish.properties.message_expiry_interval_s = 9;
    publish.properties.topic_alias = 3;
    publish.properties.response_topic = "r";
    publish.properties.correlation_data = as_bytes("cd");
    publish.properties.content_type = "ct";
    publish.properties.user.block = user;
    publish.properties.subscription_identifiers = identifiers;

    Bytes forwarded(forwarded_properties_size(publish.properties));
    ASSERT_EQ(encode_forwarded_properties(publish.properties, forwarded), forwarded.size());
    EXPECT_EQ(hex(forwarded), hex(wire("01 01 08 <r> 09 <cd> 03 <ct> 26 <k> <v>")));

    const std::array<std::uint32_t, 2> numbers{1, remaining_length_max};
    OutgoingPublish outgoing;
    outgoing.dup = true;
    outgoing.qos = QoS::exactly_once;
    outgoing.retain = true;
    outgoing.packet_id = 7;
    outgoing.topic_alias = 3;
    outgoing.topic = "a/b";
    outgoing.message_expiry_interval_s = 9;
    outgoing.subscription_identifiers = numbers;
    outgoing.forwarded_properties = forwarded;
    outgoing.payload = as_bytes("payload");

    for (const ProtocolVersion version : {v3, v5}) {
        const PublishSize size = publish_size(outgoing, version);
        EXPECT_EQ(size.packet_bytes, encoded_size(publish, version));
        EXPECT_EQ(size.packet_bytes, size.header_bytes + outgoing.payload.size());
        Bytes header(size.header_bytes);
        ASSERT_EQ(encode_publish_header(outgoing, version, header), size.header_bytes);
        EXPECT_EQ(hex(header) + " " + hex(outgoing.payload), encoded(publish, version));
        Bytes tight(size.header_bytes - 1);
        EXPECT_EQ(encode_publish_header(outgoing, version, tight), 0U);
    }
}

TEST(encode_publish, refuses_what_the_format_cannot_carry) {
    const std::string long_text(65'536, 'x');
    OutgoingPublish outgoing;
    outgoing.topic = long_text;
    EXPECT_EQ(publish_size(outgoing, v5).packet_bytes, 0U);
    outgoing.topic = "a";
    const std::array<std::uint32_t, 1> too_large{remaining_length_max + 1};
    outgoing.subscription_identifiers = too_large;
    EXPECT_EQ(publish_size(outgoing, v5).packet_bytes, 0U);
    PublishProperties properties;
    properties.content_type = long_text;
    EXPECT_EQ(forwarded_properties_size(properties), 0U);
}

TEST(encode_publish, with_nothing_to_forward_has_empty_properties) {
    EXPECT_EQ(forwarded_properties_size({}), 0U);
    OutgoingPublish outgoing;
    outgoing.topic = "a";
    std::array<std::uint8_t, 16> out{};
    const std::uint32_t size = encode_publish_header(outgoing, v5, out);
    EXPECT_EQ(hex(ByteView{out}.first(size)), hex(wire("30 04 <a> 00")));
}

TEST(append, refuses_what_is_too_long_and_leaves_the_rest) {
    const std::string long_text(65'536, 'x');
    Bytes bytes = wire("01");
    EXPECT_FALSE(append_user_property(bytes, long_text, ""));
    EXPECT_FALSE(append_user_property(bytes, "", long_text));
    EXPECT_FALSE(append_subscription(bytes, long_text, {}));
    EXPECT_FALSE(append_filter(bytes, long_text));
    EXPECT_FALSE(append_subscription_identifier(bytes, 0));
    EXPECT_FALSE(append_subscription_identifier(bytes, remaining_length_max + 1));
    EXPECT_EQ(hex(bytes), "01");
}

TEST(types, name_every_reason_code_and_packet) {
    EXPECT_EQ(to_text(ReasonCode::success), "success");
    EXPECT_EQ(to_text(ReasonCode::wildcard_subscriptions_not_supported),
              "wildcard_subscriptions_not_supported");
    // NOLINTNEXTLINE(*EnumCastOutOfRange): what is not listed is the point
    EXPECT_EQ(to_text(static_cast<ReasonCode>(0x03)), "unknown");
    EXPECT_EQ(to_text(PacketType::unsuback), "unsuback");
    // NOLINTNEXTLINE(*EnumCastOutOfRange)
    EXPECT_EQ(to_text(static_cast<PacketType>(0)), "unknown");
    int known = 0;
    for (int code = 0; code < 256; ++code) {
        if (to_text(static_cast<ReasonCode>(code)) != "unknown") ++known;
    }
    EXPECT_EQ(known, 43);  // MQTT 5.0 table 2-6
}

}  // namespace mitu::mqtt
