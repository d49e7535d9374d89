#include "mitu/identity/key_set.hpp"

#include <gtest/gtest.h>

#include "mitu/identity/testing/token_signer.hpp"

namespace mitu::identity {
namespace {

constexpr const char* good_ec =
    R"({"kid":"ec","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";

Result<KeySet, std::string> jwks(const std::string& keys) {
    return KeySet::from_jwks(R"({"keys":[)" + keys + "]}");
}

TEST(key_set, leaves_out_what_it_cannot_use_with_a_warning) {
    const auto keys = jwks(std::string{good_ec} +
                           R"(,{"kid":"k1","kty":"EC","crv":"secp256k1","x":"","y":""})"
                           R"(,{"kid":"e","kty":"RSA","use":"enc","n":"AA","e":"AQAB"})"
                           R"(,{"kid":"a","kty":"RSA","alg":"RSA-OAEP","n":"AA","e":"AQAB"})"
                           R"(,{"kty":"new"})");
    ASSERT_TRUE(keys) << keys.error();
    EXPECT_EQ(keys->size(), 1u);
    EXPECT_EQ(keys->warnings(),
              (std::vector<std::string>{
                  "keys[1] (kid \"k1\") is left out: kty \"EC\" with crv \"secp256k1\" is not "
                  "supported",
                  "keys[2] (kid \"e\") is left out: it is not for signatures",
                  "keys[3] (kid \"a\") is left out: alg \"RSA-OAEP\" is not supported",
                  "keys[4] is left out: kty \"new\" is not supported"}));
}

TEST(key_set, names_the_broken_key_and_what_is_wrong_with_it) {
    const std::pair<std::string, std::string> rows[] = {
        {R"({"kid":"r","kty":"RSA","n":"AQAB","e":"AQAB"})",
         "keys[0] (kid \"r\"): n and e are no RSA key of 2048..16384 bits"},
        {R"({"kid":"r","kty":"RSA","n":"??","e":"AQAB"})",
         "keys[0] (kid \"r\"): n or e is missing or not base64url"},
        {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
         R"("y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})",
         "keys[0]: x and y are no point of P-256"},
        {R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})", "keys[0]: x is no Ed25519 key"},
        {R"({"kty":"oct","k":"c2hvcnQ"})", "keys[0]: k has 5 bytes; use at least 32"},
        {R"({"kty":"oct"})", "keys[0]: k is missing or not base64url"},
        {R"({"kid":"x"})", "keys[0] (kid \"x\"): no kty"},
        {R"(7)", "keys[0]: no JSON object"},
        {R"({"kty":"new"})",
         "no key of the JWKS document is of use: keys[0] is left out: kty \"new\" is not "
         "supported"},
    };
    for (const auto& [key, error] : rows) {
        const auto keys = jwks(key);
        ASSERT_FALSE(keys) << key;
        EXPECT_EQ(keys.error(), error);
    }
    std::string wrong_alg = good_ec;
    wrong_alg.insert(1, R"("alg":"RS256",)");
    EXPECT_EQ(jwks(wrong_alg).error(),
              "keys[0] (kid \"ec\"): alg is RS256, which does not go with kty and crv");
    for (const char* text : {"", "[]", "{}", "{\"keys\":7}", "{\"keys\":[]}", "{"}) {
        EXPECT_FALSE(KeySet::from_jwks(text)) << text;
    }
}

TEST(key_set, reads_pem_and_refuses_private_keys) {
    const std::string rsa = TokenSigner{"RS256"}.public_pem();
    const std::string ec = TokenSigner{"ES384"}.public_pem();
    const auto both = KeySet::from_pem("# keys of the issuer\n" + rsa + ec);
    ASSERT_TRUE(both) << both.error();
    EXPECT_EQ(both->size(), 2u);
    const auto error = [](std::string_view pem) {
        const auto keys = KeySet::from_pem(pem);
        return keys ? std::string{} : keys.error();
    };
    EXPECT_EQ(error("x"), "no whole PEM block (-----BEGIN PUBLIC KEY-----)");
    EXPECT_EQ(error(rsa.substr(0, 100)), "no whole PEM block (-----BEGIN PUBLIC KEY-----)");
    EXPECT_EQ(error("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              "a private key; the server needs only the public one (openssl pkey -pubout)");
    EXPECT_EQ(error("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
              "the PEM block does not hold a key that OpenSSL can read");
    EXPECT_EQ(error("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n"),
              "a PEM block \"DH PARAMETERS\"; use PUBLIC KEY or CERTIFICATE");
    EXPECT_EQ(error(ec + rsa.substr(0, 60)), "no whole PEM block (-----BEGIN PUBLIC KEY-----)");
}

TEST(key_set, refuses_short_secrets) {
    EXPECT_TRUE(KeySet::from_secret(std::string(32, 'a')));
    const auto keys = KeySet::from_secret("hunter2");
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().find("hunter2"), std::string::npos);
    EXPECT_NE(keys.error().find("7 bytes"), std::string::npos);
}

}  // namespace
}  // namespace mitu::identity
