#include "mitu/identity/http_backend.hpp"

#include <gtest/gtest.h>

namespace mitu::identity {
namespace {

constexpr SecretKey key{3};

std::shared_ptr<const Login> login_of(std::string client, std::string password = "secret") {
    auto login = std::make_shared<Login>();
    login->client_id = std::move(client);
    login->user = "ann";
    login->password = SecretText{password};
    login->peer = "192.0.2.1";
    return login;
}

Now at(std::int64_t seconds) {
    return {Instant{} + Duration::seconds(seconds), 1'700'000'000 + seconds};
}

BackendReply replied(int status, std::string body = "") {
    return {true, status, std::move(body), ""};
}

BackendReply allowed() { return replied(200, R"({"result":"allow"})"); }

template <class Kind, class Any>
bool is(const Any& answer) {
    return std::holds_alternative<Kind>(answer);
}

RefusalKind kind_of(const auto& answer) { return std::get<Deny>(answer).refusal.kind; }

TEST(http_backend, tells_the_login_as_json) {
    Login login;
    login.client_id = "dev-1";
    login.user = "a\"b";
    login.password = SecretText{"p\xFF"};
    login.tenant = "acme";
    login.listener = "tls";
    login.peer = "::1";
    login.certificate = CertificateFacts{};
    login.certificate->common_names = {"pump"};
    EXPECT_EQ(write_login(login, true),
              R"({"certificate":{"common_name":"pump","fingerprint":")" + std::string(64, '0') +
                  R"("},"client_id":"dev-1","listener":"tls","password_base64":"cP8=",)"
                  R"("peer":"::1","tenant":"acme","user_name":"a\"b"})");
    EXPECT_EQ(write_login(*login_of("dev-1"), false),
              R"({"client_id":"dev-1","password":"secret","user_name":"ann"})");
    EXPECT_EQ(write_login(Login{}, true), "{}");
}

TEST(http_backend, tells_the_login_in_a_query_that_nothing_breaks_out_of) {
    Login login;
    login.client_id = "dev 1&user_name=root";
    login.user = "a#b/\u00e9";
    login.password = SecretText{"p%+=?"};
    login.peer = "::1";
    EXPECT_EQ(write_query(login, true),
              "?client_id=dev%201%26user_name%3Droot&password=p%25%2B%3D%3F&peer=%3A%3A1"
              "&user_name=a%23b%2F%C3%A9");
    login.certificate = CertificateFacts{};
    login.certificate->common_names = {"pump\r\n"};
    login.password = SecretText{"\xFF"};
    EXPECT_TRUE(write_query(login, false)
                    .ends_with("&password_base64=%2Fw%3D%3D&user_name=a%23b%2F%C3%A9"
                               "&certificate_fingerprint=" +
                               std::string(64, '0') + "&certificate_common_name=pump%0D%0A"));
    EXPECT_EQ(write_query(Login{}, true), "");
}

