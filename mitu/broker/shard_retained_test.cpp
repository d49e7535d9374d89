// Retained messages and what a SUBSCRIBE brings, on 1, 2 and 3 shards.

#include <gtest/gtest.h>

#include <algorithm>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ReasonCode;
using mqtt::RetainHandling;
using Strings = std::vector<std::string>;

Strings sorted(Strings list) {
    std::sort(list.begin(), list.end());
    return list;
}

struct RetainedTest : ::testing::TestWithParam<std::uint16_t> {
    World world{{.shards = GetParam()}};
    Client& publisher = world.client("publisher").connect();
    Client& client = world.client("client").connect({.session_expiry_s = 100});

    void retain(std::string_view topic, std::string_view payload, mqtt::QoS qos = qos1) {
        publisher.publish(topic, payload, {.qos = qos, .retain = true});
    }
};
INSTANTIATE_TEST_SUITE_P(shards, RetainedTest, ::testing::Values(1, 2, 3));

TEST_P(RetainedTest, come_with_a_subscription_of_any_kind) {  // [MQTT-3.3.1-9]
    for (const char* topic :
         {"a", "a/b", "a/b/c", "a/b/c/d", "a/x/c/d", "e", "$sys/a", "/a", "a/"}) {
        retain(topic, topic);
    }
    const auto get = [&](std::string_view filter) {
        client.subscribe(filter, {.qos = qos1});
        const auto messages = client.take_messages();
        for (const auto& message : messages) {
            EXPECT_TRUE(message.retain);
            EXPECT_EQ(message.topic, message.payload);
        }
        Strings topics;
        for (const auto& message : messages) topics.push_back(message.topic);
        return sorted(topics);
    };
    EXPECT_EQ(get("a"), Strings{"a"});
    EXPECT_EQ(get("a/b/c/d"), Strings{"a/b/c/d"});
    EXPECT_EQ(get("a/b/c/#"), (Strings{"a/b/c", "a/b/c/d"}));
    EXPECT_EQ(get("a/b/#"), (Strings{"a/b", "a/b/c", "a/b/c/d"}));
    EXPECT_EQ(get("a/+/c/d"), (Strings{"a/b/c/d", "a/x/c/d"}));
    EXPECT_EQ(get("+"), (Strings{"a", "e"}));
    EXPECT_EQ(get("+/+"), (Strings{"/a", "a/", "a/b"}));
    EXPECT_EQ(get("#"), (Strings{"/a", "a", "a/", "a/b", "a/b/c", "a/b/c/d", "a/x/c/d", "e"}));
    EXPECT_EQ(get("$sys/#"), Strings{"$sys/a"});
    EXPECT_EQ(get("nothing/#"), Strings{});
    EXPECT_EQ(world.stored_messages(), 9u);
    EXPECT_EQ(world.counted(&Counters::retained_messages), 9u);
}

TEST_P(RetainedTest, come_with_the_lower_qos) {
    retain("x", "2", qos2);
    client.subscribe("x", {.qos = qos1});
    EXPECT_EQ(client.take_messages().at(0).qos, qos1);
    client.subscribe("x", {.qos = qos0});
    EXPECT_EQ(client.take_messages().at(0).qos, qos0);
}

TEST_P(RetainedTest, come_as_the_retain_handling_says) {  // [MQTT-3.3.1-9..11]
    retain("x/1", "1");
    const auto get = [&](RetainHandling handling) {
        client.subscribe("x/+", {.qos = qos1, .retain_handling = handling});
        return client.take_payloads().size();
    };
    EXPECT_EQ(get(RetainHandling::do_not_send), 0u);
    EXPECT_EQ(get(RetainHandling::send_if_new_subscription), 0u) << "it is there already";
    EXPECT_EQ(get(RetainHandling::send_at_subscribe), 1u);
    EXPECT_EQ(get(RetainHandling::send_at_subscribe), 1u);
    client.unsubscribe("x/+");
    EXPECT_EQ(get(RetainHandling::send_if_new_subscription), 1u);
    EXPECT_EQ(get(RetainHandling::send_if_new_subscription), 0u);
}

TEST_P(RetainedTest, are_replaced_and_removed) {  // [MQTT-3.3.1-5, 3.3.1-6]
    retain("x", "old");
    retain("x", "new");
    client.subscribe("x");
    EXPECT_EQ(client.take_payloads(), Strings{"new"});
    retain("x", "");
    EXPECT_EQ(client.take_payloads(), Strings{""}) << "present subscribers see the empty message";
    client.subscribe("x");
    EXPECT_EQ(client.take_payloads(), Strings{});
    EXPECT_EQ(world.stored_messages(), 0u);
    EXPECT_EQ(world.counted(&Counters::retained_messages), 0u);
}

TEST_P(RetainedTest, stay_when_a_later_message_is_not_retained) {  // [MQTT-3.3.1-8]
    retain("x", "kept");
    publisher.publish("x", "not kept", {.qos = qos1});
    client.subscribe("x");
    EXPECT_EQ(client.take_payloads(), Strings{"kept"});
}

