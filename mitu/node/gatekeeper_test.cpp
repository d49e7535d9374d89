#include "mitu/node/gatekeeper.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "mitu/node/testing.hpp"

namespace mitu::node {
namespace {

using broker::Admission;
using broker::AdmissionOutcome;
using broker::Admitted;
using broker::Gate;
using broker::Login;
using broker::Refusal;
using mqtt::ReasonCode;

/// A gate whose slow work waits until the test runs it.
struct GateUnderTest {
    explicit GateUnderTest(bool allow_anonymous, bool is_busy = false) {
        GatekeeperOptions options;
        options.run_later = [this, is_busy](std::function<void()> job) {
            if (is_busy) return false;
            jobs.push_back(std::move(job));
            return true;
        };
        options.answer = [this](Admission admission) { answers.push_back(std::move(admission)); };
        gate.emplace(
            clock,
            make_registry_authentication(catalog, allow_anonymous ? identity::AnonymousRule::always
                                                                  : identity::AnonymousRule::never),
            std::move(options));
    }
    Gate::Verdict judge(const Login& login) { return gate->judge({ShardId{0}, {3, 4}, 5}, login); }
    /// Null: refused.
    const Admitted* admitted(const Login& login) {
        verdict = judge(login);
        return std::get_if<Admitted>(&verdict);
    }
    Refusal refusal(const Login& login) {
        verdict = judge(login);
        const auto* const found = std::get_if<Refusal>(&verdict);
        EXPECT_NE(found, nullptr);
        return found != nullptr ? *found : Refusal{mqtt::ReasonCode::success, ""};
    }
    /// What a login with this password comes to, now or later.
    AdmissionOutcome prove(std::string_view user, std::string_view password) {
        Login login;
        login.user_name = user;
        login.password = as_bytes(password);
        Gate::Verdict at_once = judge(login);
        if (auto* const yes = std::get_if<Admitted>(&at_once)) return *yes;
        if (auto* const no = std::get_if<Refusal>(&at_once)) return *no;
        while (!jobs.empty()) {
            jobs.front()();
            jobs.pop_front();
        }
        const Admission answer = answers.front();
        answers.pop_front();
        EXPECT_TRUE(answers.empty()) << "exactly one answer";
        EXPECT_EQ(answer.ticket.serial, 5u);
        return answer.outcome;
    }
    std::shared_ptr<const broker::Profile> profile(std::string_view user,
                                                   std::string_view password) {
        const AdmissionOutcome outcome = prove(user, password);
        const auto* const found = std::get_if<Admitted>(&outcome);
        return found != nullptr ? found->profile : nullptr;
    }

