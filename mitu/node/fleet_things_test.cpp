#include "mitu/node/fleet_things.hpp"

#include <gtest/gtest.h>

#include "mitu/node/testing.hpp"

namespace mitu::node {
namespace {

struct ThingsUnderTest {
    std::shared_ptr<const fleet::Catalog> catalog = make_catalog();
    StillClock clock;
    fleet::ShardStatus status{catalog->groups().size()};
    FleetThings things{catalog, clock, status};
    TenantId acme = *catalog->find_tenant("acme");
    std::vector<broker::ServerPublish> publishes;

    broker::Things::Cookie attach(std::string_view id) {
        return things.on_attached(acme, id, clock.at, publishes);
    }
    void request(std::string_view id, std::string_view suffix, std::string_view payload) {
        publishes.clear();
        things.on_publish(acme, id, "shadow/name/mitu-policy/" + std::string{suffix},
                          as_bytes(payload), clock.at, publishes);
    }
    [[nodiscard]] const fleet::GroupCounters& row(std::string_view id) const {
        return status.at(catalog->find(acme, id)->group);
    }
    /// The payload published to the device's shadow topic `suffix`; empty: none was.
    [[nodiscard]] std::string published(std::string_view id, std::string_view suffix) const {
        for (const auto& publish : publishes) {
            if (publish.topic == fleet::shadow_topic(id, suffix)) return publish.payload;
        }
        return {};
    }
    void pass(Duration time) {
        clock.at = clock.at + time;
        while (things.next_deadline() <= clock.at) things.on_deadline(clock.at);
    }
};

constexpr std::string_view reported =
    R"({"state":{"reported":{"revision":7,"settings":{"setpoint_c":21}}}})";

}  // namespace

TEST(fleet_things, a_device_is_drifted_until_it_reports_what_is_desired) {
    ThingsUnderTest test;
    const auto cookie = test.attach("th-1");
    ASSERT_NE(cookie, 0u);
    EXPECT_EQ(test.row("th-1").seen.read(), 1u);
    EXPECT_EQ(test.row("th-1").online.read(), 1u);
    EXPECT_EQ(test.row("th-1").drifted.read(), 1u);
    EXPECT_NE(test.published("th-1", "update/delta").find("setpoint_c"), std::string::npos)
        << "pushed on connect";

    test.request("th-1", "get", "");
    EXPECT_NE(test.published("th-1", "get/accepted").find("\"revision\":7"), std::string::npos);
    test.request("th-1", "update", reported);
    EXPECT_FALSE(test.published("th-1", "update/accepted").empty());
    EXPECT_EQ(test.row("th-1").drifted.read(), 0u);

    test.request("th-1", "update",
                 R"({"state":{"reported":{"revision":7,"settings":{"setpoint_c":5}}}})");
    EXPECT_EQ(test.row("th-1").drifted.read(), 1u) << "it went its own way";
}

TEST(fleet_things, a_device_that_comes_back_is_counted_once) {
    ThingsUnderTest test;
    const auto cookie = test.attach("th-1");
    test.things.on_detached(cookie, true, test.clock.at);
    EXPECT_EQ(test.row("th-1").online.read(), 0u);
    EXPECT_EQ(test.attach("th-1"), cookie);
    EXPECT_EQ(test.row("th-1").online.read(), 1u);
    EXPECT_EQ(test.row("th-1").seen.read(), 1u);
}

TEST(fleet_things, silence_is_missed_and_a_sign_of_life_ends_it) {
    ThingsUnderTest test;
    const auto cookie = test.attach("th-1");
    test.pass(Duration::seconds(29));
    EXPECT_EQ(test.row("th-1").heartbeat_missed.read(), 0u);
    test.things.on_heard(cookie, test.clock.at);
    test.pass(Duration::seconds(29));
    EXPECT_EQ(test.row("th-1").heartbeat_missed.read(), 0u) << "30 s since it was heard";
    test.pass(Duration::seconds(2));
    EXPECT_EQ(test.row("th-1").heartbeat_missed.read(), 1u);
    test.things.on_heard(cookie, test.clock.at);
    EXPECT_EQ(test.row("th-1").heartbeat_missed.read(), 0u);
    test.pass(Duration::seconds(31));
    EXPECT_EQ(test.row("th-1").heartbeat_missed.read(), 1u) << "and again";
}

TEST(fleet_things, goodbye_excuses_silence_and_a_lost_connection_does_not) {
    ThingsUnderTest test;
    test.things.on_detached(test.attach("th-1"), /*said_goodbye=*/true, test.clock.at);
    test.things.on_detached(test.attach("th-2"), /*said_goodbye=*/false, test.clock.at);
    test.pass(Duration::seconds(60));
    EXPECT_EQ(test.row("th-1").heartbeat_missed.read(), 1u) << "th-2 alone; they share a row";
}

TEST(fleet_things, clients_that_are_no_devices_are_online_and_nothing_more) {
    ThingsUnderTest test;
    const auto cookie =
        test.things.on_attached(tenant_default, "somebody", test.clock.at, test.publishes);
    ASSERT_NE(cookie, 0u);
    const auto& row = test.status.at(test.catalog->group_for_anonymous());
    EXPECT_EQ(row.online.read(), 1u);
    EXPECT_TRUE(test.publishes.empty());
    test.things.on_heard(cookie, test.clock.at);
    test.things.on_detached(cookie, true, test.clock.at);
    EXPECT_EQ(row.online.read(), 0u);
}

TEST(fleet_things, requests_about_unknown_devices_and_other_shadows_are_not_answered) {
    ThingsUnderTest test;
    test.request("nobody", "get", "");
    EXPECT_TRUE(test.publishes.empty());
    test.things.on_publish(test.acme, "th-1", "shadow/name/other/get", {}, test.clock.at,
                           test.publishes);
    EXPECT_TRUE(test.publishes.empty());
}

}  // namespace mitu::node
