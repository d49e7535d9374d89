// From publisher to subscribers over 1, 2 and 3 shards: who gets what, how often, in which order.

#include <gtest/gtest.h>

#include <map>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

struct RoutingTest : ::testing::TestWithParam<std::uint16_t> {
    World world{{.shards = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(shards, RoutingTest, ::testing::Values(1, 2, 3));

TEST_P(RoutingTest, reaches_subscribers_wherever_they_are) {
    const std::uint16_t n = GetParam();
    std::vector<Client*> subscribers;
    for (std::uint16_t i = 0; i < n; ++i) {
        subscribers.push_back(&world.client_at(i, "s").connect());
        subscribers.back()->subscribe("+/+/+/+", {.qos = qos1});
        subscribers.back()->subscribe("a/b/c/d", {.qos = qos2});
        subscribers.back()->subscribe("single", {.qos = qos1});
    }
    for (std::uint16_t i = 0; i < n; ++i) {
        Client& publisher = world.client_at(i, "p").connect();
        EXPECT_EQ(publisher.publish("a/b/c/d", "1", {.qos = qos2}), ReasonCode::success);
        EXPECT_EQ(publisher.publish("single", "2", {.qos = qos1}), ReasonCode::success);
        EXPECT_EQ(publisher.publish("w/x/y/z", "3", {.qos = qos0}), ReasonCode::success);
    }
    for (Client* subscriber : subscribers) {
        const auto messages = subscriber->take_messages();
        EXPECT_EQ(messages.size(), 3u * n) << "overlapping subscriptions give one copy";
        for (const auto& message : messages) {
            if (message.topic == "a/b/c/d") {
                EXPECT_EQ(message.qos, qos2) << "the highest of them";
            }
        }
    }
    EXPECT_EQ(world.stored_messages(), 0u);
    EXPECT_EQ(world.counted(&Counters::messages_routed_total), 3u * n);
}

TEST_P(RoutingTest, names_every_matching_subscription_identifier) {  // [MQTT-3.3.4-3..5]
    Client& client = world.client("c").connect();
    client.subscribe("a/#", {.qos = qos0, .identifier = 1});
    client.subscribe("a/+/c/d", {.qos = qos1, .identifier = 2});
    client.subscribe("a/b/c/d", {.qos = qos2});
    client.subscribe("a/b/c/#", {.qos = qos2, .identifier = 4});
    client.subscribe("other", {.identifier = 5});
    world.client("p").connect().publish("a/b/c/d", "x", {.qos = qos2});
    auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    std::sort(messages[0].identifiers.begin(), messages[0].identifiers.end());
    EXPECT_EQ(messages[0].identifiers, (std::vector{1u, 2u, 4u}));
}

TEST_P(RoutingTest, carries_hundreds_of_identifiers) {
    World tiny{{.shards = GetParam(), .lanes = tiny_lanes()}};
    Client& client = tiny.client("c").connect();
    std::string topic = "t";
    for (std::uint32_t i = 0; i < 100; ++i) topic += "/x";
    // All filters that have one or two of the levels replaced by "+".
    std::uint32_t next = 1;
    for (std::size_t i = 2; i < 42; ++i) {
        for (std::size_t k = i; k < i + 8; ++k) {
            std::string filter = topic;
            filter[i * 2] = filter[k * 2] = '+';
            client.subscribe_later(filter, {.qos = qos1, .identifier = next++});
        }
    }
    tiny.run();
    tiny.client("p").connect().publish(topic, "m", {.qos = qos1});
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].identifiers.size(), std::size_t{identifiers_per_recipient_max});
}

TEST_P(RoutingTest, leaves_the_publisher_out_where_no_local_says_so) {  // [MQTT-3.8.3-3]
    Client& client = world.client("c").connect();
    client.subscribe("x/#", {.qos = qos1, .no_local = true});
    client.publish("x/1", "mine", {.qos = qos1});
    world.client("p").connect().publish("x/1", "theirs", {.qos = qos1});
    EXPECT_EQ(client.take_payloads(), Strings{"theirs"});
    client.subscribe("x/1", {.qos = qos1});  // overlaps, and lets its own messages in
    client.publish("x/1", "mine", {.qos = qos1});
    EXPECT_EQ(client.take_payloads(), Strings{"mine"});
}

TEST_P(RoutingTest, replaces_a_subscription_to_the_same_filter) {  // [MQTT-3.8.4-3]
    Client& client = world.client("c").connect();
    client.subscribe("x/+", {.qos = qos2, .identifier = 1});
    client.subscribe("x/+", {.qos = qos0, .identifier = 2});
    world.client("p").connect().publish("x/1", "m", {.qos = qos2});
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].qos, qos0);
    EXPECT_EQ(messages[0].identifiers, std::vector{2u});
    EXPECT_EQ(world.counted(&Counters::subscriptions), 1u);
}