TEST(http_backend, asks_by_get_what_fits_a_url) {
    HttpBackendOptions options;
    options.asks_by_get = true;
    const auto backend = HttpBackend::create(options, key);
    const auto answer = backend->ask(login_of("dev-1"), at(0));
    ASSERT_TRUE(is<BackendWork>(answer));
    const BackendRequest& request = std::get<BackendWork>(answer).request;
    EXPECT_TRUE(request.is_get);
    EXPECT_EQ(request.body, "");
    EXPECT_EQ(request.query, "?client_id=dev-1&password=secret&peer=192.0.2.1&user_name=ann");
    const auto failures = backend->status(at(0).instant).in_flight;
    const auto refused = backend->ask(login_of("dev-2", std::string(5'000, 'p')), at(0));
    ASSERT_TRUE(is<Deny>(refused));
    EXPECT_EQ(kind_of(refused), RefusalKind::credentials);
    EXPECT_EQ(backend->status(at(0).instant).in_flight, failures) << "the backend is not asked";
}

TEST(http_backend, reads_replies) {
    const auto login = login_of("dev-1");
    const auto full = read_reply(
        replied(200, R"({"result":"allow","tenant":"acme","class":"pump","client_id":"dev-1",
                         "user":"u","acl":{"all":["a/#"]},"expire_at":1700000100,
                         "is_superuser":true})"),
        *login, at(0));
    ASSERT_TRUE(full) << full.error();
    const Identity& identity = std::get<Allow>(*full).identity;
    EXPECT_EQ(identity.user, "u");
    EXPECT_EQ(identity.tenant, "acme");
    EXPECT_EQ(identity.device_class, "pump");
    EXPECT_EQ(identity.client_id, "dev-1");
    EXPECT_EQ(identity.expires_at, 1'700'000'100);
    EXPECT_EQ(identity.access->publish.allow, (std::vector<std::string>{"a/#"}));
    EXPECT_EQ(std::get<Allow>(*read_reply(replied(204), *login, at(0))).identity.user, "ann");
    EXPECT_EQ(std::get<Allow>(*read_reply(allowed(), *login, at(0))).identity.user, "ann");
    EXPECT_TRUE(is<Ignore>(*read_reply(replied(200, R"({"result":"ignore"})"), *login, at(0))));
    EXPECT_EQ(kind_of(*read_reply(replied(200, R"({"result":"deny"})"), *login, at(0))),
              RefusalKind::credentials);
    EXPECT_EQ(kind_of(*read_reply(replied(401), *login, at(0))), RefusalKind::credentials);
    EXPECT_EQ(kind_of(*read_reply(replied(403), *login, at(0))), RefusalKind::credentials);
    EXPECT_EQ(
        kind_of(*read_reply(replied(200, R"({"result":"allow","client_id":"x"})"), *login, at(0))),
        RefusalKind::client_id);
    EXPECT_EQ(kind_of(*read_reply(replied(200, R"({"result":"allow","expire_at":1700000000})"),
                                  *login, at(0))),
              RefusalKind::expired);
}

TEST(http_backend, a_reply_of_another_shape_is_no_answer) {
    for (const char* body :
         {"", "x", "[]", "{}", "null", R"("allow")", R"({"result":"ALLOW"})", R"({"result":true})",
          R"({"result":"allow","tenant":7})", R"({"result":"allow","acl":"#"})",
          R"({"result":"allow","acl":{"publish":["a/#/b"]}})",
          R"({"result":"allow","expire_at":"soon"})", R"({"result":"allow","expire_at":-1})",
          R"({"result":"allow","expire_at":1e300})", R"({"result":"allow","user":"a\u0000"})"}) {
        EXPECT_FALSE(read_reply(replied(200, body), *login_of("a"), at(0))) << body;
    }
    for (const int status : {0, 100, 201, 301, 400, 404, 429, 500, 503}) {
        EXPECT_FALSE(read_reply(replied(status, R"({"result":"allow"})"), *login_of("a"), at(0)));
    }
    EXPECT_FALSE(
        read_reply({false, 200, R"({"result":"allow"})", "timed out"}, *login_of("a"), at(0)));
    EXPECT_FALSE(
        read_reply(replied(200, R"({"result":"allow","x":")" + std::string(300'000, 'a') + "\"}"),
                   *login_of("a"), at(0)));
}

TEST(http_backend, remembers_answers_for_the_same_question_only) {
    const auto backend = HttpBackend::create({}, key);
    auto work = backend->ask(login_of("a"), at(0));
    ASSERT_TRUE(is<BackendWork>(work));
    EXPECT_TRUE(is<Allow>(std::get<BackendWork>(work).finish(allowed(), at(1))));
    EXPECT_TRUE(is<Allow>(backend->ask(login_of("a"), at(60))));
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("a", "Secret"), at(2))));
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("b"), at(2))));
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("a"), at(61))));
    backend->forget();
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("a"), at(2))));

    auto denied = backend->ask(login_of("c"), at(100));
    EXPECT_TRUE(is<Deny>(std::get<BackendWork>(denied).finish(replied(403), at(100))));
    EXPECT_TRUE(is<Deny>(backend->ask(login_of("c"), at(104))));
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("c"), at(105))));
}

TEST(http_backend, forgets_who_has_expired_and_who_was_unused_for_longest) {
    HttpBackendOptions options;
    options.cache.entries_max = 2;
    const auto backend = HttpBackend::create(options, key);
    const auto let_in = [&](const char* client, std::string body) {
        auto work = backend->ask(login_of(client), at(0));
        EXPECT_TRUE(is<Allow>(std::get<BackendWork>(work).finish(replied(200, body), at(0))));
    };
    let_in("a", R"({"result":"allow","expire_at":1700000010})");
    EXPECT_TRUE(is<Allow>(backend->ask(login_of("a"), at(9))));
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("a"), at(10))));
    let_in("b", R"({"result":"allow"})");
    EXPECT_TRUE(is<Allow>(backend->ask(login_of("a"), at(1))));
    let_in("c", R"({"result":"allow"})");
    EXPECT_TRUE(is<Allow>(backend->ask(login_of("a"), at(1))));
    EXPECT_TRUE(is<Allow>(backend->ask(login_of("c"), at(1))));
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("b"), at(1))));
    EXPECT_EQ(backend->status(Instant{}).cached, 2u);
}

