// Messages in and out, in every version: identifiers, DUP, acknowledgements, topics.

#include <gtest/gtest.h>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

/// PUBLISH with QoS 1 or 2, without properties.
Bytes publish_bytes(ProtocolVersion version, std::uint8_t first_byte, std::string_view topic,
                    std::string_view packet_id, std::string_view payload) {
    std::string body = "<" + std::string{topic} + "> " + std::string{packet_id};
    if (version == v5) body += " 00";
    return packet(first_byte, body + " '" + std::string{payload} + "'");
}

// [MQTT-3.3.4-1], [MQTT-2.2.1-5], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-11];
// of 3.1.1: [MQTT-2.3.1-6], [MQTT-4.3.2-2], [MQTT-4.3.3-2]
TEST(conformance_publish, is_answered_as_its_qos_asks) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& reader = world.client("r").connect();
        reader.subscribe("#", {.qos = qos2});
        Client& client = world.client("c").connect(passing(version));
        client.take_packets();
        client.send_bytes(packet(0x30, version == v5 ? "<t> 00 'a'" : "<t> 'a'"));
        EXPECT_EQ(bytes_of(client), Strings{}) << "QoS 0";
        client.send_bytes(publish_bytes(version, 0x32, "t", "1234", "b"));
        EXPECT_EQ(bytes_of(client), Strings{"40 02 12 34"});
        client.send_bytes(publish_bytes(version, 0x34, "t", "FFFF", "c"));
        EXPECT_EQ(bytes_of(client), Strings{"50 02 FF FF"});
        client.send_bytes(wire("62 02 FFFF"));
        EXPECT_EQ(bytes_of(client), Strings{"70 02 FF FF"});
        EXPECT_EQ(reader.take_payloads(), (Strings{"a", "b", "c"}));
    }
}

// [MQTT-4.3.2-5], [MQTT-4.3.3-9], [MQTT-4.3.3-12]; of 3.1.1: [MQTT-4.3.2-2], [MQTT-4.3.3-2]
TEST(conformance_publish, may_use_an_id_again_once_it_is_done) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& reader = world.client("r").connect();
        reader.subscribe("t", {.qos = qos2});
        Client& client = world.client("c").connect(passing(version));
        // QoS 1: the second is another message, though it says that it is a repeat.
        client.send_bytes(publish_bytes(version, 0x32, "t", "0007", "1"));
        client.send_bytes(publish_bytes(version, 0x3A, "t", "0007", "2"));
        // QoS 2: until PUBREL a repeat, then another one.
        client.send_bytes(publish_bytes(version, 0x34, "t", "0007", "3"));
        client.send_bytes(publish_bytes(version, 0x3C, "t", "0007", "3"));
        client.send_bytes(wire("62 02 0007"));
        client.send_bytes(publish_bytes(version, 0x3C, "t", "0007", "4"));
        EXPECT_EQ(reader.take_payloads(), (Strings{"1", "2", "3", "4"}));
        EXPECT_EQ(client.count(PacketType::puback), 2u);
        EXPECT_EQ(client.count(PacketType::pubrec), 3u);
        EXPECT_EQ(client.count(PacketType::pubcomp), 1u);
    }
    // Refused with 0x80 or above, it is done as well.
    World world{{.limits = {.retained_messages_max = 1}}};
    Client& reader = world.client("r").connect();
    reader.subscribe("#", {.qos = qos2});
    Client& client = world.client("c").connect();
    client.publish("one", "x", {.retain = true});
    client.take_packets();
    client.send_bytes(packet(0x35, "<two> 0009 00 'refused'"));
    const auto refusal = client.take_packets();
    ASSERT_EQ(refusal.size(), 1u);
    ASSERT_NE(refusal[0].as<mqtt::Pubrec>(), nullptr);
    EXPECT_EQ(refusal[0].as<mqtt::Pubrec>()->reason, ReasonCode::quota_exceeded);
    client.send_bytes(packet(0x3C, "<two> 0009 00 'new'"));
    EXPECT_EQ(reader.take_payloads(), (Strings{"x", "new"}));
}

