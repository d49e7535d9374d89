#include "mitu/fleet/shadow.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace mitu::fleet {
namespace {

using nlohmann::json;

constexpr WallTime t0{1'700'000'000'000};
constexpr WallTime t1{1'700'000'010'500};
constexpr WallTime t2{1'700'000'020'000};

std::shared_ptr<const DesiredState> desired(std::uint32_t revision, std::string_view settings) {
    return DesiredState::create(revision, settings);
}

DeviceShadow shadow() {
    return DeviceShadow{desired(3, R"({"interval_s":10,"night":{"from":"22:00"}})"), t0};
}

constexpr std::string_view applied =
    R"({"state":{"reported":{"revision":3,"settings":{"interval_s":10,"night":{"from":"22:00"}}}}})";

/// Suffixes in order: "update/accepted update/documents".
std::string suffixes(const ShadowMessages& messages) {
    std::string text;
    for (const auto& message : messages) {
        text += (text.empty() ? "" : " ") + std::string{message.suffix};
    }
    return text;
}

TEST(shadow, get_answers_the_whole_document_with_its_delta) {
    auto device = shadow();
    const auto messages = device.on_request("get", "", t1);
    ASSERT_EQ(suffixes(messages), "get/accepted");
    EXPECT_EQ(json::parse(messages[0].payload), json::parse(R"({
        "state": {
            "desired": {"revision": 3, "settings": {"interval_s": 10, "night": {"from": "22:00"}}},
            "delta": {"revision": 3, "settings": {"interval_s": 10, "night": {"from": "22:00"}}}},
        "metadata": {"desired": {
            "revision": {"timestamp": 1700000000},
            "settings": {"interval_s": {"timestamp": 1700000000},
                         "night": {"from": {"timestamp": 1700000000}}}}},
        "version": 1, "timestamp": 1700000010})"));
}

TEST(shadow, update_of_all_that_is_desired_ends_the_drift) {
    auto device = shadow();
    EXPECT_TRUE(device.drifted());
    EXPECT_EQ(device.drifted_since(), t0);
    const auto messages = device.on_request("update", applied, t1);
    ASSERT_EQ(suffixes(messages), "update/accepted update/documents");
    EXPECT_EQ(json::parse(messages[0].payload), json::parse(R"({
        "state": {"reported": {"revision": 3,
                  "settings": {"interval_s": 10, "night": {"from": "22:00"}}}},
        "metadata": {"reported": {
            "revision": {"timestamp": 1700000010},
            "settings": {"interval_s": {"timestamp": 1700000010},
                         "night": {"from": {"timestamp": 1700000010}}}}},
        "version": 2, "timestamp": 1700000010})"));
    EXPECT_FALSE(device.drifted());
    EXPECT_EQ(device.reported_revision(), 3u);
    EXPECT_EQ(device.reported_hash(), device.desired()->hash());
    EXPECT_EQ(device.reported_json(), device.desired()->json());
    EXPECT_TRUE(device.on_connected(t2).empty());

    const auto answer = json::parse(device.on_request("get", "{}", t2)[0].payload);
    EXPECT_FALSE(answer.at("state").contains("delta"));
    EXPECT_EQ(answer.at("state").at("reported"), answer.at("state").at("desired"));
}

TEST(shadow, update_in_part_answers_the_rest_as_delta) {
    auto device = shadow();
    const auto messages = device.on_request(
        "update",
        R"({"state":{"reported":{"settings":{"interval_s":10,"extra":[1]}}},"clientToken":"c1"})",
        t1);
    ASSERT_EQ(suffixes(messages), "update/accepted update/delta update/documents");
    EXPECT_EQ(json::parse(messages[1].payload), json::parse(R"({
        "state": {"revision": 3, "settings": {"night": {"from": "22:00"}}},
        "metadata": {"revision": {"timestamp": 1700000000},
                     "settings": {"night": {"from": {"timestamp": 1700000000}}}},
        "version": 2, "timestamp": 1700000010, "clientToken": "c1"})"));
    const json both = json::parse(messages[2].payload);
    EXPECT_EQ(both.at("clientToken"), "c1");
    EXPECT_EQ(both.at("previous").at("version"), 1);
    EXPECT_FALSE(both.at("previous").at("state").contains("reported"));
    EXPECT_EQ(both.at("current").at("version"), 2);
    EXPECT_EQ(both.at("current").at("state").at("reported"),
              json::parse(R"({"settings":{"interval_s":10,"extra":[1]}})"));
    EXPECT_EQ(both.at("current").at("metadata").at("reported"),
              json::parse(R"({"settings":{"interval_s":{"timestamp":1700000010},
                              "extra":[{"timestamp":1700000010}]}})"));
    EXPECT_TRUE(device.drifted());
    EXPECT_FALSE(device.reported_revision());
}

