#pragma once
// JSON Web Tokens: is it one of ours, still good, for this client; and who is it then?

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/identity/identity.hpp"
#include "mitu/identity/key_set.hpp"

namespace mitu::identity {

/// Which claim gives what. A name is a member of the claims, or a way down through objects
/// (`mitu.tenant`). Empty: no claim does.
struct JwtClaimNames {
    std::string user = "sub";
    std::string tenant;
    std::string client_id;
    std::string device_class;
    std::string access = "acl";
};

/// A claim that has to say who logs in. `value`: text with ${client_id} and ${user} (also
/// ${clientid}, ${username}, %c, %u).
struct JwtClaimCheck {
    std::string claim;
    std::string value;
};

struct JwtRules {
    /// The values of `alg` that are taken; empty: every one that a key is for.
    std::vector<std::string> algorithms;
    std::string issuer;                  // empty: any
    std::vector<std::string> audiences;  // one of these is in `aud`; empty: any
    std::int64_t leeway_s = 30;          // for clocks that differ; exp, nbf, iat
    bool require_expiry = true;
    JwtClaimNames claims;
    std::vector<JwtClaimCheck> checks;
    std::size_t token_bytes_max = 16'384;
};

enum class JwtError : std::uint8_t {
    not_a_token,  // not three parts of base64url: some other kind of password
    malformed,    // no JSON, a claim of the wrong type, an extension that must be understood
    algorithm,    // none, unknown, or not of the key's kind
    unknown_key,  // no key has that kid: newer keys may
    signature,
    expired,
    not_yet_valid,
    issuer,
    audience,
    missing_claim,  // one that the rules need
    client_id,      // the token is for another client id
    mismatch,       // a check of the rules fails
    access,         // the access claim has no known shape
};

/// Shape  `text` is for the log: claim and values; never the token.
struct JwtRefusal {
    JwtError kind = JwtError::malformed;
    std::string text;
};

/// Who logs in, as CONNECT says.
struct LoginNames {
    std::string_view client_id;
    std::string_view user;
};

/// The token's identity. `client_id`, `tenant` are set where claims give them, and a claim that is
/// named in the rules is demanded, `access`, `device_class` and `user` excepted. The user is the
/// login's where no claim gives one.
/// Shape   compact JWS with RS/PS/ES/HS 256/384/512 (no ES512) or EdDSA (Ed25519). The key's kind
///         decides which algorithms may be; `none` is refused.
/// Order   the signature comes before any claim is looked at.
/// Cost    about 3 us (HMAC), 19 us (RSA), 46 us (P-256), 64 us (Ed25519), 461 us (P-384) of CPU
///         (identity_bench); not on a shard.
///         (identity_bench); not on a shard.
/// Source  RFC 7515, 7519, 8725.
[[nodiscard]] Result<Identity, JwtRefusal> verify_token(std::string_view token, const KeySet& keys,
                                                        const JwtRules& rules,
                                                        const LoginNames& login, UnixSeconds now);

/// Whether a password looks like a token: three parts of base64url.
[[nodiscard]] bool looks_like_token(std::string_view text) noexcept;

/// What is wrong with `rules`, for people; empty: nothing.
[[nodiscard]] std::string check_jwt_rules(const JwtRules& rules);

}  // namespace mitu::identity
