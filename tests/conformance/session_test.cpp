// Sessions, wills, retained messages and the end of a connection, in every version.

#include <gtest/gtest.h>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

// [MQTT-4.1.0-1]; of 3.1.1: [MQTT-4.1.0-2]
TEST(conformance_session, lasts_as_long_as_its_connection) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& client = world.client("c").connect(passing(version));
        client.subscribe("t", {.qos = qos1});
        world.advance(Duration::seconds(std::int64_t{100} * 24 * 3'600));
        Client& publisher = world.client("p").connect();
        publisher.publish("t", "x", {.qos = qos1});
        EXPECT_EQ(client.take_payloads(), Strings{"x"});
    }
}

// Of 3.1.1: [MQTT-3.1.2-6]
TEST(conformance_session, that_is_clean_ends_with_its_connection) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& client = world.client("c").connect(passing(version));
        client.subscribe("t", {.qos = qos1});
        client.cut();
        world.run();
        EXPECT_EQ(world.session("c"), nullptr);
        EXPECT_FALSE(client.connect(lasting(version)).session_present());
    }
}

// Of 3.1.1: [MQTT-3.1.2-5], [MQTT-4.1.0-1], [MQTT-4.5.0-1]
TEST(conformance_session, of_3_1_1_keeps_what_comes_while_its_client_is_away) {
    for (const ProtocolVersion version : {v3_1, v3_1_1}) {
        World world{{.shards = 2}};
        Client& client = world.client("c").connect(lasting(version));
        client.subscribe("t/#", {.qos = qos2});
        client.cut();
        world.run();
        Client& publisher = world.client("p").connect(passing(version));
        publisher.publish("t/1", "1", {.qos = qos1});
        publisher.publish("t/2", "2", {.qos = qos2});
        publisher.publish("other", "3", {.qos = qos2});
        client.connect(lasting(version));
        EXPECT_EQ(client.take_payloads(), (Strings{"1", "2"}));
    }
}

// Of 3.1.1: [MQTT-3.3.1-1], [MQTT-4.3.2-1], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.10.4-3]
TEST(conformance_session, of_3_1_1_sends_again_what_was_not_acknowledged) {
    for (const ProtocolVersion version : {v3_1, v3_1_1}) {
        World world;
        Client& client = world.client("c").connect(lasting(version));
        client.subscribe("t", {.qos = qos2});
        client.acknowledges = false;
        Client& publisher = world.client("p").connect();
        for (const char* payload : {"1", "2", "3"}) {
            publisher.publish("t", payload, {.qos = payload[0] == '2' ? qos2 : qos1});
        }
        client.unsubscribe("t");  // what was begun is completed all the same
        client.send_bytes(wire("40 02 0001"));
        client.reset();
        world.run();
        client.connect(lasting(version));
        Strings again = bytes_of(client);
        ASSERT_EQ(again.size(), 3u);
        EXPECT_EQ(again[1], "3C 06 00 01 74 00 02 32");
        EXPECT_EQ(again[2], "3A 06 00 01 74 00 03 33");
        world.advance(Duration::seconds(3'600));
        EXPECT_EQ(bytes_of(client), Strings{}) << "and not a second time on this connection";
    }
}

// --- wills ---

struct Fixture {
    explicit Fixture(ProtocolVersion spoken) : version{spoken} {
        witness.subscribe("will/#", {.qos = qos2});
    }
    Client& with_will(bool retain = false) {
        ConnectOptions options = passing(version);
        options.will =
            WillOptions{.topic = "will/c", .payload = "gone", .qos = qos1, .retain = retain};
        return world.client("c").connect(options);
    }
    ProtocolVersion version;
    World world{{.shards = 2}};
    Client& witness = world.client("witness").connect();
};

// [MQTT-3.1.2-7], [MQTT-3.1.2-10]; of 3.1.1: [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.14.4-3]
TEST(conformance_will, goes_with_the_session_until_it_is_published_or_taken_back) {
    for (const ProtocolVersion version : every_version) {
        Fixture f{version};
        Client& client = f.with_will();
        EXPECT_EQ(f.witness.take_payloads(), Strings{}) << "not while it is connected";
        client.reset();
        f.world.run();
        EXPECT_EQ(f.witness.take_payloads(), Strings{"gone"});
        f.world.advance(Duration::seconds(3'600));
        EXPECT_EQ(f.witness.take_payloads(), Strings{}) << "once";
        EXPECT_EQ(f.world.stored_messages(), 0u);

        f.with_will().send_bytes(wire("E0 00"));
        f.world.advance(Duration::seconds(3'600));
        EXPECT_EQ(f.witness.take_payloads(), Strings{}) << "DISCONNECT took it back";
        EXPECT_EQ(f.world.stored_messages(), 0u);
    }
}

// Of 3.1.1: [MQTT-3.1.2-12]
TEST(conformance_will, is_not_published_of_a_client_that_left_none) {
    for (const ProtocolVersion version : every_version) {
        Fixture f{version};
        f.with_will().send_bytes(wire("E0 00"));
        f.world.client("c").connect(passing(version)).reset();
        f.world.run();
        EXPECT_EQ(f.witness.take_payloads(), Strings{});
        EXPECT_EQ(f.world.counted(&broker::Counters::wills_published_total), 0u);
    }
}

// [MQTT-3.1.2-14], [MQTT-3.1.2-15]; of 3.1.1: [MQTT-3.1.2-16], [MQTT-3.1.2-17]
TEST(conformance_will, is_retained_only_if_it_says_so) {
    for (const ProtocolVersion version : every_version) {
        for (const bool retain : {false, true}) {
            Fixture f{version};
            f.with_will(retain).reset();
            f.world.run();
            Client& late = f.world.client("late").connect(passing(version));
            late.subscribe("will/c", {.qos = qos1});
            const auto messages = late.take_messages();
            ASSERT_EQ(messages.size(), retain ? 1u : 0u);
            if (retain) {
                EXPECT_TRUE(messages[0].retain);
                EXPECT_EQ(messages[0].payload, "gone");
            }
        }
    }
}

// [MQTT-3.1.3-10]
TEST(conformance_will, keeps_the_order_of_its_user_properties) {
    Fixture f{v5};
    ConnectOptions options = passing(v5);
    const broker::testing::UserPairs pairs{{"z", "1"}, {"a", "2"}, {"z", "3"}, {"", ""}};
    options.will = WillOptions{.topic = "will/c", .payload = "gone", .user_properties = pairs};
    f.world.client("c").connect(options).reset();
    f.world.run();
    const auto messages = f.witness.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].user_properties, pairs);
}

// --- retained messages ---

// Of 3.1.1: [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-8], [MQTT-3.3.1-9],
// [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.3.1-12]
TEST(conformance_retained, is_kept_replaced_and_removed_in_every_version) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& publisher = world.client("p").connect(passing(version));
        Client& live = world.client("live").connect(passing(version));
        live.subscribe("t", {.qos = qos2});
        const auto kept = [&]() -> std::optional<Message> {
            Client& late = world.client("late").connect(passing(version));
            late.subscribe("t", {.qos = qos2});
            const auto messages = late.take_messages();
            late.disconnect();
            EXPECT_LE(messages.size(), 1u);
            return messages.empty() ? std::nullopt : std::optional{messages[0]};
        };
        const auto retain = [&](std::string_view payload, mqtt::QoS qos, bool flag) {
            publisher.publish("t", payload, {.qos = qos, .retain = flag});
            for (const auto& message : live.take_messages()) {
                EXPECT_FALSE(message.retain) << "its subscription stands";
                EXPECT_EQ(message.payload, payload);
            }
        };
        retain("1", qos2, true);
        ASSERT_TRUE(kept());
        EXPECT_EQ(kept()->payload, "1");
        EXPECT_EQ(kept()->qos, qos2);
        EXPECT_TRUE(kept()->retain);
        retain("2", qos1, false);
        EXPECT_EQ(kept()->payload, "1") << "RETAIN 0 leaves it";
        retain("", qos1, false);
        EXPECT_EQ(kept()->payload, "1") << "without payload, too";
        retain("3", qos0, true);
        ASSERT_TRUE(kept());
        EXPECT_EQ(kept()->payload, "3") << "QoS 0 replaces as well";
        EXPECT_EQ(kept()->qos, qos0);
        publisher.publish("t", "", {.qos = qos1, .retain = true});
        EXPECT_EQ(live.take_payloads(), Strings{""}) << "delivered as usual";
        EXPECT_FALSE(kept());
        EXPECT_EQ(world.stored_messages(), 0u);
    }
}

// Of 3.1.1: [MQTT-3.1.2-7]
TEST(conformance_retained, stays_when_its_session_ends) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& publisher = world.client("p").connect(passing(version));
        publisher.publish("t", "kept", {.qos = qos1, .retain = true});
        publisher.disconnect();
        EXPECT_EQ(world.session("p"), nullptr);
        Client& late = world.client("late").connect(passing(version));
        late.subscribe("t");
        EXPECT_EQ(late.take_payloads(), Strings{"kept"});
    }
}

