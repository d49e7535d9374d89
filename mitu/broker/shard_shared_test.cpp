// Shared subscriptions: exactly one member gets each message, and none is lost with a member.

#include <gtest/gtest.h>

#include <map>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

/// Members on every shard of a world with 1, 2 or 3 shards.
struct SharedTest : ::testing::TestWithParam<std::uint16_t> {
    World world{{.shards = GetParam()}};
    Client& publisher = world.client("publisher").connect();

    Client& member(std::uint16_t shard, ConnectOptions options = {}, mqtt::QoS qos = qos2) {
        Client& client = world.client_at(shard % GetParam(), "member").connect(options);
        client.subscribe("$share/g/x/#", {.qos = qos});
        return client;
    }
    void publish(const std::string& payload, mqtt::QoS qos = qos1) {
        publisher.publish("x/y", payload, {.qos = qos});
    }
};
INSTANTIATE_TEST_SUITE_P(shards, SharedTest, ::testing::Values(1, 2, 3));

TEST_P(SharedTest, gives_each_message_to_one_member_in_turn) {  // [MQTT-4.8.2-2]
    std::vector<Client*> members{&member(0), &member(1), &member(2)};
    Client& alone = world.client("alone").connect();
    alone.subscribe("x/#", {.qos = qos1});
    alone.subscribe("$share/other/x/#", {.qos = qos1});
    for (int i = 0; i < 30; ++i) publish(std::to_string(i), mqtt::QoS(i % 3));
    std::map<std::string, int> seen;
    for (Client* m : members) {
        const auto payloads = m->take_payloads();
        EXPECT_EQ(payloads.size(), 10u);
        for (const auto& payload : payloads) ++seen[payload];
    }
    EXPECT_EQ(seen.size(), 30u);
    EXPECT_EQ(alone.take_payloads().size(), 60u) << "its own and that of another group";
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_P(SharedTest, sends_no_retained_messages_to_a_shared_subscription) {  // section 4.8.2
    publisher.publish("x/y", "retained", {.qos = qos1, .retain = true});
    Client& m = member(0);
    EXPECT_EQ(m.take_payloads(), Strings{});
}

TEST_P(SharedTest, prefers_members_that_are_there) {
    Client& away = member(0, {.session_expiry_s = 100});
    Client& there = member(1);
    away.cut();
    world.run();
    for (int i = 0; i < 10; ++i) publish(std::to_string(i));
    EXPECT_EQ(there.take_payloads().size(), 10u);
    EXPECT_EQ(world.dropped(), 0u);
}

TEST_P(SharedTest, keeps_messages_for_members_that_are_all_away) {
    Client& first = member(0, {.session_expiry_s = 100});
    Client& second = member(1, {.session_expiry_s = 100});
    first.cut();
    second.cut();
    world.run();
    for (int i = 0; i < 10; ++i) publish(std::to_string(i));
    first.connect({.clean_start = false, .session_expiry_s = 100});
    second.connect({.clean_start = false, .session_expiry_s = 100});
    EXPECT_EQ(first.take_payloads().size() + second.take_payloads().size(), 10u);
    EXPECT_EQ(world.dropped(), 0u);
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_P(SharedTest, keeps_a_message_when_more_members_are_away_than_a_byte_counts) {
    std::vector<Client*> members;
    for (std::uint16_t i = 0; i < 300; ++i) {
        members.push_back(&member(i, {.session_expiry_s = 100}));
        members.back()->cut();
    }
    world.run();
    EXPECT_EQ(world.counted(&Counters::sessions), 301u);
    EXPECT_EQ(world.counted(&Counters::clients), 1u);
    for (int i = 0; i < 10; ++i) publish(std::to_string(i));
    EXPECT_EQ(world.dropped(), 0u);
    std::size_t received = 0;
    for (Client* m : members) {
        m->connect({.clean_start = false, .session_expiry_s = 100});
        received += m->take_payloads().size();
    }
    EXPECT_EQ(received, 10u);
}

TEST_P(SharedTest, gives_what_a_leaving_member_has_not_acknowledged_to_another) {
    for (const bool ends : {true, false}) {
        Client& leaver = member(0, {.session_expiry_s = ends ? 0u : 100u, .receive_maximum = 2});
        leaver.acknowledges = false;
        for (int i = 0; i < 6; ++i) publish(std::to_string(i));
        EXPECT_EQ(leaver.take_payloads().size(), 2u);
        Client& heir = member(1);
        leaver.cut();
        world.run();
        auto payloads = heir.take_payloads();
        EXPECT_EQ(payloads, (Strings{"0", "1", "2", "3", "4", "5"})) << "ends " << ends;
        leaver.connect();  // clean start
        leaver.disconnect();
        heir.disconnect();
        EXPECT_EQ(world.stored_messages(), 0u);
    }
    EXPECT_EQ(world.dropped(), 0u);
}

TEST_P(SharedTest, keeps_begun_qos2_messages_with_their_member) {  // [MQTT-4.8.2-4]
    Client& leaver = member(0, {.session_expiry_s = 100});
    leaver.acknowledges = false;
    publish("begun", qos2);
    EXPECT_EQ(leaver.take_payloads(), Strings{"begun"});
    Client& other = member(1);
    leaver.reset();
    world.run();
    EXPECT_EQ(other.take_payloads(), Strings{});
    leaver.acknowledges = true;
    leaver.connect({.clean_start = false, .session_expiry_s = 100});
    EXPECT_EQ(leaver.count(PacketType::publish), 1u);
    EXPECT_EQ(leaver.count(PacketType::pubrel), 1u);
}

TEST_P(SharedTest, gives_begun_qos2_messages_to_nobody_when_their_session_ends) {
    Client& leaver = member(0);  // [MQTT-4.8.2-5]
    leaver.acknowledges = false;
    publish("begun", qos2);
    Client& other = member(1);
    leaver.cut();
    world.run();
    EXPECT_EQ(other.take_payloads(), Strings{});
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_P(SharedTest, gives_what_the_last_member_leaves_to_nobody) {
    for (std::uint16_t shard = 0; shard < GetParam(); ++shard) {
        Client& only = member(shard, {.receive_maximum = 2});
        only.acknowledges = false;
        for (int i = 0; i < 5; ++i) publish(std::to_string(i));
        only.cut();
        world.run();
        EXPECT_EQ(world.counted(&Counters::sessions), 1u);
        EXPECT_EQ(world.stored_messages(), 0u);
    }
    EXPECT_EQ(world.dropped(), 5u * GetParam());
}

TEST_P(SharedTest, leaves_nothing_to_a_member_that_ends_while_another_one_is_away) {
    for (std::uint16_t i = 0; i < 12; ++i) {  // whoever's turn it is
        Client& away = member(i, {.session_expiry_s = 100});
        away.cut();
        world.run();
        Client& leaver = member(static_cast<std::uint16_t>(i / 2));
        leaver.acknowledges = false;
        for (int k = 0; k <= i % 3; ++k) publish(std::to_string(k));
        leaver.cut();
        world.run();
        EXPECT_EQ(world.dropped(), 0u) << i;
        away.connect({.clean_start = false, .session_expiry_s = 100});
        EXPECT_EQ(away.take_payloads().size(), static_cast<std::size_t>(i % 3 + 1)) << i;
        away.disconnect(ReasonCode::success, 0);
        EXPECT_EQ(world.stored_messages(), 0u);
    }
}

TEST_P(SharedTest, takes_the_messages_of_a_member_that_is_full_to_another) {
    Client& slow = member(0, {.receive_maximum = 1});
    auto profile = std::make_shared<Profile>(*open_profile());
    profile->queue_messages_max = 2;
    world.gate().profiles[slow.id()] = profile;
    slow.connect({.receive_maximum = 1});
    slow.subscribe("$share/g/x/#", {.qos = qos2});
    slow.acknowledges = false;
    Client& quick = member(1);
    for (int i = 0; i < 20; ++i) publish(std::to_string(i));
    EXPECT_EQ(slow.take_payloads().size(), 1u);
    EXPECT_EQ(world.session(slow.id())->queued_count(), 2u);
    EXPECT_EQ(quick.take_payloads().size(), 17u);
    EXPECT_EQ(world.dropped(), 0u);
}

TEST_P(SharedTest, takes_what_is_too_large_for_one_member_to_another) {
    Client& small = member(0, {.maximum_packet_size = 60});
    Client& large = member(1);
    for (int i = 0; i < 10; ++i) publish(std::string(200, 'x'));
    EXPECT_EQ(small.take_payloads(), Strings{});
    EXPECT_EQ(large.take_payloads().size(), 10u);
    large.disconnect();
    publish(std::string(200, 'x'));
    EXPECT_EQ(small.take_payloads(), Strings{});
    EXPECT_TRUE(small.ping());
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST(shared, keeps_the_bytes_that_are_being_written) {
    // The client takes a large message by its plain subscription, and is 2 bytes too small for the
    // copy with an identifier, which goes to another shard in the same moment.
    World world{{.shards = 2, .lanes = tiny_lanes()}};
    Client& publisher = world.client_at(0).connect();
    Client& tight = world.client_at(0).connect({.maximum_packet_size = 3 + 2 + 5 + 2 + 1 + 5'000});
    const std::string topic = [&] {
        std::string found = world.topic_at(0, "x/00");
        for (int i = 0; found.size() != 5; ++i) found = world.topic_at(0, "x/" + std::to_string(i));
        return found;
    }();
    tight.subscribe("x/#", {.qos = qos1});
    tight.subscribe("$share/g/x/#", {.qos = qos1, .identifier = 1});
    Client& other = world.client_at(1).connect();
    other.subscribe("$share/g/x/#", {.qos = qos1});
    const std::string payload(5'000, 'x');
    publisher.publish(topic, payload, {.qos = qos1});
    EXPECT_EQ(tight.take_payloads(), Strings{payload});
    EXPECT_EQ(other.take_payloads(), Strings{payload});
}

TEST_P(SharedTest, stops_with_the_unsubscribe) {
    Client& m = member(0);
    Client& other = member(1);
    EXPECT_EQ(m.unsubscribe("$share/g/x/#"), std::vector{ReasonCode::success});
    for (int i = 0; i < 4; ++i) publish(std::to_string(i));
    EXPECT_EQ(m.take_payloads(), Strings{});
    EXPECT_EQ(other.take_payloads().size(), 4u);
}

TEST_P(SharedTest, carries_the_options_of_the_chosen_member) {
    Client& m = world.client("m").connect();
    m.subscribe("$share/g/x/+", {.qos = qos1, .retain_as_published = true, .identifier = 42});
    publisher.publish("x/y", "1", {.qos = qos2, .retain = true});
    const auto messages = m.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].qos, qos1);
    EXPECT_TRUE(messages[0].retain);
    EXPECT_EQ(messages[0].identifiers, std::vector{42u});
}

}  // namespace
}  // namespace mitu::broker::testing
