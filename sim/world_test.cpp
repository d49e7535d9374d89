// The virtual world's own parts: time, links, and servers that come and go.

#include "sim/world.hpp"

#include <gtest/gtest.h>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/encode.hpp"
#include "sim/catalog.hpp"
#include "sim/model.hpp"

namespace mitu::sim {
namespace {

TEST(timeline, runs_what_is_due_in_the_order_of_asking) {
    Timeline timeline;
    std::string order;
    const Instant soon = Instant::from_ns(10);
    timeline.at(soon, [&] { order += 'b'; });
    timeline.at(soon, [&] {
        order += 'c';
        timeline.at(soon, [&] { order += 'd'; });
    });
    timeline.at(Instant::from_ns(5), [&] { order += 'a'; });
    EXPECT_EQ(timeline.next(), Instant::from_ns(5));
    EXPECT_FALSE(timeline.run_one(Instant::from_ns(4)));
    while (timeline.run_one(soon)) {
    }
    EXPECT_EQ(order, "abcd");
    EXPECT_TRUE(timeline.next().is_never());
}

struct Client final : LinkClient {
    void on_bytes(ByteView bytes) override {
        received.insert(received.end(), bytes.begin(), bytes.end());
    }
    void on_closed() override { is_closed = true; }
    Bytes received;
    bool is_closed = false;
};

Bytes encoded(const mqtt::Packet& packet) {
    Bytes bytes(mqtt::encoded_size(packet, mqtt::ProtocolVersion::v5));
    EXPECT_EQ(mqtt::encode(packet, mqtt::ProtocolVersion::v5, bytes), bytes.size());
    return bytes;
}

class WorldTest : public ::testing::Test {
protected:
    static WorldOptions options() {
        WorldOptions options;
        options.server.shards = 2;
        options.catalog = catalog_of_revision(1);
        return options;
    }

    std::shared_ptr<Link> connect(std::string_view id, LinkConditions conditions = {}) {
        auto link = world_.connect(id, client_, conditions, Prng{7});
        mqtt::Connect connect;
        connect.client_id = id;
        connect.properties.session_expiry_interval_s = 100;
        link->send(encoded(connect));
        return link;
    }
    void pass(Duration time) { world_.run_until(world_.now() + time); }
    /// How many packets of a type came.
    [[nodiscard]] std::size_t count(mqtt::PacketType type) const {
        std::size_t found = 0;
        PacketStream stream{mqtt::Sender::server};
        auto version = mqtt::ProtocolVersion::v5;
        EXPECT_FALSE(stream.feed(client_.received, version, [&](const mqtt::Packet& packet, auto) {
            found += encoded(packet)[0] >> 4 == static_cast<int>(type) ? 1 : 0;
        }));
        return found;
    }

