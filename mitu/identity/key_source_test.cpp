#include "mitu/identity/key_source.hpp"

#include <gtest/gtest.h>

#include "mitu/identity/method.hpp"
#include "mitu/identity/testing/token_signer.hpp"

namespace mitu::identity {
namespace {

using Result = KeyFetch::Result;

Duration s(std::int64_t seconds) { return Duration::seconds(seconds); }

/// A JWKS of HMAC keys: no two runs differ, and nothing costs time.
std::string document(const std::vector<std::string>& kids) {
    std::string text;
    for (const std::string& kid : kids) {
        text += (text.empty() ? "" : ",") + std::string{R"({"kty":"oct","kid":")"} + kid +
                R"(","k":")" + to_base64url(TokenSigner::secret()) + "\"}";
    }
    return R"({"keys":[)" + text + "]}";
}

KeyReply reply(const std::vector<std::string>& kids, std::string cache_control = "",
               std::string etag = "") {
    return {true, 200, document(kids), std::move(etag), std::move(cache_control), "", ""};
}
KeyReply down() { return {false, 0, "", "", "", "", "connect: refused"}; }

struct Source {
    explicit Source(KeySourceOptions options = {}) : keys{options} {}

    /// What one fetch comes to that begins now. EXPECTs that it may.
    KeyFetch fetch(const KeyReply& answer, bool is_wanted = false) {
        const auto request = keys.begin(now, is_wanted);
        EXPECT_TRUE(request.has_value());
        if (request) asked_etag = request->etag;
        return keys.finish(answer, now);
    }
    /// Seconds until begin() says yes, at most 100'000.
    std::int64_t seconds_to_next() {
        KeySource& source = keys;
        for (std::int64_t i = 0; i < 100'000; ++i) {
            if (source.begin(now + s(i), false)) {
                source.finish(down(), now + s(i));
                return i;
            }
        }
        return -1;
    }

