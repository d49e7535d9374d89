// Shards under pressure from each other: full lanes stop publishers, and nothing else for long.

#include <gtest/gtest.h>

#include <map>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

TEST(shard_lanes, never_wait_for_each_other) {
    // Every shard publishes to the next one's topics, all at once, through lanes that hold a few
    // messages; a shard that fell asleep too early would leave answers out.
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        const auto shards = static_cast<std::uint16_t>(2 + seed % 2);
        // A bound on the mail of one turn leaves some in the lane, as turns that overlap do.
        World world{{.seed = seed,
                     .shards = shards,
                     .limits = {.turn_mail_bytes_max = seed % 3 == 0 ? 4u << 20 : 512},
                     .lanes = tiny_lanes(),
                     .draws_order = true}};
        std::vector<Client*> clients;
        for (std::uint16_t i = 0; i < shards; ++i) {
            for (int k = 0; k < 3; ++k) clients.push_back(&world.client_at(i).connect());
            clients.back()->subscribe("t/#", {.qos = qos1});
        }
        constexpr int rounds = 200;
        for (int i = 0; i < rounds; ++i) {
            for (std::size_t c = 0; c < clients.size(); ++c) {
                const auto to = static_cast<std::uint16_t>((c / 3 + 1) % shards);
                const std::string topic = world.topic_at(to, "t/" + std::to_string(i % 5) + "/");
                clients[c]->publish_later(topic, std::string(world.prng().below(300), 'x'),
                                          {.qos = i % 2 == 0 ? qos1 : qos2});
            }
        }
        world.run();
        for (Client* client : clients) {
            ASSERT_TRUE(client->is_open()) << "seed " << seed;
            ASSERT_EQ(client->count(PacketType::puback), rounds / 2u) << "seed " << seed;
            ASSERT_EQ(client->count(PacketType::pubcomp), rounds / 2u) << "seed " << seed;
        }
        for (std::size_t c = 2; c < clients.size(); c += 3) {
            ASSERT_EQ(clients[c]->take_messages().size(), rounds * clients.size()) << seed;
        }
        ASSERT_EQ(world.dropped(), 0u);
        ASSERT_EQ(world.stored_messages(), 0u);
    }
}

TEST(shard_lanes, are_emptied_by_a_shard_that_cannot_send_itself) {
    // Wills of QoS 0 to nobody: they need no credit to begin with, and neither a delivery nor an
    // answer wakes anybody by accident. A bound on the mail of one turn leaves some in the lane,
    // as turns of two threads that overlap do.
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        World world{{.seed = seed,
                     .shards = 2,
                     .limits = {.turn_mail_bytes_max = 512},
                     .lanes = tiny_lanes(),
                     .draws_order = true}};
        std::vector<Client*> clients;
        for (std::uint16_t i = 0; i < 2; ++i) {
            ConnectOptions options;
            options.will = WillOptions{world.topic_at(static_cast<std::uint16_t>(1 - i), "t"),
                                       std::string(500, 'x')};
            for (int k = 0; k < 60; ++k) {
                clients.push_back(&world.client_at(i).connect(options));
            }
        }
        for (Client* client : clients) client->cut();
        world.run();
        ASSERT_EQ(world.counted(&Counters::messages_routed_total), 120u) << "seed " << seed;
    }
}

TEST(shard_lanes, fill_and_drain_with_large_and_small_messages) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        World world{{.seed = seed,
                     .shards = 3,
                     .lanes = tiny_lanes(),
                     .network = {.chops = true},
                     .draws_order = true}};
        std::vector<Client*> clients;
        for (std::uint16_t i = 0; i < 3; ++i) {
            clients.push_back(&world.client_at(i).connect());
            clients.back()->subscribe("t/#", {.qos = qos2});
        }
        std::map<std::string, int> sent;
        for (int i = 0; i < 60; ++i) {
            Client& client = *clients[world.prng().below(3)];
            const std::string payload =
                std::to_string(i) + std::string(world.prng().below(5'000), 'x');
            client.publish_later("t/" + std::to_string(i % 7), payload, {.qos = qos2});
            ++sent[payload];
        }
        world.run();
        for (Client* client : clients) {
            std::map<std::string, int> received;
            for (auto& payload : client->take_payloads()) ++received[payload];
            ASSERT_EQ(received, sent) << "seed " << seed;
        }
        ASSERT_EQ(world.stored_messages(), 0u);
    }
}

TEST(shard_lanes, that_claim_to_be_full_do_not_strand_anybody) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        World world{{.seed = seed, .shards = 2, .draws_order = true}};
        for (std::uint16_t i = 0; i < 2; ++i) {
            world.faults(i).probability[ports::Fault::lane_full] = 0.5;
        }
        Client& client = world.client("a").connect();
        client.subscribe("t/#", {.qos = qos1});
        for (int i = 0; i < 100; ++i) {
            client.publish_later("t/" + std::to_string(i), "x", {.qos = qos1});
        }
        world.run();
        ASSERT_EQ(client.count(PacketType::puback), 100u) << "seed " << seed;
        ASSERT_EQ(client.take_messages().size(), 100u);
    }
}

