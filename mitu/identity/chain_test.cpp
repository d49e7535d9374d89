#include "mitu/identity/chain.hpp"

#include <gtest/gtest.h>

#include "mitu/identity/credential.hpp"
#include "mitu/identity/http_backend.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/testing/token_signer.hpp"
#include "mitu/identity/user_table.hpp"

namespace mitu::identity {
namespace {

const Now now{{}, 1'700'000'000};

std::string cheap(std::string_view password) { return hash_password(password, Salt{1}, {1, 8}); }

std::shared_ptr<Login> login_of(std::string client, std::optional<std::string> user = {},
                                std::optional<std::string> password = {}) {
    auto login = std::make_shared<Login>();
    login->client_id = std::move(client);
    login->user = std::move(user);
    if (password) login->password = SecretText{*password};
    return login;
}

MethodPtr password_file(std::string_view more = "") {
    return make_password_file_method(std::make_shared<const PasswordFile>(
        *PasswordFile::parse("ann:" + cheap("a") + std::string{more} + "\n")));
}

MethodPtr users() {
    auto table = std::make_shared<UserTable>(UserKind::mqtt);
    User bob;
    bob.name = "bob";
    bob.tenant = "acme";
    bob.password = cheap("b");
    bob.scram = format_scram_verifier(*make_scram_verifier("b", "salt", 4'096));
    bob.device_class = "pump";
    EXPECT_FALSE(table->put(bob, 1));
    bob.name = "off";
    bob.is_disabled = true;
    EXPECT_FALSE(table->put(bob, 1));
    bob = User{};
    bob.name = "keyless";
    EXPECT_FALSE(table->put(bob, 1));
    return make_user_table_method(table);
}

std::shared_ptr<const Chain> chain_of(std::vector<MethodPtr> methods,
                                      AnonymousRule anonymous = AnonymousRule::never,
                                      std::shared_ptr<const AclFile> acl = nullptr) {
    return std::make_shared<const Chain>(ChainOptions{std::move(methods), anonymous, acl});
}

struct Outcome {
    std::optional<Identity> identity;
    RefusalKind refusal{};
    std::string text;
    std::string method;
    int slow_steps = 0;
    std::size_t passed = 0;
};

/// Runs slow work at once; no backend.
Outcome decide(const std::shared_ptr<const Chain>& chain, std::shared_ptr<const Login> login) {
    Attempt attempt{chain, std::move(login)};
    Outcome outcome;
    Step step = attempt.begin(now);
    while (auto* work = std::get_if<SlowWork>(&step)) {
        ++outcome.slow_steps;
        step = attempt.resume(work->run(), now);
    }
    if (auto* allow = std::get_if<Allow>(&step)) outcome.identity = allow->identity;
    if (auto* refused = std::get_if<Deny>(&step)) {
        outcome.refusal = refused->refusal.kind;
        outcome.text = refused->refusal.text;
    }
    outcome.method = attempt.method();
    outcome.passed = attempt.passed().size();
    return outcome;
}

TEST(chain, the_first_method_that_knows_the_user_decides) {
    const auto chain = chain_of({password_file(" class=valve"), users()});
    const Outcome ann = decide(chain, login_of("c", "ann", "a"));
    ASSERT_TRUE(ann.identity);
    EXPECT_EQ(ann.identity->user, "ann");
    EXPECT_EQ(ann.identity->device_class, "valve");
    EXPECT_EQ(ann.method, "password_file");
    const Outcome bob = decide(chain, login_of("c", "bob", "b"));
    ASSERT_TRUE(bob.identity);
    EXPECT_EQ(bob.identity->tenant, "acme");
    EXPECT_EQ(bob.method, "users");
    EXPECT_EQ(bob.passed, 1u);
    const Outcome wrong = decide(chain, login_of("c", "ann", "b"));
    EXPECT_FALSE(wrong.identity);
    EXPECT_EQ(wrong.refusal, RefusalKind::credentials);
    EXPECT_EQ(wrong.method, "password_file");
    EXPECT_EQ(decide(chain, login_of("c", "off", "b")).refusal, RefusalKind::not_allowed);
    EXPECT_EQ(decide(chain, login_of("c", "off", "x")).refusal, RefusalKind::credentials);
    EXPECT_EQ(decide(chain, login_of("c", "keyless", "")).refusal, RefusalKind::credentials);
}

TEST(chain, an_unknown_user_costs_as_much_as_a_wrong_password) {
    const auto chain = chain_of({password_file(), users()});
    const Outcome unknown = decide(chain, login_of("c", "nobody", "a"));
    const Outcome wrong = decide(chain, login_of("c", "ann", "b"));
    EXPECT_FALSE(unknown.identity);
    EXPECT_EQ(unknown.refusal, wrong.refusal);
    EXPECT_EQ(unknown.slow_steps, 1);
    EXPECT_EQ(unknown.slow_steps, wrong.slow_steps);
    EXPECT_EQ(decide(chain, login_of("c", "keyless", "a")).slow_steps, wrong.slow_steps);
}

TEST(chain, anonymous_is_only_who_shows_no_credential) {
    const auto never = chain_of({password_file()});
    const auto loopback = chain_of({password_file()}, AnonymousRule::loopback);
    const auto always = chain_of({password_file()}, AnonymousRule::always);
    const auto here = login_of("c");
    here->is_loopback = true;
    EXPECT_EQ(decide(never, here).refusal, RefusalKind::not_allowed);
    EXPECT_TRUE(decide(loopback, here).identity);
    EXPECT_FALSE(decide(loopback, login_of("c")).identity);
    EXPECT_TRUE(decide(always, login_of("c")).identity);
    EXPECT_FALSE(decide(always, login_of("c", "nobody", "x")).identity);
    EXPECT_FALSE(decide(always, login_of("c", "nobody")).identity);
    EXPECT_FALSE(decide(always, login_of("c", {}, "x")).identity);
    EXPECT_FALSE(decide(chain_of({}), login_of("c")).identity);
    EXPECT_FALSE(decide(nullptr, login_of("c")).identity);
}

TEST(chain, an_identity_of_another_tenant_or_client_id_is_refused) {
    const auto chain = chain_of({password_file(" tenant=acme"), users()});
    auto login = login_of("c", "ann", "a");
    login->tenant = "acme";
    EXPECT_EQ(decide(chain, login).identity->tenant, "acme");
    login = login_of("c", "ann", "a");
    login->tenant = "cobalt";
    EXPECT_FALSE(decide(chain, login).identity);
    login = login_of("c", "bob", "b");
    login->tenant = "cobalt";
    EXPECT_FALSE(decide(chain, login).identity);

    CertificateRules rules;
    rules.tenant = CertificateTenant::organization;
    rules.id_is_client_id = true;
    const auto by_certificate = chain_of({make_certificate_method(rules)});
    const auto certified = [&](std::string client, std::string tenant) {
        auto made = login_of(std::move(client));
        made->tenant = std::move(tenant);
        made->certificate = CertificateFacts{};
        made->certificate->common_names = {"pump-1"};
        made->certificate->organizations = {"acme"};
        return decide(by_certificate, made);
    };
    EXPECT_TRUE(certified("pump-1", "acme").identity);
    EXPECT_TRUE(certified("", "").identity);
    EXPECT_EQ(certified("pump-2", "acme").refusal, RefusalKind::client_id);
    EXPECT_EQ(certified("pump-1", "cobalt").refusal, RefusalKind::not_allowed);
    EXPECT_EQ(decide(by_certificate, login_of("pump-1")).refusal, RefusalKind::not_allowed);
}

TEST(chain, tokens_and_passwords_share_a_field) {
    const TokenSigner signer{"HS256"};
    const auto chain = chain_of(
        {make_jwt_method({*KeySet::from_secret(TokenSigner::secret()), nullptr, {}, false}),
         password_file()});
    const std::string good = signer.sign(R"({"exp":1700000060,"sub":"s"})");
    EXPECT_EQ(decide(chain, login_of("c", "x", good)).identity->user, "s");
    EXPECT_EQ(decide(chain, login_of("c", "x", good)).identity->expires_at, 1'700'000'090);
    EXPECT_EQ(decide(chain, login_of("c", "ann", "a")).identity->user, "ann");
    const auto refused = [&](std::string token) {
        return decide(chain, login_of("c", "ann", std::move(token))).refusal;
    };
    EXPECT_EQ(refused(signer.sign(R"({"exp":1600000000})")), RefusalKind::expired);
    EXPECT_EQ(refused(signer.sign(R"({"exp":1700000060,"nbf":1800000000})")),
              RefusalKind::not_yet_valid);
    EXPECT_EQ(refused("a.b.c"), RefusalKind::credentials);
    const auto empty = chain_of({make_jwt_method({KeySet{}, nullptr, {}, true})});
    EXPECT_EQ(decide(empty, login_of("c", good)).refusal, RefusalKind::unknown_key);
}

TEST(chain, an_acl_file_serves_whose_method_says_nothing) {
    const auto acl = std::make_shared<const AclFile>(
        *AclFile::parse("topic read public\nuser ann\ntopic write a\n"));
    const auto chain = chain_of({password_file()}, AnonymousRule::always, acl);
    EXPECT_EQ(decide(chain, login_of("c", "ann", "a")).identity->access->publish.allow,
              (std::vector<std::string>{"a"}));
    EXPECT_EQ(decide(chain, login_of("c")).identity->access->subscribe.allow,
              (std::vector<std::string>{"public"}));
    EXPECT_EQ(decide(chain_of({password_file()}), login_of("c", "ann", "a")).identity->access,
              nullptr);
}

TEST(chain, a_backend_is_asked_in_its_turn) {
    HttpBackendOptions options;
    options.when_down = WhenDown::ignore;
    const auto backend = HttpBackend::create(options, SecretKey{1});
    const auto chain = chain_of({make_http_method(backend), password_file()});
    const auto ask = [&](const BackendReply& reply) {
        Attempt attempt{chain, login_of("c", "ann", "a")};
        Step step = attempt.begin(now);
        auto& work = std::get<BackendWork>(step);
        EXPECT_NE(work.request.body.find("\"user_name\":\"ann\""), std::string::npos);
        step = attempt.resume(work.finish(reply, now), now);
        while (auto* slow = std::get_if<SlowWork>(&step)) step = attempt.resume(slow->run(), now);
        return std::pair{std::holds_alternative<Allow>(step), std::string{attempt.method()}};
    };
    EXPECT_EQ(ask({false, 0, "", "refused"}), (std::pair{true, std::string{"password_file"}}));
    EXPECT_EQ(ask({true, 200, R"({"result":"ignore"})", ""}),
              (std::pair{true, std::string{"password_file"}}));
    backend->forget();
    EXPECT_EQ(ask({true, 200, R"({"result":"allow"})", ""}),
              (std::pair{true, std::string{"http"}}));
    backend->forget();
    EXPECT_EQ(ask({true, 403, "", ""}), (std::pair{false, std::string{"http"}}));
}

TEST(chain, scram_finds_its_verifier_where_passwords_are) {
    const auto chain = chain_of({password_file(), users()});
    const auto bob = chain->find_scram("acme", "bob");
    ASSERT_TRUE(bob);
    EXPECT_EQ(bob->identity.tenant, "acme");
    EXPECT_EQ(chain->find_scram("", "bob")->verifier, bob->verifier);
    EXPECT_FALSE(chain->find_scram("cobalt", "bob"));
    EXPECT_FALSE(chain->find_scram("acme", "off"));
    EXPECT_FALSE(chain->find_scram("", "ann"));
}

TEST(chains, the_most_particular_one_serves) {
    const auto both = chain_of({});
    const auto tenant = chain_of({});
    const auto listener = chain_of({});
    const auto any = chain_of({});
    Chains chains;
    EXPECT_EQ(chains.find("l", "t"), nullptr);
    chains.set("l", "t", both);
    chains.set("", "t", tenant);
    chains.set("l", "", listener);
    EXPECT_EQ(chains.find("x", "y"), nullptr);
    chains.set("", "", any);
    EXPECT_EQ(chains.find("l", "t"), both);
    EXPECT_EQ(chains.find("x", "t"), tenant);
    EXPECT_EQ(chains.find("l", "y"), listener);
    EXPECT_EQ(chains.find("x", "y"), any);
    EXPECT_EQ(chains.find("l", ""), listener);
}

}  // namespace
}  // namespace mitu::identity