    KeySource keys;
    Instant now = Instant::from_ns(0);
    std::string asked_etag = "never";
};

TEST(key_source, fetches_at_once_and_one_at_a_time) {
    Source source;
    EXPECT_TRUE(source.keys.begin(source.now, false));
    EXPECT_FALSE(source.keys.begin(source.now, false));
    EXPECT_FALSE(source.keys.begin(source.now, true));
    const auto fetched = source.keys.finish(reply({"a", "b"}), source.now);
    EXPECT_EQ(fetched.result, Result::fetched);
    EXPECT_EQ(fetched.keys, 2u);
    EXPECT_FALSE(source.keys.begin(source.now, false));
}

TEST(key_source, comes_again_when_the_reply_says_within_bounds) {
    const auto after = [](std::string cache_control, std::string age = "") {
        Source source;
        KeyReply answer = reply({"a"}, std::move(cache_control));
        answer.age = std::move(age);
        const Duration said = source.fetch(answer).next;
        EXPECT_EQ(source.seconds_to_next(), said.count_s());
        return said.count_s();
    };
    EXPECT_EQ(after(""), 300);
    EXPECT_EQ(after("public, max-age=600"), 600);
    EXPECT_EQ(after("MAX-AGE = \"600\""), 300) << "no such directive: its name ends in a space";
    EXPECT_EQ(after("Max-Age=\"600\", must-revalidate"), 600);
    EXPECT_EQ(after("max-age=600", "500"), 100);
    EXPECT_EQ(after("max-age=600", "nonsense"), 600);
    EXPECT_EQ(after("max-age=600", "700"), 5);
    EXPECT_EQ(after("max-age=0"), 5);
    EXPECT_EQ(after("no-store, max-age=600"), 5);
    EXPECT_EQ(after("no-cache"), 5);
    EXPECT_EQ(after("max-age=-5"), 5);
    EXPECT_EQ(after("max-age=99999999999999999999999"), 86'400);
    EXPECT_EQ(after("max-age=700, max-age=600"), 600);
    EXPECT_EQ(after("s-maxage=7, private"), 300);
    EXPECT_EQ(after(",,=,max-age"), 300);
}

TEST(key_source, sends_the_etag_back_and_takes_304_for_the_same_keys) {
    Source source;
    EXPECT_EQ(source.fetch(reply({"a"}, "max-age=60", "\"v1\"")).result, Result::fetched);
    EXPECT_EQ(source.asked_etag, "");
    source.now = source.now + s(60);
    const auto same = source.fetch({true, 304, "", "", "max-age=90", "", ""});
    EXPECT_EQ(source.asked_etag, "\"v1\"");
    EXPECT_EQ(same.result, Result::unchanged);
    EXPECT_EQ(same.keys, 1u);
    EXPECT_EQ(same.next, s(90));
    EXPECT_EQ(source.keys.status(source.now).age, Duration{});
}

TEST(key_source, never_sends_back_an_etag_that_could_break_a_header) {
    for (const char* bad : {"\"a\r\nX: y\"", "a b", "\x80"}) {
        Source source;
        source.fetch(reply({"a"}, "max-age=10", bad));
        source.now = source.now + s(10);
        source.fetch(reply({"a"}));
        EXPECT_EQ(source.asked_etag, "");
    }
}

TEST(key_source, takes_304_without_keys_for_a_failure) {
    Source source;
    EXPECT_EQ(source.fetch({true, 304, "", "", "", "", ""}).result, Result::failed);
    EXPECT_FALSE(source.keys.find("a", source.now).keys);
}

TEST(key_source, keeps_the_last_good_keys_whatever_comes_after) {
    for (const KeyReply& bad :
         {down(), KeyReply{true, 500, "", "", "", "", ""},
          KeyReply{true, 200, "<html>", "", "", "", ""},
          KeyReply{true, 200, R"({"keys":[]})", "", "", "", ""},
          KeyReply{true, 200, R"({"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]})", "", "", "", ""},
          KeyReply{true, 301, document({"evil"}), "", "", "", ""}}) {
        Source source;
        source.fetch(reply({"a"}, "max-age=10"));
        source.now = source.now + s(10);
        const auto failed = source.fetch(bad);
        EXPECT_EQ(failed.result, Result::failed);
        EXPECT_FALSE(failed.problem.empty());
        EXPECT_EQ(failed.keys, 1u);
        const auto found = source.keys.find("a", source.now);
        EXPECT_TRUE(found.keys);
        EXPECT_FALSE(found.should_wait);
        EXPECT_FALSE(found.is_unknowable);
        EXPECT_FALSE(source.keys.status(source.now).problem.empty());
    }
}

TEST(key_source, lets_go_of_keys_that_nobody_has_confirmed_for_too_long) {
    KeySourceOptions options;
    options.stale_max = s(100);
    Source source{options};
    source.fetch(reply({"a"}, "max-age=50"));
    for (int i = 0; i < 3; ++i) {
        source.now = source.now + s(50);
        if (source.now.since_start_ns() <= s(100).count_ns()) {
            EXPECT_TRUE(source.keys.find("a", source.now).keys);
        }
        source.fetch(down());
    }
    EXPECT_FALSE(source.keys.find("a", source.now).keys);
    EXPECT_EQ(source.keys.status(source.now).keys, 0u);
    EXPECT_EQ(source.keys.status(source.now).age, s(150));
    source.now = source.now + s(30);
    source.fetch(reply({"a"}));
    EXPECT_TRUE(source.keys.find("a", source.now).keys) << "and has them again when they come";
}

TEST(key_source, tries_again_after_a_failure_ever_more_slowly_up_to_a_bound) {
    Source source;
    std::vector<std::int64_t> waits;
    for (int i = 0; i < 8; ++i) {
        waits.push_back(source.fetch(down()).next.count_s());
        source.now = source.now + s(waits.back());
    }
    EXPECT_EQ(waits, (std::vector<std::int64_t>{1, 2, 4, 8, 16, 30, 30, 30}));
    source.fetch(reply({"a"}, "max-age=10"));
    source.now = source.now + s(10);
    EXPECT_EQ(source.fetch(down()).next, s(1)) << "a success begins the row anew";
}

TEST(key_source, fetches_early_for_an_unknown_kid_but_not_for_each) {
    Source source;
    source.fetch(reply({"a"}, "max-age=3600"));
    EXPECT_FALSE(source.keys.find("a", source.now).should_wait);
    EXPECT_FALSE(source.keys.find(std::nullopt, source.now).should_wait);
    EXPECT_FALSE(source.keys.find("b", source.now).should_wait) << "just fetched";
    source.now = source.now + s(10);
    EXPECT_TRUE(source.keys.find("b", source.now).should_wait);
    EXPECT_FALSE(source.keys.begin(source.now, false));
    source.fetch(reply({"a", "b"}, "max-age=3600"), true);
    EXPECT_FALSE(source.keys.find("b", source.now).should_wait);
    int fetches = 0;
    for (int i = 0; i < 1'000; ++i) {
        source.now = source.now + Duration::milliseconds(100);
        const std::string kid = "made-up-" + std::to_string(i);
        if (!source.keys.find(kid, source.now).should_wait) continue;
        source.fetch(reply({"a", "b"}, "max-age=3600"), true);
        ++fetches;
    }
    EXPECT_EQ(fetches, 20) << "in a hundred seconds";
}

TEST(key_source, cannot_tell_of_an_unknown_kid_while_the_issuer_is_down) {
    Source source;
    source.fetch(reply({"a"}, "max-age=3600"));
    source.now = source.now + s(10);
    source.fetch(down(), true);
    EXPECT_TRUE(source.keys.find("b", source.now).is_unknowable);
    EXPECT_FALSE(source.keys.find("a", source.now).is_unknowable);
}

TEST(key_source, waits_without_keys_only_while_a_fetch_may_bring_some) {
    Source source;
    EXPECT_TRUE(source.keys.find("a", source.now).should_wait);
    ASSERT_TRUE(source.keys.begin(source.now, true));
    EXPECT_TRUE(source.keys.find("a", source.now).should_wait);
    source.keys.finish(down(), source.now);
    EXPECT_FALSE(source.keys.find("a", source.now).should_wait) << "until it may be tried again";
    source.now = source.now + s(1);
    EXPECT_TRUE(source.keys.find("a", source.now).should_wait);
}

TEST(key_source, reads_the_kid_of_a_token_and_of_nothing_else) {
    const auto token = [](std::string_view header) { return to_base64url(header) + ".e30.AA"; };
    EXPECT_EQ(kid_of_token(token(R"({"alg":"RS256","kid":"k 1"})")), "k 1");
    EXPECT_EQ(kid_of_token(token(R"({"alg":"RS256"})")), std::nullopt);
    EXPECT_EQ(kid_of_token(token(R"({"kid":7})")), std::nullopt);
    EXPECT_EQ(kid_of_token(token("[]")), std::nullopt);
    EXPECT_EQ(kid_of_token("%%%.e30.AA"), std::nullopt);
    EXPECT_EQ(kid_of_token(""), std::nullopt);
    EXPECT_EQ(kid_of_token(token(R"({"kid":")" + std::string(5'000, 'k') + "\"}")), std::nullopt);
}

