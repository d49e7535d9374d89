// Connections: on their way between shards, waiting for admission, closing, and all at the end.

#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

// --- from the shard that accepts to the shard of the session ---

TEST(shard_connections, move_with_all_that_was_sent_behind_connect) {
    for (const bool chops : {false, true}) {
        World world{{.shards = 3, .network = {.chops = chops}, .draws_order = true}};
        for (std::uint16_t home = 0; home < 3; ++home) {
            for (std::uint16_t door = 0; door < 3; ++door) {
                Client& client = world.client_at(home).connect_later({.door = door});
                client.subscribe_later("x/" + client.id(), {.qos = qos1});
                for (int i = 0; i < 20; ++i) {
                    client.publish_later("x/" + client.id(), std::to_string(i), {.qos = qos1});
                }
                client.send_later(mqtt::Pingreq{});
                world.run();
                EXPECT_EQ(client.take_payloads().size(), 20u);
                EXPECT_EQ(client.count(PacketType::puback), 20u);
                EXPECT_EQ(client.count(PacketType::pingresp), 1u);
            }
        }
        EXPECT_EQ(world.counted(&Counters::connections_migrated_total), 6u);
        EXPECT_EQ(world.counted(&Counters::connections), 9u);
        EXPECT_EQ(world.transit().size(), 0u);
    }
}

TEST(shard_connections, end_when_their_own_shard_has_no_room) {
    World world{{.shards = 2, .network = {.connections_max = 1}}};
    world.client_at(1).connect({.door = 1});
    Client& second = world.client_at(1).connect({.door = 0});
    EXPECT_FALSE(second.is_open());
    EXPECT_EQ(world.counted(&Counters::connections_refused_total), 1u);
    EXPECT_EQ(world.counted(&Counters::connections), 1u);
}

TEST(shard_connections, come_and_go_between_shards_with_numbers_used_again_at_once) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        World world{{.seed = seed, .shards = 2, .draws_order = true}};
        std::vector<Client*> clients;
        for (int i = 0; i < 12; ++i) {
            clients.push_back(&world.client_at(static_cast<std::uint16_t>(i % 2)));
        }
        for (int round = 0; round < 60; ++round) {
            for (Client* client : clients) {
                switch (world.prng().below(5)) {
                    case 0:
                        client->connect_later({.session_expiry_s = 10});
                        break;
                    case 1:
                        client->cut();
                        break;
                    case 2:
                        client->reset();
                        break;
                    case 3:
                        client->send_later(mqtt::Disconnect{});
                        break;
                    default:
                        client->publish_later("x", "y", {.qos = qos1});
                }
            }
            world.run_some(world.prng().below(20));
        }
        for (Client* client : clients) client->cut();
        world.run();  // else an older connection, still on its way, may come after a newer one
        for (Client* client : clients) client->connect_later();
        world.run();
        for (Client* client : clients) ASSERT_TRUE(client->ping()) << "seed " << seed;
        ASSERT_EQ(world.counted(&Counters::connections), clients.size());
        ASSERT_EQ(world.counted(&Counters::clients), clients.size());
        ASSERT_EQ(world.counted(&Counters::sessions), clients.size());
    }
}

