#include "mitu/config/managed.hpp"

#include <gtest/gtest.h>

#include "mitu/config/load.hpp"

namespace mitu::config {
namespace {

constexpr std::string_view base =
    "listeners:\n"
    "  - {name: a, bind: '*:1', enabled: true}\n"
    "  - {name: b, bind: '*:2'}\n"
    "tenants:\n"
    "  - name: acme\n"
    "    limits: {connections_max: 10}\n"
    "users:\n"
    "  - {name: root, credential: $argon2id$file}\n"
    "bans:\n"
    "  - {user: mallory, reason: file}\n";

Result<Loaded, yaml::Problems> load_both(std::string_view managed, std::string_view file = base) {
    Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", file};
    sources.managed = yaml::SourceFile{"managed.yaml", managed};
    return load(sources);
}

User user(std::string name, std::string tenant = "default") {
    User made;
    made.name = std::move(name);
    made.tenant = std::move(tenant);
    made.credential = "$argon2id$api";
    return made;
}

TEST(config_managed, what_the_api_wrote_applies_where_the_file_says_nothing) {
    ManagedFile managed;
    managed.put_user(user("ops"));
    managed.put_user(user("ops", "acme"));
    managed.put_ban({.client_id = {},
                     .user = {},
                     .address = "10.0.0.0/8",
                     .tenant = {},
                     .until = {},
                     .reason = "api",
                     .created_by = "ann",
                     .created_at = WallTime{5'000}});
    managed.set_listener_enabled("b", false);
    TenantLimits limits;
    limits.messages_per_s = 7;
    managed.set_tenant_limits("acme", limits);
    const auto loaded = load_both(managed.text());
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    EXPECT_EQ(yaml::to_text(loaded->notices), "");
    EXPECT_EQ(loaded->config.users.size(), 3u);
    EXPECT_EQ(loaded->config.users[2].tenant, "acme");
    EXPECT_EQ(loaded->config.bans.size(), 2u);
    EXPECT_TRUE(loaded->config.listeners[0].enabled);
    EXPECT_FALSE(loaded->config.listeners[1].enabled);
    EXPECT_EQ(loaded->config.tenants[0].limits.connections_max, 10u);
    EXPECT_EQ(loaded->config.tenants[0].limits.messages_per_s, 7u);
    EXPECT_EQ(loaded->origins.of("listeners[1].enabled").kind, Origin::Kind::managed);
    EXPECT_EQ(loaded->origins.of("users[2].name").name, "managed.yaml");
}

TEST(config_managed, the_file_wins_and_what_is_in_vain_is_told) {
    const auto loaded = load_both(
        "listeners:\n"
        "  - {name: a, enabled: false}\n"
        "  - {name: gone, enabled: false}\n"
        "tenants:\n"
        "  - name: acme\n"
        "    limits: {connections_max: 99}\n"
        "users:\n"
        "  - {name: root, credential: $argon2id$api}\n"
        "bans:\n"
        "  - {user: mallory, reason: api}\n");
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    EXPECT_TRUE(loaded->config.listeners[0].enabled);
    EXPECT_EQ(loaded->config.tenants[0].limits.connections_max, 10u);
    EXPECT_EQ(loaded->config.users.at(0).credential, "$argon2id$file");
    EXPECT_EQ(loaded->config.users.size(), 1u);
    EXPECT_EQ(loaded->config.bans.at(0).reason, "file");
    EXPECT_EQ(
        yaml::to_text(loaded->notices),
        "managed.yaml:10: bans[0] is set in f.yaml:10 too, which wins; remove one of them\n"
        "managed.yaml:2: listeners[0].enabled is set in f.yaml:2 too, which wins; remove one "
        "of them\n"
        "managed.yaml:3: listeners[1] is of \"gone\", which is not there any more; it has no "
        "effect\n"
        "managed.yaml:6: tenants[0].limits.connections_max is set in f.yaml:6 too, which wins; "
        "remove one of them\n"
        "managed.yaml:8: users[0] is set in f.yaml:8 too, which wins; remove one of them\n");
}

TEST(config_managed, the_same_value_in_both_is_no_conflict) {
    const auto loaded = load_both("tenants: [{name: acme, limits: {connections_max: 10}}]\n");
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->notices.empty());
}

TEST(config_managed, only_what_the_api_may_change_may_stand_in_it) {
    const auto loaded = load_both(
        "node: {shards: 1}\n"
        "listeners: [{name: b, bind: '*:3'}, {enabled: false}]\n"
        "tenants: [{name: acme, limits: {conections_max: 1}, description: x}]\n"
        "user: []\n"
        "bans: [{user: x}, {user: x}]\n"
        "revision: old\n");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(
        yaml::to_text(loaded.error()),
        "managed.yaml:1: node is not changed through the API; move it to the configuration file\n"
        "managed.yaml:2: listeners[0].bind is not changed through the API; move it to the "
        "configuration file\n"
        "managed.yaml:2: listeners[1].name is missing; name one of listeners\n"
        "managed.yaml:3: tenants[0].description is not changed through the API; move it to the "
        "configuration file\n"
        "managed.yaml:3: tenants[0].limits.conections_max is not known; did you mean "
        "connections_max?\n"
        "managed.yaml:4: user is not known; did you mean users?\n"
        "managed.yaml:5: bans[1] is there twice; remove one\n"
        "managed.yaml:6: revision is \"old\"; use a whole number\n");
}

TEST(config_managed, wrong_values_are_found_where_they_stand) {
    const auto loaded = load_both("\nlisteners:\n  - name: b\n    enabled: 3\n");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(yaml::to_text(loaded.error()),
              "managed.yaml:4: listeners[1].enabled is 3; use true or false\n");
}

TEST(config_managed, the_revision_grows_when_and_only_when_something_changes) {
    const auto first = load_both("");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->revision, 1u);
    EXPECT_TRUE(first->is_new_revision);

    ManagedFile managed;
    managed.stamp(first->revision, first->content_hash);
    const auto again = load_both(managed.text());
    ASSERT_TRUE(again) << yaml::to_text(again.error());
    EXPECT_EQ(again->revision, 1u);
    EXPECT_FALSE(again->is_new_revision);

    const auto edited = load_both(managed.text(), "log: {level: warn}\n");
    EXPECT_EQ(edited->revision, 2u);

    managed.put_user(user("new"));
    const auto changed = load_both(managed.text());
    EXPECT_EQ(changed->revision, 2u);
    EXPECT_NE(changed->content_hash, first->content_hash);
    // To write the same in other words is no change.
    EXPECT_EQ(load_both("")->content_hash,
              load_both("", std::string{base} + "log: {}\n")->content_hash);
}

TEST(config_managed, edits_replace_remove_and_survive_a_round) {
    ManagedFile managed;
    managed.put_user(user("a"));
    User second = user("a");
    second.enabled = false;
    managed.put_user(second);
    const Ban ban{{}, "mallory", {}, {}, WallTime{1'000}, "x", {}, {}};
    managed.put_ban(ban);
    managed.set_listener_enabled("b", true);
    managed.set_listener_enabled("b", std::nullopt);
    managed.stamp(7, 18'446'744'073'709'551'615u);

    auto parsed = ManagedFile::parse({"managed.yaml", managed.text()});
    ASSERT_TRUE(parsed);
    const std::string text = managed.text();
    EXPECT_EQ(text,
              "# Written by mitud: what was changed through its API. Where the configuration file "
              "says\n"
              "# something else, that wins.\n"
              "revision: 7\n"
              "content_hash: 18446744073709551615\n"
              "users:\n"
              "  - name: a\n"
              "    credential: \"$argon2id$api\"\n"
              "    enabled: false\n"
              "bans:\n"
              "  - user: mallory\n"
              "    until: \"1970-01-01T00:00:01Z\"\n"
              "    reason: x\n");
    EXPECT_FALSE(parsed->remove_user("acme", "a"));
    EXPECT_TRUE(parsed->remove_user("default", "a"));
    EXPECT_EQ(parsed->remove_expired_bans(WallTime{1'000}), 0u);
    EXPECT_EQ(parsed->remove_expired_bans(WallTime{1'001}), 1u);
    EXPECT_FALSE(parsed->remove_ban(ban));
    EXPECT_FALSE(ManagedFile::parse({"managed.yaml", "[1]"}));
}

}  // namespace
}  // namespace mitu::config
