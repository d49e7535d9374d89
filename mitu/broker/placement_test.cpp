#include "mitu/broker/placement.hpp"

#include <gtest/gtest.h>

#include "mitu/broker/testing/names.hpp"

namespace mitu::broker {
namespace {

TEST(placement, homes_every_topic_that_a_homed_filter_matches_where_the_filter_is) {
    Prng prng{7};
    int homed = 0;
    int met = 0;
    for (int i = 0; i < 200'000; ++i) {
        const auto shards = static_cast<std::uint16_t>(2 + prng.below(6));
        const TenantId tenant{static_cast<std::uint16_t>(prng.below(3))};
        std::string filter = testing::draw_filter(prng);
        std::string topic = testing::draw_topic(prng);
        if (prng.chance(0.3)) {
            filter = std::string{things_prefix} + filter;
            topic = std::string{things_prefix} + topic;
        }
        if (!mqtt::is_valid_topic_filter(filter) || !mqtt::is_valid_topic_name(topic)) continue;
        const auto home = filter_home(tenant, filter, shards);
        ASSERT_LT(topic_home(tenant, topic, shards).value, shards);
        if (!home) continue;
        ++homed;
        if (!mqtt::matches(filter, topic)) continue;
        ++met;
        ASSERT_EQ(*home, topic_home(tenant, topic, shards)) << filter << " " << topic;
    }
    EXPECT_GT(homed, 10'000);
    EXPECT_GT(met, 1'000);
}

TEST(placement, homes_filters_with_three_literal_levels_and_those_without_wildcards) {
    const auto is_homed = [](std::string_view filter) {
        return filter_home(tenant_default, filter, 4).has_value();
    };
    for (const char* filter : {"a", "a/b", "/", "a/b/c", "a/b/c/#", "a/b/c/+/e", "a/b/c/d/+"}) {
        EXPECT_TRUE(is_homed(filter)) << filter;
    }
    for (const char* filter : {"#", "+", "a/#", "a/b/#", "a/b/+", "a/+/c/d", "+/b/c/d"}) {
        EXPECT_FALSE(is_homed(filter)) << filter;
    }
    EXPECT_EQ(filter_home(tenant_default, "#", 1), ShardId{0}) << "one shard knows everything";
}

TEST(placement, keeps_what_a_device_and_the_server_say_on_the_shard_of_its_session) {
    for (int i = 0; i < 100; ++i) {
        const std::string device = "device-" + std::to_string(i);
        const ShardId home = session_home(TenantId{3}, device, 5);
        const std::string prefix = std::string{things_prefix} + device;
        EXPECT_EQ(topic_home(TenantId{3}, prefix + "/shadow/get", 5), home);
        EXPECT_EQ(topic_home(TenantId{3}, prefix, 5), home);
        EXPECT_EQ(filter_home(TenantId{3}, prefix + "/#", 5), home);
        EXPECT_EQ(filter_home(TenantId{3}, prefix + "/shadow/+/x", 5), home);
    }
}

TEST(placement, spreads_sessions_and_topics) {
    int sessions[4]{};
    int topics[4]{};
    for (int i = 0; i < 4'000; ++i) {
        const std::string name = "fleet/" + std::to_string(i) + "/data";
        ++sessions[session_home(tenant_default, name, 4).value];
        ++topics[topic_home(tenant_default, name, 4).value];
    }
    for (int i = 0; i < 4; ++i) {
        EXPECT_GT(sessions[i], 800);
        EXPECT_GT(topics[i], 800);
    }
}

TEST(placement, parses_thing_topics) {
    const auto thing = parse_thing_topic("$mitu/things/d1/shadow/get");
    ASSERT_TRUE(thing);
    EXPECT_EQ(thing->device, "d1");
    EXPECT_EQ(thing->rest, "shadow/get");
    EXPECT_EQ(parse_thing_topic("$mitu/things/d1")->rest, "");
    EXPECT_EQ(parse_thing_topic("$mitu/things/d1/")->rest, "");
    EXPECT_FALSE(parse_thing_topic("$mitu/things/"));
    EXPECT_FALSE(parse_thing_topic("$mitu/things//x"));
    EXPECT_FALSE(parse_thing_topic("mitu/things/d1/x"));
}

}  // namespace
}  // namespace mitu::broker
