// Who may do what, to whom, and what is written down about it.

#include "mitu/api/testing/rig.hpp"

namespace mitu::api::testing {
namespace {

constexpr const char* message = R"({"topic":"a/b","payload":"on"})";

}  // namespace

TEST(api_access, without_accounts_this_machine_may_look_and_nobody_else) {
    Rig rig{false};
    EXPECT_EQ(rig.status("GET", "/clients", "", loopback()), 200u);
    EXPECT_EQ(rig.code("POST", "/publish", message, loopback()), 1106);
    EXPECT_EQ(rig.status("GET", "/clients", "", As{}), 401u);
    EXPECT_TRUE(rig.broker.published.empty());

    // A proxy on this machine, or a page whose name was made to point here, is not this machine.
    As proxied = loopback();
    proxied.headers.emplace_back("X-Forwarded-For", "198.51.100.7");
    EXPECT_EQ(rig.status("GET", "/clients", "", proxied), 401u);
    As rebound = loopback();
    rebound.headers = {{"Host", "evil.example:9880"}};
    EXPECT_EQ(rig.status("GET", "/clients", "", rebound), 401u);
    for (const char* const host : {"localhost:9880", "[::1]:9880", "127.0.0.1"}) {
        As named = loopback();
        named.headers = {{"Host", host}};
        EXPECT_EQ(rig.status("GET", "/clients", "", named), 200u) << host;
    }
}

TEST(api_access, the_unix_socket_makes_the_first_user_and_then_loopback_is_nobody) {
    Rig rig{false};
    EXPECT_EQ(
        rig.status("POST", "/api-users",
                   R"({"name":"root","role":"admin","password":"correct horse"})", unix_socket()),
        201u);
    EXPECT_EQ(rig.status("GET", "/clients", "", loopback()), 401u);
    EXPECT_EQ(rig.status("GET", "/clients", "", basic("root", "correct horse")), 200u);
    EXPECT_EQ(rig.json("GET", "/whoami", "", unix_socket())["via"], "unix_socket");
}

TEST(api_access, each_role_may_what_those_below_it_may) {
    Rig rig;
    const auto table = std::to_array<std::tuple<const char*, const char*, const char*, Role>>({
        {"GET", "/clients", "", Role::viewer},
        {"GET", "/config", "", Role::admin},
        {"GET", "/users", "", Role::admin},
        {"GET", "/api-users", "", Role::admin},
        {"GET", "/api-keys", "", Role::admin},
        {"POST", "/publish", message, Role::operator_role},
        {"POST", "/bans", R"({"kind":"user","value":"x"})", Role::operator_role},
        {"POST", "/config/reload", "", Role::admin},
        {"GET", "/upgrade", "", Role::admin},
        {"POST", "/upgrade", "", Role::admin},
        {"GET", "/store", "", Role::admin},
        {"POST", "/store/check", "", Role::admin},
        {"POST", "/store/backup", R"({"directory":"/backup/1"})", Role::admin},
        {"PATCH", "/listeners/mqtt", R"({"enabled":true})", Role::admin},
    });
    for (const auto& [method, target, body, needed] : table) {
        for (const auto& [name, role] :
             {std::pair{"eye", Role::viewer}, std::pair{"op", Role::operator_role},
              std::pair{"root", Role::admin}}) {
            const unsigned status = rig.status(method, target, body, Rig::as(name));
            EXPECT_EQ(status == 403, role < needed) << method << target << " as " << name;
            EXPECT_NE(status, 401u);
        }
    }
}

TEST(api_access, refusals_of_another_tenant_and_of_nobody_are_for_those_who_see_all) {
    Rig rig;
    const auto refused = [&](TenantScope tenant, const char* id) {
        RefusalInfo info;
        info.tenant = std::move(tenant);
        info.client_id = id;
        info.count = 1;
        info.kind = "connect_refused";
        info.reason = "not_authorized";
        rig.broker.all_refusals.push_back(info);
    };
    refused("acme", "a");
    refused("borealis", "a");
    refused(std::nullopt, "a");
    refused("acme", "b");
    const auto count = [&](const std::string& target, const char* who) {
        return rig.json("GET", target, "", Rig::as(who))["items"].size();
    };
    EXPECT_EQ(count("/refusals", "eye"), 4u);
    EXPECT_EQ(count("/refusals?client_id=a", "eye"), 3u);
    EXPECT_EQ(count("/refusals?tenant=acme&client_id=a", "eye"), 2u);
    EXPECT_EQ(count("/refusals", "acme-eye"), 2u);
    EXPECT_EQ(count("/refusals?client_id=a", "acme-eye"), 1u);
    EXPECT_EQ(rig.status("GET", "/refusals?tenant=borealis", "", Rig::as("acme-eye")), 404u);
}

TEST(api_trace, follows_what_is_of_ones_own_tenant_and_leaves_payloads_out_unless_asked) {
    Rig rig;
    const http::Response followed =
        rig.send("POST", "/trace", R"({"client_id":"a"})", Rig::as("acme-op"));
    EXPECT_EQ(followed.status, 200u);
    EXPECT_EQ(followed.content_type, "application/x-ndjson");
    EXPECT_NE(followed.stream, nullptr);
    ASSERT_EQ(rig.broker.traced.size(), 1u);
    EXPECT_EQ(rig.broker.traced[0].tenant, "acme");
    EXPECT_FALSE(rig.broker.traced[0].with_payload);
    EXPECT_FALSE(rig.broker.traced[0].includes_unknown_tenants);
    EXPECT_EQ(rig.status("POST", "/trace", R"({"client_id":"a"})", Rig::as("acme-eye")), 403u);
    const std::string others = R"({"client_id":"a","tenant":"borealis"})";
    EXPECT_EQ(rig.status("POST", "/trace", others, Rig::as("acme-op")), 404u);
    EXPECT_EQ(rig.status("POST", "/trace", others, Rig::as("op")), 200u);
    EXPECT_TRUE(rig.broker.traced[1].includes_unknown_tenants);
    EXPECT_EQ(rig.code("POST", "/trace", "{}"), 1003);
    EXPECT_EQ(rig.code("POST", "/trace", R"({"client_id":"a","filter":"b"})"), 1003);
    EXPECT_EQ(rig.code("POST", "/trace", R"({"filter":"a/#/b"})"), 1006);
    EXPECT_EQ(rig.code("POST", "/trace", R"({"filter":"a","duration_s":0})"), 1003);
    EXPECT_EQ(rig.audit.entries.size(), 8u);
}

TEST(api_clients, show_what_was_refused_to_them_before_they_had_a_session_too) {
    Rig rig;
    rig.broker.all_clients = {{"acme", "a", true}};
    RefusalInfo info;
    info.tenant = "acme";
    info.client_id = "a";
    info.at = {5'000};
    info.count = 3;
    info.kind = "slowed_down";
    info.reason = "slowed_down";
    info.limit = "message_rate";
    info.scope = "client";
    info.limit_value = 10;
    rig.broker.all_clients[0].refusals = {info};
    info.at = {9'000};
    info.kind = "connect_refused";
    info.reason = "banned";
    info.text = "ban (client)";
    info.peer = "192.0.2.7";
    rig.broker.all_refusals = {info};
    const Json shown = rig.json("GET", "/clients/acme/a")["refusals"];
    ASSERT_EQ(shown.size(), 2u);
    EXPECT_EQ(shown[0]["kind"], "connect_refused");
    EXPECT_EQ(shown[0]["at"], "1970-01-01T00:00:09.000Z");
    EXPECT_EQ(shown[1]["limit_value"], 10);
    EXPECT_EQ(shown[1]["peer"], nullptr);
    EXPECT_FALSE(rig.json("GET", "/clients")["items"][0].contains("refusals"));
}

TEST(api_access, what_another_tenant_has_looks_like_nothing) {
    Rig rig;
    rig.broker.all_clients = {{"acme", "a", true}, {"borealis", "b", true}};
    rig.broker.kept[{"borealis", "t"}] = {"borealis", "t"};
    ASSERT_TRUE(rig.users.add("borealis", "u", "password", true));
    ASSERT_TRUE(rig.bans.add({"", BanKind::user, "x", "borealis"}));
    ASSERT_TRUE(rig.bans.add({"", BanKind::user, "y", {}}));
    ASSERT_TRUE(rig.accounts.add_user("b-eye", Role::viewer, "borealis", "password", {}));
    const auto key = rig.accounts.add_key({"", "k", Role::viewer, "borealis"}, {});
    const As admin = Rig::as("acme-admin");

    const Json clients = rig.json("GET", "/clients", "", admin);
    ASSERT_EQ(clients["items"].size(), 1u);
    EXPECT_EQ(clients["items"][0]["client_id"], "a");
    EXPECT_EQ(rig.json("GET", "/bans", "", admin)["items"].size(), 0u);
    EXPECT_EQ(rig.json("GET", "/retained", "", admin)["items"].size(), 0u);
    EXPECT_EQ(rig.json("GET", "/users", "", admin)["items"].size(), 0u);
    EXPECT_EQ(rig.json("GET", "/api-keys", "", admin)["items"].size(), 0u);
    EXPECT_EQ(rig.json("GET", "/api-users", "", admin)["items"].size(), 3u);
    EXPECT_EQ(rig.json("GET", "/tenants", "", admin)["items"].size(), 1u);

    // The same answer as for what nobody has.
    const auto alike = [&](const char* method, const std::string& theirs, const std::string& none,
                           const std::string& body = "") {
        auto a = rig.send(method, theirs, body, admin);
        auto b = rig.send(method, none, body, admin);
        EXPECT_EQ(a.status, 404u) << theirs;
        EXPECT_EQ(a.status, b.status) << theirs;
        EXPECT_EQ(Json::parse(a.body)["code"], Json::parse(b.body)["code"]) << theirs;
    };
    alike("GET", "/clients/borealis/b", "/clients/nowhere/b");
    alike("DELETE", "/clients/borealis/b", "/clients/nowhere/b");
    alike("GET", "/clients?tenant=borealis", "/clients?tenant=nowhere");
    alike("GET", "/retained/borealis/t", "/retained/nowhere/t");
    alike("DELETE", "/retained/borealis/t", "/retained/nowhere/t");
    alike("PUT", "/retained/borealis/t", "/retained/nowhere/t", R"({"payload":"x"})");
    alike("DELETE", "/users/borealis/u", "/users/nowhere/u");
    alike("DELETE", "/bans/b1", "/bans/b99");
    alike("DELETE", "/bans/b2", "/bans/b99");  // for all: not theirs to lift
    alike("DELETE", "/api-users/b-eye", "/api-users/nobody");
    alike("DELETE", "/api-users/root", "/api-users/nobody");
    alike("PATCH", "/api-users/root", "/api-users/nobody", R"({"password":"12345678"})");
    alike("DELETE", "/api-keys/" + key->key.id, "/api-keys/nothing");
    EXPECT_EQ(rig.status("POST", "/publish", R"({"topic":"a","tenant":"borealis"})", admin), 404u);
    EXPECT_TRUE(rig.broker.published.empty());
    EXPECT_TRUE(rig.broker.all_clients[1].connected);
    EXPECT_EQ(rig.bans.all.size(), 2u);
}

TEST(api_access, who_is_bound_to_a_tenant_gives_away_that_tenant_only) {
    Rig rig;
    const As admin = Rig::as("acme-admin");
    EXPECT_EQ(rig.json("POST", "/api-users", R"({"name":"n","role":"admin","password":"12345678"})",
                       admin)["tenant"],
              "acme");
    EXPECT_EQ(rig.json("POST", "/api-keys", R"({"name":"n","role":"admin","tenant":null})",
                       admin)["tenant"],
              "acme");
    EXPECT_EQ(
        rig.json("POST", "/bans", R"({"kind":"address","value":"192.0.2.7"})", admin)["tenant"],
        "acme");
    rig.send("POST", "/publish", message, admin);
    ASSERT_EQ(rig.broker.published.size(), 1u);
    EXPECT_EQ(rig.broker.published[0].tenant, "acme");
}

TEST(api_login, a_session_lasts_its_time_and_no_longer_than_its_password) {
    Rig rig;
    const auto log_in = [&] {
        const Json session =
            rig.json("POST", "/login", R"({"name":"eye","password":"password"})", As{});
        return bearer(session["token"].get<std::string>());
    };
    const As first = log_in();
    EXPECT_EQ(rig.json("GET", "/whoami", "", first)["via"], "session");
    EXPECT_EQ(rig.status("POST", "/logout", "", first), 204u);
    EXPECT_EQ(rig.status("GET", "/whoami", "", first), 401u);

    const As second = log_in();
    rig.clock.at = rig.clock.at + Duration::seconds(12 * 3'600 - 1);
    EXPECT_EQ(rig.status("GET", "/whoami", "", second), 200u);
    rig.clock.at = rig.clock.at + Duration::seconds(1);
    EXPECT_EQ(rig.status("GET", "/whoami", "", second), 401u);

    const As third = log_in();
    EXPECT_EQ(rig.status("PATCH", "/api-users/eye", R"({"role":"admin"})"), 200u);
    EXPECT_EQ(rig.json("GET", "/whoami", "", third)["role"], "admin");  // at once
    EXPECT_EQ(rig.status("PATCH", "/api-users/eye", R"({"password":"another one"})"), 200u);
    EXPECT_EQ(rig.status("GET", "/whoami", "", third), 401u);
    EXPECT_EQ(rig.status("GET", "/whoami", "", Rig::as("eye")), 401u);  // remembered no more
    EXPECT_EQ(rig.status("GET", "/whoami", "", basic("eye", "another one")), 200u);
}

// A copy of it, to be checked, took the stack of the thread: anybody could end the server.
TEST(api_login, a_body_that_nests_without_end_is_refused_before_it_is_read) {
    Rig rig;
    const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
    EXPECT_EQ(rig.code("POST", "/login", deep, As{}), static_cast<int>(Code::body_invalid));
    EXPECT_EQ(rig.code("POST", "/publish", R"({"topic":"a","payload":)" + deep + "}"),
              static_cast<int>(Code::body_invalid));
}

TEST(api_login, tries_are_limited_by_address_and_by_user) {
    Rig rig;
    const auto wrong = [&](const std::string& name, const std::string& address) {
        As who{"", {address, address}};
        return rig.send("POST", "/login", R"({"name":")" + name + R"(","password":"guess"})", who);
    };
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(wrong("n" + std::to_string(i), "198.51.100.1").status, 401u);
    const auto held = wrong("n10", "198.51.100.1");
    EXPECT_EQ(held.status, 429u);
    const auto retry = std::find_if(held.headers.begin(), held.headers.end(),
                                    [](const auto& h) { return h.first == "Retry-After"; });
    ASSERT_NE(retry, held.headers.end());
    EXPECT_GE(std::stoi(retry->second), 1);
    // The right password does not help whoever guesses, nor does another way to show it.
    EXPECT_EQ(
        rig.status("GET", "/whoami", "",
                   {basic("eye", "password").authorization, {"198.51.100.1", "198.51.100.1"}}),
        429u);
    EXPECT_EQ(rig.status("GET", "/whoami", "", Rig::as("eye")), 200u);  // others go on
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(wrong("op", "203.0.113." + std::to_string(i)).status, 401u);
    }
    EXPECT_EQ(wrong("op", "203.0.113.99").status, 429u);
    rig.clock.at = rig.clock.at + Duration::seconds(7);
    EXPECT_EQ(wrong("n10", "198.51.100.1").status, 401u);
}

TEST(api_login, the_limiter_forgets_what_is_paid_back_and_has_a_bound) {
    LoginLimiter limiter{{.entries_max = 100}};
    Instant now = Instant::from_ns(1);
    for (int i = 0; i < 1'000; ++i) {
        EXPECT_FALSE(limiter.try_take(std::to_string(i), "u" + std::to_string(i), now));
        EXPECT_LE(limiter.entry_count(), 200u);
    }
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(limiter.try_take("a", "b", now));
        limiter.give_back("a", "b");
    }
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(limiter.try_take("a", "b", now));
    EXPECT_TRUE(limiter.try_take("a", "b", now));
}

TEST(api_keys, are_shown_once_kept_as_a_hash_and_end_with_their_time) {
    Rig rig;
    const Json key =
        rig.json("POST", "/api-keys",
                 R"({"name":"ci","role":"operator","expires_at":"2023-11-14T23:00:00Z"})");
    const auto secret = key["secret"].get<std::string>();
    EXPECT_GE(secret.size(), 5u + 13u + 43u);  // 256 random bits
    EXPECT_EQ(rig.saved.find(secret), std::string::npos);
    EXPECT_EQ(rig.send("GET", "/api-keys").body.find("secret"), std::string::npos);
    EXPECT_EQ(rig.status("POST", "/publish", message, bearer(secret)), 200u);
    EXPECT_EQ(rig.status("GET", "/config", "", bearer(secret)), 403u);
    EXPECT_EQ(rig.status("GET", "/whoami", "", bearer(secret + "x")), 401u);
    EXPECT_EQ(rig.status("GET", "/whoami", "", bearer(secret.substr(0, 20))), 401u);

    const auto table = read_accounts(rig.saved);  // as the next process would
    ASSERT_TRUE(table.has_value()) << table.error();
    EXPECT_EQ(write_accounts(*table), rig.saved);
    EXPECT_EQ(table->keys.size(), 1u);

    rig.clock.at = rig.clock.at + Duration::seconds(3'600);
    EXPECT_EQ(rig.status("GET", "/whoami", "", bearer(secret)), 401u);
}

TEST(api_accounts, what_cannot_be_saved_has_not_happened) {
    Rig rig;
    rig.cannot_save = "the disk is full";
    EXPECT_EQ(rig.code("DELETE", "/api-users/eye"), 1504);
    EXPECT_EQ(rig.code("POST", "/api-keys", R"({"name":"x","role":"viewer"})"), 1504);
    EXPECT_EQ(rig.json("GET", "/api-users")["items"].size(), 6u);
    EXPECT_EQ(rig.json("GET", "/api-keys")["items"].size(), 0u);
}

TEST(api_accounts, a_broken_file_is_named_where_it_is_broken) {
    for (const auto& [text, where] :
         {std::pair{"{", "file"}, std::pair{R"({"revision":1,"users":[{}],"keys":[]})", "users[0]"},
          std::pair{R"({"revision":1,"users":[{"name":"a","role":"king",
                                        "tenant":null}],"keys":[]})",
                    "king"},
          std::pair{R"({"revision":1,"users":[]})", "keys"}}) {
        const auto table = read_accounts(text);
        ASSERT_FALSE(table.has_value()) << text;
        EXPECT_NE(table.error().find(where), std::string::npos) << table.error();
    }
}

TEST(api_audit, says_who_did_what_and_who_was_refused_but_no_secret) {
    Rig rig;
    rig.send("GET", "/clients");
    rig.send("GET", "/clients", "", As{});
    EXPECT_TRUE(rig.audit.entries.empty());  // to look changes nothing, and nobody is nobody
    rig.send("POST", "/publish", message, Rig::as("op"));
    rig.send("POST", "/publish", message, Rig::as("eye"));
    rig.send("POST", "/login", R"({"name":"eve\n\u0000","password":"hunter2!"})", As{});
    rig.send("POST", "/users/acme", R"({"name":"u","password":"hunter2!"})");
    rig.send("POST", "/login", R"({"name":"eye","password":"password"})", As{});
    ASSERT_EQ(rig.audit.entries.size(), 5u);
    const auto line = [&](std::size_t i) { return Json::parse(rig.audit.entries[i]); };
    EXPECT_EQ(line(0)["who"], "op");
    EXPECT_EQ(line(0)["operation"], "publish");
    EXPECT_EQ(line(0)["what"]["topic"], "a/b");
    EXPECT_EQ(line(0)["from"], "192.0.2.1");
    EXPECT_EQ(line(0)["time"], "2023-11-14T22:13:21.000Z");
    EXPECT_EQ(line(1)["status"], 403);
    EXPECT_EQ(line(2)["code"], 1101);
    EXPECT_EQ(line(3)["what"]["tenant"], "acme");
    EXPECT_EQ(line(4)["operation"], "log_in");
    EXPECT_EQ(line(4)["who"], "eye");
    for (const std::string& entry : rig.audit.entries) {
        EXPECT_EQ(entry.find("hunter2"), std::string::npos);
        EXPECT_EQ(entry.find('\n'), std::string::npos);
    }
}

TEST(api_messages, payloads_are_text_or_base64_and_properties_go_along) {
    Rig rig;
    EXPECT_EQ(rig.status("PUT", "/retained/acme/a%2Fb/c",
                         R"({"payload":"AAEC/w==","payload_encoding":"base64","qos":1,
                            "content_type":"x/y","correlation_data":"AQI=",
                            "user_properties":[{"name":"k","value":"v"}]})"),
              200u);
    const Message& kept = rig.broker.kept.at({"acme", "a/b/c"});
    EXPECT_EQ(kept.payload, (Bytes{0, 1, 2, 255}));
    EXPECT_EQ(kept.correlation_data, (Bytes{1, 2}));
    EXPECT_TRUE(kept.retain);
    const Json read = rig.json("GET", "/retained/acme/a/b/c");
    EXPECT_EQ(read["payload"], "AAEC/w==");
    EXPECT_EQ(read["payload_encoding"], "base64");
    EXPECT_EQ(read["user_properties"][0]["name"], "k");
    for (const char* const body :
         {R"({"payload":"!","payload_encoding":"base64"})", R"({"payload":"x","qos":3})",
          R"({"payload":"x","qos":"1"})", R"({"payload":""})", R"({"payload":"x","retian":true})",
          R"([])", R"({"payload":"x","expiry_s":0})"}) {
        EXPECT_EQ(rig.code("PUT", "/retained/acme/t", body), 1003) << body;
    }
}

