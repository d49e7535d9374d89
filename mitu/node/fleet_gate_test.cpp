#include "mitu/node/fleet_gate.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "mitu/node/testing.hpp"

namespace mitu::node {
namespace {

using broker::Admission;
using broker::Login;
using mqtt::ReasonCode;

/// A gate whose slow work waits until the test runs it.
struct GateUnderTest {
    explicit GateUnderTest(bool allow_anonymous, bool is_busy = false) {
        FleetGateOptions options;
        options.allow_anonymous = allow_anonymous;
        options.run_later = [this, is_busy](std::function<void()> job) {
            if (is_busy) return false;
            jobs.push_back(std::move(job));
            return true;
        };
        options.answer = [this](Admission admission) { answers.push_back(std::move(admission)); };
        gate.emplace(catalog, std::move(options));
    }
    Admission prove(std::string_view user, std::string_view password) {
        Login login;
        login.user_name = user;
        login.password = as_bytes(password);
        gate->prove({ShardId{0}, {3, 4}, 5}, login);
        while (!jobs.empty()) {
            jobs.front()();
            jobs.pop_front();
        }
        const Admission answer = answers.front();
        answers.pop_front();
        EXPECT_TRUE(answers.empty()) << "exactly one answer";
        return answer;
    }

    std::shared_ptr<const fleet::Catalog> catalog = make_catalog();
    std::deque<std::function<void()>> jobs;
    std::deque<Admission> answers;
    std::optional<FleetGate> gate;
};

Login login_as(std::optional<std::string_view> user, std::string_view client_id = {}) {
    Login login;
    login.client_id = client_id;
    login.user_name = user;
    return login;
}

}  // namespace

TEST(fleet_gate, a_device_has_its_own_id_as_client_id_and_no_other) {
    GateUnderTest test{true};
    const auto named = test.gate->claim(login_as("th-1@acme", "th-1"));
    ASSERT_TRUE(named);
    EXPECT_EQ(named->client_id, "th-1");
    EXPECT_EQ(named->admitted, nullptr) << "nothing is proved yet";
    EXPECT_EQ(test.gate->claim(login_as("th-1"))->client_id, "th-1") << "assigned";
    const auto other = test.gate->claim(login_as("th-1@acme", "th-2"));
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().reason, ReasonCode::client_identifier_not_valid);
    EXPECT_NE(other.error().text.find("th-1"), std::string::npos) << other.error().text;
}

TEST(fleet_gate, a_name_of_several_tenants_must_name_its_tenant) {
    GateUnderTest test{true};
    const auto ambiguous = test.gate->claim(login_as("both"));
    ASSERT_FALSE(ambiguous);
    EXPECT_EQ(ambiguous.error().reason, ReasonCode::bad_user_name_or_password);
    const auto acme = test.gate->claim(login_as("both@acme"));
    const auto borealis = test.gate->claim(login_as("both@borealis"));
    ASSERT_TRUE(acme && borealis);
    EXPECT_NE(acme->tenant, borealis->tenant);
}

TEST(fleet_gate, who_is_not_registered_is_anonymous_or_refused) {
    GateUnderTest open{true};
    const auto claim = open.gate->claim(login_as(std::nullopt, "any"));
    ASSERT_TRUE(claim);
    EXPECT_EQ(claim->tenant, tenant_default);
    ASSERT_NE(claim->admitted, nullptr);
    EXPECT_EQ(claim->admitted->policy_name, "open");

    GateUnderTest closed{false};
    EXPECT_EQ(closed.gate->claim(login_as(std::nullopt, "any")).error().reason,
              ReasonCode::not_authorized);
    EXPECT_EQ(closed.gate->claim(login_as("nobody", "any")).error().reason,
              ReasonCode::bad_user_name_or_password);
}

TEST(fleet_gate, an_anonymous_client_cannot_take_the_id_of_a_device) {
    GateUnderTest test{true};
    const auto claim = test.gate->claim(login_as(std::nullopt, "reserved"));
    ASSERT_FALSE(claim);
    EXPECT_EQ(claim.error().reason, ReasonCode::client_identifier_not_valid);
    EXPECT_TRUE(test.gate->claim(login_as(std::nullopt, "th-1"))) << "another tenant's name";
}

TEST(fleet_gate, proves_the_password_of_the_device_and_no_other) {
    GateUnderTest test{true};
    const Admission good = test.prove("th-1@acme", "th-1");
    ASSERT_NE(good.profile, nullptr);
    EXPECT_EQ(good.profile->policy_name, "acme-thermostat");
    EXPECT_EQ(good.ticket.serial, 5u);
    const Admission bad = test.prove("th-1@acme", "th-2");
    EXPECT_EQ(bad.profile, nullptr);
    EXPECT_EQ(bad.refusal.reason, ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(test.prove("th-1@acme", "").profile, nullptr);
}

TEST(fleet_gate, remembers_a_proof_but_only_for_that_password) {
    GateUnderTest test{true};
    ASSERT_NE(test.prove("th-1@acme", "th-1").profile, nullptr);
    Login login = login_as("th-1@acme");
    login.password = as_bytes("th-1");
    test.gate->prove({}, login);
    EXPECT_TRUE(test.jobs.empty()) << "no second argon2id";
    ASSERT_EQ(test.answers.size(), 1u);
    EXPECT_NE(test.answers.front().profile, nullptr);
    test.answers.clear();
    EXPECT_EQ(test.prove("th-1@acme", "wrong").profile, nullptr);
}

TEST(fleet_gate, says_busy_when_no_more_logins_can_wait) {
    GateUnderTest test{true, /*is_busy=*/true};
    EXPECT_EQ(test.prove("th-1@acme", "th-1").refusal.reason, ReasonCode::server_busy);
}

TEST(profiles, carry_what_the_policy_says) {
    GateUnderTest test{true};
    const auto profile = test.prove("th-1@acme", "th-1").profile;
    ASSERT_NE(profile, nullptr);
    EXPECT_EQ(profile->message_rate_per_s, 5u);
    EXPECT_EQ(profile->message_burst, 9u);
    EXPECT_EQ(profile->payload_bytes_max, 100u);
    EXPECT_EQ(profile->heartbeat_interval, Duration::seconds(10));
    const broker::AccessVariables th1{"th-1", "acme", "thermostat"};
    EXPECT_TRUE(profile->publish.may_publish("t/th-1/x", th1));
    EXPECT_FALSE(profile->publish.may_publish("t/th-2/x", th1));
    EXPECT_FALSE(profile->publish.may_publish("t/th-1/secret", th1)) << "deny wins";
    EXPECT_TRUE(profile->subscribe.may_subscribe("c/th-1/+", th1));
    EXPECT_FALSE(profile->subscribe.may_subscribe("c/#", th1));
}

}  // namespace mitu::node
