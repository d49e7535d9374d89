#include "mitu/config/diff.hpp"

#include <gtest/gtest.h>

#include "mitu/config/load.hpp"

namespace mitu::config {
namespace {

Config config_of(std::string_view text) {
    Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", text};
    const auto loaded = load(sources);
    EXPECT_TRUE(loaded) << yaml::to_text(loaded.error());
    return loaded ? loaded->config : Config{};
}

std::string diff_text(std::string_view before, std::string_view after) {
    std::string text;
    for (const Change& change : diff(config_of(before), config_of(after))) {
        text += to_text(change) + "\n";
    }
    return text;
}

TEST(config_diff, says_by_key_what_changes_and_when_it_applies) {
    EXPECT_EQ(diff_text("limits: {inflight_max: 5}", "limits: {inflight_max: 5}\nlog: {}\n"), "");
    EXPECT_EQ(diff_text("log: {level: info}",
                        "log: {level: warn}\nlimits: {inflight_max: 64, topic_levels_max: 8}"),
              "~ log.level: \"info\" -> \"warn\"  (on restart)\n"
              "~ limits.inflight_max: 1024 -> 64  (on restart)\n"
              "~ limits.topic_levels_max: null -> 8  (live)\n");
}

TEST(config_diff, follows_items_by_their_names) {
    EXPECT_EQ(diff_text("tenants: [{name: a}, {name: b, limits: {connections_max: 1}}, {name: c}]",
                        "tenants: [{name: b, limits: {connections_max: 2}}, {name: c}]")
                  .substr(0, 16),
              "- tenants[a]: {\"");
    EXPECT_EQ(diff_text("tenants: [{name: b, limits: {connections_max: 1}}, {name: c}]",
                        "tenants: [{name: c}, {name: b, limits: {connections_max: 2}}]"),
              "~ tenants[b].limits.connections_max: 1 -> 2  (live)\n"
              "~ tenants: in order b, c -> in order c, b  (live)\n");
    EXPECT_EQ(
        diff_text("listeners: [{name: a, bind: '*:1'}]", "listeners: [{name: a, bind: '*:2'}]"),
        "~ listeners[a].bind: \"*:1\" -> \"*:2\"  (on restart)\n");
}

TEST(config_diff, items_without_a_name_come_and_go) {
    const std::string text =
        diff_text("bans: [{user: a}, {user: b}]", "bans: [{user: b}, {user: c}]");
    EXPECT_NE(text.find("- bans[0]: {"), std::string::npos) << text;
    EXPECT_NE(text.find("+ bans[1]: {"), std::string::npos) << text;
    EXPECT_EQ(text.find("\"b\""), std::string::npos) << text;
}

TEST(config_diff, a_changed_secret_is_seen_to_change_and_not_what_it_is) {
    EXPECT_EQ(diff_text("users: [{name: u, credential: $argon2id$old}]",
                        "users: [{name: u, credential: $argon2id$new}]"),
              "~ users[default/u].credential: \"***\" -> \"***\"  (live)\n");
}

}  // namespace
}  // namespace mitu::config
