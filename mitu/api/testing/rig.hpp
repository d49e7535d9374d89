#pragma once
// An API over backends in memory, with people of every role. Every answer is held against the
// OpenAPI document.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "mitu/api/api.hpp"
#include "mitu/api/operation.hpp"
#include "mitu/api/testing/fake_backends.hpp"
#include "mitu/base/hash.hpp"
#include "mitu/http/routes.hpp"

namespace mitu::api::testing {

class StillClock final : public ports::Clock {
public:
    [[nodiscard]] Instant now() const noexcept override { return at; }
    [[nodiscard]] WallTime wall() const noexcept override {
        return {1'700'000'000'000 + at.since_start_ns() / 1'000'000};
    }
    Instant at = Instant::from_ns(1'000'000'000);
};

class SeededEntropy final : public ports::Entropy {
public:
    [[nodiscard]] std::uint64_t next() noexcept override {
        return words_ = hash_bytes("x", words_);
    }

private:
    std::uint64_t words_ = 1;
};

class MemoryAudit final : public AuditLog {
public:
    void record(const AuditEntry& entry) override { entries.push_back(to_json(entry)); }
    std::vector<std::string> entries;
};

/// What a request is sent with.
struct As {
    std::string authorization{};
    http::Peer peer{"192.0.2.1", "192.0.2.1"};
    http::Fields headers{};
};

inline As basic(const std::string& name, const std::string& password) {
    return {"Basic " + to_base64(name + ":" + password)};
}
inline As bearer(const std::string& token) { return {"Bearer " + token}; }
inline As loopback() { return {"", {"127.0.0.1", "127.0.0.1", true}, {{"Host", "127.0.0.1:1"}}}; }
inline As unix_socket() { return {"", {"unix", "unix", false, true}}; }

struct Rig {
    explicit Rig(bool has_people = true, bool has_all = true, LoginLimits limits = {})
        : authenticator{accounts, clock, {.limits = limits}},
          api{{has_all
                   ? Backends{&broker, &bans, &users, &listeners, &configuration, &upgrades, &store}
                   : Backends{&broker},
               accounts, authenticator, clock, &audit}} {
        if (!has_people) return;
        for (const auto& [name, role, tenant] :
             std::initializer_list<std::tuple<const char*, Role, TenantScope>>{
                 {"root", Role::admin, {}},
                 {"op", Role::operator_role, {}},
                 {"eye", Role::viewer, {}},
                 {"acme-admin", Role::admin, "acme"},
                 {"acme-op", Role::operator_role, "acme"},
                 {"acme-eye", Role::viewer, "acme"}}) {
            EXPECT_TRUE(accounts.add_user(name, role, tenant, "password", clock.wall()));
        }
    }
    static As as(const std::string& name) { return basic(name, "password"); }

    http::Response send(const std::string& method, const std::string& target,
                        const std::string& body = {}, const As& who = as("root")) {
        http::Request request;
        request.method = method;
        request.target = http::parse_target("/api/v1" + target).value();
        request.body = body;
        if (!body.empty()) request.content_type = "application/json";
        request.peer = who.peer;
        request.headers = who.headers;
        if (!who.authorization.empty()) {
            request.headers.emplace_back("Authorization", who.authorization);
        }
        const http::Response response = api.answer(request);
        hold_against_document(request, response);
        return response;
    }
    unsigned status(const std::string& method, const std::string& target,
                    const std::string& body = {}, const As& who = as("root")) {
        return send(method, target, body, who).status;
    }
    Json json(const std::string& method, const std::string& target, const std::string& body = {},
              const As& who = as("root")) {
        return Json::parse(send(method, target, body, who).body);
    }
    int code(const std::string& method, const std::string& target, const std::string& body = {},
             const As& who = as("root")) {
        return json(method, target, body, who).value("code", 0);
    }

    FakeBroker broker;
    FakeBans bans;
    FakeUsers users;
    FakeListeners listeners;
    FakeConfiguration configuration;
    FakeUpgrades upgrades;
    FakeStore store;
    StillClock clock;
    SeededEntropy entropy;
    MemoryAudit audit;
    std::optional<std::string> cannot_save;
    std::string saved;
    Accounts accounts{{},
                      [this](std::string_view text) {
                          if (!cannot_save) saved = text;
                          return cannot_save;
                      },
                      entropy,
                      PasswordCost::quick};
    Authenticator authenticator;
    Api api;
    std::set<std::pair<std::string, unsigned>> seen;  // operation, status

private:
    /// The document's row for the request says this status, and the body is as its schema says.
    void hold_against_document(const http::Request& request, const http::Response& response) {
        static const Json document = Json::parse(openapi_document());
        http::Routes routes;
        std::map<std::string, const Operation*> by_id;
        for (const Operation& operation : operations()) {
            routes.add(operation.method, "/api/v1" + std::string{operation.path},
                       {[&operation](const http::Request&) {
                           return http::Response{200, "", std::string{operation.id}};
                       }});
            by_id[std::string{operation.id}] = &operation;
        }
        const auto match = routes.find(request.method, request.target);
        if (match.entry == nullptr) {
            EXPECT_EQ(schema_problem("Error", Json::parse(response.body)), std::nullopt);
            return;
        }
        const std::string id = match.entry->handler(request).body;
        seen.emplace(id, response.status);
        std::string path = "/api/v1" + std::string{by_id[id]->path};
        if (const auto dots = path.find("..."); dots != path.npos) path.erase(dots, 3);
        std::string method = request.method;
        for (char& c : method) c = static_cast<char>(std::tolower(c));
        const Json& responses = document.at("paths").at(path).at(method).at("responses");
        const std::string status = std::to_string(response.status);
        ASSERT_TRUE(responses.contains(status))
            << id << " answers " << status << " beyond the document: " << response.body;
        const Json& row = responses.at(status);
        if (!row.contains("content")) {
            EXPECT_EQ(response.body, "") << id;
            return;
        }
        if (row["content"].contains("text/html")) return;
        if (row["content"].contains("application/x-ndjson")) return;  // a stream
        const auto ref = row["content"]["application/json"]["schema"]["$ref"].get<std::string>();
        const std::string schema = ref.substr(ref.rfind('/') + 1);
        const auto problem = schema_problem(schema, Json::parse(response.body));
        EXPECT_EQ(problem, std::nullopt) << id << " " << schema << ": " << response.body;
        if (response.status >= 400) {
            const auto code = static_cast<Code>(Json::parse(response.body)["code"].get<int>());
            const auto all = by_id[id]->all_errors();
            EXPECT_NE(std::find(all.begin(), all.end(), code), all.end())
                << id << " has no error " << name_of(code);
        }
    }
};

}  // namespace mitu::api::testing