    StillClock clock;
    std::shared_ptr<const fleet::Catalog> catalog = make_catalog();
    std::deque<std::function<void()>> jobs;
    std::deque<Admission> answers;
    std::optional<Gatekeeper> gate;
    Gate::Verdict verdict;
};

Login login_as(std::optional<std::string_view> user, std::string_view client_id = {}) {
    Login login;
    login.client_id = client_id;
    login.user_name = user;
    return login;
}

}  // namespace

TEST(gatekeeper, a_device_has_its_own_id_as_client_id_and_no_other) {
    GateUnderTest test{true};
    EXPECT_TRUE(std::holds_alternative<broker::Pending>(test.judge(login_as("th-1@acme", "th-1"))))
        << "nothing is proved yet";
    test.jobs.clear();
    const AdmissionOutcome outcome = test.prove("th-1", "th-1");
    ASSERT_TRUE(std::holds_alternative<Admitted>(outcome));
    EXPECT_EQ(std::get<Admitted>(outcome).client_id, "th-1") << "assigned";
    const Refusal other = test.refusal(login_as("th-1@acme", "th-2"));
    EXPECT_EQ(other.reason, ReasonCode::client_identifier_not_valid);
    EXPECT_NE(other.text.find("th-1"), std::string::npos) << other.text;
}

TEST(gatekeeper, a_name_of_several_tenants_must_name_its_tenant) {
    GateUnderTest test{true};
    EXPECT_EQ(test.refusal(login_as("both")).reason, ReasonCode::bad_user_name_or_password);
    const AdmissionOutcome acme = test.prove("both@acme", "both");
    const AdmissionOutcome borealis = test.prove("both@borealis", "both");
    ASSERT_TRUE(std::holds_alternative<Admitted>(acme));
    ASSERT_TRUE(std::holds_alternative<Admitted>(borealis));
    EXPECT_NE(std::get<Admitted>(acme).tenant, std::get<Admitted>(borealis).tenant);
}

TEST(gatekeeper, who_is_not_registered_is_anonymous_or_refused) {
    GateUnderTest open{true};
    const Admitted* const admitted = open.admitted(login_as(std::nullopt, "any"));
    ASSERT_NE(admitted, nullptr);
    EXPECT_EQ(admitted->tenant, tenant_default);
    EXPECT_EQ(admitted->profile->policy_name, "open");

    GateUnderTest closed{false};
    EXPECT_EQ(closed.refusal(login_as(std::nullopt, "any")).reason, ReasonCode::not_authorized);
    EXPECT_EQ(closed.refusal(login_as("nobody", "any")).reason,
              ReasonCode::bad_user_name_or_password);
}

TEST(gatekeeper, an_anonymous_client_cannot_take_the_id_of_a_device) {
    GateUnderTest test{true};
    EXPECT_EQ(test.refusal(login_as(std::nullopt, "reserved")).reason,
              ReasonCode::client_identifier_not_valid);
    EXPECT_NE(test.admitted(login_as(std::nullopt, "th-1")), nullptr) << "another tenant's name";
}

TEST(gatekeeper, proves_the_password_of_the_device_and_no_other) {
    GateUnderTest test{true};
    const auto good = test.profile("th-1@acme", "th-1");
    ASSERT_NE(good, nullptr);
    EXPECT_EQ(good->policy_name, "acme-thermostat");
    const AdmissionOutcome bad = test.prove("th-1@acme", "th-2");
    ASSERT_TRUE(std::holds_alternative<Refusal>(bad));
    EXPECT_EQ(std::get<Refusal>(bad).reason, ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(test.profile("th-1@acme", ""), nullptr);
}

TEST(gatekeeper, remembers_a_proof_but_only_for_that_password) {
    GateUnderTest test{true};
    ASSERT_NE(test.profile("th-1@acme", "th-1"), nullptr);
    Login login = login_as("th-1@acme");
    login.password = as_bytes("th-1");
    EXPECT_NE(test.admitted(login), nullptr);
    EXPECT_TRUE(test.jobs.empty()) << "no second argon2id";
    EXPECT_EQ(test.profile("th-1@acme", "wrong"), nullptr);
}

TEST(gatekeeper, says_busy_when_no_more_logins_can_wait) {
    GateUnderTest test{true, /*is_busy=*/true};
    EXPECT_EQ(test.refusal(login_as("th-1@acme", "th-1")).reason, ReasonCode::server_busy);
}

TEST(profiles, carry_what_the_policy_says) {
    GateUnderTest test{true};
    const auto profile = test.profile("th-1@acme", "th-1");
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

TEST(profiles, hold_the_stricter_of_policy_and_configuration) {
    config::Limits limits;
    limits.client.messages_per_s = 3;
    limits.client.bytes_per_s = 4'096;
    limits.topic_levels_max = 7;
    limits.wildcard_levels_max = 0;
    broker::Profile profile;
    tighten(profile, client_defaults(limits));
    EXPECT_EQ(profile.message_rate_per_s, 3u) << "the policy says nothing";
    EXPECT_EQ(profile.bytes_per_s, 4'096u);
    EXPECT_EQ(profile.topic_levels_max, 7u);
    EXPECT_EQ(profile.wildcard_levels_max, 0);

    broker::Profile strict;
    strict.message_rate_per_s = 2;
    strict.message_burst = 50;
    strict.topic_levels_max = 4;
    tighten(strict, client_defaults(limits));
    EXPECT_EQ(strict.message_rate_per_s, 2u) << "a rate is taken with its burst";
    EXPECT_EQ(strict.message_burst, 50u);
    EXPECT_EQ(strict.topic_levels_max, 4u);

    broker::Profile loose;
    loose.message_rate_per_s = 100;
    loose.message_burst = 1'000;
    loose.wildcard_levels_max = 9;
    loose.topic_levels_max = 100;
    tighten(loose, client_defaults(limits));
    EXPECT_EQ(loose.message_rate_per_s, 3u);
    EXPECT_EQ(loose.message_burst, 0u);
    EXPECT_EQ(loose.wildcard_levels_max, 0);
    EXPECT_EQ(loose.topic_levels_max, 7u);

    broker::Profile equal;
    equal.message_rate_per_s = 3;
    equal.message_burst = 30;
    tighten(equal, client_defaults(limits));
    EXPECT_EQ(equal.message_burst, 0u) << "one second's worth is less";

    broker::Profile untouched;
    untouched.message_rate_per_s = 5;
    untouched.message_burst = 9;
    tighten(untouched, client_defaults(config::Limits{}));
    EXPECT_EQ(untouched.message_burst, 9u);
    EXPECT_FALSE(untouched.wildcard_levels_max);
}

TEST(profiles, of_policies_and_classes_are_as_strict_as_the_configuration) {
    const auto catalog = make_catalog();
    const Profiles profiles{catalog, {.messages_per_s = 2, .topic_levels_max = 6}};
    const auto device = catalog->find(*catalog->find_tenant("acme"), "th-1");
    ASSERT_TRUE(device);
    EXPECT_EQ(profiles.of_group(device->group)->message_rate_per_s, 2u);
    const auto by_class = profiles.of_class(*catalog->find_tenant("borealis"), "anything");
    ASSERT_NE(by_class, nullptr);
    EXPECT_EQ(by_class->topic_levels_max, 6u);
    const auto own = Profiles::with_access(*by_class, {}, "user", broker::Profile::Rules::acl_file);
    EXPECT_EQ(own->message_rate_per_s, 2u);
}

TEST(gatekeeper, renews_what_holds_beside_the_rules_of_a_credential) {
    GateUnderTest test{true};
    const TenantId acme = *test.catalog->find_tenant("acme");
    auto mine = std::make_shared<broker::Profile>();
    mine->tenant = acme;
    mine->device_class = "thermostat";
    mine->rules = broker::Profile::Rules::credential;
    mine->user = "someone";
    mine->publish = broker::AccessList{{"only/this"}, {}};
    mine->message_rate_per_s = 1'000;
    for (const char* id : {"th-1", "unregistered"}) {
        const auto renewed = test.gate->renewed(acme, id, mine);
        ASSERT_NE(renewed, nullptr) << id;
        EXPECT_EQ(renewed->message_rate_per_s, 5u) << "the policy's";
        EXPECT_EQ(renewed->rules, broker::Profile::Rules::credential);
        const broker::AccessVariables values{id, "acme", "thermostat"};
        EXPECT_TRUE(renewed->publish.may_publish("only/this", values));
        EXPECT_FALSE(renewed->publish.may_publish("t/th-1/x", values));
    }
}

}  // namespace mitu::node