TEST(shard_lanes, that_stay_full_bound_what_is_read) {
    World world{
        {.shards = 2, .limits = {.packet_bytes_max = 4'096}, .network = {.read_bytes_max = 1'024}}};
    Client& client = world.client_at(0).connect();
    mqtt::Publish publish;
    publish.topic = "x";
    const std::string payload(4'000, 'x');
    publish.payload = as_bytes(payload);
    Bytes packet(mqtt::encoded_size(publish, mqtt::ProtocolVersion::v5));
    ASSERT_NE(mqtt::encode(publish, mqtt::ProtocolVersion::v5, packet), 0u);
    client.send_bytes(ByteView{packet}.first(10));  // the beginning of a packet is there already
    world.faults(0).probability[ports::Fault::lane_full] = 1;
    client.send_bytes_later(ByteView{packet}.subspan(10));
    world.run_some(10);
    const std::uint64_t before = world.counted(&Counters::bytes_received_total);
    for (int i = 0; i < 100; ++i) client.send_bytes_later(packet);
    for (int i = 0; i < 300; ++i) {
        world.network(0).wake();
        world.run_some(10);
    }
    EXPECT_LT(world.counted(&Counters::bytes_received_total) - before, 16'384u);
    world.faults(0).probability.clear();
    world.network(0).wake();
    world.run();
    EXPECT_EQ(world.counted(&Counters::messages_received_total), 101u);
    EXPECT_TRUE(client.ping());
}

TEST(shard_lanes, that_stay_full_do_not_make_us_miss_a_client_that_we_do_not_read) {
    World world{{.shards = 2, .limits = {.packet_bytes_max = 4'096}}};
    Client& client = world.client_at(0).connect({.keep_alive_s = 10});
    client.publish_later(world.topic_at(1, "x"), "1", {.qos = qos1});
    world.faults(0).probability[ports::Fault::lane_full] = 1;
    world.run_some(50);
    // It says that it is alive, as it must, and nobody listens: the lane has no room.
    for (int i = 0; i < 10; ++i) {
        client.send_later(mqtt::Pingreq{});
        world.stall(Duration::seconds(5));
        world.network(0).wake();
        world.run_some(50);
        ASSERT_TRUE(client.is_open()) << i;
    }
    EXPECT_EQ(client.count(PacketType::pingresp), 0u);
    world.faults(0).probability.clear();
    world.network(0).wake();
    world.run();
    EXPECT_TRUE(client.is_connected());
    EXPECT_EQ(client.count(PacketType::pingresp), 10u);
    EXPECT_EQ(client.count(PacketType::puback), 1u);
}

TEST(shard_lanes, full_of_mail_at_the_end_leave_nothing_behind) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        World world{{.seed = seed, .shards = 3, .lanes = tiny_lanes(), .draws_order = true}};
        std::vector<Client*> clients;
        for (std::uint16_t i = 0; i < 12; ++i) {
            clients.push_back(&world.client_at(i % 3).connect({.session_expiry_s = 10}));
            clients.back()->subscribe("$share/g/t/#", {.qos = qos1});
            clients.back()->subscribe("t/#", {.qos = qos1});
        }
        for (int i = 0; i < 50; ++i) {
            for (Client* client : clients) {
                client->publish_later("t/" + std::to_string(i), std::string(1'000, 'x'),
                                      {.qos = qos1, .retain = i % 10 == 0});
            }
        }
        // Some turns only; then the world ends, and with it everything that is on its way. New
        // clients are on their way to their shards, too.
        for (int i = 0; i < 300; ++i) world.client_at(0).connect_later({.door = 1});
        world.run_some(world.prng().below(60));
    }
}

TEST(shard_lanes, carry_the_longest_filter) {
    World world{{.shards = 2}};
    Client& client = world.client("a").connect();
    const std::string level(32'000, 'x');
    const std::string filter = level + "/" + level + "/#";
    EXPECT_EQ(client.subscribe(filter, {.qos = qos1}), std::vector{ReasonCode::granted_qos_1});
    EXPECT_EQ(client.subscribe("$share/" + level + "/" + level + "/+", {.qos = qos1}),
              std::vector{ReasonCode::granted_qos_1});
    client.publish(level + "/" + level + "/y", "1", {.qos = qos1});
    EXPECT_EQ(client.take_payloads(), Strings{"1"});
    EXPECT_EQ(client.unsubscribe(filter), std::vector{ReasonCode::success});
}

TEST(shard_lanes, hold_back_publishers_while_one_message_goes_to_very_many) {
    World world{{.shards = 2, .lanes = tiny_lanes(), .draws_order = true}};
    std::vector<Client*> subscribers;
    for (int i = 0; i < 2'000; ++i) {
        subscribers.push_back(&world.client_at(1).connect());
        subscribers.back()->subscribe("t/#", {.qos = qos1, .identifier = 1});
    }
    Client& publisher = world.client_at(0).connect();
    std::string topic = world.topic_at(0, "t/");
    for (int i = 0; i < 5; ++i) {
        publisher.publish_later(topic, std::to_string(i), {.qos = qos1});
    }
    world.run();
    for (Client* subscriber : subscribers) {
        ASSERT_EQ(subscriber->take_payloads(), (Strings{"0", "1", "2", "3", "4"}));
    }
    EXPECT_EQ(publisher.count(PacketType::puback), 5u);
}

}  // namespace
}  // namespace mitu::broker::testing
