// What `mitu fleet status` and `mitu top` make of the server's answers.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "apps/mitu/fleet_status.hpp"
#include "apps/mitu/overview.hpp"

namespace mitu::cli {
namespace {

Instant at_s(std::int64_t seconds) { return Instant{} + Duration::seconds(seconds); }

TEST(fleet_status, shows_groups_in_order_and_their_sum) {
    const auto table = fleet_status_table(R"({"revision":12,
        "totals":{"devices":150,"online":140,"unseen":2,"heartbeat_missed":1,"drifted":0},"groups":[
        {"tenant":"cobalt","class":"tracker","policy":"cobalt-tracker","devices":50,"online":42,
         "unseen":2,"heartbeat_missed":0,"drifted":0},
        {"tenant":"acme","class":"thermostat","policy":"acme-thermostat","devices":100,"online":98,
         "heartbeat_missed":1,"drifted":0},
        {"tenant":"default","class":"anonymous","policy":"default","devices":0,"online":0}]})");
    ASSERT_TRUE(table) << table.error();
    EXPECT_EQ(*table,
              "revision 12\n"
              "TENANT  CLASS       POLICY           DEVICES  ONLINE  UNSEEN  MISSED  DRIFTED\n"
              "acme    thermostat  acme-thermostat      100      98       0       1        0\n"
              "cobalt  tracker     cobalt-tracker        50      42       2       0        0\n"
              "total                                    150     140       2       1        0\n");
}

TEST(fleet_status, refuses_an_answer_that_is_none) {
    for (const char* text : {"", "[]", "{}", R"({"groups":3})"}) {
        EXPECT_FALSE(fleet_status_table(text)) << text;
    }
}

TEST(overview, rates_are_differences_over_time) {
    const auto before = read_overview(
        R"({"uptime_s":10,"connections":5,"messages_received_total":100,
            "shards":[{"messages_received_total":60},{"messages_received_total":40}]})",
        at_s(100));
    const auto now = read_overview(
        R"({"uptime_s":12,"connections":6,"messages_received_total":300,
            "shards":[{"messages_received_total":60},{"messages_received_total":240}]})",
        at_s(102));
    ASSERT_TRUE(before);
    ASSERT_TRUE(now);
    const auto json = nlohmann::json::parse(overview_json(*now, *before));
    EXPECT_DOUBLE_EQ(json["rates"]["messages_received_per_s"].get<double>(), 100);
    EXPECT_DOUBLE_EQ(json["shards"][0]["rates"]["messages_received_per_s"].get<double>(), 0);
    EXPECT_DOUBLE_EQ(json["shards"][1]["rates"]["messages_received_per_s"].get<double>(), 100);
    EXPECT_EQ(json["connections"], 6);
}

TEST(overview, a_restarted_server_does_not_show_negative_rates) {
    const auto before =
        read_overview(R"({"uptime_s":999,"connections":5,"messages_sent_total":1000})", at_s(100));
    const auto now =
        read_overview(R"({"uptime_s":2,"connections":1,"messages_sent_total":50})", at_s(101));
    const auto json = nlohmann::json::parse(overview_json(*now, *before));
    EXPECT_DOUBLE_EQ(json["rates"]["messages_sent_per_s"].get<double>(), 25);
}

TEST(overview, the_text_names_memory_and_every_shard) {
    const auto now = read_overview(
        R"({"uptime_s":75,"connections":1000,"resident_bytes":10240000,
            "shards":[{"connections":400},{"connections":600}]})",
        at_s(1));
    const std::string text = overview_text(*now, std::nullopt);
    EXPECT_NE(text.find("up 1m15s"), std::string::npos) << text;
    EXPECT_NE(text.find("10.0 KiB a connection"), std::string::npos) << text;
    EXPECT_NE(text.find("shard 1"), std::string::npos) << text;
}

TEST(overview, refuses_an_answer_that_is_none) {
    for (const char* text : {"", "[]", "{}", "not json"}) {
        EXPECT_FALSE(read_overview(text, at_s(0))) << text;
    }
}

}  // namespace
}  // namespace mitu::cli
