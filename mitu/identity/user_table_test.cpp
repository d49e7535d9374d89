#include "mitu/identity/user_table.hpp"

#include <gtest/gtest.h>

#include "mitu/identity/credential.hpp"
#include "mitu/identity/password_hash.hpp"
#include "mitu/identity/scram_verifier.hpp"

namespace mitu::identity {
namespace {

User user(std::string name, std::string tenant = "acme", Role role = Role::none) {
    User made;
    made.name = std::move(name);
    made.tenant = std::move(tenant);
    made.password = hash_password("secret", Salt{1}, {1, 8});
    made.role = role;
    return made;
}

TEST(user_table, keeps_users_apart_by_tenant) {
    UserTable table{UserKind::mqtt};
    EXPECT_FALSE(table.put(user("ann", "acme"), 10));
    EXPECT_FALSE(table.put(user("ann", "cobalt"), 10));
    EXPECT_FALSE(table.put(user("bob", "cobalt"), 10));
    ASSERT_NE(table.find("acme", "ann"), nullptr);
    EXPECT_EQ(table.find("acme", "bob"), nullptr);
    EXPECT_EQ(table.find("", "ann"), nullptr);
    EXPECT_EQ(table.find_unique("ann"), nullptr);
    ASSERT_NE(table.find_unique("bob"), nullptr);
    EXPECT_EQ(table.find_unique("bob")->tenant, "cobalt");
    EXPECT_EQ(table.find_unique("an"), nullptr);
    EXPECT_EQ(table.find_unique("zoe"), nullptr);
    EXPECT_EQ(table.revision(), 3u);
}

TEST(user_table, changes_keep_the_day_of_creation) {
    UserTable table{UserKind::mqtt};
    EXPECT_FALSE(table.put(user("ann"), 10));
    User changed = user("ann");
    changed.is_disabled = true;
    EXPECT_FALSE(table.put(changed, 20));
    const User* found = table.find("acme", "ann");
    EXPECT_TRUE(found->is_disabled);
    EXPECT_EQ(found->created, 10);
    EXPECT_EQ(found->changed, 20);
    EXPECT_EQ(table.size(), 1u);
    EXPECT_FALSE(table.remove("acme", "ann"));
    EXPECT_EQ(table.remove("acme", "ann"), UserError::not_found);
    EXPECT_EQ(table.revision(), 3u);
}

TEST(user_table, refuses_what_it_could_not_serve) {
    UserTable table{UserKind::mqtt, 1};
    const auto refused = [&](auto change) {
        User made = user("ann");
        change(made);
        const auto error = table.put(made, 1);
        EXPECT_TRUE(error);
        EXPECT_FALSE(remedy(error.value_or(UserError::full)).empty());
        return error;
    };
    EXPECT_EQ(refused([](User& u) { u.name = "a:b"; }), UserError::bad_name);
    EXPECT_EQ(refused([](User& u) { u.tenant = "A"; }), UserError::bad_tenant);
    EXPECT_EQ(refused([](User& u) { u.device_class = "a b"; }), UserError::bad_tenant);
    EXPECT_EQ(refused([](User& u) { u.password = "secret"; }), UserError::bad_password);
    EXPECT_EQ(refused([](User& u) { u.scram = "secret"; }), UserError::bad_scram);
    EXPECT_EQ(refused([](User& u) { u.role = Role::admin; }), UserError::bad_role);
    EXPECT_EQ(table.revision(), 0u);
    EXPECT_FALSE(table.put(user("ann"), 1));
    EXPECT_EQ(table.put(user("bob"), 1), UserError::full);
    EXPECT_FALSE(table.put(user("ann"), 2));

    UserTable api{UserKind::api};
    EXPECT_EQ(api.put(user("ann"), 1), UserError::bad_role);
    EXPECT_FALSE(api.put(user("ann", "", Role::admin), 1));
    EXPECT_EQ(api.put(user("ann", "acme", Role::viewer), 1), UserError::name_taken);
}

TEST(user_table, is_the_same_after_writing_and_reading) {
    UserTable table{UserKind::mqtt};
    User full = user("ann \"x\"");
    full.scram = format_scram_verifier(*make_scram_verifier("secret", "salt", 4'096));
    full.device_class = "pump";
    full.is_disabled = true;
    EXPECT_FALSE(table.put(full, 10));
    EXPECT_FALSE(table.put(full, 20));
    User bare;
    bare.name = "bob";
    EXPECT_FALSE(table.put(bare, 30));
    const std::string text = table.to_json();
    const auto again = UserTable::from_json(text, UserKind::mqtt);
    ASSERT_TRUE(again) << again.error();
    EXPECT_EQ(again->to_json(), text);
    EXPECT_EQ(*again->find("acme", "ann \"x\""), *table.find("acme", "ann \"x\""));
    EXPECT_EQ(again->revision(), 3u);
    EXPECT_EQ(UserTable{UserKind::api}.to_json(),
              "{\"version\": 1, \"revision\": 0, \"users\": []}\n");
    EXPECT_TRUE(UserTable::from_json(UserTable{UserKind::api}.to_json(), UserKind::api));
    EXPECT_FALSE(UserTable::from_json(text, UserKind::mqtt, 1));
    EXPECT_FALSE(UserTable::from_json(text, UserKind::api));
}

TEST(user_table, names_the_user_that_is_broken_and_no_secret) {
    const auto error = [](std::string users) {
        const auto table = UserTable::from_json(
            R"({"version":1,"revision":7,"users":[)" + users + "]}", UserKind::mqtt);
        return table ? std::string{} : table.error();
    };
    EXPECT_EQ(error(R"({"name":"ann"},{"name":"bob","password":"hunter2"})"),
              "users[1]: user \"bob\": give a password hash that is known: argon2id, or "
              "mosquitto's $7$ or $6$");
    EXPECT_EQ(error(R"({"name":"ann"},{"name":"ann"})"), "users[1]: user \"ann\" is there twice");
    EXPECT_EQ(error(R"({"name":"ann","superuser":true})"),
              "users[0]: \"superuser\" is not known here");
    EXPECT_EQ(error(R"({"name":7})"), "users[0]: name is no text of at most 4096 bytes");
    EXPECT_EQ(error(R"({"name":"a","created":-1})"),
              "users[0]: created is no whole number of 0..2^53");
    EXPECT_EQ(error(R"({"name":"a","disabled":0})"), "users[0]: disabled is not true or false");
    EXPECT_EQ(error(R"({"name":"a","role":"root"})"),
              "users[0]: role is not viewer, operator or admin");
    EXPECT_EQ(error("7"), "users[0]: it is no JSON object");
    for (const char* text :
         {"", "[]", "{}", R"({"version":2,"revision":1,"users":[]})", R"({"version":1,"users":[]})",
          R"({"version":1,"revision":1})", R"({"version":1,"revision":1,"users":{}})"}) {
        EXPECT_FALSE(UserTable::from_json(text, UserKind::mqtt)) << text;
    }
}

TEST(user_table, a_decoy_is_somebodys_hash_and_always_the_same) {
    UserTable table{UserKind::mqtt};
    EXPECT_EQ(table.decoy_hash("nobody"), "");
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(table.put(user("u" + std::to_string(i)), 1));
    EXPECT_TRUE(kind_of_hash(table.decoy_hash("nobody")));
    EXPECT_EQ(table.decoy_hash("nobody"), table.decoy_hash("nobody"));
}

}  // namespace
}  // namespace mitu::identity
