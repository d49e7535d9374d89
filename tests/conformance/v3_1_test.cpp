// Clients of MQTT 3.1 (protocol name MQIsdp, level 3): served by the rules of 3.1.1, except where
// 3.1 has none or others.

#include <gtest/gtest.h>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

TEST(conformance_3_1, is_let_in_and_served) {
    World world{{.shards = 2}};
    Line line{world};
    EXPECT_EQ(line.says(packet(0x10, "<MQIsdp> 03 02 003C <c>")), "20 02 00 00");
    EXPECT_EQ(line.says(packet(0x82, "0001 <t> 02")), "90 03 00 01 02");
    EXPECT_EQ(line.says(packet(0x32, "<t> 0007 'x'")).size(),
              std::string{"40 02 00 07 32 06 00 01 74 00 01 78"}.size());
    EXPECT_EQ(line.says(wire("C0 00")), "D0 00");
    EXPECT_EQ(line.says(packet(0xA2, "0002 <t>")), "B0 02 00 02");
    EXPECT_EQ(line.says(wire("E0 00")), "");
    EXPECT_FALSE(line.is_open());
}

TEST(conformance_3_1, has_no_session_present) {
    World world;
    Client& client = world.client("c").connect(lasting(v3_1));
    client.subscribe("t", {.qos = qos1});
    client.cut();
    world.run();
    world.client("p").connect().publish("t", "x", {.qos = qos1});
    client.connect(lasting(v3_1));
    EXPECT_EQ(bytes_of(client).at(0), "20 02 00 00") << "the byte is reserved";
    EXPECT_EQ(client.take_payloads(), Strings{"x"}) << "but the session goes on";
}

TEST(conformance_3_1, takes_longer_client_ids_but_no_empty_one) {
    World world;
    Client& client = world.client(std::string(200, 'x')).connect(passing(v3_1));
    EXPECT_TRUE(client.ping());
    for (const char* flags : {"00", "02"}) {
        Line line{world};
        EXPECT_EQ(line.says(packet(0x10, "<MQIsdp> 03 " + std::string{flags} + " 0000 0000")),
                  "20 02 00 02");
        EXPECT_FALSE(line.is_open());
    }
}

// MQTT 3.1 section 3.1: the length of the packet counts for more than the flags.
TEST(conformance_3_1, may_leave_out_what_its_flags_announce) {
    World world;
    for (const char* body :
         {"<MQIsdp> 03 82 0000 <c>", "<MQIsdp> 03 C2 0000 <c>", "<MQIsdp> 03 C2 0000 <c> <name>"}) {
        Line line{world};
        EXPECT_EQ(line.says(packet(0x10, body)), "20 02 00 00") << body;
    }
    Line line{world};
    EXPECT_EQ(line.says(packet(0x10, "<MQIsdp> 03 C2 0000 <c> <name> 00")), "")
        << "half a length is malformed still";
    EXPECT_FALSE(line.is_open());
}

// MQTT 3.1 sections 3.6, 3.8, 3.10: these may be sent again, and then have DUP.
TEST(conformance_3_1, may_repeat_requests_with_dup) {
    World world;
    Client& client = world.client("c").connect(passing(v3_1));
    client.take_packets();
    client.send_bytes(packet(0x8A, "0001 <t> 01"));
    client.send_bytes(packet(0x34, "<u> 0002 'x'"));
    client.send_bytes(wire("6A 02 0002"));
    client.send_bytes(packet(0xAA, "0003 <t>"));
    EXPECT_EQ(bytes_of(client),
              (Strings{"90 03 00 01 01", "50 02 00 02", "70 02 00 02", "B0 02 00 03"}));
}

TEST(conformance_3_1, is_granted_in_words_what_it_is_refused_in_deed) {
    World world{{.limits = {.subscriptions_max = 1}}};
    Client& client = world.client("c").connect(passing(v3_1));
    client.take_packets();
    client.send_bytes(packet(0x82, "0001 <a> 01 <b> 02"));
    EXPECT_EQ(bytes_of(client), Strings{"90 04 00 01 01 02"}) << "0x80 is no code of 3.1";
    world.client("p").connect().publish("b", "x", {.qos = qos1});
    EXPECT_EQ(client.take_payloads(), Strings{});
}

TEST(conformance_3_1, talks_to_every_other_version) {
    for (const ProtocolVersion other : every_version) {
        World world;
        Client& old = world.client("old").connect(passing(v3_1));
        Client& young = world.client("young").connect(passing(other));
        old.subscribe("to/old", {.qos = qos2});
        young.subscribe("to/young", {.qos = qos2});
        EXPECT_EQ(old.publish("to/young", "1", {.qos = qos2}), ReasonCode::success);
        EXPECT_EQ(young.publish("to/old", "2", {.qos = qos2}), ReasonCode::success);
        EXPECT_EQ(young.take_payloads(), Strings{"1"});
        EXPECT_EQ(old.take_payloads(), Strings{"2"});
    }
}

}  // namespace
}  // namespace mitu::conformance
