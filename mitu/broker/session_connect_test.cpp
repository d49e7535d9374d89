// CONNECT, clean start, expiry, take-over, keep alive.

#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ProtocolVersion;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

TEST(session_connect, tells_a_v5_client_the_limits_of_the_server) {
    World world;
    Client& client = world.client("a").connect();
    ASSERT_NE(client.connack(), nullptr);
    const auto& p = client.connack()->properties;
    EXPECT_EQ(client.connack()->reason, ReasonCode::success);
    EXPECT_EQ(p.receive_maximum, Limits{}.receive_maximum);
    EXPECT_EQ(p.maximum_packet_size, Limits{}.packet_bytes_max);
    EXPECT_EQ(p.topic_alias_maximum, Limits{}.topic_alias_maximum);
    EXPECT_FALSE(p.assigned_client_identifier);
    EXPECT_FALSE(p.server_keep_alive_s);
    EXPECT_FALSE(p.session_expiry_interval_s);
}

TEST(session_connect, ends_a_session_without_expiry_with_its_connection) {
    World world;
    Client& client = world.client("a").connect();
    client.subscribe("x", {.qos = qos1});
    client.disconnect();
    EXPECT_EQ(world.session("a"), nullptr);
    EXPECT_EQ(world.counted(&Counters::sessions), 0u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
    client.connect({.clean_start = false});
    EXPECT_FALSE(client.session_present());
}

}  // namespace
}  // namespace mitu::broker::testing