TEST(shadow, merges_reports_and_null_removes) {
    auto device = shadow();
    (void)device.on_request("update", R"({"state":{"reported":{"a":{"b":1,"c":2},"d":[1,2]}}})",
                            t1);
    (void)device.on_request("update", R"({"state":{"reported":{"a":{"b":null,"e":3},"d":[4]}}})",
                            t2);
    EXPECT_EQ(device.reported_json(), R"({"a":{"c":2,"e":3},"d":[4]})");
    const json metadata =
        json::parse(device.on_request("get", "", t2)[0].payload).at("metadata").at("reported");
    EXPECT_EQ(metadata.at("a").at("c").at("timestamp"), 1700000010);
    EXPECT_EQ(metadata.at("a").at("e").at("timestamp"), 1700000020);
    (void)device.on_request("update", R"({"state":{"reported":null}})", t2);
    EXPECT_EQ(device.reported_json(), "");
    EXPECT_EQ(device.reported_hash(), 0u);
}

TEST(shadow, a_device_may_report_more_than_was_desired) {
    auto device = shadow();
    (void)device.on_request("update", applied, t1);
    (void)device.on_request("update", R"({"state":{"reported":{"uptime_s":5}}})", t1);
    EXPECT_FALSE(device.drifted());
    EXPECT_EQ(device.reported_revision(), 3u);
    EXPECT_NE(device.reported_hash(), device.desired()->hash());
    (void)device.on_request("update", R"({"state":{"reported":{"settings":{"interval_s":11}}}})",
                            t2);
    EXPECT_TRUE(device.drifted());
    EXPECT_EQ(device.drifted_since(), t2);
}

TEST(shadow, a_new_policy_is_pushed_as_delta) {
    auto device = shadow();
    (void)device.on_request("update", applied, t1);
    const auto messages =
        device.set_desired(desired(4, R"({"interval_s":20,"night":{"from":"22:00"}})"), t2);
    ASSERT_EQ(suffixes(messages), "update/delta");
    const json delta = json::parse(messages[0].payload);
    EXPECT_EQ(delta.at("state"), json::parse(R"({"revision":4,"settings":{"interval_s":20}})"));
    EXPECT_EQ(delta.at("version"), 3);
    EXPECT_TRUE(device.drifted());
    EXPECT_EQ(device.drifted_since(), t2);
    EXPECT_EQ(device.reported_revision(), 3u);
    EXPECT_EQ(suffixes(device.on_connected(t2)), "update/delta");

    // Back to what the device still is: nothing to push, no drift.
    EXPECT_TRUE(device.set_desired(desired(3, R"({"night":{"from":"22:00"},"interval_s":10})"), t2)
                    .empty());
    EXPECT_FALSE(device.drifted());
    EXPECT_EQ(device.version(), 4u);
}

TEST(shadow, the_same_policy_again_changes_nothing) {
    auto device = shadow();
    EXPECT_TRUE(device.set_desired(shadow().desired(), t2).empty());
    EXPECT_EQ(device.version(), 1u);
    EXPECT_EQ(device.drifted_since(), t0);
}

TEST(shadow, without_settings_there_is_none_and_nothing_drifts) {
    DeviceShadow device{nullptr, t0};
    EXPECT_FALSE(device.drifted());
    EXPECT_TRUE(device.on_connected(t1).empty());
    EXPECT_EQ(json::parse(device.on_request("get", "", t1)[0].payload).at("code"), 404);
    const auto messages = device.on_request("update", applied, t1);
    ASSERT_EQ(suffixes(messages), "update/rejected");
    EXPECT_EQ(json::parse(messages[0].payload).at("code"), 404);
    EXPECT_EQ(suffixes(device.set_desired(desired(1, "{}"), t1)), "update/delta");
    EXPECT_TRUE(device.drifted());
}

