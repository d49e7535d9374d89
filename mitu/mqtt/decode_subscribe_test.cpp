// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK.
#include <gtest/gtest.h>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/expect.hpp"

namespace mitu::mqtt {

using namespace testing;
using enum Sender;

namespace {
constexpr ReasonCode filter_invalid = ReasonCode::topic_filter_invalid;
}

TEST(decode_subscribe, accepts_every_form) {
    expect_rows({
        {"MQTT 5.0 section 3.8", "one filter", client, v5, packet(0x82, "0001 00 <a/b> 00"), valid},
        {"MQTT 5.0 section 3.8.3.1", "all options", client, v5, packet(0x82, "0001 00 <a/b> 2E"),
         valid},
        {"MQTT-3.8.4-5", "three filters", client, v5,
         packet(0x82, "0001 00 <#> 02 <+> 01 <a/+/#> 00"), valid},
        {"MQTT 5.0 section 3.8.2.1.2", "the largest identifier", client, v5,
         packet(0x82, "0001 {0B FFFFFF7F} <a> 00"), valid},
        {"MQTT-4.8.2-1", "a shared subscription", client, v5,
         packet(0x82, "0001 00 <$share/g/a> 01"), valid},
        {"MQTT 3.1.1 section 3.8", "in 3.1.1", client, v3, packet(0x82, "0001 <a> 00 <b> 02"),
         valid},
    });
}

TEST(decode_subscribe, refuses_every_fault) {
    expect_rows({
        {"MQTT 5.0 section 3.8", "empty", client, v5, wire("82 00"), malformed},
        {"MQTT-2.2.1-3", "packet id 0", client, v5, packet(0x82, "0000 00 <a> 00"), protocol_error},
        {"MQTT-2.2.1-3", "packet id 0 in 3.1.1", client, v3, packet(0x82, "0000 <a> 00"),
         protocol_error},
        {"MQTT-3.8.3-2", "no filter", client, v5, packet(0x82, "0001 00"), protocol_error},
        {"MQTT-3.8.3-2", "no filter in 3.1.1", client, v3, packet(0x82, "0001"), protocol_error},
        {"MQTT 5.0 section 3.8.3", "no options", client, v5, packet(0x82, "0001 00 <a>"),
         malformed},
        {"MQTT 5.0 section 3.8.3", "a filter cut", client, v5, packet(0x82, "0001 00 0005 'a'"),
         malformed},
        {"MQTT-1.5.4-1", "[MQTT-3.8.3-1] a filter that is not text", client, v5,
         packet(0x82, "0001 00 0001 FF 00"), malformed},
        {"MQTT-1.5.4-2", "[MQTT-4.7.3-2] a filter with U+0000", client, v5,
         packet(0x82, "0001 00 0001 00 00"), malformed},
        {"MQTT-3.8.3-5", "reserved bit 6", client, v5, packet(0x82, "0001 00 <a> 40"), malformed},
        {"MQTT-3.8.3-5", "reserved bit 7", client, v5, packet(0x82, "0001 00 <a> 80"), malformed},
        {"MQTT-3.8.3-5", "options of 5.0 in 3.1.1", client, v3, packet(0x82, "0001 <a> 04"),
         malformed},
        {"MQTT 5.0 section 3.8.3.1", "QoS 3", client, v5, packet(0x82, "0001 00 <a> 03"),
         protocol_error},
        {"MQTT-3.8.3-4", "QoS 3 in 3.1.1", client, v3, packet(0x82, "0001 <a> 03"), malformed},
        {"MQTT 5.0 section 3.8.3.1", "Retain Handling 3", client, v5,
         packet(0x82, "0001 00 <a> 30"), protocol_error},
        {"MQTT-3.8.3-4", "No Local, shared", client, v5, packet(0x82, "0001 00 <$share/g/a> 04"),
         protocol_error},
        {"MQTT 5.0 section 3.8.2.1.2", "identifier 0", client, v5,
         packet(0x82, "0001 {0B 00} <a> 00"), protocol_error},
        {"MQTT 5.0 section 3.8.2.1.2", "two identifiers", client, v5,
         packet(0x82, "0001 {0B 01 0B 02} <a> 00"), protocol_error},
        {"MQTT-4.7.3-1", "an empty filter", client, v5, packet(0x82, "0001 00 0000 00"),
         filter_invalid},
        {"MQTT-4.7.1-1", "# is not last", client, v5, packet(0x82, "0001 00 <a/#/b> 00"),
         filter_invalid},
        {"MQTT-4.7.1-1", "# within a level", client, v3, packet(0x82, "0001 <a#> 00"),
         filter_invalid},
        {"MQTT-4.7.1-2", "+ within a level", client, v5, packet(0x82, "0001 00 <a+/b> 00"),
         filter_invalid},
        {"MQTT-4.8.2-1", "an empty ShareName", client, v5, packet(0x82, "0001 00 <$share//a> 00"),
         filter_invalid},
        {"MQTT-4.8.2-2", "a wildcard in the ShareName", client, v5,
         packet(0x82, "0001 00 <$share/g+/a> 00"), filter_invalid},
        {"MQTT-4.8.2-2", "no filter behind the ShareName", client, v5,
         packet(0x82, "0001 00 <$share/g> 00"), filter_invalid},
        {"MQTT-4.7.1-2", "the second filter counts too", client, v5,
         packet(0x82, "0001 00 <a> 00 <b+> 00"), filter_invalid},
    });
}

TEST(decode_subscribe, walks_the_filters_in_order) {
    const Bytes bytes = packet(0x82, "1234 {0B 8001 26 <k> <v>} <a/+> 2D <$share/g/#> 02");
    const auto decoded = decode(bytes, {client, v5}).value().value();
    const auto& subscribe = std::get<Subscribe>(decoded.packet);
    EXPECT_EQ(subscribe.packet_id, 0x1234);
    EXPECT_EQ(subscribe.subscription_identifier, 128U);
    ByteView rest = subscribe.filters.encoded;
    const auto first = SubscriptionList::next(rest).value();
    EXPECT_EQ(first.filter, "a/+");
    EXPECT_EQ(first.options,
              (SubscriptionOptions{QoS::at_least_once, true, true, RetainHandling::do_not_send}));
    const auto second = SubscriptionList::next(rest).value();
    EXPECT_EQ(second.filter, "$share/g/#");
    EXPECT_EQ(second.options.qos, QoS::exactly_once);
    EXPECT_FALSE(SubscriptionList::next(rest).has_value());
    EXPECT_FALSE(SubscriptionList::next(rest).has_value());
}

TEST(subscription_list, ends_where_its_bytes_stop_making_sense) {
    for (const std::string_view text : {"", "00", "0002 'a'", "<a>", "<a> 03", "<a> 30"}) {
        const ExactCopy copy{wire(text)};
        ByteView rest = copy.view();
        EXPECT_FALSE(SubscriptionList::next(rest).has_value()) << text;
        EXPECT_TRUE(rest.empty()) << text;
    }
}

TEST(filter_list, ends_where_its_bytes_stop_making_sense) {
    for (const std::string_view text : {"", "00", "0002 'a'"}) {
        const ExactCopy copy{wire(text)};
        ByteView rest = copy.view();
        EXPECT_FALSE(FilterList::next(rest).has_value()) << text;
        EXPECT_TRUE(rest.empty()) << text;
    }
}

TEST(user_properties, end_where_their_bytes_stop_making_sense) {
    for (const std::string_view text :
         {"", "26", "26 00", "26 <a>", "26 <a> 0002 'b'", "00", "FF <a> <b>", "0B 80", "02 000000",
          "1F 0002 'a'", "2B 00"}) {
        const ExactCopy copy{wire(text)};
        ByteView rest = copy.view();
        EXPECT_FALSE(UserProperties::next(rest).has_value()) << text;
        ByteView again = copy.view();
        EXPECT_FALSE(next_subscription_identifier(again).has_value()) << text;
    }
}

TEST(decode_suback, accepts_and_refuses) {
    expect_rows({
        {"MQTT 5.0 section 3.9", "one code", server, v5, packet(0x90, "0001 00 02"), valid},
        {"MQTT-3.9.3-1", "a code of each kind", server, v5,
         packet(0x90, "0001 {1F <why> 26 <k> <v>} 00 01 02 80 83 87 8F 91 97 9E A1 A2"), valid},
        {"MQTT 3.1.1 section 3.9.3", "3.1.1", server, v3, packet(0x90, "0001 00 01 02 80"), valid},
        {"MQTT-2.2.1-3", "packet id 0", server, v5, packet(0x90, "0000 00 00"), protocol_error},
        {"MQTT-3.8.4-6", "no code", server, v5, packet(0x90, "0001 00"), protocol_error},
        {"MQTT-3.8.4-6", "no code in 3.1.1", server, v3, packet(0x90, "0001"), protocol_error},
        {"MQTT-3.9.3-2", "an unknown code", server, v5, packet(0x90, "0001 00 00 03"),
         protocol_error},
        {"MQTT-3.9.3-2", "a code of 5.0 in 3.1.1", server, v3, packet(0x90, "0001 87"),
         protocol_error},
    });
}

TEST(decode_unsubscribe, accepts_and_refuses) {
    expect_rows({
        {"MQTT 5.0 section 3.10", "two filters", client, v5,
         packet(0xA2, "0001 {26 <k> <v>} <a/+> <$share/g/#>"), valid},
        {"MQTT 3.1.1 section 3.10", "3.1.1", client, v3, packet(0xA2, "0001 <a>"), valid},
        {"MQTT-2.2.1-3", "packet id 0", client, v5, packet(0xA2, "0000 00 <a>"), protocol_error},
        {"MQTT-3.10.3-2", "no filter", client, v5, packet(0xA2, "0001 00"), protocol_error},
        {"MQTT-3.10.3-2", "no filter in 3.1.1", client, v3, packet(0xA2, "0001"), protocol_error},
        {"MQTT-1.5.4-1", "[MQTT-3.10.3-1] not text", client, v5, packet(0xA2, "0001 00 0001 FF"),
         malformed},
        {"MQTT-4.7.1-1", "not a filter", client, v5, packet(0xA2, "0001 00 <#/a>"), filter_invalid},
        {"MQTT 5.0 section 3.10.3", "cut", client, v5, packet(0xA2, "0001 00 <a> 00"), malformed},
    });
}

TEST(decode_unsuback, accepts_and_refuses) {
    expect_rows({
        {"MQTT 5.0 section 3.11", "all codes", server, v5,
         packet(0xB0, "0001 {1F <why>} 00 11 80 83 87 8F 91"), valid},
        {"MQTT 3.1.1 section 3.11", "3.1.1", server, v3, packet(0xB0, "0001"), valid},
        {"MQTT-2.2.1-3", "packet id 0 in 3.1.1", server, v3, packet(0xB0, "0000"), protocol_error},
        {"MQTT-3.8.4-6", "no code", server, v5, packet(0xB0, "0001 00"), protocol_error},
        {"MQTT-3.11.3-2", "a code of SUBACK", server, v5, packet(0xB0, "0001 00 01"),
         protocol_error},
    });
}

}  // namespace mitu::mqtt