TEST(api_messages, no_text_has_a_byte_that_makes_subscribers_hang_up) {
    Rig rig;
    const auto with = [&](const std::string& more) {
        return rig.code("POST", "/publish", R"({"topic":"a","payload":"on",)" + more + "}");
    };
    const int invalid = static_cast<int>(Code::body_invalid);
    EXPECT_EQ(with(R"("content_type":"x\u0000y")"), invalid);
    EXPECT_EQ(with(R"("user_properties":[{"name":"k\u0000","value":"v"}])"), invalid);
    EXPECT_EQ(with(R"("user_properties":[{"name":"k","value":"\u0000"}])"), invalid);
    EXPECT_EQ(rig.code("POST", "/publish",
                       R"({"topic":"a","payload":"/w==","payload_encoding":"base64",
                          "payload_is_utf8":true})"),
              invalid);
    EXPECT_TRUE(rig.broker.published.empty());
    EXPECT_EQ(with(R"("content_type":"","user_properties":[{"name":"k","value":""}])"), 0);
    EXPECT_EQ(rig.broker.published.size(), 1u);
}

TEST(api_messages, a_batch_goes_on_after_a_bad_message_and_stops_at_a_silent_shard) {
    Rig rig;
    const std::string batch = R"({"messages":[{"topic":"a"},{"topic":"+"},{"topic":"b"}]})";
    Json results = rig.json("POST", "/publish/batch", batch)["results"];
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[0]["recipients"], 3);
    EXPECT_EQ(results[1]["error"]["code"], 1005);
    EXPECT_EQ(results[2]["recipients"], 3);
    rig.broker.failure = Code::shard_silent;
    results = rig.json("POST", "/publish/batch", batch)["results"];
    EXPECT_EQ(results[0]["error"]["code"], 1501);
    EXPECT_EQ(results[1]["error"]["code"], 1503);
    EXPECT_EQ(results[2]["error"]["code"], 1503);
}