// --- the end ---

// [MQTT-3.14.2-2], [MQTT-3.14.4-1], [MQTT-3.14.4-2]
TEST(conformance_disconnect, is_the_last_word_and_the_end) {
    World world;
    Client& client = world.client("c").connect(lasting(v5));
    client.subscribe("#", {.qos = qos1});
    Client& publisher = world.client("p").connect();
    client.take_packets();
    // Messages are on their way to it while the server finds the fault.
    for (int i = 0; i < 10; ++i) publisher.publish_later("t", "x", {.qos = qos1});
    client.send_bytes_later(wire("00 00"));
    for (int i = 0; i < 10; ++i) publisher.publish_later("t", "x", {.qos = qos1});
    world.run();
    const auto packets = client.take_packets();
    ASSERT_FALSE(packets.empty());
    const auto* const last = packets.back().as<mqtt::Disconnect>();
    ASSERT_NE(last, nullptr);
    EXPECT_FALSE(last->session_expiry_interval_s);
    EXPECT_EQ(client.count(PacketType::disconnect), 1u);
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.unread_bytes(), 0u);
    publisher.publish("t", "later", {.qos = qos1});
    EXPECT_EQ(client.unread_bytes(), 0u);
}

// Of 3.1.1: [MQTT-3.14.4-1], [MQTT-3.14.4-2]
TEST(conformance_disconnect, is_the_end_even_if_the_client_does_not_close) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& reader = world.client("r").connect();
        reader.subscribe("t");
        Client& client = world.client("c").connect(passing(version));
        client.take_packets();
        Bytes bytes = wire("E0 00");
        const Bytes behind = packet(0x30, version == v5 ? "<t> 00 'heard'" : "<t> 'heard'");
        bytes.insert(bytes.end(), behind.begin(), behind.end());
        client.send_bytes(bytes);
        EXPECT_FALSE(client.is_open());
        EXPECT_EQ(bytes_of(client), Strings{});
        EXPECT_EQ(reader.take_payloads(), Strings{});
    }
}

}  // namespace
}  // namespace mitu::conformance
