// SUBSCRIBE, UNSUBSCRIBE and their answers, in every version.

#include <gtest/gtest.h>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

/// SUBSCRIBE without properties; `filters`: filter and options, as wire() reads them.
Bytes subscribe_bytes(ProtocolVersion version, std::string_view id, std::string_view filters) {
    return packet(0x82, std::string{id} + (version == v5 ? " 00 " : " ") + std::string{filters});
}

Bytes unsubscribe_bytes(ProtocolVersion version, std::string_view id, std::string_view filters) {
    return packet(0xA2, std::string{id} + (version == v5 ? " 00 " : " ") + std::string{filters});
}

// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-2.2.1-6],
// [MQTT-3.9.3-1], [MQTT-3.9.3-2]; of 3.1.1: [MQTT-2.3.1-7], [MQTT-3.8.4-4]
TEST(conformance_subscribe, is_answered_under_its_id_with_a_reason_for_each_filter) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 3, .limits = {.subscriptions_max = 4}}};
        Client& client = world.client("c").connect(passing(version));
        client.take_packets();
        client.send_bytes(subscribe_bytes(version, "ABCD", "<a> 02 <b/+/c> 00 <d/#> 01"));
        EXPECT_EQ(bytes_of(client),
                  Strings{version == v5 ? "90 06 AB CD 00 02 00 01" : "90 05 AB CD 02 00 01"});
        // A filter twice in one packet is as good as in two; and one is one too many.
        client.send_bytes(subscribe_bytes(version, "0001", "<a> 00 <e> 02 <too/many> 01 <a> 01"));
        const Strings answer{version == v5       ? "90 07 00 01 00 00 02 97 01"
                             : version == v3_1_1 ? "90 06 00 01 00 02 80 01"
                                                 : "90 06 00 01 00 02 01 01"};
        EXPECT_EQ(bytes_of(client), answer)
            << "5.0 says why, 3.1.1 that it failed, and 3.1 has no word for it";
        Client& publisher = world.client("p").connect();
        publisher.publish("a", "1", {.qos = qos2});
        publisher.publish("too/many", "2", {.qos = qos2});
        const auto messages = client.take_messages();
        ASSERT_EQ(messages.size(), 1u);
        EXPECT_EQ(messages[0].qos, qos1) << "the last SUBSCRIBE to a filter counts";
    }
}

// [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-2.2.1-6], [MQTT-3.11.3-1],
// [MQTT-3.11.3-2]; of 3.1.1: [MQTT-2.3.1-7]
TEST(conformance_subscribe, unsubscribe_is_answered_under_its_id_with_a_reason_for_each_filter) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 3}};
        Client& client = world.client("c").connect(passing(version));
        client.subscribe("a");
        client.subscribe("b/+");
        client.take_packets();
        client.send_bytes(unsubscribe_bytes(version, "FFFE", "<nothing> <b/+> <a> <a>"));
        EXPECT_EQ(bytes_of(client),
                  Strings{version == v5 ? "B0 07 FF FE 00 11 00 00 11" : "B0 02 FF FE"});
        client.send_bytes(unsubscribe_bytes(version, "0001", "<nothing>"));
        EXPECT_EQ(bytes_of(client), Strings{version == v5 ? "B0 04 00 01 00 11" : "B0 02 00 01"});
    }
}

// [MQTT-3.10.4-1], [MQTT-3.10.4-2]
TEST(conformance_subscribe, unsubscribe_takes_only_the_very_same_filter) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& client = world.client("c").connect(passing(version));
        client.subscribe("a/+", {.qos = qos1});
        client.subscribe("a/b", {.qos = qos1});
        Client& publisher = world.client("p").connect();
        const auto count = [&] {
            publisher.publish("a/b", "x", {.qos = qos1});
            return client.take_messages().size();
        };
        for (const char* other : {"a/#", "A/b", "a/b/", "/a/b", "a/c", "+/b", "#"}) {
            client.unsubscribe(other);
            EXPECT_EQ(count(), 1u) << other;
        }
        client.unsubscribe("a/b");
        EXPECT_EQ(count(), 1u) << "a/+ stands";
        client.unsubscribe("a/+");
        EXPECT_EQ(count(), 0u);
    }
}

// [MQTT-3.8.4-4]; of 3.1.1: [MQTT-3.8.4-3]
TEST(conformance_subscribe, loses_nothing_when_a_subscription_is_replaced) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& publisher = world.client("p").connect();
        publisher.publish("t/r", "kept", {.qos = qos1, .retain = true});
        Client& client = world.client("c").connect(passing(version));
        client.subscribe("t/+", {.qos = qos1});
        EXPECT_EQ(client.take_payloads(), Strings{"kept"});
        Strings sent;
        for (int i = 0; i < 50; ++i) {
            sent.push_back(std::to_string(i));
            publisher.publish_later("t/live", sent.back(), {.qos = qos1});
            if (i % 10 == 5) client.subscribe_later("t/+", {.qos = i % 20 == 5 ? qos2 : qos1});
            world.run_some(7);
        }
        world.run();
        Strings live;
        std::size_t kept = 0;
        for (const auto& message : client.take_messages()) {
            if (message.topic == "t/live") live.push_back(message.payload);
            if (message.topic == "t/r") ++kept;
        }
        EXPECT_EQ(live, sent);
        EXPECT_EQ(kept, 5u) << "once for each SUBSCRIBE";
    }
}

// Of 3.1.1: [MQTT-3.3.5-1]
TEST(conformance_subscribe, overlapping_filters_deliver_with_their_highest_qos) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& client = world.client("c").connect(passing(version));
        client.subscribe("a/b", {.qos = qos0});
        client.subscribe("a/+", {.qos = qos2});
        client.subscribe("#", {.qos = qos1});
        world.client("p").connect().publish("a/b", "x", {.qos = qos2});
        const auto messages = client.take_messages();
        ASSERT_EQ(messages.size(), 1u) << "one copy";
        EXPECT_EQ(messages[0].qos, qos2);
    }
}

// Of 3.1.1: [MQTT-3.8.4-6]
TEST(conformance_subscribe, delivers_with_the_lower_of_both_qos) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& client = world.client("c").connect(passing(version));
        Client& publisher = world.client("p").connect(passing(version));
        for (const auto granted : {qos0, qos1, qos2}) {
            client.subscribe("t", {.qos = granted});
            for (const auto published : {qos0, qos1, qos2}) {
                publisher.publish("t", "x", {.qos = published});
                const auto messages = client.take_messages();
                ASSERT_EQ(messages.size(), 1u);
                EXPECT_EQ(messages[0].qos, std::min(granted, published));
            }
        }
    }
}

// [MQTT-3.8.3-3]
TEST(conformance_subscribe, no_local_goes_by_the_client_id) {
    World world{{.shards = 2}};
    Client& client = world.client("c").connect();
    client.subscribe("t", {.no_local = true});
    client.publish("t", "live");
    client.publish("t", "kept", {.retain = true});
    world.client("other").connect().publish("t", "others");
    EXPECT_EQ(client.take_payloads(), Strings{"others"});
    // Another session of the same client id: it is still its own message.
    client.disconnect();
    client.connect();
    client.subscribe("t", {.no_local = true});
    EXPECT_EQ(client.take_payloads(), Strings{});
    Client& reader = world.client("reader").connect();
    reader.subscribe("t", {.no_local = true});
    EXPECT_EQ(reader.take_payloads(), Strings{"kept"});
}

}  // namespace
}  // namespace mitu::conformance