    Client client_;
    World world_{options()};
};

TEST_F(WorldTest, lets_a_client_in_after_the_delay_of_its_link) {
    const auto link = connect(
        "a", {.delay_min = Duration::milliseconds(30), .delay_max = Duration::milliseconds(30)});
    pass(Duration::milliseconds(59));
    EXPECT_TRUE(client_.received.empty());
    pass(Duration::milliseconds(2));
    EXPECT_EQ(count(mqtt::PacketType::connack), 1u);
    EXPECT_TRUE(link->is_open());
}

TEST_F(WorldTest, holds_back_what_a_cut_link_carries_and_delivers_it_when_mended) {
    const auto link = connect("a");
    pass(Duration::milliseconds(1));
    link->cut_up(true);
    link->send(encoded(mqtt::Pingreq{}));
    pass(Duration::seconds(5));
    EXPECT_EQ(count(mqtt::PacketType::pingresp), 0u);
    link->mend();
    pass(Duration::milliseconds(1));
    EXPECT_EQ(count(mqtt::PacketType::pingresp), 1u);

    link->cut_down(true);
    link->send(encoded(mqtt::Pingreq{}));
    pass(Duration::seconds(5));
    EXPECT_EQ(count(mqtt::PacketType::pingresp), 1u);
    link->mend();
    pass(Duration::milliseconds(1));
    EXPECT_EQ(count(mqtt::PacketType::pingresp), 2u);
}

TEST_F(WorldTest, lets_a_slow_client_push_back_on_the_server) {
    const auto link = connect("a", {.window_bytes = 2});
    link->cut_down(true);
    pass(Duration::milliseconds(1));
    for (int i = 0; i < 10; ++i) link->send(encoded(mqtt::Pingreq{}));
    pass(Duration::seconds(1));
    EXPECT_TRUE(client_.received.empty());
    link->mend();
    pass(Duration::seconds(1));
    EXPECT_EQ(count(mqtt::PacketType::pingresp), 10u);
}

TEST_F(WorldTest, breaks_connections_when_the_server_is_killed_and_forgets_sessions) {
    const auto link = connect("a");
    pass(Duration::milliseconds(1));
    ASSERT_EQ(world_.server().counted(&broker::Counters::sessions), 1u);
    world_.kill_server();
    pass(Duration::milliseconds(1));
    EXPECT_TRUE(client_.is_closed);
    EXPECT_FALSE(link->is_open());
    client_.is_closed = false;
    const auto refused = connect("a");
    pass(Duration::milliseconds(1));
    EXPECT_TRUE(client_.is_closed) << "nobody listens";
    world_.start_server();
    EXPECT_EQ(world_.server().counted(&broker::Counters::sessions), 0u);
    client_.received.clear();
    const auto again = connect("a");
    pass(Duration::milliseconds(1));
    EXPECT_EQ(count(mqtt::PacketType::connack), 1u);
}

TEST_F(WorldTest, lets_a_stopping_server_say_why) {
    const auto link = connect("a");
    pass(Duration::milliseconds(1));
    world_.stop_server();
    pass(Duration::seconds(6));
    EXPECT_FALSE(world_.server_is_up());
    EXPECT_EQ(count(mqtt::PacketType::disconnect), 1u);
    EXPECT_TRUE(client_.is_closed);
}

TEST_F(WorldTest, tells_whose_session_has_broken) {
    Model model;
    world_.observe(model);
    const auto link = connect("a");
    const auto other = connect("b");
    pass(Duration::milliseconds(1));
    ASSERT_NE(model.live_session({"default", "a"}), nullptr);
    for (std::uint16_t i = 0; i < 2; ++i) {
        world_.server().faults(i).probability[ports::Fault::session_breaks] = 1.0;
    }
    link->send(encoded(mqtt::Pingreq{}));
    pass(Duration::milliseconds(1));
    EXPECT_TRUE(client_.is_closed);
    EXPECT_EQ(count(mqtt::PacketType::disconnect), 1u);
    EXPECT_EQ(model.live_session({"default", "a"}), nullptr);
    EXPECT_NE(model.live_session({"default", "b"}), nullptr);
    EXPECT_EQ(model.connections().at(link->serial()).broke_by, "exception");
    EXPECT_TRUE(model.connections().at(other->serial()).broke_by.empty());
}

TEST_F(WorldTest, checks_passwords_in_their_own_time) {
    const auto link = world_.connect("c0", client_, {}, Prng{7});
    mqtt::Connect connect;
    connect.client_id = "c0";
    connect.user_name = "c0@acme";
    connect.password = as_bytes("c0");
    link->send(encoded(connect));
    pass(Duration::milliseconds(10));
    EXPECT_EQ(count(mqtt::PacketType::connack), 1u);
    EXPECT_NE(world_.server().session("c0", *world_.catalog().find_tenant("acme")), nullptr);
}

TEST(catalog, means_what_its_rules_say_in_plain_words) {
    const ClientKey strict{"acme", "c1"};
    const ClientKey device{"acme", "v1"};
    const ClientKey generous{"borealis", "c1"};
    const auto catalog = catalog_of_revision(3);
    EXPECT_EQ(catalog->revision(), 3u);
    for (const char* topic : {"t/1", "t/2", "deep/a/b/2", "mine/c1/x", "mine/c2/x", "will/c9",
                              "fleet/v1/t", "$mitu/things/v1/get", "other"}) {
        for (const ClientKey& client : {strict, device, generous}) {
            const auto found =
                catalog->find(*catalog->find_tenant(client.tenant), client.client_id);
            ASSERT_TRUE(found);
            const auto& access = catalog->policy_for(*found)->access;
            const broker::AccessVariables values{client.client_id, client.tenant, "x"};
            const broker::AccessList publish{access.publish.allow, access.publish.deny};
            const broker::AccessList subscribe{access.subscribe.allow, access.subscribe.deny};
            EXPECT_EQ(publish.may_publish(topic, values), may_publish(client, topic))
                << to_text(client) << " -> " << topic;
            EXPECT_EQ(subscribe.may_subscribe(topic, values), may_receive(client, topic))
                << to_text(client) << " <- " << topic;
        }
    }
}

}  // namespace
}  // namespace mitu::sim
