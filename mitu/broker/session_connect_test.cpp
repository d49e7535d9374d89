// CONNECT, clean start, session expiry, take-over, keep alive.

#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

constexpr ProtocolVersion v3 = ProtocolVersion::v3_1_1;

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

TEST(session_connect, says_when_the_session_expiry_was_cut) {
    World world{{.limits = {.session_expiry_s_max = 60}}};
    Client& client = world.client("a").connect({.session_expiry_s = 3'600});
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->properties.session_expiry_interval_s, 60u);
    client.cut();
    world.advance(Duration::seconds(61));
    EXPECT_EQ(world.session("a"), nullptr);
}

TEST(session_connect, makes_up_a_client_id_that_is_at_home_on_this_shard) {
    World world{{.shards = 3}};
    for (std::uint16_t door = 0; door < 3; ++door) {
        Client& client = world.client("").connect({.door = door});
        ASSERT_NE(client.connack(), nullptr);
        const auto id = client.connack()->properties.assigned_client_identifier;
        ASSERT_TRUE(id);
        EXPECT_NE(world.shard(door).sessions().find(tenant_default, *id), nullptr);
        EXPECT_TRUE(client.ping());
    }
    EXPECT_EQ(world.counted(&Counters::connections_migrated_total), 0u);
}

TEST(session_connect, refuses_extended_authentication) {  // [MQTT-4.12.0-1]
    World world;
    Client& client = world.client("a").connect({.authentication_method = "SCRAM"});
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::bad_authentication_method);
    EXPECT_FALSE(client.is_open());
}

TEST(session_connect, sends_no_connack_that_the_client_cannot_take) {  // [MQTT-3.1.2-24]
    World world;
    Client& client = world.client("a").connect({.maximum_packet_size = 8});
    ASSERT_NE(client.connack(), nullptr) << "a refusal of 5 bytes fits";
    EXPECT_EQ(client.connack()->reason, ReasonCode::packet_too_large);
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.session("a"), nullptr);
}

TEST(session_connect, leaves_out_the_reason_string_of_a_refusal_that_would_be_too_large) {
    World world;  // [MQTT-3.2.2-19]
    Client& client =
        world.client("a").connect({.maximum_packet_size = 10, .authentication_method = "SCRAM"});
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::bad_authentication_method);
    EXPECT_FALSE(client.connack()->properties.reason_string);
}

// --- sessions that end and sessions that stay ---

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

TEST(session_connect, resumes_a_session_that_has_not_expired) {
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 10});
    client.subscribe("x", {.qos = qos1});
    client.disconnect();
    Client& publisher = world.client("p").connect();
    publisher.publish("x", "meanwhile", {.qos = qos1});
    world.advance(Duration::seconds(9));
    client.connect({.clean_start = false, .session_expiry_s = 10});
    EXPECT_TRUE(client.session_present());
    EXPECT_EQ(client.take_payloads(), Strings{"meanwhile"});
}

