// The will: when it is published, when it is not, and when it is late.

#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

struct WillTest : ::testing::Test {
    World world{{.shards = 2}};
    Client& watcher = world.client("watcher").connect();
    Client& client = world.client("client");
    WillTest() { watcher.subscribe("will/#", {.qos = qos2, .retain_as_published = true}); }
};

ConnectOptions with_will(std::uint32_t delay_s = 0, std::uint32_t expiry_s = 0) {
    ConnectOptions options;
    options.session_expiry_s = expiry_s;
    options.will = WillOptions{"will/of/client", "gone", qos1, false, delay_s, std::nullopt};
    return options;
}

TEST_F(WillTest, is_published_when_the_connection_breaks) {  // [MQTT-3.1.2-8]
    client.connect(with_will());
    client.cut();
    world.run();
    const auto messages = watcher.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].topic, "will/of/client");
    EXPECT_EQ(messages[0].payload, "gone");
    EXPECT_EQ(messages[0].qos, qos1);
    EXPECT_EQ(world.counted(&Counters::wills_published_total), 1u);
}

TEST_F(WillTest, is_dropped_on_a_normal_disconnect) {  // [MQTT-3.14.4-3]
    client.connect(with_will());
    client.disconnect();
    EXPECT_EQ(watcher.take_payloads(), Strings{});
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_F(WillTest, is_published_on_a_disconnect_that_asks_for_it) {
    client.connect(with_will());
    client.disconnect(ReasonCode::disconnect_with_will_message);
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, is_published_when_the_server_closes_for_an_error) {
    client.connect(with_will());
    mqtt::Connect again;
    client.send(again);
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, is_published_on_a_keep_alive_timeout) {
    ConnectOptions options = with_will();
    options.keep_alive_s = 10;
    client.connect(options);
    world.advance(Duration::seconds(16));
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, waits_for_its_delay) {
    client.connect(with_will(5, 60));
    client.cut();
    world.advance(Duration::milliseconds(4'999));
    EXPECT_EQ(watcher.take_payloads(), Strings{});
    world.advance(Duration::milliseconds(2));
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
    world.advance(Duration::seconds(100));
    EXPECT_EQ(watcher.take_payloads(), Strings{}) << "once only";
}

TEST_F(WillTest, is_not_published_when_the_client_is_back_within_the_delay) {  // [MQTT-3.1.3-9]
    client.connect(with_will(5, 60));
    client.cut();
    world.advance(Duration::seconds(3));
    client.connect({.clean_start = false, .session_expiry_s = 60});
    EXPECT_TRUE(client.session_present());
    world.advance(Duration::seconds(10));
    client.disconnect();
    EXPECT_EQ(watcher.take_payloads(), Strings{});
}

TEST_F(WillTest, is_published_when_the_session_ends_before_the_delay) {
    client.connect(with_will(1'000, 5));
    client.cut();
    world.advance(Duration::seconds(6));
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, is_published_at_once_when_the_session_ends_with_the_connection) {
    client.connect(with_will(1'000, 0));
    client.cut();
    world.run();
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, is_published_when_a_clean_start_ends_the_session_within_the_delay) {
    client.connect(with_will(1'000, 1'000));
    client.cut();
    world.run();
    client.connect({.clean_start = true});
    EXPECT_FALSE(client.session_present());
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, is_published_on_a_take_over_without_delay) {
    client.connect(with_will(0, 60));
    Client& other = world.client("client").connect({.clean_start = false, .session_expiry_s = 60});
    EXPECT_TRUE(other.session_present());
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
}

TEST_F(WillTest, is_not_published_on_a_take_over_with_delay) {
    client.connect(with_will(10, 60));
    world.client("client").connect({.clean_start = false, .session_expiry_s = 60});
    world.advance(Duration::seconds(100));
    EXPECT_EQ(watcher.take_payloads(), Strings{});
}

TEST_F(WillTest, is_retained_when_it_says_so) {
    ConnectOptions options = with_will();
    options.will->retain = true;
    client.connect(options);
    client.cut();
    world.run();
    ASSERT_EQ(watcher.take_messages().size(), 1u);
    Client& late = world.client("late").connect();
    late.subscribe("will/+/+", {.qos = qos2});
    const auto messages = late.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_TRUE(messages[0].retain);
    EXPECT_EQ(messages[0].payload, "gone");
    EXPECT_EQ(world.stored_messages(), 1u);
}

TEST_F(WillTest, expires_counting_from_its_publication) {
    ConnectOptions options = with_will(100, 1'000);
    options.will->message_expiry_s = 50;
    client.connect(options);
    client.cut();
    world.advance(Duration::seconds(101));
    const auto messages = watcher.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].message_expiry_s, 50u);
}

TEST_F(WillTest, is_refused_with_the_connect_when_it_may_not_be_published) {
    auto profile = std::make_shared<Profile>();
    profile->publish = AccessList{{"mine/#"}, {}};
    world.gate().profiles["client"] = profile;
    client.connect(with_will());
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::not_authorized);
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.session("client"), nullptr);
    EXPECT_EQ(watcher.take_payloads(), Strings{});
}

TEST_F(WillTest, is_refused_with_the_connect_when_it_is_larger_than_the_policy_allows) {
    auto profile = std::make_shared<Profile>(*open_profile());
    profile->payload_bytes_max = 3;
    world.gate().profiles["client"] = profile;
    client.connect(with_will());
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::quota_exceeded);
    EXPECT_FALSE(client.is_open());
}

TEST_F(WillTest, is_kept_from_its_own_subscription_that_ends_with_it) {
    client.connect(with_will());
    client.subscribe("will/#", {.qos = qos1});
    client.subscribe("$share/g/will/#", {.qos = qos1});
    client.cut();
    world.run();
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
    EXPECT_EQ(world.counted(&Counters::sessions), 1u);
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_F(WillTest, leaves_nothing_behind_when_it_is_replaced) {
    client.connect(with_will(10, 60));
    client.connect([] {
        auto options = with_will(10, 60);
        options.clean_start = false;
        options.will->payload = "new";
        return options;
    }());
    EXPECT_TRUE(client.session_present());
    EXPECT_EQ(world.stored_messages(), 1u);
    client.disconnect();
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_F(WillTest, is_not_published_when_the_server_stops) {
    client.connect(with_will());
    world.begin_shutdown();
    world.run();
    EXPECT_EQ(client.goodbye(), ReasonCode::server_shutting_down);
    EXPECT_EQ(watcher.take_payloads(), Strings{});
    EXPECT_TRUE(world.finished());
}

}  // namespace
}  // namespace mitu::broker::testing