// [MQTT-2.2.1-2], [MQTT-3.3.1-2], [MQTT-3.3.1-3], [MQTT-4.3.1-1], [MQTT-4.3.2-2], [MQTT-4.3.3-2];
// of 3.1.1: [MQTT-2.3.1-5], [MQTT-4.3.2-1], [MQTT-4.3.3-1]
TEST(conformance_publish, goes_out_first_with_dup_0_and_an_id_that_is_free) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& client = world.client("c").connect(passing(version));
        client.acknowledges = false;
        client.subscribe("t", {.qos = qos2});
        client.take_packets();
        Client& publisher = world.client("p").connect(passing(version));
        publisher.send_bytes(packet(0x30, version == v5 ? "<t> 00 'a'" : "<t> 'a'"));
        for (const auto& [first, id] : {std::pair{0x32, "0001"}, std::pair{0x3A, "0002"},
                                        std::pair{0x34, "0003"}, std::pair{0x3C, "0004"}}) {
            publisher.send_bytes(
                publish_bytes(version, static_cast<std::uint8_t>(first), "t", id, "b"));
        }
        const std::string none = version == v5 ? "00 " : "";
        const std::string length0 = version == v5 ? "05" : "04";
        const std::string length = version == v5 ? "07" : "06";
        EXPECT_EQ(bytes_of(client), (Strings{"30 " + length0 + " 00 01 74 " + none + "61",
                                             "32 " + length + " 00 01 74 00 01 " + none + "62",
                                             "32 " + length + " 00 01 74 00 02 " + none + "62",
                                             "34 " + length + " 00 01 74 00 03 " + none + "62",
                                             "34 " + length + " 00 01 74 00 04 " + none + "62"}));
    }
}

// [MQTT-4.3.3-4], [MQTT-4.3.3-5]; of 3.1.1: [MQTT-2.3.1-6], [MQTT-4.3.3-1], [MQTT-4.6.0-4]
TEST(conformance_publish, is_released_by_the_server_under_its_id) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& client = world.client("c").connect(lasting(version));
        client.acknowledges = false;
        client.subscribe("t", {.qos = qos2});
        Client& publisher = world.client("p").connect();
        publisher.publish("t", "1", {.qos = qos2});
        publisher.publish("t", "2", {.qos = qos2});
        client.take_packets();
        client.send_bytes(wire("50 02 0002  50 02 0001"));
        EXPECT_EQ(bytes_of(client), (Strings{"62 02 00 02", "62 02 00 01"}))
            << "in the order of the PUBRECs";
        // Without PUBCOMP both are still to be released, and only released.
        client.reset();
        world.run();
        client.connect(lasting(version));
        Strings again = bytes_of(client);
        ASSERT_EQ(again.size(), 3u);
        EXPECT_EQ(again[1].substr(0, 5), "62 02");
        EXPECT_EQ(again[2].substr(0, 5), "62 02");
        client.send_bytes(wire("70 02 0001  70 02 0002"));
        EXPECT_EQ(world.session("c")->inflight_count(), 0u);
    }
}

// [MQTT-4.4.0-2]
TEST(conformance_publish, is_not_sent_again_once_it_was_refused) {
    World world;
    Client& client = world.client("c").connect(lasting(v5));
    client.acknowledges = false;
    client.subscribe("t", {.qos = qos2});
    Client& publisher = world.client("p").connect();
    publisher.publish("t", "1", {.qos = qos1});
    publisher.publish("t", "2", {.qos = qos2});
    publisher.publish("t", "3", {.qos = qos1});
    client.take_packets();
    client.send_bytes(wire("40 03 0001 83  50 03 0002 97"));
    EXPECT_EQ(bytes_of(client), Strings{}) << "no PUBREL for what was refused";
    client.reset();
    world.run();
    client.connect(lasting(v5));
    Strings payloads;
    for (const auto& seen : client.take_packets()) {
        if (const auto* p = seen.as<mqtt::Publish>()) payloads.push_back(to_text(p->payload));
    }
    EXPECT_EQ(payloads, Strings{"3"});
}