TEST(session_connect, ends_a_session_when_its_expiry_has_passed) {
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 10});
    client.disconnect();
    world.advance(Duration::milliseconds(10'001));
    EXPECT_EQ(world.session("a"), nullptr);
    client.connect({.clean_start = false});
    EXPECT_FALSE(client.session_present());
}

TEST(session_connect, lets_a_session_of_0xFFFFFFFF_never_expire) {
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 0xFFFF'FFFF});
    client.cut();
    world.advance(Duration::seconds(10'000'000'000 / 2));
    EXPECT_NE(world.session("a"), nullptr);
}

TEST(session_connect, takes_the_expiry_that_disconnect_names) {  // section 3.14.2.2.2
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 3'600});
    client.disconnect(ReasonCode::success, 5);
    world.advance(Duration::seconds(6));
    EXPECT_EQ(world.session("a"), nullptr);
}

TEST(session_connect, refuses_to_prolong_a_session_that_was_to_end) {  // section 3.14.2.2.2
    World world;
    Client& client = world.client("a").connect();
    mqtt::Disconnect disconnect;
    disconnect.session_expiry_interval_s = 5;
    client.send(disconnect);
    EXPECT_EQ(client.goodbye(), ReasonCode::protocol_error);
    EXPECT_FALSE(client.is_open());
}

TEST(session_connect, rearms_the_timer_when_a_new_expiry_is_earlier) {
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 100'000});
    client.cut();
    world.run();
    client.connect({.clean_start = false, .keep_alive_s = 60'000, .session_expiry_s = 5});
    client.cut();
    world.advance(Duration::seconds(6));
    EXPECT_EQ(world.session("a"), nullptr);
}

TEST(session_connect, discards_the_session_on_a_clean_start) {  // [MQTT-3.1.2-4]
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 100});
    client.subscribe("x", {.qos = qos1});
    client.disconnect();
    world.client("p").connect().publish("x", "lost", {.qos = qos1});
    EXPECT_EQ(world.stored_messages(), 1u);
    client.connect({.clean_start = true});
    EXPECT_FALSE(client.session_present());
    EXPECT_EQ(client.take_payloads(), Strings{});
    EXPECT_EQ(world.dropped(DropReason::session_ended), 1u);
    EXPECT_EQ(world.stored_messages(), 0u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
}

TEST(session_connect, keeps_the_session_of_a_v3_client_that_is_not_clean) {
    World world;
    Client& client = world.client("a").connect({.version = v3, .clean_start = false});
    EXPECT_FALSE(client.session_present());
    client.subscribe("x", {.qos = qos1});
    client.disconnect();
    world.advance(Duration::seconds(1'000'000));
    world.client("p").connect().publish("x", "1", {.qos = qos1});
    client.connect({.version = v3, .clean_start = false});
    EXPECT_TRUE(client.session_present());
    EXPECT_EQ(client.take_payloads(), Strings{"1"});
    client.connect({.version = v3, .clean_start = true});
    client.disconnect();
    EXPECT_EQ(world.session("a"), nullptr);
}

TEST(session_connect, tells_no_v3_1_client_of_a_session) {  // its CONNACK has no place for it
    World world;
    ConnectOptions options{.version = ProtocolVersion::v3_1, .clean_start = false};
    Client& client = world.client("a").connect(options);
    client.subscribe("x", {.qos = qos1});
    client.cut();
    world.run();
    world.client("p").connect().publish("x", "meanwhile", {.qos = qos1});
    client.connect(options);
    EXPECT_FALSE(client.session_present());
    EXPECT_EQ(client.take_payloads(), Strings{"meanwhile"});
}

TEST(session_connect, refuses_more_sessions_than_allowed) {
    World world{{.limits = {.sessions_max = 1}}};
    world.client("a").connect();
    Client& second = world.client("b").connect();
    ASSERT_NE(second.connack(), nullptr);
    EXPECT_EQ(second.connack()->reason, ReasonCode::quota_exceeded);
    EXPECT_FALSE(second.is_open());
}

TEST(session_connect, keeps_clients_of_two_tenants_apart) {
    World world{{.shards = 2}};
    world.gate().tenants["t1"] = TenantId{1};
    Client& a = world.client("same").connect({.session_expiry_s = 10});
    Client& b = world.client("same").connect({.user_name = "t1"});
    EXPECT_TRUE(a.is_open());
    EXPECT_TRUE(b.is_open());
    a.subscribe("#");
    b.subscribe("#");
    b.publish("x/y/z/w", "for b");
    EXPECT_EQ(a.take_payloads(), Strings{});
    EXPECT_EQ(b.take_payloads(), Strings{"for b"});
}

// --- take-over ---

TEST(session_connect, hands_the_session_to_a_second_connection) {  // [MQTT-3.1.4-3]
    World world{{.shards = 2}};
    Client& first = world.client("same").connect({.session_expiry_s = 10});
    first.subscribe("x", {.qos = qos1});
    Client& second = world.client("same").connect({.clean_start = false, .session_expiry_s = 10});
    EXPECT_EQ(first.goodbye(), ReasonCode::session_taken_over);
    EXPECT_FALSE(first.is_open());
    EXPECT_TRUE(second.session_present());
    EXPECT_EQ(world.counted(&Counters::takeovers_total), 1u);
    EXPECT_EQ(world.counted(&Counters::clients), 1u);
    second.publish("x", "1", {.qos = qos1});
    EXPECT_EQ(second.take_payloads(), Strings{"1"});
}

TEST(session_connect, starts_anew_when_the_session_taken_over_ends_with_its_connection) {
    World world;
    Client& first = world.client("same").connect();
    first.subscribe("x");
    Client& second = world.client("same").connect({.clean_start = false});
    EXPECT_FALSE(second.session_present());
    EXPECT_EQ(world.counted(&Counters::sessions), 1u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
    EXPECT_TRUE(second.ping());
}

TEST(session_connect, survives_many_connections_that_take_each_other_over) {
    World world{{.shards = 2, .draws_order = true}};
    std::vector<Client*> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(&world.client("same").connect_later({.clean_start = i % 2 == 0}));
    }
    world.run();
    int open = 0;
    for (const Client* client : clients) open += client->is_open() ? 1 : 0;
    EXPECT_EQ(open, 1);
    EXPECT_EQ(world.counted(&Counters::clients), 1u);
    EXPECT_EQ(world.counted(&Counters::connections), 1u);
}

// --- protocol errors ---

TEST(session_connect, closes_on_a_second_connect) {  // [MQTT-3.1.0-2]
    World world;
    Client& client = world.client("a").connect();
    mqtt::Connect connect;
    connect.client_id = "a";
    client.send(connect);
    EXPECT_EQ(client.goodbye(), ReasonCode::protocol_error);
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.counted(&Counters::protocol_errors_total), 1u);
}

TEST(session_connect, closes_when_the_first_packet_is_no_connect) {  // [MQTT-3.1.0-1]
    World world;
    Client& client = world.client("a").open();
    client.send(mqtt::Pingreq{});
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.count(PacketType::pingresp), 0u);
    EXPECT_EQ(world.counted(&Counters::connections), 0u);
}

TEST(session_connect, gives_up_on_a_connect_that_does_not_come) {
    World world;
    Client& client = world.client("a").open();
    world.advance(Duration::milliseconds(9'999));
    EXPECT_TRUE(client.is_open());
    world.advance(Duration::milliseconds(2));
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.counted(&Counters::connections), 0u);
}

// --- keep alive ---

TEST(session_connect, closes_after_one_and_a_half_keep_alives_of_silence) {  // [MQTT-3.1.2-22]
    World world;
    Client& client = world.client("a").connect({.keep_alive_s = 10});
    world.advance(Duration::seconds(14));
    EXPECT_TRUE(client.ping());
    world.advance(Duration::milliseconds(14'999));
    EXPECT_TRUE(client.is_open());
    world.advance(Duration::milliseconds(2));
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.goodbye(), ReasonCode::keep_alive_timeout);
    EXPECT_EQ(world.counted(&Counters::keep_alive_timeouts_total), 1u);
}

TEST(session_connect, never_times_out_a_client_without_keep_alive) {
    World world;
    Client& client = world.client("a").connect({.keep_alive_s = 0});
    world.advance(Duration::seconds(1'000'000));
    EXPECT_TRUE(client.is_open());
}

TEST(session_connect, gives_devices_the_heartbeat_of_their_policy_as_keep_alive) {
    World world;
    auto profile = std::make_shared<Profile>(*open_profile());
    profile->heartbeat_interval = Duration::seconds(20);
    world.gate().profiles["a"] = profile;
    Client& client = world.client("a").connect({.keep_alive_s = 60});
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->properties.server_keep_alive_s, 20);
    world.advance(Duration::seconds(31));
    EXPECT_FALSE(client.is_open());
    client.connect({.keep_alive_s = 10});
    EXPECT_FALSE(client.connack()->properties.server_keep_alive_s) << "the client's is shorter";
    client.connect({.keep_alive_s = 0});
    EXPECT_EQ(client.connack()->properties.server_keep_alive_s, 20);
}

TEST(session_connect, kicks_a_client_and_tells_it_why) {
    World world;
    Client& client = world.client("a").connect();
    EXPECT_TRUE(world.shard().kick(tenant_default, "a", world.now()));
    EXPECT_FALSE(world.shard().kick(tenant_default, "a", world.now()));
    EXPECT_FALSE(world.shard().kick(tenant_default, "b", world.now()));
    world.network().wake();
    world.run();
    EXPECT_EQ(client.goodbye(), ReasonCode::administrative_action);
    EXPECT_FALSE(client.is_open());
}

}  // namespace
}  // namespace mitu::broker::testing
