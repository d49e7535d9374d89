// Letting go: paced, nothing that was acknowledged is lost, nothing is taken that could be.

#include <gtest/gtest.h>

#include <algorithm>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;

Shard::Drain paced(std::uint32_t clients_per_s) {
    return {.settle_time = Duration::milliseconds(100), .clients_per_s = clients_per_s};
}

std::size_t open_of(const std::vector<Client*>& clients) {
    return static_cast<std::size_t>(std::count_if(
        clients.begin(), clients.end(), [](const Client* one) { return one->is_open(); }));
}

TEST(shard_drain, lets_clients_go_at_its_pace_and_tells_v5_ones_why) {
    World world;
    std::vector<Client*> clients;
    for (int i = 0; i < 20; ++i) {
        const auto version = i % 2 == 0 ? ProtocolVersion::v5 : ProtocolVersion::v3_1_1;
        clients.push_back(&world.client("c" + std::to_string(i)).connect({.version = version}));
    }
    world.begin_drain(paced(10));
    world.advance(Duration::milliseconds(90));
    EXPECT_EQ(open_of(clients), 20u);
    world.advance(Duration::milliseconds(20));
    EXPECT_EQ(open_of(clients), 19u);
    world.advance(Duration::milliseconds(1'000));
    EXPECT_EQ(open_of(clients), 9u);
    world.advance(Duration::seconds(1));
    EXPECT_EQ(open_of(clients), 0u);
    EXPECT_EQ(clients[0]->goodbye(), ReasonCode::server_shutting_down);
    EXPECT_EQ(clients[1]->goodbye(), std::nullopt);
    EXPECT_FALSE(world.finished()) << "it goes on until it is told to end";
}

TEST(shard_drain, leaves_a_publish_to_whoever_serves_next_and_takes_acknowledgements) {
    World world;
    Client& publisher = world.client("publisher").connect();
    Client& subscriber = world.client("subscriber").connect();
    subscriber.acknowledges = false;
    subscriber.subscribe("t", {.qos = qos1});
    EXPECT_EQ(publisher.publish("t", "before", {.qos = qos1}), ReasonCode::success);
    const auto before = subscriber.take_messages();
    ASSERT_EQ(before.size(), 1u);

    world.begin_drain(paced(1'000));
    EXPECT_EQ(publisher.publish("t", "after", {.qos = qos1}), std::nullopt);
    EXPECT_EQ(publisher.publish("t", "later", {.qos = qos0}), ReasonCode::success);  // no answer
    EXPECT_TRUE(subscriber.take_messages().empty());
    subscriber.acknowledge(before[0]);
    EXPECT_EQ(world.session("subscriber")->inflight_count(), 0u);
    world.advance(Duration::milliseconds(150));
    EXPECT_EQ(publisher.goodbye(), ReasonCode::server_shutting_down);
    EXPECT_FALSE(subscriber.is_open());
}

TEST(shard_drain, keeps_who_still_has_messages_to_come_until_the_next_round) {
    World world;
    Client& slow = world.client("slow").connect();
    slow.acknowledges = false;
    slow.subscribe("t", {.qos = qos1});
    world.client("publisher").connect().publish("t", "m", {.qos = qos1});
    world.begin_drain(paced(1'000));
    world.advance(Duration::milliseconds(150));
    EXPECT_TRUE(slow.is_open());
    EXPECT_FALSE(world.client("publisher").is_open());
    world.advance(Duration::milliseconds(150));
    EXPECT_FALSE(slow.is_open());
}

TEST(shard_drain, closes_who_never_says_connect) {
    World world;
    Client& silent = world.client("silent").open();
    world.begin_drain(paced(1'000));
    world.advance(Duration::milliseconds(150));
    EXPECT_TRUE(silent.is_open()) << "it may still be on its way";
    world.advance(Duration::milliseconds(150));
    EXPECT_FALSE(silent.is_open());
}

TEST(shard_drain, leaves_wills_unpublished_and_sessions_as_they_are) {
    World world;
    Client& watcher = world.client("watcher").connect({.session_expiry_s = 60});
    watcher.subscribe("will");
    Client& device = world.client("device");
    device.connect({.session_expiry_s = 60, .will = WillOptions{"will", "gone"}});
    world.begin_drain(paced(1'000));
    world.advance(Duration::milliseconds(500));
    EXPECT_FALSE(device.is_open());
    EXPECT_TRUE(watcher.take_messages().empty());
    EXPECT_NE(world.session("device"), nullptr);
    world.begin_shutdown();
    world.run();
    EXPECT_TRUE(world.finished());
}

}  // namespace
}  // namespace mitu::broker::testing