TEST(api_listings, go_on_where_they_ended) {
    Rig rig;
    for (int i = 0; i < 5; ++i) {
        rig.broker.all_clients.push_back({"acme", "c" + std::to_string(i), true});
    }
    std::string cursor;
    std::size_t count = 0;
    do {
        const Json page =
            rig.json("GET", "/clients?limit=2&prefix=c&connected=true&cursor=" + cursor);
        count += page["items"].size();
        cursor = page["next_cursor"].is_null() ? "" : page["next_cursor"].get<std::string>();
    } while (!cursor.empty());
    EXPECT_EQ(count, 5u);
    EXPECT_EQ(rig.code("GET", "/clients?limit=1001"), 1001);
    EXPECT_EQ(rig.code("GET", "/clients?connected=maybe"), 1001);
    EXPECT_EQ(rig.code("GET", "/nowhere"), 1200);
    EXPECT_EQ(rig.code("PUT", "/clients"), 1209);
}

TEST(api_revisions, guard_a_change_against_another_one) {
    Rig rig;
    const auto made = rig.send("POST", "/users/acme", R"({"name":"u","password":"12345678"})");
    const auto etag = std::find_if(made.headers.begin(), made.headers.end(),
                                   [](const auto& h) { return h.first == "ETag"; });
    ASSERT_NE(etag, made.headers.end());
    As who = Rig::as("root");
    who.headers.emplace_back("If-Match", etag->second);
    EXPECT_EQ(rig.status("PATCH", "/users/acme/u", R"({"enabled":false})", who), 200u);
    EXPECT_EQ(rig.code("PATCH", "/users/acme/u", R"({"enabled":true})", who), 1301);
}

TEST(api_store, a_backup_is_asked_for_by_whole_path_and_written_down) {
    Rig rig;
    const Json made = rig.json("POST", "/store/backup", R"({"directory":"/backup/1"})");
    EXPECT_EQ(made["directory"], "/backup/1");
    EXPECT_EQ(rig.store.copies, std::vector<std::string>{"/backup/1"});
    ASSERT_EQ(rig.audit.entries.size(), 1u);
    EXPECT_NE(rig.audit.entries[0].find("/backup/1"), std::string::npos) << rig.audit.entries[0];
    for (const char* const body :
         {R"({"directory":"backup"})", R"({"directory":""})", R"({"directory":7})", "{}"}) {
        EXPECT_EQ(rig.code("POST", "/store/backup", body), 1003) << body;
    }
    EXPECT_EQ(rig.code("POST", "/store/backup", R"({"directory":"/b"})", Rig::as("acme-admin")),
              1104);
    EXPECT_EQ(rig.store.copies.size(), 1u);
}

}  // namespace mitu::api::testing
