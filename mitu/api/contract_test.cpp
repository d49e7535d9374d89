// The server and its OpenAPI document say the same: every status of every operation.

#include "mitu/api/testing/rig.hpp"

namespace mitu::api::testing {
namespace {

/// A request that succeeds on the rig below, one for each operation, in an order that works.
struct Sample {
    const char* id;
    const char* target;
    const char* body = "";
    const char* query = "";
};
constexpr Sample samples[] = {
    {"list_clients", "/clients"},
    {"show_client", "/clients/acme/dev%2F1"},
    {"list_client_subscriptions", "/clients/acme/dev%2F1/subscriptions"},
    {"trace", "/trace", R"({"filter":"t/#"})"},
    {"list_refusals", "/refusals", "", "client_id=x"},
    {"list_subscriptions", "/subscriptions", "", "filter=t/%2B"},
    {"kick_client", "/clients/acme/dev%2F1"},
    {"put_retained", "/retained/acme/t/1", R"({"payload":"on","expiry_s":60})"},
    {"list_topics", "/topics", "", "filter=t/%23"},
    {"list_retained", "/retained"},
    {"get_retained", "/retained/acme/t/1"},
    {"delete_retained", "/retained/acme/t/1"},
    {"publish", "/publish", R"({"topic":"a","payload":"b"})"},
    {"publish_batch", "/publish/batch", R"({"messages":[{"topic":"a"},{"topic":"+"}]})"},
    {"add_ban", "/bans", R"({"kind":"user","value":"x","duration_s":60})"},
    {"list_bans", "/bans"},
    {"remove_ban", "/bans/b1"},
    {"add_user", "/users/acme", R"({"name":"u","password":"12345678"})"},
    {"list_users", "/users"},
    {"show_user", "/users/acme/u"},
    {"change_user", "/users/acme/u", R"({"enabled":false})"},
    {"remove_user", "/users/acme/u"},
    {"log_in", "/login", R"({"name":"eye","password":"password"})"},
    {"log_out", "/logout"},
    {"who_am_i", "/whoami"},
    {"list_api_users", "/api-users"},
    {"add_api_user", "/api-users", R"({"name":"new","role":"viewer","password":"12345678"})"},
    {"show_api_user", "/api-users/new"},
    {"change_api_user", "/api-users/new", R"({"role":"operator"})"},
    {"remove_api_user", "/api-users/new"},
    {"add_api_key", "/api-keys", R"({"name":"ci","role":"viewer"})"},
    {"list_api_keys", "/api-keys"},
    {"remove_api_key", "/api-keys/KEY"},
    {"list_tenants", "/tenants"},
    {"overview", "/overview"},
    {"fleet_status", "/fleet/status"},
    {"list_listeners", "/listeners"},
    {"change_listener", "/listeners/mqtt", R"({"enabled":false})"},
    {"show_config", "/config"},
    {"reload_config", "/config/reload"},
    {"show_upgrade", "/upgrade"},
    {"begin_upgrade", "/upgrade"},
    {"show_store", "/store"},
    {"start_store_check", "/store/check"},
    {"show_store_check", "/store/check"},
    {"back_up_store", "/store/backup", R"({"directory":"/backup/1"})"},
    {"openapi", "/openapi.json"},
    {"docs", "/docs"},
};

const Operation& operation_of(std::string_view id) {
    const auto found = std::find_if(operations().begin(), operations().end(),
                                    [&](const Operation& row) { return row.id == id; });
    EXPECT_NE(found, operations().end()) << id;
    return *found;
}

void fill(Rig& rig) {
    rig.broker.all_clients.push_back({"acme",
                                      "dev/1",
                                      true,
                                      "192.0.2.9:5",
                                      "5.0",
                                      "p",
                                      "c",
                                      1.5,
                                      2,
                                      3,
                                      4,
                                      {{"queue_full", 9}},
                                      {}});
    rig.broker.all_subscriptions.push_back({"acme", "dev/1", "t/+", 1, false, true, 7});
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    if (const auto at = text.find(from); at != text.npos) text.replace(at, from.size(), to);
    return text;
}

std::string target_of(const Rig& rig, const Sample& sample) {
    const auto keys = rig.accounts.keys();
    std::string target = replaced(sample.target, "KEY", keys.empty() ? "x" : keys.front().id);
    if (*sample.query != '\0') target += std::string{"?"} + sample.query;
    return target;
}

std::string with(const std::string& target, std::string_view parameter) {
    return target + (target.find('?') == target.npos ? "?" : "&") + std::string{parameter};
}

/// Sends the sample so that it fails with `code`, if there is a general way to it.
void provoke(Rig& rig, const Operation& operation, const Sample& sample, Code code) {
    const std::string method{operation.method};
    const std::string target = target_of(rig, sample);
    const auto send = [&](const As& who) { rig.send(method, target, sample.body, who); };
    switch (code) {
        case Code::credentials_missing:
            return send(As{});
        case Code::credentials_wrong:
            if (operation.id == "log_in") {
                rig.send(method, target, R"({"name":"eye","password":"wrong"})");
                return;
            }
            return send(basic("root", "wrong"));
        case Code::role_too_low:
            return send(Rig::as("eye"));
        case Code::node_wide:
            return send(Rig::as("acme-admin"));
        case Code::cross_site: {
            As who = Rig::as("root");
            who.headers = {{"Host", "mitu.example"}, {"Origin", "https://evil.example"}};
            return send(who);
        }
        case Code::body_not_json:
            rig.send(method, target, "{");
            return;
        case Code::body_invalid:
            if (operation.body.empty()) break;  // what the backend says of its files
            rig.send(method, target, R"({"nonsense":1})");
            return;
        case Code::tenant_unknown:
            rig.send(method, with(replaced(target, "/acme", "/nowhere"), "tenant=nowhere"),
                     sample.body);
            return;
        case Code::parameter_invalid:
            rig.send(method, with(target, "limit=0"), sample.body);
            return;
        case Code::cursor_invalid:
            rig.send(method, with(target, "cursor=x"), sample.body);
            return;
        default:
            break;
    }
    const auto fail = [&](std::optional<Code> failure) {
        for (Failing* const part :
             {static_cast<Failing*>(&rig.broker), static_cast<Failing*>(&rig.bans),
              static_cast<Failing*>(&rig.users), static_cast<Failing*>(&rig.listeners),
              static_cast<Failing*>(&rig.configuration), static_cast<Failing*>(&rig.upgrades),
              static_cast<Failing*>(&rig.store)}) {
            part->failure = failure;
        }
    };
    fail(code);
    rig.cannot_save = "the disk is full";
    send(Rig::as("root"));
    rig.cannot_save.reset();
    fail(std::nullopt);
}

}  // namespace

TEST(api_contract, every_operation_is_sampled_once) {
    std::set<std::string_view> ids;
    for (const Sample& sample : samples) EXPECT_TRUE(ids.insert(sample.id).second) << sample.id;
    for (const Operation& operation : operations()) {
        EXPECT_TRUE(ids.contains(operation.id)) << operation.id;
    }
    EXPECT_EQ(ids.size(), operations().size());
}

TEST(api_contract, every_status_of_the_document_is_answered_and_no_other) {
    std::set<std::pair<std::string, unsigned>> seen;
    {
        Rig rig;
        fill(rig);
        for (const Sample& sample : samples) {
            const Operation& operation = operation_of(sample.id);
            const auto response =
                rig.send(std::string{operation.method}, target_of(rig, sample), sample.body);
            EXPECT_EQ(response.status, operation.status) << sample.id << response.body;
        }
        seen = rig.seen;
    }
    for (const Sample& sample : samples) {
        const Operation& operation = operation_of(sample.id);
        Rig rig;
        fill(rig);
        for (const Code code : operation.all_errors()) provoke(rig, operation, sample, code);
        seen.insert(rig.seen.begin(), rig.seen.end());

        Rig strict{true, true, {.burst_address = 0}};
        strict.send(std::string{operation.method}, target_of(strict, sample), sample.body,
                    operation.id == "log_in" ? As{} : basic("eye", "wrong"));
        seen.insert(strict.seen.begin(), strict.seen.end());

        Rig bare{true, false};
        bare.send(std::string{operation.method}, target_of(bare, sample), sample.body);
        seen.insert(bare.seen.begin(), bare.seen.end());
    }
    {  // what depends on what was there before
        Rig rig;
        const std::string user = R"({"name":"root","role":"admin","password":"12345678"})";
        EXPECT_EQ(rig.code("POST", "/api-users", user), 1300);
        EXPECT_EQ(rig.code("POST", "/trace", R"({"filter":"a","tenant":"nowhere"})"), 1201);
        for (const char* const method : {"GET", "PATCH", "DELETE"}) {
            const std::string body = method == std::string{"PATCH"} ? R"({"role":"viewer"})" : "";
            EXPECT_EQ(rig.code(method, "/api-users/nobody", body), 1206) << method;
            if (method == std::string{"GET"}) continue;
            EXPECT_EQ(rig.code(method, "/api-users/root", body), 1303) << method;
            As stale = Rig::as("root");
            stale.headers.emplace_back("If-Match", "\"99\"");
            EXPECT_EQ(rig.code(method, "/api-users/eye", body, stale), 1301) << method;
            As odd = Rig::as("root");
            odd.headers.emplace_back("If-Match", "odd");
            EXPECT_EQ(rig.code(method, "/api-users/eye", body, odd), 1001) << method;
            EXPECT_EQ(rig.code(method, "/users/acme/x",
                               method == std::string{"PATCH"} ? R"({"enabled":true})" : "", odd),
                      1001)
                << method;
        }
        EXPECT_EQ(rig.code("DELETE", "/api-keys/nothing"), 1207);
        const auto key = rig.json("POST", "/api-keys", R"({"name":"k","role":"viewer"})");
        rig.cannot_save = "the disk is full";
        EXPECT_EQ(rig.code("DELETE", "/api-keys/" + key["id"].get<std::string>()), 1504);
        EXPECT_EQ(rig.code("DELETE", "/api-users/eye"), 1504);
        EXPECT_EQ(rig.code("PATCH", "/api-users/eye", R"({"role":"operator"})"), 1504);
        rig.cannot_save.reset();
        EXPECT_EQ(rig.code("PUT", "/retained/acme/$x", R"({"payload":"a"})"), 1105);
        EXPECT_EQ(rig.code("DELETE", "/retained/acme/$x"), 1105);
        EXPECT_EQ(rig.code("POST", "/publish", R"({"topic":"$x"})"), 1105);
        EXPECT_EQ(rig.code("POST", "/publish", R"({"topic":"a","tenant":"nowhere"})"), 1201);
        EXPECT_EQ(rig.code("POST", "/bans", R"({"kind":"user","value":"x","tenant":"nowhere"})"),
                  1201);
        EXPECT_EQ(
            rig.code("POST", "/api-users",
                     R"({"name":"n","role":"viewer","tenant":"nowhere","password":"12345678"})"),
            1201);
        EXPECT_EQ(
            rig.code("POST", "/api-keys", R"({"name":"n","role":"viewer","tenant":"nowhere"})"),
            1201);
        EXPECT_EQ(rig.code("GET", "/retained/acme/a+"), 1005);
        EXPECT_EQ(rig.code("GET", "/topics?filter=a%23"), 1006);
        EXPECT_EQ(rig.code("GET", "/subscriptions?topic=%2B&tenant=acme"), 1005);
        seen.insert(rig.seen.begin(), rig.seen.end());
    }
    for (const Operation& operation : operations()) {
        std::set<unsigned> statuses{operation.status};
        for (const Code code : operation.all_errors()) statuses.insert(status_of(code));
        for (const unsigned status : statuses) {
            EXPECT_TRUE(seen.contains({std::string{operation.id}, status}))
                << operation.id << " is never seen to answer " << status;
        }
    }
}

TEST(api_contract, what_is_not_there_answers_501_and_says_so) {
    Rig rig{true, false};
    for (const char* const path : {"/bans", "/users", "/listeners", "/config", "/store"}) {
        const auto response = rig.send("GET", path);
        EXPECT_EQ(response.status, 501u) << path;
        EXPECT_NE(response.body.find("this server has no"), std::string::npos) << response.body;
    }
}

TEST(api_contract, the_page_for_people_needs_nothing_from_elsewhere) {
    Rig rig;
    const auto page = rig.send("GET", "/docs", "", As{});
    EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
    EXPECT_EQ(page.body.find("http"), std::string::npos);
    EXPECT_EQ(page.body.find("<script"), std::string::npos);
    for (const Operation& operation : operations()) {
        const std::string_view path = operation.path.substr(0, operation.path.find("..."));
        EXPECT_NE(page.body.find(path), std::string::npos) << path;
    }
}

TEST(api_contract, numbers_and_names_of_errors_are_unique) {
    std::set<std::string_view> names;
    for (int number = 1000; number < 1600; ++number) {
        const auto code = static_cast<Code>(number);
        const auto name = name_of(code);
        if (name == "internal" && code != Code::internal) continue;  // no such number
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_GE(status_of(code), 400u);
    }
    EXPECT_GT(names.size(), 30u);
}

}  // namespace mitu::api::testing
