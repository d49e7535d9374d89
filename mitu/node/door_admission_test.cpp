#include "mitu/node/door_admission.hpp"

#include <gtest/gtest.h>

#include "mitu/node/testing.hpp"

namespace mitu::node {
namespace {

using admission::Bound;
using admission::Limit;
using admission::Scope;

constexpr Instant start = Instant::from_ns(1'000'000'000);
constexpr std::uint16_t tls = 0;
constexpr std::uint16_t plain = 1;
constexpr std::uint32_t otherwise = 5;

struct DoorTest : ::testing::Test {
    DoorTest() {
        door.report_to([this](const ports::PeerAddress& peer, const Bound& bound, Instant) {
            refused.emplace_back(peer.ip, bound);
        });
    }
    static std::vector<DoorListener> listeners() {
        DoorListener guarded{"tls", true, TenantId{3}, {{"b.example", TenantId{4}}}};
        return {guarded, DoorListener{"plain", false, {}, {}}};
    }
    bool admits(std::uint16_t listener, std::uint8_t host = 7) {
        return door.admits({make_v4(192, 0, 2, host), 1}, listener, start);
    }
    void ban(std::string_view network) {
        ASSERT_TRUE(control.bans.set({admission::BanTarget::from(*parse_ip_network(network)), "",
                                      "test", start, Instant::never()}));
    }

    admission::Control control;
    DoorAdmission door{control, listeners()};
    std::vector<std::pair<IpAddress, Bound>> refused;
};

TEST_F(DoorTest, sends_banned_addresses_away_and_reports_each_with_its_reason) {
    ban("192.0.2.0/28");
    EXPECT_FALSE(admits(tls, 7));
    EXPECT_FALSE(admits(tls, 8));
    EXPECT_TRUE(admits(tls, 200));
    ASSERT_EQ(refused.size(), 2u);
    EXPECT_EQ(refused[1].first, make_v4(192, 0, 2, 8));
    EXPECT_EQ(refused[1].second, (Bound{Limit::ban, Scope::server}));
}

TEST_F(DoorTest, leaves_listeners_with_nothing_in_front_of_mqtt_to_the_broker) {
    ban("192.0.2.0/24");
    EXPECT_TRUE(admits(plain));
    EXPECT_TRUE(admits(99)) << "a listener that it does not know";
    EXPECT_TRUE(refused.empty());
}

TEST_F(DoorTest, holds_the_connect_rate_before_anything_is_spent) {
    control.ledger.set_listener(tls, {.connect_rate = {.per_second = 1, .burst = 2}});
    EXPECT_TRUE(admits(tls));
    EXPECT_TRUE(admits(tls));
    EXPECT_FALSE(admits(tls));
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].second, (Bound{Limit::connect_rate, Scope::listener}));
}

TEST_F(DoorTest, lets_a_few_through_to_a_full_listener_so_that_they_may_take_over) {
    control.ledger.set_listener(tls, {.connections_max = 1});
    ASSERT_TRUE(control.ledger.try_take_listener(tls));
    for (std::uint32_t i = 0; i < DoorAdmission::places_when_full; ++i) ASSERT_TRUE(admits(tls));
    EXPECT_FALSE(admits(tls));
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].second, (Bound{Limit::connections, Scope::listener}));
    door.on_arrived(tls, true);
    EXPECT_TRUE(admits(tls)) << "one has arrived: its place is free";
    EXPECT_FALSE(admits(tls));
    control.ledger.give_back_listener(tls);
    EXPECT_TRUE(admits(tls)) << "not full any more";
}

TEST_F(DoorTest, gives_each_tenant_a_queue_of_its_own) {
    const std::uint32_t of_listener = door.group_of(tls, "a.example", otherwise);
    const std::uint32_t by_name = door.group_of(tls, "B.Example", otherwise);
    EXPECT_NE(of_listener, otherwise);
    EXPECT_NE(by_name, otherwise);
    EXPECT_NE(by_name, of_listener);
    EXPECT_EQ(door.group_of(tls, "", otherwise), of_listener);
    EXPECT_EQ(door.group_of(plain, "b.example", otherwise), otherwise);
    EXPECT_EQ(door.group_of(99, "b.example", otherwise), otherwise);
}

TEST(door_listeners, are_those_that_are_enabled_with_their_tenants) {
    const auto catalog = make_catalog();
    ASSERT_GT(catalog->tenants().size(), 1u);
    const std::string& tenant = catalog->tenants()[1].name;
    std::vector<config::Listener> from(4);
    from[0].enabled = false;
    from[1].tls.emplace();
    from[1].tenants_by_sni["A.Example"] = tenant;
    from[2].protocol = config::Protocol::websocket;
    from[2].tenant = tenant;
    const auto doors = door_listeners(from, *catalog);
    ASSERT_EQ(doors.size(), 3u);
    EXPECT_TRUE(doors[0].is_guarded);
    EXPECT_EQ(doors[0].by_server_name.at("a.example"), TenantId{1});
    EXPECT_TRUE(doors[1].is_guarded);
    EXPECT_EQ(doors[1].tenant, TenantId{1});
    EXPECT_FALSE(doors[2].is_guarded);
}

}  // namespace
}  // namespace mitu::node