TEST(shadow, rejects_with_the_code_of_the_fault_and_keeps_its_state) {
    struct Row {
        std::string payload;
        int code;
        std::string_view message;
    };
    const std::string deep = R"({"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}})";
    const std::vector<Row> rows{
        {"", 400, "Invalid JSON"},
        {"{", 400, "Invalid JSON"},
        {"[]", 400, "Invalid JSON"},
        {"{\"state\":\"\xFF\"}", 400, "Invalid JSON"},
        {"{}", 400, "Missing required node: state"},
        {R"({"state":1})", 400, "State node must be an object"},
        {R"({"state":{}})", 400, "Missing required node: reported"},
        {R"({"state":{"reported":1}})", 400, "Reported node must be an object"},
        {R"({"state":{"reportd":{}}})", 400, "State contains an invalid node"},
        {R"({"state":{"reported":{}},"clientToken":7})", 400, "Invalid clientToken"},
        {R"({"state":{"reported":{}},"clientToken":")" + std::string(65, 'x') + "\"}", 400,
         "Invalid clientToken"},
        {R"({"state":{"reported":{}},"version":"1"})", 400, "Invalid version"},
        {R"({"state":{"reported":)" + deep + "}}", 400,
         "JSON contains too many levels of nesting; maximum is 6"},
        {std::string(8'000, '['), 400, "JSON contains too many levels of nesting; maximum is 6"},
        {R"({"state":{"desired":{"revision":9}}})", 403,
         "Forbidden: the policy sets desired; update reported only"},
        {R"({"state":{"desired":null,"reported":{"a":1}}})", 403,
         "Forbidden: the policy sets desired; update reported only"},
        {R"({"state":{"reported":{"a":1}},"version":2})", 409, "Version conflict"},
        {std::string(shadow_request_bytes_max + 1, ' '), 413,
         "The payload exceeds the maximum size allowed"},
    };
    auto device = shadow();
    for (const Row& row : rows) {
        const auto messages = device.on_request("update", row.payload, t1);
        ASSERT_EQ(suffixes(messages), "update/rejected") << row.payload;
        const json answer = json::parse(messages[0].payload);
        EXPECT_EQ(answer.at("code"), row.code) << row.payload;
        EXPECT_EQ(answer.at("message"), row.message) << row.payload;
        EXPECT_EQ(answer.at("timestamp"), 1700000010);
    }
    EXPECT_EQ(device.version(), 1u);
    EXPECT_EQ(device.reported_json(), "");
}

TEST(shadow, rejection_echoes_the_client_token) {
    auto device = shadow();
    const auto messages = device.on_request(
        "update", R"({"state":{"reported":{}},"version":9,"clientToken":"abc"})", t1);
    EXPECT_EQ(json::parse(messages[0].payload),
              json::parse(R"({"code":409,"message":"Version conflict","timestamp":1700000010,
                              "clientToken":"abc"})"));
    EXPECT_EQ(json::parse(device.on_request("get", R"({"clientToken":"abc"})", t1)[0].payload)
                  .at("clientToken"),
              "abc");
}

TEST(shadow, update_at_the_expected_version_is_accepted) {
    auto device = shadow();
    EXPECT_EQ(
        suffixes(device.on_request("update", R"({"state":{"reported":{"a":1}},"version":1})", t1)),
        "update/accepted update/delta update/documents");
}

TEST(shadow, bounds_what_reports_add_up_to) {
    auto device = shadow();
    const auto report = [&](char key) {
        const json body{
            {"state", {{"reported", {{std::string(1, key), std::string(3'000, 'x')}}}}}};
        return suffixes(device.on_request("update", body.dump(), t1));
    };
    EXPECT_TRUE(report('a').starts_with("update/accepted"));
    EXPECT_TRUE(report('b').starts_with("update/accepted"));
    EXPECT_EQ(report('c'), "update/rejected");
    EXPECT_TRUE(report('b').starts_with("update/accepted"));
    EXPECT_EQ(device.version(), 4u);
}

TEST(shadow, refuses_delete_and_ignores_answers) {
    auto device = shadow();
    const auto messages = device.on_request("delete", "", t1);
    ASSERT_EQ(suffixes(messages), "delete/rejected");
    EXPECT_EQ(json::parse(messages[0].payload).at("code"), 403);
    EXPECT_TRUE(device.on_request("update/accepted", "{}", t1).empty());
    EXPECT_TRUE(device.on_request("", "{}", t1).empty());
}

TEST(shadow_topic, parses_both_prefixes_and_nothing_else) {
    const auto topic = parse_shadow_topic("$mitu/things/d1/shadow/name/mitu-policy/update/delta");
    ASSERT_TRUE(topic);
    EXPECT_EQ(topic->device, "d1");
    EXPECT_EQ(topic->shadow, shadow_name_policy);
    EXPECT_EQ(topic->suffix, "update/delta");
    EXPECT_TRUE(parse_shadow_topic("$aws/things/d1/shadow/name/x/get"));
    for (const char* other :
         {"", "t/d1", "$mitu/things/", "$mitu/things//shadow/name/x/get", "$mitu/things/d1",
          "$mitu/things/d1/shadow/get", "$mitu/things/d1/shadow/name/x",
          "$mitu/things/d1/shadow/name//get", "$mitu/things/a/b/shadow/name/x/get"}) {
        EXPECT_FALSE(parse_shadow_topic(other)) << other;
    }
    EXPECT_EQ(shadow_topic("d1", "get"), "$mitu/things/d1/shadow/name/mitu-policy/get");
}

TEST(shadow, is_small) { EXPECT_LE(sizeof(DeviceShadow), 48u); }

}  // namespace
}  // namespace mitu::fleet