TEST(shard_connections, leave_no_timers_behind) {
    World world;
    Client& client = world.client("a");
    for (int i = 0; i < 20'000; ++i) {
        client.connect({.keep_alive_s = 65'535});
        client.disconnect();
    }
    EXPECT_LT(world.shard().timer_count(), 10'000u);
}

TEST(shard_connections, that_come_too_late_find_no_session_though_its_timer_has_not_run) {
    World world;
    Client& client = world.client("a").connect({.clean_start = false, .session_expiry_s = 3});
    client.subscribe("x");
    client.disconnect();
    ASSERT_NE(world.session("a"), nullptr);
    client.open();
    world.run();
    world.stall(Duration::seconds(4));  // a turn looks at the network before it runs timers
    mqtt::Connect again;
    again.client_id = "a";
    again.clean_start = false;
    client.send(again);
    ASSERT_TRUE(client.is_connected());
    EXPECT_FALSE(client.session_present());
    EXPECT_EQ(world.session("a")->subscription_count(), 0u);
}

// --- late admission ---

struct AdmissionTest : ::testing::Test {
    World world{{.shards = 2, .limits = {.packet_bytes_max = 4'096}}};
    AdmissionTest() { world.gate().is_late = true; }
};

TEST_F(AdmissionTest, lets_in_later_and_handles_what_came_meanwhile) {
    Client& client = world.client("a").connect_later();
    client.subscribe_later("x", {.qos = qos1});
    client.publish_later("x", "1", {.qos = qos1});
    world.run();
    EXPECT_EQ(client.connack(), nullptr);
    client.publish_later("x", "2", {.qos = qos1});
    world.advance(Duration::seconds(5));
    EXPECT_EQ(client.connack(), nullptr);
    world.answer(true);
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.take_payloads(), (Strings{"1", "2"}));
    EXPECT_TRUE(client.ping());
}

TEST_F(AdmissionTest, refuses_later) {
    Client& client = world.client("a").connect();
    world.answer(false, {ReasonCode::bad_user_name_or_password, "no"});
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(client.connack()->properties.reason_string, "no");
    EXPECT_FALSE(client.is_open());
    Client& old = world.client("b").connect({.version = ProtocolVersion::v3_1_1});
    world.answer(false, {ReasonCode::not_authorized, "no"});
    ASSERT_NE(old.connack(), nullptr);
    EXPECT_EQ(old.connack()->reason, ReasonCode::not_authorized);
    EXPECT_EQ(world.counted(&Counters::connections), 0u);
}

TEST_F(AdmissionTest, ignores_an_answer_for_a_connection_that_is_gone) {
    Client& client = world.client("a").connect();
    client.cut();
    world.run();
    world.answer(true);
    EXPECT_EQ(world.session("a"), nullptr);
    client.connect();
    client.reset();
    client.connect();  // with the same number
    world.answer(true);
    EXPECT_EQ(client.connack(), nullptr);
    world.answer(true);
    EXPECT_NE(client.connack(), nullptr);
}

TEST_F(AdmissionTest, gives_up_after_the_connect_timeout) {
    Client& client = world.client("a").connect();
    world.advance(Duration::seconds(11));
    EXPECT_FALSE(client.is_open());
    world.answer(true);
    EXPECT_EQ(world.session("a"), nullptr);
    EXPECT_EQ(world.counted(&Counters::connections_refused_total), 1u);
}

TEST_F(AdmissionTest, bounds_what_is_read_meanwhile) {
    Client& client = world.client("a").connect();
    for (int i = 0; i < 1'000; ++i) {
        client.publish_later("x", std::string(1'000, 'x'), {.qos = qos0});
        world.run();
    }
    EXPECT_LT(world.counted(&Counters::bytes_received_total), 10'000u);
    world.answer(true);
    EXPECT_EQ(world.counted(&Counters::messages_received_total), 1'000u);
    EXPECT_TRUE(client.ping());
}

TEST_F(AdmissionTest, hands_a_session_over_to_the_one_admitted_last) {
    Client& first = world.client("same").connect();
    Client& second = world.client("same").connect();
    world.answer(true);
    EXPECT_TRUE(first.is_connected());
    world.answer(true);
    EXPECT_FALSE(first.is_open());
    EXPECT_TRUE(second.is_connected());
}

TEST_F(AdmissionTest, proves_where_the_connection_came_in_and_moves_who_is_let_in) {
    Client& client = world.client_at(1).connect_later({.door = 0});
    client.subscribe_later("t");
    world.run();
    ASSERT_EQ(world.gate().waiting.size(), 1u);
    EXPECT_EQ(world.gate().waiting[0].ticket.shard, ShardId{0});
    EXPECT_EQ(world.counted(&Counters::connections_migrated_total), 0u);
    world.answer(true);
    EXPECT_EQ(world.counted(&Counters::connections_migrated_total), 1u);
    client.publish("t", "said behind CONNECT");
    EXPECT_EQ(client.take_payloads(), Strings{"said behind CONNECT"});

    Client& refused = world.client_at(1).connect({.door = 0});
    world.answer(false, {ReasonCode::bad_user_name_or_password, ""});
    EXPECT_FALSE(refused.is_open());
    EXPECT_EQ(world.counted(&Counters::connections_migrated_total), 1u);
}

TEST_F(AdmissionTest, is_not_asked_about_those_that_the_gate_refuses_at_once) {
    world.gate().refused["bad"] = {ReasonCode::banned, "banned"};
    Client& client = world.client("bad").connect();
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::banned);
    EXPECT_TRUE(world.gate().waiting.empty());
}

// --- closing ---

TEST(shard_connections, may_close_behind_their_words_and_are_heard_on_their_home_shard) {
    World world{{.shards = 2}};
    Client& reader = world.client_at(0, "reader").connect();
    reader.subscribe("t");
    for (std::uint16_t door = 0; door < 2; ++door) {
        // A sensor that wakes up, says it all in one breath and sleeps again.
        Client& sensor = world.client_at(1, "sensor").connect_later({.door = door});
        sensor.publish_later("t", "21.5");
        sensor.send_later(mqtt::Disconnect{});
        sensor.cut();
        world.run();
        EXPECT_EQ(reader.take_payloads(), std::vector<std::string>{"21.5"}) << "door " << door;
    }
}

TEST(shard_connections, may_close_behind_their_words_while_they_are_being_admitted) {
    World world;
    Client& reader = world.client("reader").connect();
    reader.subscribe("t");
    world.gate().is_late = true;
    Client& sensor = world.client("sensor").connect_later();
    sensor.publish_later("t", "21.5");
    sensor.send_later(mqtt::Disconnect{});
    sensor.cut();
    world.run();
    EXPECT_TRUE(reader.take_payloads().empty());
    world.answer(true);
    EXPECT_EQ(reader.take_payloads(), std::vector<std::string>{"21.5"});
    EXPECT_EQ(world.counted(&Counters::connections), 1u);
}

TEST(shard_connections, are_given_a_last_packet_and_a_while_to_take_it) {
    World world;
    Client& client = world.client("a").connect();
    client.reads = false;
    client.set_window(3);
    mqtt::Connect again;
    client.send(again);
    EXPECT_EQ(world.counted(&Counters::clients), 0u);
    EXPECT_TRUE(client.is_open());
    client.reads = true;
    client.set_window(1'000);
    world.run();
    EXPECT_EQ(client.goodbye(), ReasonCode::protocol_error);
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.counted(&Counters::connections), 0u);
}

TEST(shard_connections, are_closed_even_if_they_never_take_their_last_packet) {
    World world;
    Client& client = world.client("a").connect();
    client.reads = false;
    client.set_window(3);
    mqtt::Connect again;
    client.send(again);
    world.advance(Duration::seconds(6));
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.counted(&Counters::connections), 0u);
}

TEST(shard_connections, are_all_told_when_the_server_stops) {
    World world{{.shards = 2}};
    Client& v5 = world.client("a").connect({.session_expiry_s = 10});
    Client& v3 = world.client("b").connect({.version = ProtocolVersion::v3_1_1});
    Client& silent = world.client("c").open();
    world.run();
    world.begin_shutdown();
    world.run();
    EXPECT_EQ(v5.goodbye(), ReasonCode::server_shutting_down);
    EXPECT_FALSE(v5.is_open());
    EXPECT_FALSE(v3.is_open());
    EXPECT_FALSE(silent.is_open());
    EXPECT_TRUE(world.finished());
}

TEST(shard_connections, do_not_hold_up_the_end_for_long) {
    World world{{.shards = 2}};
    Client& client = world.client("a").connect();
    client.reads = false;
    client.set_window(0);
    world.begin_shutdown();
    world.run();
    EXPECT_FALSE(world.finished());
    for (std::uint16_t door = 0; door < 2; ++door) {
        EXPECT_FALSE(world.client("late").connect({.door = door}).is_connected());
    }
    world.advance(Duration::seconds(6));
    EXPECT_TRUE(world.finished());
}

TEST(shard_connections, on_their_way_to_a_shard_that_is_gone_are_closed) {
    std::vector<std::shared_ptr<const VirtualSocket>> sockets;
    {
        World world{{.shards = 2, .lanes = tiny_lanes()}};
        for (int i = 0; i < 300; ++i) {  // more than the lane holds
            sockets.push_back(world.client_at(1).connect_later({.door = 0}).socket());
        }
        while (world.transit().size() == 0) world.run_some(1);
        EXPECT_EQ(world.transit().size(), 300u);
    }
    for (const auto& socket : sockets) EXPECT_TRUE(socket->closed_by_broker);
}

}  // namespace
}  // namespace mitu::broker::testing
