// Any bytes as a token, and any bytes as the claims of a well-signed one: no crash, and nothing
// gets in that is not signed.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/identity/digest.hpp"
#include "mitu/identity/jwt.hpp"
#include "mitu/identity/key_source.hpp"
#include "mitu/identity/secret.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::identity;
    static const std::string secret(32, 's');
    static const KeySet keys = KeySet::from_secret(secret)->with(*KeySet::from_jwks(
        R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})"));
    static const JwtRules rules = [] {
        JwtRules made;
        made.claims = {"sub", "", "", "class", "acl"};
        made.token_bytes_max = 1 << 20;
        return made;
    }();
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const LoginNames login{"dev", "ann"};
    constexpr UnixSeconds now = 1'300'000'000;

    MITU_CHECK(!verify_token(text, keys, rules, login, now));
    const auto fresh = fresh_for(text.substr(0, size / 2), text.substr(size / 2));
    MITU_CHECK(!fresh || *fresh >= mitu::Duration{});
    static_cast<void>(kid_of_token(text));
    static_cast<void>(kid_of_token(to_base64url(text)));

    std::string token = to_base64url(R"({"alg":"HS256"})") + "." + to_base64url(text);
    token += "." + to_base64url(hmac(HmacHash::sha256, secret, token));
    const auto identity = verify_token(token, keys, rules, login, now);
    if (!identity) {
        MITU_CHECK(!identity.error().text.empty());
        MITU_CHECK(identity.error().kind != JwtError::signature);
        return 0;
    }
    MITU_CHECK(identity->expires_at && *identity->expires_at > now);
    if (!identity->access) return 0;
    for (const auto* filters :
         {&identity->access->publish.allow, &identity->access->publish.deny,
          &identity->access->subscribe.allow, &identity->access->subscribe.deny}) {
        for (const auto& filter : *filters) {
            MITU_CHECK(!check_access_filter(filter, login_variables));
        }
    }
    return 0;
}