TEST_P(RoutingTest, keeps_wildcards_away_from_dollar_topics) {  // [MQTT-4.7.2-1]
    Client& client = world.client("c").connect();
    client.subscribe("#");
    client.subscribe("+/x");
    client.subscribe("+/+/x/y");
    Client& publisher = world.client("p").connect();
    publisher.publish("$a/x", "1");
    publisher.publish("$a/b/x/y", "2");
    EXPECT_EQ(client.take_payloads(), Strings{});
    client.subscribe("$a/#");
    publisher.publish("$a/x", "1");
    EXPECT_EQ(client.take_payloads(), Strings{"1"});
}

TEST_P(RoutingTest, keeps_the_order_of_one_publisher_per_topic) {  // section 4.6
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        World busy{{.seed = seed,
                    .shards = GetParam(),
                    .lanes = tiny_lanes(),
                    .network = {.chops = seed % 2 == 0},
                    .draws_order = true}};
        std::vector<Client*> subscribers;
        std::vector<Client*> publishers;
        for (std::uint16_t i = 0; i < 3; ++i) {
            subscribers.push_back(&busy.client_at(i % GetParam(), "s").connect());
            subscribers.back()->subscribe("t/#", {.qos = qos2});
            publishers.push_back(&busy.client_at(i % GetParam(), "p").connect());
        }
        constexpr int rounds = 150;
        for (int i = 0; i < rounds; ++i) {
            for (std::size_t p = 0; p < publishers.size(); ++p) {
                const std::string topic = "t/" + std::to_string(i % 3);
                const std::string payload = std::to_string(p) + ":" + std::to_string(i);
                publishers[p]->publish_later(topic,
                                             payload + std::string(busy.prng().below(400), ' '),
                                             {.qos = mqtt::QoS(1 + i / 3 % 2)});
            }
        }
        busy.run();
        for (Client* subscriber : subscribers) {
            std::map<std::string, int> last;
            const auto messages = subscriber->take_messages();
            EXPECT_EQ(messages.size(), rounds * publishers.size()) << "seed " << seed;
            for (const auto& message : messages) {
                const std::string key = message.payload.substr(0, 1) + message.topic;
                const int number = std::stoi(message.payload.substr(2));
                const auto [it, is_first] = last.try_emplace(key, number);
                EXPECT_TRUE(is_first || it->second < number) << "seed " << seed;
                it->second = number;
            }
        }
        EXPECT_EQ(busy.stored_messages(), 0u);
        EXPECT_EQ(busy.dropped(), 0u);
    }
}

TEST_P(RoutingTest, shares_large_messages_between_shards) {
    std::vector<Client*> subscribers;
    for (std::uint16_t i = 0; i < 6; ++i) {
        subscribers.push_back(&world.client_at(i % GetParam(), "s").connect());
        subscribers.back()->subscribe("big/#", {.qos = qos1});
    }
    std::string payload(700'000, 'x');
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>('a' + i % 23);
    Client& publisher = world.client("p").connect();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(
            publisher.publish("big/" + std::to_string(i), payload, {.qos = qos1, .retain = true}),
            ReasonCode::success);
    }
    for (Client* subscriber : subscribers) {
        EXPECT_EQ(subscriber->take_payloads(), (Strings{payload, payload, payload}));
    }
    Client& late = world.client("late").connect();
    late.subscribe("big/+");
    EXPECT_EQ(late.take_messages().size(), 3u);
    EXPECT_EQ(world.stored_messages(), 3u);
    for (int i = 0; i < 3; ++i) {
        publisher.publish("big/" + std::to_string(i), "", {.qos = qos1, .retain = true});
    }
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_P(RoutingTest, refuses_what_its_memory_does_not_hold) {
    World small{{.shards = GetParam(), .limits = {.message_bytes_max = 10'000}}};
    Client& away = small.client("away").connect({.session_expiry_s = 100});
    away.subscribe("x/#", {.qos = qos1});
    away.cut();
    small.run();
    Client& publisher = small.client("p").connect();
    int refused = 0;
    for (int i = 0; i < 100; ++i) {
        const auto reason = publisher.publish("x/" + std::to_string(i), std::string(500, 'x'),
                                              {.qos = qos1, .retain = true});
        ASSERT_TRUE(reason);
        refused += *reason == ReasonCode::quota_exceeded ? 1 : 0;
    }
    EXPECT_GT(refused, 0);
    EXPECT_GE(small.dropped(DropReason::no_memory), static_cast<std::uint64_t>(refused));
    EXPECT_TRUE(publisher.ping());
}

TEST_P(RoutingTest, publishes_for_the_server) {
    Client& client = world.client("c").connect();
    client.subscribe("server/#", {.qos = qos1, .retain_as_published = true});
    for (std::uint16_t i = 0; i < GetParam(); ++i) {
        world.shard(i).publish({tenant_default, "server/x", "hello", qos1, true}, world.now());
        world.network(i).wake();
    }
    world.run();
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), std::size_t{GetParam()});
    EXPECT_TRUE(messages[0].retain);
    EXPECT_EQ(world.stored_messages(), 1u);
}

}  // namespace
}  // namespace mitu::broker::testing
