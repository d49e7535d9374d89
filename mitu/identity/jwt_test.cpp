#include "mitu/identity/jwt.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mitu/identity/testing/token_signer.hpp"

namespace mitu::identity {
namespace {

constexpr UnixSeconds now = 1'700'000'000;
const LoginNames login{"dev-1", "ann"};

KeySet hmac_keys() { return *KeySet::from_secret(TokenSigner::secret()); }

/// Claims beside an exp in the future.
std::string claims(std::string_view more = "") {
    return fmt::format("{{\"exp\":{}{}{}}}", now + 60, more.empty() ? "" : ",", more);
}

Result<Identity, JwtRefusal> verify(std::string_view more, const JwtRules& rules = {},
                                    const LoginNames& names = login) {
    static const TokenSigner signer{"HS256"};
    return verify_token(signer.sign(claims(more)), hmac_keys(), rules, names, now);
}

void expect_refused(const Result<Identity, JwtRefusal>& result, JwtError kind) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind) << result.error().text;
    EXPECT_FALSE(result.error().text.empty());
}

TEST(jwt, takes_the_examples_of_rfc_7515) {
    const KeySet keys = *KeySet::from_jwks(R"({"keys":[
      {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
      {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
       "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
      {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
      {"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}
    ]})");
    EXPECT_EQ(keys.size(), 4u);
    JwtRules rules;
    rules.issuer = "joe";
    const std::string payload =
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.";
    const std::string tokens[] = {
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + payload +
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "eyJhbGciOiJFUzI1NiJ9" + payload +
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
            "Kg6NU1Q",
        "eyJhbGciOiJSUzI1NiJ9" + payload +
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
            "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
            "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
            "xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A"
            "XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"};
    for (const std::string& token : tokens) {
        const auto identity = verify_token(token, keys, rules, login, 1'300'819'370);
        ASSERT_TRUE(identity) << identity.error().text;
        EXPECT_EQ(identity->user, "ann");
        EXPECT_EQ(identity->expires_at, 1'300'819'380 + 30);
        expect_refused(verify_token(token, keys, rules, login, now), JwtError::expired);
    }
    // RFC 8037's payload is no JSON: the signature is right, so that is what is found.
    expect_refused(
        verify_token("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_"
                     "MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                     "MuM0KAg",
                     keys, rules, login, now),
        JwtError::malformed);
}

TEST(jwt, every_algorithm_opens_with_its_key_and_no_other) {
    const TokenSigner other_rsa{"RS256"};
    for (const char* name :
         {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}) {
        const TokenSigner signer{name};
        const KeySet keys = *KeySet::from_pem(signer.public_pem());
        std::string token = signer.sign(claims());
        ASSERT_TRUE(verify_token(token, keys, {}, login, now)) << name;
        EXPECT_FALSE(verify_token(token, *KeySet::from_pem(other_rsa.public_pem()), {}, login, now))
            << name;
        EXPECT_FALSE(verify_token(token, hmac_keys(), {}, login, now)) << name;
        EXPECT_FALSE(verify_token(token, KeySet{}, {}, login, now)) << name;
        const std::size_t at = token.find('.') + 3;
        token[at] = token[at] == 'A' ? 'B' : 'A';
        expect_refused(verify_token(token, keys, {}, login, now), JwtError::signature);
    }
    for (const char* name : {"HS256", "HS384", "HS512"}) {
        const std::string token = TokenSigner{name}.sign(claims());
        EXPECT_TRUE(verify_token(token, hmac_keys(), {}, login, now)) << name;
        expect_refused(
            verify_token(token, *KeySet::from_secret(std::string(64, 'x')), {}, login, now),
            JwtError::signature);
    }
    // A secret too short for the hash is none for it.
    const std::string short_secret(40, 's');
    expect_refused(verify_token(TokenSigner{"HS384"}.sign(claims()),
                                *KeySet::from_secret(short_secret), {}, login, now),
                   JwtError::signature);
}

TEST(jwt, an_algorithm_that_the_rules_leave_out_is_refused_though_the_key_is_for_it) {
    JwtRules rules;
    rules.algorithms = {"HS384", "ES256"};
    expect_refused(verify("", rules), JwtError::algorithm);
    rules.algorithms.push_back("HS256");
    EXPECT_TRUE(verify("", rules));
}

TEST(jwt, a_public_key_is_never_a_secret_and_none_is_no_algorithm) {
    const TokenSigner rsa{"RS256"};
    const std::string pem = rsa.public_pem();
    const KeySet keys = *KeySet::from_pem(pem);
    // What an attacker can make: an HMAC with the public key's text as secret.
    const std::string forged = to_base64url(R"({"alg":"HS256"})") + "." + to_base64url(claims());
    const std::string token = forged + "." + to_base64url(hmac(HmacHash::sha256, pem, forged));
    expect_refused(verify_token(token, keys, {}, login, now), JwtError::algorithm);
    for (const char* none : {"none", "None", "NONE", "", "RS1", "HS2560"}) {
        const std::string head = to_base64url(fmt::format("{{\"alg\":\"{}\"}}", none));
        for (const char* signature : {"", "AAAA"}) {
            expect_refused(verify_token(head + "." + to_base64url(claims()) + "." + signature, keys,
                                        {}, login, now),
                           JwtError::algorithm);
        }
    }
}

TEST(jwt, kid_chooses_the_key) {
    const TokenSigner a{"ES256"};
    const TokenSigner b{"ES256"};
    const KeySet keys =
        KeySet::from_pem(a.public_pem(), "a")->with(*KeySet::from_pem(b.public_pem(), "b"));
    EXPECT_TRUE(verify_token(a.sign(claims(), R"(,"kid":"a")"), keys, {}, login, now));
    EXPECT_TRUE(verify_token(b.sign(claims(), R"(,"kid":"b")"), keys, {}, login, now));
    EXPECT_TRUE(verify_token(b.sign(claims()), keys, {}, login, now));
    expect_refused(verify_token(a.sign(claims(), R"(,"kid":"b")"), keys, {}, login, now),
                   JwtError::signature);
    expect_refused(verify_token(a.sign(claims(), R"(,"kid":"c")"), keys, {}, login, now),
                   JwtError::unknown_key);
    expect_refused(verify_token(a.sign(claims(), R"(,"kid":1)"), keys, {}, login, now),
                   JwtError::malformed);
    expect_refused(verify_token(a.sign(claims(), R"(,"crit":["b64"])"), keys, {}, login, now),
                   JwtError::malformed);
    const KeySet nameless = *KeySet::from_pem(a.public_pem());
    EXPECT_TRUE(verify_token(a.sign(claims(), R"(,"kid":"z")"), nameless, {}, login, now));
}

TEST(jwt, times_hold_within_the_leeway) {
    const TokenSigner signer{"HS256"};
    const auto at = [&](std::string_view text) {
        return verify_token(signer.sign(text), hmac_keys(), {}, login, now);
    };
    const auto with = [&](const char* claim, std::int64_t value) {
        return at(fmt::format("{{\"exp\":{},\"{}\":{}}}", now + 60, claim, value));
    };
    EXPECT_TRUE(at(fmt::format("{{\"exp\":{}}}", now - 29)));
    expect_refused(at(fmt::format("{{\"exp\":{}}}", now - 30)), JwtError::expired);
    EXPECT_TRUE(at(fmt::format("{{\"exp\":{}.5}}", now)));
    EXPECT_TRUE(with("nbf", now + 30));
    expect_refused(with("nbf", now + 31), JwtError::not_yet_valid);
    EXPECT_TRUE(with("iat", now + 30));
    expect_refused(with("iat", now + 31), JwtError::not_yet_valid);
    expect_refused(at("{}"), JwtError::missing_claim);
    JwtRules forever;
    forever.require_expiry = false;
    const auto lasting = verify_token(signer.sign("{}"), hmac_keys(), forever, login, now);
    ASSERT_TRUE(lasting);
    EXPECT_FALSE(lasting->expires_at);
    for (const char* value : {"\"soon\"", "-1", "1e300", "null", "[]", "9007199254740993.0e9"}) {
        expect_refused(at(fmt::format("{{\"exp\":{}}}", value)), JwtError::malformed);
    }
}

TEST(jwt, issuer_and_audience_are_demanded_where_configured) {
    JwtRules rules;
    rules.issuer = "https://id.acme";
    rules.audiences = {"mqtt", "other"};
    EXPECT_TRUE(verify(R"("iss":"https://id.acme","aud":"mqtt")", rules));
    EXPECT_TRUE(verify(R"("iss":"https://id.acme","aud":["x","other"])", rules));
    expect_refused(verify(R"("iss":"https://id.acme/","aud":"mqtt")", rules), JwtError::issuer);
    expect_refused(verify(R"("iss":["https://id.acme"],"aud":"mqtt")", rules), JwtError::issuer);
    expect_refused(verify(R"("aud":"mqtt")", rules), JwtError::missing_claim);
    expect_refused(verify(R"("iss":"https://id.acme")", rules), JwtError::missing_claim);
    expect_refused(verify(R"("iss":"https://id.acme","aud":"x")", rules), JwtError::audience);
    expect_refused(verify(R"("iss":"https://id.acme","aud":[])", rules), JwtError::audience);
}

TEST(jwt, claims_become_the_identity) {
    JwtRules rules;
    rules.claims = {"sub", "mitu.tenant", "device", "https://acme/class", "acl"};
    const auto identity = verify(
        R"("sub":"s-1","mitu":{"tenant":"acme"},"device":"dev-1","https://acme/class":"pump",
           "acl":{"publish":["up/${clientid}/#"],"subscribe":["down/${client_id}"],"all":["x/%c"]})",
        rules);
    ASSERT_TRUE(identity) << identity.error().text;
    EXPECT_EQ(identity->user, "s-1");
    EXPECT_EQ(identity->tenant, "acme");
    EXPECT_EQ(identity->client_id, "dev-1");
    EXPECT_EQ(identity->device_class, "pump");
    ASSERT_TRUE(identity->access);
    EXPECT_EQ(identity->access->publish.allow,
              (std::vector<std::string>{"x/%c", "up/${client_id}/#"}));
    EXPECT_EQ(identity->access->subscribe.allow,
              (std::vector<std::string>{"x/%c", "down/${client_id}"}));
    expect_refused(verify(R"("device":"dev-1")", rules), JwtError::missing_claim);
    expect_refused(verify(R"("mitu":{"tenant":"acme"},"device":"dev-2")", rules),
                   JwtError::client_id);
    expect_refused(verify(R"("mitu":{"tenant":7},"device":"dev-1")", rules), JwtError::malformed);
    expect_refused(verify(R"("mitu":"acme","device":"dev-1")", rules), JwtError::missing_claim);
    expect_refused(verify(R"("mitu":{"tenant":""},"device":"dev-1")", rules), JwtError::malformed);
}

TEST(jwt, claims_that_nest_without_end_are_refused_before_they_are_read) {
    const auto nested = [](std::size_t depth) {
        return R"("nbf":)" + std::string(depth, '[') + std::string(depth, ']');
    };
    const auto shallow = verify(nested(8));  // no number, and shown as it is
    ASSERT_FALSE(shallow);
    EXPECT_NE(shallow.error().text.find("nbf is [[[[[[[[]]]]]]]]"), std::string::npos);
    JwtRules rules;
    rules.token_bytes_max = 4'000'000;
    const auto deep = verify(nested(500'000), rules);
    ASSERT_FALSE(deep);
    EXPECT_EQ(deep.error().kind, JwtError::malformed);
    EXPECT_EQ(deep.error().text, "the token's payload nests too deep");
}

TEST(jwt, takes_rules_of_access_as_emqx_writes_them) {
    const auto identity = verify(
        R"("acl":[{"permission":"allow","action":"all","topic":"a/${username}/#"},
                  {"permission":"deny","action":"publish","topic":"a/+/secret"}])");
    ASSERT_TRUE(identity) << identity.error().text;
    EXPECT_EQ(identity->access->publish.allow, (std::vector<std::string>{"a/${user}/#"}));
    EXPECT_EQ(identity->access->publish.deny, (std::vector<std::string>{"a/+/secret"}));
    EXPECT_EQ(identity->access->subscribe.allow, (std::vector<std::string>{"a/${user}/#"}));
    EXPECT_TRUE(identity->access->subscribe.deny.empty());
    ASSERT_TRUE(verify(R"("acl":{})"));
    EXPECT_EQ(*verify(R"("acl":{})")->access, Access{});  // allows nothing
    for (const char* acl :
         {R"("x")", R"(null)", R"({"publish":"a"})", R"({"publish":[1]})", R"({"publsh":["a"]})",
          R"({"publish":["a/#/b"]})", R"({"publish":["${nobody}"]})", R"(["a"])",
          R"([{"permission":"allow","action":"all"}])",
          R"([{"permission":"maybe","action":"all","topic":"a"}])",
          R"([{"permission":"allow","action":"read","topic":"a"}])",
          R"([{"permission":"allow","action":"all","topic":"a","qos":[1]}])"}) {
        expect_refused(verify(fmt::format("\"acl\":{}", acl)), JwtError::access);
    }
}

TEST(jwt, a_claim_may_have_to_name_the_login) {
    JwtRules rules;
    rules.checks = {{"sub", "${client_id}"}, {"who", "user-%u"}};
    EXPECT_TRUE(verify(R"("sub":"dev-1","who":"user-ann")", rules));
    expect_refused(verify(R"("sub":"dev-2","who":"user-ann")", rules), JwtError::mismatch);
    expect_refused(verify(R"("sub":"dev-1")", rules), JwtError::missing_claim);
    expect_refused(verify(R"("sub":"x","who":"user-")", rules, {"", ""}), JwtError::mismatch);
    EXPECT_EQ(check_jwt_rules(rules), "");
    rules.checks.push_back({"", "x"});
    EXPECT_NE(check_jwt_rules(rules), "");
    JwtRules early;
    early.leeway_s = -1;
    EXPECT_NE(check_jwt_rules(early), "");
}

TEST(jwt, what_is_no_token_is_left_to_others) {
    for (const char* text :
         {"", ".", "..", "...", "a.b", "a..c", ".b.c", "a.b.c.d", "a b.c.d", "a=.b.c", "secret"}) {
        expect_refused(verify_token(text, hmac_keys(), {}, login, now), JwtError::not_a_token);
        EXPECT_FALSE(looks_like_token(text)) << text;
    }
    expect_refused(verify_token("a.b.c", hmac_keys(), {}, login, now), JwtError::malformed);
    const std::string big(20'000, 'a');
    expect_refused(verify_token(big + ".b.c", hmac_keys(), {}, login, now), JwtError::malformed);
    const std::string deep = to_base64url(std::string(9'000, '[') + std::string(9'000, ']'));
    JwtRules rules;
    rules.token_bytes_max = 1 << 20;
    expect_refused(verify_token(deep + "." + deep + ".", hmac_keys(), rules, login, now),
                   JwtError::malformed);
}

}  // namespace
}  // namespace mitu::identity
