// Following a client and a topic, over one shard and three; and what is counted for a tenant.

#include <gtest/gtest.h>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ReasonCode;

class ShardTraceTest : public ::testing::TestWithParam<std::uint16_t> {
protected:
    static WorldOptions options() {
        WorldOptions made;
        made.shards = GetParam();
        made.admission = admission::ControlOptions{};
        return made;
    }
    void follow(TraceQuery query) {
        query.until = Instant::never();
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            world.shard(i).tracer().begin(1, query, sink);
        }
    }
    std::vector<TraceEvent> told() {
        std::vector<TraceEvent> events;
        sink->drain(events);
        return events;
    }
    static std::vector<std::string> names(const std::vector<TraceEvent>& events) {
        std::vector<std::string> all;
        for (const TraceEvent& event : events) {
            all.push_back(std::string{to_text(event.kind)} +
                          (event.packet.empty() ? "" : " " + event.packet));
        }
        return all;
    }

    World world{options()};
    std::shared_ptr<TraceSink> sink = std::make_shared<TraceSink>();
};

TEST_P(ShardTraceTest, tells_a_client_from_its_connect_to_its_end) {
    follow({.client_id = "a"});
    Client& a = world.client("a").connect();
    world.client("b").connect().subscribe("t", {.qos = mqtt::QoS::at_least_once});
    a.subscribe("t", {.qos = mqtt::QoS::at_least_once});
    world.client("c").connect().publish("t", "hello", {.qos = mqtt::QoS::at_least_once});
    a.disconnect();
    const auto events = told();
    EXPECT_EQ(names(events), (std::vector<std::string>{
                                 "connected", "packet_out CONNACK", "packet_in SUBSCRIBE",
                                 "packet_out SUBACK", "queued", "packet_out PUBLISH",
                                 "packet_in PUBACK", "packet_in DISCONNECT", "disconnected"}));
    for (const TraceEvent& event : events) EXPECT_EQ(event.client_id, "a");
    ASSERT_EQ(events.size(), 9u);
    EXPECT_EQ(events[2].topic, "t");
    EXPECT_EQ(events[3].reason, "1");
    EXPECT_EQ(events[5].bytes, 5u);
    EXPECT_EQ(events[5].payload, std::nullopt);
    EXPECT_EQ(events[5].packet_id, events[6].packet_id);
}

TEST_P(ShardTraceTest, tells_the_messages_of_a_topic_from_publisher_to_subscriber) {
    follow({.filter = "t/#", .with_payload = true});
    world.client("a").connect().subscribe("t/+", {.qos = mqtt::QoS::at_most_once});
    Client& b = world.client("b").connect();
    b.publish("u/1", "x", {.qos = mqtt::QoS::at_most_once});
    b.publish("t/1", "hello", {.qos = mqtt::QoS::at_most_once});
    const auto events = told();
    EXPECT_EQ(names(events), (std::vector<std::string>{"packet_in PUBLISH", "routed", "queued",
                                                       "packet_out PUBLISH"}));
    ASSERT_EQ(events.size(), 4u);
    EXPECT_EQ(events[0].client_id, "b");
    EXPECT_EQ(events[0].payload, "hello");
    EXPECT_EQ(events[1].recipients, 1u);
    EXPECT_EQ(events[3].client_id, "a");
}

TEST_P(ShardTraceTest, tells_nothing_of_other_tenants) {
    world.gate().tenants["other"] = TenantId{1};
    follow({.client_id = "other"});
    world.client("other")
        .connect({.user_name = "other"})
        .publish("t", "x", {.qos = mqtt::QoS::at_most_once});
    EXPECT_TRUE(told().empty());
}

TEST_P(ShardTraceTest, tells_of_a_take_over_and_of_drops) {
    follow({.client_id = "a"});
    Client& first = world.client("a").connect();
    world.client("a").connect();
    EXPECT_FALSE(first.is_open());
    const auto events = told();
    bool is_taken_over = false;
    for (const TraceEvent& event : events) is_taken_over |= event.kind == TraceKind::taken_over;
    EXPECT_TRUE(is_taken_over);
}

TEST_P(ShardTraceTest, what_a_tenant_sends_and_gets_is_counted_for_it) {
    world.gate().tenants["other"] = TenantId{1};
    world.client("other").connect({.user_name = "other"});
    world.client("a").connect().subscribe("t", {.qos = mqtt::QoS::at_least_once});
    Client& b = world.client("b").connect();
    b.publish("t", "x", {.qos = mqtt::QoS::at_least_once});
    b.publish("$SYS/broker/version", "mine", {.qos = mqtt::QoS::at_least_once});
    world.advance(Duration::seconds(5));
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        world.shard(i).turn(world.now(), {});  // settles what is counted
    }
    const auto traffic = world.admission().ledger.tenant(tenant_default).traffic();
    EXPECT_EQ(traffic.connects, 2u);
    EXPECT_EQ(traffic.messages_received, 2u);
    EXPECT_EQ(traffic.messages_sent, 1u);
    EXPECT_EQ(traffic.packets_received, 4u);  // SUBSCRIBE, two PUBLISH, PUBACK
    EXPECT_EQ(traffic.packets_sent, 6u);      // two CONNACK, SUBACK, PUBLISH, two PUBACK
    EXPECT_GT(traffic.bytes_sent, 0u);
    EXPECT_EQ(world.admission().ledger.tenant(tenant_default).messages_dropped(), 1u)
        << "nobody publishes below $SYS but the server";
    const auto other = world.admission().ledger.tenant(TenantId{1}).traffic();
    EXPECT_EQ(other.connects, 1u);
    EXPECT_EQ(other.messages_sent, 0u);
}

TEST_P(ShardTraceTest, figures_of_the_server_take_nothing_of_a_tenants_quotas) {
    admission::TenantLimits limits;
    limits[admission::Quota::retained_messages] = {.maximum = 0};
    limits[admission::Quota::message_bytes] = {.maximum = 1};
    ASSERT_TRUE(world.admission().ledger.set_tenant(tenant_default, limits));
    const std::string topic = "$SYS/broker/uptime";
    for (const char* const payload : {"1 seconds", "2 seconds"}) {
        const auto home = topic_home(tenant_default, topic, world.shard_count());
        world.shard(home.value)
            .publish({.topic = topic,
                      .payload = payload,
                      .qos = mqtt::QoS::at_most_once,
                      .retain = true},
                     world.now());
    }
    world.run();
    using admission::Quota;
    EXPECT_EQ(world.admission().ledger.tenant(tenant_default).used(Quota::retained_messages), 0u);
    EXPECT_EQ(world.admission().ledger.tenant(tenant_default).used(Quota::message_bytes), 0u);
    EXPECT_EQ(world.admission().ledger.tenant(tenant_default).messages_dropped(), 0u);
    Client& a = world.client("a").connect();
    a.subscribe("#", {.qos = mqtt::QoS::at_most_once});
    EXPECT_TRUE(a.take_payloads().empty());
    a.subscribe("$SYS/#", {.qos = mqtt::QoS::at_most_once});
    EXPECT_EQ(a.take_payloads(), (std::vector<std::string>{"2 seconds"}));
}

INSTANTIATE_TEST_SUITE_P(shards, ShardTraceTest, ::testing::Values(1, 3));

}  // namespace
}  // namespace mitu::broker::testing