/// The method of a chain over such a source.
struct MethodUnderTest {
    MethodUnderTest() {
        JwtMethodOptions options;
        options.source = source;
        options.rules.require_expiry = false;
        method = make_jwt_method(std::move(options));
    }
    Answer ask(std::string_view kid) const {
        auto login = std::make_shared<Login>();
        login->client_id = "c";
        login->password = SecretText{
            TokenSigner{"HS256"}.sign(R"({"sub":"dev"})", ",\"kid\":\"" + std::string{kid} + "\"")};
        return method->ask(login, {now, 1'000});
    }
    static std::string text_of(const Verdict& verdict) {
        if (const auto* allow = std::get_if<Allow>(&verdict)) return allow->identity.user;
        if (const auto* deny = std::get_if<Deny>(&verdict)) {
            return deny->refusal.kind == RefusalKind::unavailable   ? "unavailable"
                   : deny->refusal.kind == RefusalKind::unknown_key ? "unknown_key"
                                                                    : deny->refusal.text;
        }
        return "ignore";
    }

    std::shared_ptr<KeySource> source = std::make_shared<KeySource>(KeySourceOptions{});
    MethodPtr method;
    Instant now = Instant::from_ns(0);
};

TEST(key_source, makes_tokens_wait_for_the_first_keys) {
    MethodUnderTest test;
    auto answer = test.ask("a");
    auto* const wait = std::get_if<BackendWork>(&answer);
    ASSERT_NE(wait, nullptr);
    ASSERT_TRUE(test.source->begin(test.now, true));
    test.source->finish(reply({"a"}), test.now);
    EXPECT_EQ(test.text_of(wait->finish({}, {test.now, 1'000})), "dev");

    auto later = test.ask("a");
    auto* const check = std::get_if<SlowWork>(&later);
    ASSERT_NE(check, nullptr) << "then nobody waits";
    EXPECT_EQ(test.text_of(check->run()), "dev");
    auto unknown = test.ask("b");
    EXPECT_EQ(test.text_of(std::get<SlowWork>(unknown).run()), "unknown_key");
}

TEST(key_source, makes_tokens_unavailable_while_there_are_no_keys) {
    MethodUnderTest test;
    auto answer = test.ask("a");
    ASSERT_TRUE(test.source->begin(test.now, true));
    test.source->finish(down(), test.now);
    EXPECT_EQ(test.text_of(std::get<BackendWork>(answer).finish({}, {test.now, 1'000})),
              "unavailable");
    auto at_once = test.ask("a");
    ASSERT_TRUE(std::holds_alternative<Deny>(at_once)) << "and does not wait again before a retry";
    EXPECT_EQ(std::get<Deny>(at_once).refusal.kind, RefusalKind::unavailable);
}

}  // namespace
}  // namespace mitu::identity
