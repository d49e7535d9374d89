#include "mitu/client/policy_shadow.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mitu::client {
namespace {

using nlohmann::json;

TEST(policy_shadow, reads_what_is_desired_and_what_has_to_be_reported) {
    const auto document = read_policy_document(R"({"version":12,"timestamp":1,"state":{
        "desired":{"revision":7,"settings":{"sample_interval_s":5,"mode":"eco"}},
        "reported":{"revision":6,"settings":{"sample_interval_s":10}}}})");
    ASSERT_TRUE(document) << document.error();
    EXPECT_EQ(document->version, 12);
    EXPECT_TRUE(document->has_desired);
    EXPECT_FALSE(document->in_step);
    EXPECT_EQ(document->revision, 7);
    EXPECT_EQ(json::parse(document->settings), json({{"sample_interval_s", 5}, {"mode", "eco"}}));
    EXPECT_EQ(json::parse(document->reported),
              json::parse(R"({"revision":7,"settings":{"sample_interval_s":5,"mode":"eco"}})"));
    EXPECT_EQ(document->intervals.telemetry, Duration::seconds(5));
}

TEST(policy_shadow, reports_null_for_keys_that_are_desired_no_more) {
    const auto document = read_policy_document(R"({"state":{
        "desired":{"revision":2,"settings":{"a":{"x":1}}},
        "reported":{"revision":1,"settings":{"a":{"x":1,"y":2},"b":3}}}})");
    ASSERT_TRUE(document) << document.error();
    EXPECT_EQ(json::parse(document->reported),
              json::parse(R"({"revision":2,"settings":{"a":{"x":1,"y":null},"b":null}})"));
}

TEST(policy_shadow, sees_when_nothing_is_to_be_done) {
    const auto document = read_policy_document(R"({"state":{
        "desired":{"revision":2,"settings":{"a":1}},"reported":{"settings":{"a":1},"revision":2}}})");
    ASSERT_TRUE(document) << document.error();
    EXPECT_TRUE(document->in_step);
}

TEST(policy_shadow, a_shadow_without_desired_state_is_no_policy_and_no_error) {
    for (const char* text : {R"({"state":{},"version":3})", R"({"state":{"desired":null}})",
                             R"({"state":{"reported":{"revision":1}}})"}) {
        const auto document = read_policy_document(text);
        ASSERT_TRUE(document) << text;
        EXPECT_FALSE(document->has_desired);
    }
}

TEST(policy_shadow, says_what_is_wrong_with_a_document) {
    std::string deep = R"({"state":{"desired":{"revision":1,"settings":)";
    deep.append(100'000, '[').append(100'000, ']').append("}}}");
    const std::vector<std::pair<std::string, std::string>> rows{
        {"", "it is not JSON"},
        {"{", "it is not JSON"},
        {"[]", "it is not a JSON object"},
        {"{}", "it has no object \"state\""},
        {R"({"state":{"desired":3}})", "\"desired\" is not an object"},
        {R"({"state":{"desired":{"settings":{}}}})", "\"desired\" has no integer \"revision\""},
        {R"({"state":{"desired":{"revision":"7"}}})", "\"desired\" has no integer \"revision\""},
        {deep, "it is more than 64 levels deep"}};
    for (const auto& [text, error] : rows) {
        const auto document = read_policy_document(text);
        ASSERT_FALSE(document) << text.substr(0, 60);
        EXPECT_EQ(document.error(), error);
    }
}

TEST(policy_shadow, takes_only_sensible_intervals) {
    struct Case {
        const char* settings;
        std::optional<Duration> telemetry;
    };
    for (const Case& row :
         {Case{R"({"telemetry_interval_s":2.5})", Duration::milliseconds(2'500)},
          Case{R"({"sample_hz":4})", Duration::milliseconds(250)},
          Case{R"({"telemetry_interval_s":9,"sample_hz":4})", Duration::seconds(9)},
          Case{R"({"telemetry_interval_s":0})", std::nullopt},
          Case{R"({"telemetry_interval_s":-1})", std::nullopt},
          Case{R"({"telemetry_interval_s":"5"})", std::nullopt},
          Case{R"({"telemetry_interval_s":1e300})", std::nullopt}, Case{R"([5])", std::nullopt}}) {
        const auto document = read_policy_document(
            std::string{R"({"state":{"desired":{"revision":1,"settings":)"} + row.settings + "}}}");
        ASSERT_TRUE(document) << row.settings;
        EXPECT_EQ(document->intervals.telemetry, row.telemetry) << row.settings;
    }
}

TEST(policy_shadow, writes_a_report_that_is_json_whatever_the_token) {
    const std::string report = write_report(R"({"revision":7,"settings":{}})", "d\"1-3");
    const json parsed = json::parse(report);
    EXPECT_EQ(parsed["state"]["reported"]["revision"], 7);
    EXPECT_EQ(parsed["clientToken"], "d\"1-3");
}

}  // namespace
}  // namespace mitu::client