/// A backend that has failed until its circuit opened, at second 10; "known" got in at second 0.
std::shared_ptr<HttpBackend> broken(WhenDown when_down) {
    HttpBackendOptions options;
    options.when_down = when_down;
    options.circuit.failures_to_open = 3;
    const auto backend = HttpBackend::create(options, key);
    auto known = backend->ask(login_of("known"), at(0));
    EXPECT_TRUE(is<Allow>(std::get<BackendWork>(known).finish(allowed(), at(0))));
    for (int i = 0; i < 3; ++i) {
        auto work = backend->ask(login_of("x"), at(10));
        const auto verdict = std::get<BackendWork>(work).finish(replied(500), at(10));
        EXPECT_EQ(is<Ignore>(verdict), when_down == WhenDown::ignore);
    }
    EXPECT_EQ(backend->status(at(10).instant).state, CircuitState::open);
    EXPECT_EQ(backend->status(at(10).instant).last_error, "status 500");
    return backend;
}

TEST(http_backend, while_it_is_down_the_operators_choice_decides) {
    const auto deny = broken(WhenDown::deny);
    EXPECT_EQ(kind_of(deny->ask(login_of("y"), at(11))), RefusalKind::unavailable);
    EXPECT_TRUE(is<Allow>(deny->ask(login_of("known"), at(11))));  // still fresh
    const auto ignore = broken(WhenDown::ignore);
    EXPECT_TRUE(is<Ignore>(ignore->ask(login_of("y"), at(11))));
    const auto cached = broken(WhenDown::allow_cached);
    EXPECT_EQ(kind_of(cached->ask(login_of("y"), at(11))), RefusalKind::unavailable);
    auto probe = cached->ask(login_of("known"), at(100));  // no longer fresh
    ASSERT_TRUE(is<BackendWork>(probe));
    EXPECT_TRUE(is<Allow>(cached->ask(login_of("known"), at(100))));
    EXPECT_TRUE(is<Allow>(std::get<BackendWork>(probe).finish({}, at(101))));
    EXPECT_EQ(kind_of(cached->ask(login_of("known", "guess"), at(101))), RefusalKind::unavailable);
    auto later = cached->ask(login_of("known"), at(3'600));
    EXPECT_EQ(kind_of(std::get<BackendWork>(later).finish({}, at(3'600))),
              RefusalKind::unavailable);
}

TEST(http_backend, one_probe_decides_whether_it_is_back) {
    const auto backend = broken(WhenDown::deny);
    EXPECT_TRUE(is<Deny>(backend->ask(login_of("y"), at(19))));
    auto probe = backend->ask(login_of("y"), at(20));
    ASSERT_TRUE(is<BackendWork>(probe));
    EXPECT_TRUE(is<Deny>(backend->ask(login_of("z"), at(21))));
    EXPECT_EQ(backend->status(at(21).instant).state, CircuitState::half_open);
    EXPECT_TRUE(is<Deny>(std::get<BackendWork>(probe).finish(replied(500), at(22))));
    EXPECT_TRUE(is<Deny>(backend->ask(login_of("y"), at(31))));
    auto second = backend->ask(login_of("y"), at(32));
    ASSERT_TRUE(is<BackendWork>(second));
    EXPECT_TRUE(is<Allow>(std::get<BackendWork>(second).finish(allowed(), at(33))));
    EXPECT_EQ(backend->status(at(33).instant).state, CircuitState::closed);
    EXPECT_TRUE(is<BackendWork>(backend->ask(login_of("z"), at(33))));
}

TEST(http_backend, questions_on_their_way_are_bounded_and_never_lost_count_of) {
    HttpBackendOptions options;
    options.circuit.in_flight_max = 2;
    options.when_down = WhenDown::ignore;
    const auto backend = HttpBackend::create(options, key);
    {
        auto a = backend->ask(login_of("a"), at(0));
        auto b = backend->ask(login_of("b"), at(0));
        EXPECT_EQ(backend->status(Instant{}).in_flight, 2u);
        EXPECT_EQ(kind_of(backend->ask(login_of("c"), at(0))), RefusalKind::busy);
        EXPECT_TRUE(is<Allow>(std::get<BackendWork>(a).finish(allowed(), at(0))));
        EXPECT_EQ(kind_of(std::get<BackendWork>(a).finish(allowed(), at(0))),
                  RefusalKind::unavailable);
        EXPECT_EQ(backend->status(Instant{}).in_flight, 1u);
    }
    EXPECT_EQ(backend->status(Instant{}).in_flight, 0u);
    EXPECT_EQ(backend->status(Instant{}).last_error,
              "a question was dropped before its reply came");
}

}  // namespace
}  // namespace mitu::identity