TEST_P(RetainedTest, show_the_flag_as_the_subscription_asks) {  // [MQTT-3.3.1-12, 3.3.1-13]
    Client& as_published = world.client("rap").connect();
    as_published.subscribe("x/#", {.qos = qos1, .retain_as_published = true});
    client.subscribe("x/#", {.qos = qos1});
    retain("x/1", "r");
    publisher.publish("x/1", "n", {.qos = qos1});
    const auto kept = as_published.take_messages();
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_TRUE(kept[0].retain);
    EXPECT_FALSE(kept[1].retain);
    for (const auto& message : client.take_messages()) EXPECT_FALSE(message.retain);
}

TEST_P(RetainedTest, expire) {
    publisher.publish("x/1", "1", {.qos = qos1, .retain = true, .message_expiry_s = 10});
    publisher.publish("x/2", "2", {.qos = qos1, .retain = true, .message_expiry_s = 1'000});
    world.advance(Duration::seconds(4));
    client.subscribe("x/1", {.qos = qos1});
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].message_expiry_s, 6u);
    world.advance(Duration::seconds(7));
    client.subscribe("x/+", {.qos = qos1});
    EXPECT_EQ(client.take_payloads(), Strings{"2"});
    EXPECT_EQ(world.stored_messages(), 1u);
    EXPECT_EQ(world.counted(&Counters::retained_messages), 1u);
}

TEST_P(RetainedTest, are_bounded_and_a_refusal_means_that_nothing_happened) {
    World small{{.shards = GetParam(), .limits = {.retained_messages_max = 2}}};
    Client& watcher = small.client("w").connect();
    watcher.subscribe("#", {.qos = qos1});
    Client& p = small.client("p").connect();
    std::size_t kept = 0;
    std::size_t refused = 0;
    for (int i = 0; i < 40; ++i) {
        const auto reason = p.publish("t/" + std::to_string(i), "x", {.qos = qos1, .retain = true});
        (reason == ReasonCode::success ? kept : refused) += 1;
        if (reason != ReasonCode::success) {
            EXPECT_EQ(reason, ReasonCode::quota_exceeded);
        }
    }
    EXPECT_EQ(kept, 2u * GetParam());
    EXPECT_EQ(watcher.take_messages().size(), kept);
    EXPECT_EQ(small.dropped(DropReason::retained_quota), refused);
    EXPECT_EQ(small.stored_messages(), kept);
}

TEST_P(RetainedTest, do_not_come_back_to_a_new_session_of_their_publisher) {  // [MQTT-3.8.3-3]
    client.connect({.session_expiry_s = 100,
                    .will = WillOptions{.topic = "x/will", .payload = "will", .retain = true}});
    client.publish("x/mine", "mine", {.qos = qos1, .retain = true});
    retain("x/other", "other");
    client.reset();
    world.advance(Duration::seconds(101));
    EXPECT_EQ(world.session("client"), nullptr);
    client.connect();
    client.subscribe("x/+", {.qos = qos1, .no_local = true});
    EXPECT_EQ(client.take_payloads(), Strings{"other"});
    publisher.subscribe("x/+", {.qos = qos1, .no_local = true});
    EXPECT_EQ(sorted(publisher.take_payloads()), (Strings{"mine", "will"}));
}

TEST_P(RetainedTest, do_not_come_back_to_their_publisher_with_no_local) {  // [MQTT-3.8.3-3]
    client.publish("x/mine", "mine", {.qos = qos1, .retain = true});
    retain("x/other", "other");
    client.subscribe("x/+", {.qos = qos1, .no_local = true});
    EXPECT_EQ(client.take_payloads(), Strings{"other"});
}

TEST_P(RetainedTest, come_with_the_identifier_of_their_subscription) {
    retain("x/1", "1");
    client.subscribe("x/#", {.qos = qos1, .identifier = 7});
    client.take_messages();
    client.subscribe("x/+", {.qos = qos1, .identifier = 268'435'455});
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].identifiers, std::vector{268'435'455u});
}

TEST_P(RetainedTest, come_all_even_if_they_are_many) {
    World tiny{{.shards = GetParam(), .limits = {.queue_messages_max = 10}, .lanes = tiny_lanes()}};
    Client& p = tiny.client("p").connect();
    for (int i = 0; i < 2'000; ++i) {
        p.publish_later("t/" + std::to_string(i), "x", {.qos = qos1, .retain = true});
        if (i % 100 == 0) tiny.run();
    }
    tiny.run();
    Client& c = tiny.client("c").connect();
    c.subscribe("t/+", {.qos = qos1});
    EXPECT_EQ(c.take_messages().size(), 2'000u);
    EXPECT_EQ(tiny.stored_messages(), 2'000u);
}

TEST_P(RetainedTest, of_one_tenant_are_unknown_to_another) {
    world.gate().tenants["t1"] = TenantId{1};
    retain("x", "1");
    Client& other = world.client("other").connect({.user_name = "t1"});
    other.subscribe("#");
    EXPECT_EQ(other.take_payloads(), Strings{});
}

}  // namespace
}  // namespace mitu::broker::testing
