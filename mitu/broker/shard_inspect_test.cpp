// What is asked of shards from outside, on 1, 2 and 3 of them.

#include "mitu/broker/shard_inspect.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using Strings = std::vector<std::string>;

struct ShardInspectTest : ::testing::TestWithParam<std::uint16_t> {
    World world{{.shards = GetParam()}};

    ShardInspector at(ShardId shard) { return {world.shard(shard.value), world.now()}; }

    /// All items of a listing of all shards, in pieces of `items_max`.
    template <class List>
    auto walk(List list, std::uint32_t items_max) {
        decltype(list(at(ShardId{0}), InspectPosition{}, 1u).items) all;
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            std::optional<InspectPosition> from = InspectPosition{};
            while (from) {
                auto chunk = list(at(ShardId{i}), *from, items_max);
                EXPECT_LE(chunk.items.size(), items_max);
                EXPECT_TRUE(!chunk.next || *chunk.next > *from) << "a listing that stands still";
                all.insert(all.end(), chunk.items.begin(), chunk.items.end());
                from = chunk.next;
            }
        }
        return all;
    }
    Strings client_ids(const ClientQuery& query, std::uint32_t items_max = 3) {
        Strings ids;
        const auto list = [&](const ShardInspector& shard, InspectPosition from,
                              std::uint32_t max) { return shard.clients(query, from, max); };
        for (const auto& client : walk(list, items_max)) ids.push_back(client.client_id);
        std::sort(ids.begin(), ids.end());
        return ids;
    }
    Strings filters(const SubscriptionQuery& query, std::uint32_t items_max = 2) {
        Strings texts;
        const auto list = [&](const ShardInspector& shard, InspectPosition from,
                              std::uint32_t max) { return shard.subscriptions(query, from, max); };
        for (const auto& s : walk(list, items_max)) texts.push_back(text_of(s));
        std::sort(texts.begin(), texts.end());
        return texts;
    }
    /// CLIENT FILTER, with its group.
    std::string text_of(const SubscriptionFacts& s) {
        const SessionRef ref = s.subscriber.session;
        const std::string id = at(ref.shard).client_ids({&ref, 1}).front();
        return id + " " + (s.group.empty() ? "" : "$share/" + s.group + "/") + s.filter;
    }
    ShardId home(std::string_view topic) {
        return topic_home(tenant_default, topic, world.shard_count());
    }
};
INSTANTIATE_TEST_SUITE_P(shards, ShardInspectTest, ::testing::Values(1, 2, 3));

}  // namespace

TEST_P(ShardInspectTest, lists_every_client_once_in_pieces) {
    for (int i = 0; i < 20; ++i) {
        auto& client = world.client("a-" + std::to_string(i)).connect({.session_expiry_s = 100});
        if (i == 3) client.cut();
    }
    world.gate().tenants["them"] = TenantId{3};
    world.client("b-1").connect({.user_name = "them"});
    world.run();
    EXPECT_EQ(client_ids({}).size(), 21u);
    EXPECT_EQ(client_ids({.tenant = TenantId{3}}), Strings{"b-1"});
    EXPECT_EQ(client_ids({.tenant = TenantId{9}}), Strings{});
    EXPECT_EQ(client_ids({.connected = false}), Strings{"a-3"});
    EXPECT_EQ(client_ids({.prefix = "a-1"}).size(), 11u);
    EXPECT_EQ(client_ids({.tenant = tenant_default, .connected = true, .prefix = "a-3"}),
              Strings{});

    const auto home = session_home(tenant_default, "a-5", world.shard_count());
    const auto found = at(home).client(tenant_default, "a-5");
    ASSERT_TRUE(found.has_value());
    EXPECT_TRUE(found->connected);
    EXPECT_FALSE(found->peer.empty());
    EXPECT_FALSE(at(home).client(TenantId{3}, "a-5").has_value());
}

