#include "apps/mitu/message_format.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mitu/mqtt/encode.hpp"

namespace mitu::cli {
namespace {

constexpr Arrival arrival{.unix_ns = 1'423'072'260'123'456'789};  // 2015-02-04 17:51:00.123456789

mqtt::Publish message(std::string_view payload) {
    mqtt::Publish publish;
    publish.topic = "t/d1";
    publish.payload = as_bytes(payload);
    publish.qos = mqtt::QoS::at_least_once;
    publish.packet_id = 9;
    publish.retain = true;
    return publish;
}

std::string formatted(std::string_view format, const mqtt::Publish& publish) {
    const auto parsed = MessageFormat::parse(format);
    if (!parsed) return "error: " + parsed.error();
    std::string line;
    parsed->append(line, publish, arrival);
    return line;
}

TEST(message_format, expands_every_letter) {
    mqtt::Publish publish = message("hi");
    Bytes user;
    ASSERT_TRUE(mqtt::append_user_property(user, "a", "1"));
    ASSERT_TRUE(mqtt::append_user_property(user, "b", "2"));
    publish.properties.user.block = user;
    publish.properties.content_type = "text/plain";
    publish.properties.response_topic = "r";
    publish.properties.correlation_data = as_bytes("c1");
    publish.properties.message_expiry_interval_s = 60;
    publish.properties.payload_is_utf8 = true;
    publish.properties.topic_alias = 3;
    const Bytes identifiers{0x0B, 0x05, 0x0B, 0x80, 0x01};
    publish.properties.subscription_identifiers = identifiers;
    EXPECT_EQ(formatted("%t|%p|%x|%X|%l|%q|%r|%m|%%", publish), "t/d1|hi|6869|6869|2|1|1|9|%");
    EXPECT_EQ(formatted("%A|%C|%D|%E|%F|%P|%R|%S", publish),
              "3|text/plain|c1|60|1|a:1 b:2|r|5 128");
    EXPECT_EQ(formatted("%I %u %U", publish),
              "2015-02-04T17:51:00.123456Z 1423072260 1423072260.123456789");
    EXPECT_EQ(formatted("a\\tb\\n\\\\@@", publish), "a\tb\n\\@");
}

TEST(message_format, absent_properties_are_empty) {
    EXPECT_EQ(formatted("[%A%C%D%E%F%P%R%S]", message("")), "[]");
}

TEST(message_format, says_which_letter_means_nothing) {
    EXPECT_EQ(formatted("%t %z", message("")),
              "error: %z means nothing; mitu sub --help lists the letters");
    EXPECT_TRUE(formatted("100%", message("")).starts_with("error: % means nothing"));
    EXPECT_TRUE(formatted("\\q", message("")).starts_with("error: \\q means nothing"));
    EXPECT_TRUE(formatted("@", message("")).starts_with("error: "));
}

TEST(message_format, json_keeps_what_a_text_can_hold) {
    const auto json = nlohmann::json::parse(message_json(message("hi"), arrival, false));
    EXPECT_EQ(json["topic"], "t/d1");
    EXPECT_EQ(json["payload"], "hi");
    EXPECT_EQ(json["qos"], 1);
    EXPECT_EQ(json["retain"], true);
    EXPECT_EQ(json["time"], "2015-02-04T17:51:00.123456Z");
    EXPECT_FALSE(json.contains("properties"));
}

TEST(message_format, json_shows_other_bytes_as_hex) {
    const auto json = nlohmann::json::parse(message_json(message("\xFF\xFE"), arrival, false));
    EXPECT_EQ(json["payload_hex"], "fffe");
    EXPECT_FALSE(json.contains("payload"));
}

TEST(message_format, json_puts_json_in_as_json_only_when_asked) {
    const std::string_view payload = R"({"b":1,"a":2})";
    EXPECT_TRUE(
        message_json(message(payload), arrival, true).ends_with(R"("payload":{"b":1,"a":2}})"));
    EXPECT_EQ(nlohmann::json::parse(message_json(message(payload), arrival, false))["payload"],
              payload);
    EXPECT_EQ(nlohmann::json::parse(message_json(message("no json"), arrival, true))["payload"],
              "no json");
}

}  // namespace
}  // namespace mitu::cli