// [MQTT-4.3.3-13]
TEST(conformance_publish, of_qos_2_is_answered_to_the_end_though_it_has_expired) {
    World world;
    Client& reader = world.client("r").connect(lasting(v5));
    reader.subscribe("t", {.qos = qos2});
    reader.cut();
    world.run();
    Client& client = world.client("c").connect();
    client.take_packets();
    client.send_bytes(packet(0x34, "<t> 0005 {02 00000001} 'old'"));
    EXPECT_EQ(bytes_of(client), Strings{"50 02 00 05"});
    world.advance(Duration::seconds(2));
    client.send_bytes(packet(0x3C, "<t> 0005 {02 00000001} 'old'"));
    client.send_bytes(wire("62 02 0005"));
    EXPECT_EQ(bytes_of(client), (Strings{"50 02 00 05", "70 02 00 05"}));
    reader.connect(lasting(v5));
    EXPECT_EQ(reader.take_payloads(), Strings{}) << "it has expired";
}

// [MQTT-3.3.2-3]
TEST(conformance_publish, reaches_only_filters_that_match) {
    struct Case {
        const char* filter;
        const char* topic;
        bool matches;
    };
    for (const ProtocolVersion version : every_version) {
        for (const Case& row :
             {Case{"a/+/c", "a/b/c", true}, Case{"a/+/c", "a/b/d", false}, Case{"a/#", "a", true},
              Case{"a/#", "a/b/c/d", true}, Case{"a/#", "ab", false}, Case{"+", "/a", false},
              Case{"+/+", "/a", true}, Case{"/+", "/a", true}, Case{"a/", "a", false},
              Case{"a/+", "a/", true}, Case{"#", "$a", false}, Case{"+/a", "$x/a", false},
              Case{"$x/+", "$x/a", true}}) {
            SCOPED_TRACE(std::string{row.filter} + " and " + row.topic);
            World world{{.shards = 2}};
            Client& client = world.client("c").connect(passing(version));
            client.subscribe(row.filter, {.qos = qos1});
            Client& publisher = world.client("p").connect(passing(version));
            publisher.publish(row.topic, "x", {.qos = qos1});
            const auto messages = client.take_messages();
            ASSERT_EQ(messages.size(), row.matches ? 1u : 0u);
            if (row.matches) {
                EXPECT_EQ(messages[0].topic, row.topic);
            }
        }
    }
}

// [MQTT-1.5.4-3], [MQTT-4.7.3-4]; of 3.1.1: [MQTT-1.5.3-3]
TEST(conformance_publish, changes_no_byte_of_a_topic) {
    const Strings topics{"t\xC3\xA5",      // a with ring above, in one character
                         "ta\xCC\x8A",     // the same to the eye, in two
                         "\xEF\xBB\xBFt",  // U+FEFF in front
                         "t\xEF\xBB\xBF",  // and behind
                         "T",
                         "t",
                         "t ",
                         " t",
                         "\x7F",
                         "t\xF0\x9F\x90\xB0"};
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& publisher = world.client("p").connect(passing(version));
        std::vector<Client*> clients;
        for (const std::string& topic : topics) {
            Client& client = world.client("c" + std::to_string(clients.size()));
            client.connect(passing(version));
            client.subscribe(topic);
            clients.push_back(&client);
        }
        for (const std::string& topic : topics) publisher.publish(topic, topic);
        for (std::size_t i = 0; i < topics.size(); ++i) {
            const auto messages = clients[i]->take_messages();
            ASSERT_EQ(messages.size(), 1u) << i;
            EXPECT_EQ(messages[0].topic, topics[i]);
            EXPECT_EQ(messages[0].payload, topics[i]);
        }
    }
}

// [MQTT-3.3.2-12]
TEST(conformance_publish, may_use_every_topic_alias_that_was_offered) {
    World world;
    Client& reader = world.client("r").connect();
    reader.subscribe("t/#");
    Client& client = world.client("c").connect();
    const std::uint16_t offered = client.connack()->properties.topic_alias_maximum.value_or(0);
    ASSERT_GT(offered, 0);
    for (std::uint16_t alias = 1; alias <= offered; ++alias) {
        client.publish("t/" + std::to_string(alias), "named", {.topic_alias = alias});
    }
    reader.take_messages();
    for (std::uint16_t alias = offered; alias >= 1; --alias) {
        client.publish("", "by alias", {.topic_alias = alias});
        const auto messages = reader.take_messages();
        ASSERT_EQ(messages.size(), 1u);
        EXPECT_EQ(messages[0].topic, "t/" + std::to_string(alias));
    }
    EXPECT_TRUE(client.is_open());
}

}  // namespace
}  // namespace mitu::conformance