TEST_P(ShardInspectTest, a_piece_is_bounded_though_nothing_in_it_is_wanted) {
    for (int i = 0; i < 10; ++i) world.client("c-" + std::to_string(i)).connect();
    // Places beyond the end, as a forged cursor may name them, are the end.
    const auto chunk = at(ShardId{0}).clients({}, {7, 0xFFFF'FFF0, 9}, 10);
    EXPECT_TRUE(chunk.items.empty());
    EXPECT_FALSE(chunk.next.has_value());
    EXPECT_TRUE(at(ShardId{0}).subscriptions({}, {7, 0xFFFF'FFF0, 9}, 10).items.empty());
    EXPECT_TRUE(at(ShardId{0}).topics({}, {7, 0xFFFF'FFF0, 9}, 10).items.empty());
    EXPECT_TRUE(at(ShardId{0}).retained({}, {7, 0xFFFF'FFF0, 9}, 10).items.empty());
}

TEST_P(ShardInspectTest, lists_each_subscription_once_wherever_it_is_kept) {
    auto& a = world.client("a").connect();
    auto& b = world.client("b").connect();
    for (const char* filter : {"x/y/z/1", "x/+", "#", "$share/g/x/y", "x/y/z/+"}) {
        a.subscribe(filter, {.qos = mqtt::QoS::at_least_once});
    }
    for (const char* filter : {"x/+", "$share/g/x/y", "$share/h/x/y"}) b.subscribe(filter);
    const Strings all{"a #",       "a $share/g/x/y", "a x/+",          "a x/y/z/+",
                      "a x/y/z/1", "b $share/g/x/y", "b $share/h/x/y", "b x/+"};
    for (const std::uint32_t items_max : {1u, 2u, 100u}) EXPECT_EQ(filters({}, items_max), all);
    EXPECT_EQ(filters({.filter = "x/+"}), (Strings{"a x/+", "b x/+"}));
    EXPECT_EQ(filters({.tenant = TenantId{1}}), Strings{});

    const auto matching = [&](std::string_view topic, std::uint32_t items_max) {
        Strings texts;
        std::optional<InspectPosition> from = InspectPosition{};
        while (from) {
            auto chunk = at(home(topic)).subscribers_of(tenant_default, topic, *from, items_max);
            for (const auto& s : chunk.items) texts.push_back(text_of(s));
            from = chunk.next;
        }
        std::sort(texts.begin(), texts.end());
        return texts;
    };
    for (const std::uint32_t items_max : {1u, 100u}) {
        EXPECT_EQ(matching("x/y", items_max),
                  (Strings{"a #", "a $share/g/x/y", "a x/+", "b $share/g/x/y", "b $share/h/x/y",
                           "b x/+"}));
    }
    EXPECT_EQ(matching("$SYS/x", 5), Strings{});

    const auto session_shard = session_home(tenant_default, "a", world.shard_count());
    const auto page = at(session_shard).filters(tenant_default, "a", 1, 2);
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(page->total, 5u);
    EXPECT_EQ(page->filters, (Strings{"$share/g/x/y", "x/+"}));
    const auto where = filter_home(tenant_default, "x/y/z/1", world.shard_count()).value();
    const auto known = at(where).subscription(tenant_default, "x/y/z/1", {}, page->session);
    ASSERT_TRUE(known.has_value());
    EXPECT_EQ(known->qos, mqtt::QoS::at_least_once);
    EXPECT_FALSE(at(where).subscription(tenant_default, "x/y/z/1", "g", page->session));
    EXPECT_FALSE(at(where).subscription(tenant_default, "x/y/z/2", {}, page->session));
}

TEST_P(ShardInspectTest, topics_are_those_with_a_message_and_those_asked_for_by_name) {
    auto& client = world.client("c").connect();
    for (const char* topic : {"t/1", "t/2", "u"}) {
        client.publish(topic, "12345", {.retain = true});
    }
    for (const char* filter : {"t/2", "t/3", "t/+", "$share/g/t/3"}) client.subscribe(filter);
    const auto topics = [&](const TopicQuery& query, std::uint32_t items_max) {
        Strings texts;
        const auto list = [&](const ShardInspector& shard, InspectPosition from,
                              std::uint32_t max) { return shard.topics(query, from, max); };
        for (const auto& t : walk(list, items_max)) {
            texts.push_back(t.topic + (t.has_retained ? " retained " : " ") +
                            std::to_string(t.subscriptions));
        }
        std::sort(texts.begin(), texts.end());
        return texts;
    };
    for (const std::uint32_t items_max : {1u, 9u}) {
        EXPECT_EQ(topics({}, items_max),
                  (Strings{"t/1 retained 0", "t/2 retained 1", "t/3 2", "u retained 0"}));
    }
    EXPECT_EQ(topics({.filter = "+/3"}, 1), Strings{"t/3 2"});
    EXPECT_EQ(topics({.tenant = TenantId{4}}, 1), Strings{});

    const auto list = [&](const ShardInspector& shard, InspectPosition from, std::uint32_t max) {
        return shard.retained({.filter = "t/#"}, from, max);
    };
    const auto retained = walk(list, 1);
    ASSERT_EQ(retained.size(), 2u);
    EXPECT_EQ(retained[0].payload_bytes, 5u);
}

TEST_P(ShardInspectTest, publishes_as_the_server_and_forgets_what_was_retained) {
    auto& client = world.client("c").connect();
    client.subscribe("a/b/#", {.qos = mqtt::QoS::at_least_once});
    MessageView message;
    message.topic = "a/b/c";
    message.retain = true;
    message.qos = mqtt::QoS::at_least_once;
    message.expires_at = world.now() + Duration::seconds(10);
    message.payload = as_bytes("hello");
    const auto outcome = at(home("a/b/c")).publish(message);
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->reason, mqtt::ReasonCode::success);
    EXPECT_EQ(outcome->recipients, 1u);
    world.network(home("a/b/c").value).wake();
    world.run();
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].payload, "hello");

    const auto kept = at(home("a/b/c")).retained_message(tenant_default, "a/b/c");
    ASSERT_TRUE(kept.has_value());
    EXPECT_EQ(as_text(kept->payload), "hello");
    EXPECT_EQ(kept->facts.expires_in->count_s(), 10);
    EXPECT_FALSE(at(home("a/b/c")).retained_message(TenantId{1}, "a/b/c").has_value());
    EXPECT_TRUE(at(home("a/b/c")).erase_retained(tenant_default, "a/b/c"));
    EXPECT_FALSE(at(home("a/b/c")).erase_retained(tenant_default, "a/b/c"));
    EXPECT_FALSE(at(home("a/b/c")).retained_message(tenant_default, "a/b/c").has_value());
    world.network(home("a/b/c").value).wake();
    world.run();
    EXPECT_TRUE(client.take_messages().empty());  // nobody is told
    EXPECT_EQ(world.counted(&Counters::retained_messages), 0u);

    message.topic = "nobody";
    message.retain = false;
    const auto unheard = at(home("nobody")).publish(message);
    ASSERT_TRUE(unheard.has_value());
    EXPECT_EQ(unheard->reason, mqtt::ReasonCode::no_matching_subscribers);
    EXPECT_EQ(unheard->recipients, 0u);
}

}  // namespace mitu::broker::testing
