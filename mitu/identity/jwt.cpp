#include "mitu/identity/jwt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "mitu/base/json_depth.hpp"
#include "mitu/identity/access_json.hpp"
#include "mitu/identity/jose_key.hpp"

namespace mitu::identity {
namespace {

using nlohmann::json;

constexpr std::size_t keys_tried_max = 16;  // a token without kid costs at most so many checks
constexpr std::size_t shown_bytes_max = 128;
constexpr std::int64_t leeway_s_max = 86'400;

std::unexpected<JwtRefusal> refuse(JwtError kind, std::string text) {
    return std::unexpected(JwtRefusal{kind, std::move(text)});
}

struct TokenParts {
    std::string_view header;
    std::string_view payload;
    std::string_view signature;
    std::string_view signed_bytes;
};

std::optional<TokenParts> split(std::string_view token) noexcept {
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    const std::size_t first = token.find('.');
    const std::size_t last = token.rfind('.');
    if (first == std::string_view::npos || first == 0 || last == first || last == first + 1 ||
        std::count(token.begin(), token.end(), '.') != 2 ||
        !std::all_of(token.begin(), token.end(), is_allowed)) {
        return std::nullopt;
    }
    return TokenParts{token.substr(0, first), token.substr(first + 1, last - first - 1),
                      token.substr(last + 1), token.substr(0, last)};
}

Result<json, JwtRefusal> read_object(std::string_view part, const char* name) {
    const auto text = from_base64url(part);
    if (!text) return refuse(JwtError::malformed, fmt::format("the {} is not base64url", name));
    if (is_json_deeper_than(*text, json_depth_max)) {
        return refuse(JwtError::malformed, fmt::format("the {} nests too deep", name));
    }
    json value = json::parse(*text, nullptr, false);
    if (!value.is_object()) {
        return refuse(JwtError::malformed, fmt::format("the {} is no JSON object", name));
    }
    return value;
}

/// What a claim says, short enough for a log line.
std::string show(const json& value) {
    std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
    if (text.size() > shown_bytes_max) text = text.substr(0, shown_bytes_max) + "...";
    return text;
}

const json* find_claim(const json& claims, std::string_view name) {
    if (const auto found = claims.find(name); found != claims.end()) return &*found;
    const json* at = &claims;
    while (!name.empty()) {
        const std::size_t dot = name.find('.');
        if (!at->is_object()) return nullptr;
        const auto found = at->find(name.substr(0, dot));
        if (found == at->end()) return nullptr;
        at = &*found;
        if (dot == std::string_view::npos) return at;
        name.remove_prefix(dot + 1);
    }
    return nullptr;
}

std::optional<JwtRefusal> check_signature(const TokenParts& parts, const KeySet& keys,
                                          const std::vector<std::string>& allowed) {
    const auto header = read_object(parts.header, "token's header");
    if (!header) return header.error();
    const auto fail = [](JwtError kind, std::string text) {
        return JwtRefusal{kind, std::move(text)};
    };
    const auto alg = header->find("alg");
    if (alg == header->end() || !alg->is_string()) {
        return fail(JwtError::malformed, "the token's header has no alg");
    }
    if (header->contains("crit")) {
        return fail(JwtError::malformed,
                    "the token's header has crit: extensions that are unknown");
    }
    const auto algorithm = parse_jws_algorithm(alg->get_ref<const std::string&>());
    if (!algorithm) {
        return fail(JwtError::algorithm, fmt::format("the token's alg is {}", show(*alg)));
    }
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(),
                                      alg->get_ref<const std::string&>()) == allowed.end()) {
        return fail(JwtError::algorithm,
                    fmt::format("the token's alg is {}, which is not allowed here", show(*alg)));
    }
    const auto signature = from_base64url(parts.signature);
    if (!signature) return fail(JwtError::malformed, "the token's signature is not base64url");
    const auto kid_member = header->find("kid");
    const bool names_key = kid_member != header->end();
    if (names_key && !kid_member->is_string()) {
        return fail(JwtError::malformed, "the token's kid is no text");
    }
    const std::string kid = names_key ? kid_member->get<std::string>() : std::string{};

    bool knows_kid = false;
    bool fits = false;
    std::size_t tried = 0;
    // A key without kid (PEM, secret) serves tokens that name one, too.
    for (const auto& key : keys.keys()) {
        if (names_key && !key->kid.empty() && key->kid != kid) continue;
        knows_kid = true;
        if (key->family != family_of(*algorithm)) continue;
        if (key->algorithm && key->algorithm != algorithm) continue;
        fits = true;
        if (++tried > keys_tried_max) break;
        if (verify_signature(*key, *algorithm, parts.signed_bytes, *signature)) return std::nullopt;
    }
    if (!knows_kid) {
        return fail(JwtError::unknown_key,
                    names_key ? fmt::format("no key has the token's kid {}", show(*kid_member))
                              : "there are no keys to check tokens with");
    }
    if (!fits) {
        return fail(JwtError::algorithm,
                    fmt::format("the token's alg is {}, for which its key is not", show(*alg)));
    }
    return fail(JwtError::signature, "the token's signature is wrong");
}

/// `exp`, `nbf`, `iat`: whole seconds, or with a fraction.
Result<std::optional<UnixSeconds>, JwtRefusal> read_time(const json& claims, const char* name) {
    const auto found = claims.find(name);
    if (found == claims.end()) return std::optional<UnixSeconds>{};
    const double value = found->is_number() ? found->get<double>() : -1.0;
    if (!(value >= 0.0 && value <= unix_seconds_max)) {
        return refuse(JwtError::malformed,
                      fmt::format("{} is {}; it is to be seconds since 1970", name, show(*found)));
    }
    return std::optional{static_cast<UnixSeconds>(std::floor(value))};
}

Result<std::optional<UnixSeconds>, JwtRefusal> check_times(const json& claims,
                                                           const JwtRules& rules, UnixSeconds now) {
    const auto expires = read_time(claims, "exp");
    if (!expires) return expires;
    const auto begins = read_time(claims, "nbf");
    if (!begins) return begins;
    const auto issued = read_time(claims, "iat");
    if (!issued) return issued;
    if (!*expires && rules.require_expiry) {
        return refuse(JwtError::missing_claim, "the token has no exp");
    }
    if (*expires && **expires + rules.leeway_s <= now) {
        return refuse(JwtError::expired,
                      fmt::format("the token expired {} s ago", now - **expires));
    }
    if (*begins && **begins - rules.leeway_s > now) {
        return refuse(JwtError::not_yet_valid,
                      fmt::format("the token begins in {} s", **begins - now));
    }
    if (*issued && **issued - rules.leeway_s > now) {
        return refuse(
            JwtError::not_yet_valid,
            fmt::format("the token is issued {} s from now; is a clock wrong?", **issued - now));
    }
    // With the leeway, so that a client whose token was just let in is not put out at once.
    if (!*expires) return std::optional<UnixSeconds>{};
    return std::optional{**expires + rules.leeway_s};
}

std::optional<JwtRefusal> check_origin(const json& claims, const JwtRules& rules) {
    if (!rules.issuer.empty()) {
        const json* issuer = find_claim(claims, "iss");
        if (issuer == nullptr) return JwtRefusal{JwtError::missing_claim, "the token has no iss"};
        if (*issuer != rules.issuer) {
            return JwtRefusal{JwtError::issuer, fmt::format("iss is {}; \"{}\" is expected",
                                                            show(*issuer), rules.issuer)};
        }
    }
    if (rules.audiences.empty()) return std::nullopt;
    const json* audience = find_claim(claims, "aud");
    if (audience == nullptr) return JwtRefusal{JwtError::missing_claim, "the token has no aud"};
    const auto is_ours = [&](const json& one) {
        return std::any_of(rules.audiences.begin(), rules.audiences.end(),
                           [&](const std::string& ours) { return one == ours; });
    };
    const bool found = audience->is_array()
                           ? std::any_of(audience->begin(), audience->end(), is_ours)
                           : is_ours(*audience);
    if (found) return std::nullopt;
    return JwtRefusal{JwtError::audience,
                      fmt::format("aud is {}; it has none of ours", show(*audience))};
}

/// Fills `text` from the claim of that name. A name is text: as a topic level, a log field, a key.
std::optional<JwtRefusal> take_name(const json& claims, const std::string& name, bool required,
                                    std::string& text) {
    if (name.empty()) return std::nullopt;
    const json* claim = find_claim(claims, name);
    if (claim == nullptr) {
        if (!required) return std::nullopt;
        return JwtRefusal{JwtError::missing_claim, fmt::format("the token has no {}", name)};
    }
    if (!claim->is_string() || claim->get_ref<const std::string&>().empty() ||
        claim->get_ref<const std::string&>().size() > identity_name_bytes_max ||
        !is_utf8(claim->get_ref<const std::string&>())) {
        return JwtRefusal{JwtError::malformed,
                          fmt::format("{} is {}; it is to be a name", name, show(*claim))};
    }
    text = claim->get_ref<const std::string&>();
    return std::nullopt;
}

/// nullopt: it needs a name that the login does not have.
std::optional<std::string> expand(std::string_view text, const LoginNames& login) {
    const std::pair<std::string_view, std::string_view> variables[] = {
        {"${client_id}", login.client_id}, {"${clientid}", login.client_id},
        {"%c", login.client_id},           {"${user}", login.user},
        {"${username}", login.user},       {"%u", login.user},
    };
    std::string expanded;
    while (!text.empty()) {
        const auto at = std::find_if(std::begin(variables), std::end(variables),
                                     [&](const auto& v) { return text.starts_with(v.first); });
        if (at == std::end(variables)) {
            expanded += text.front();
            text.remove_prefix(1);
            continue;
        }
        if (at->second.empty()) return std::nullopt;
        expanded += at->second;
        text.remove_prefix(at->first.size());
    }
    return expanded;
}

std::optional<JwtRefusal> check_login(const json& claims, const JwtRules& rules,
                                      const LoginNames& login, const Identity& identity) {
    if (!identity.client_id.empty() && !login.client_id.empty() &&
        identity.client_id != login.client_id) {
        return JwtRefusal{JwtError::client_id,
                          fmt::format("the token is for client id \"{}\"", identity.client_id)};
    }
    for (const JwtClaimCheck& check : rules.checks) {
        const json* claim = find_claim(claims, check.claim);
        if (claim == nullptr) {
            return JwtRefusal{JwtError::missing_claim,
                              fmt::format("the token has no {}", check.claim)};
        }
        const auto expected = expand(check.value, login);
        if (!expected || *claim != *expected) {
            return JwtRefusal{
                JwtError::mismatch,
                fmt::format("{} is {}; {} is expected", check.claim, show(*claim), check.value)};
        }
    }
    return std::nullopt;
}

}  // namespace

bool looks_like_token(std::string_view text) noexcept { return split(text).has_value(); }

Result<Identity, JwtRefusal> verify_token(std::string_view token, const KeySet& keys,
                                          const JwtRules& rules, const LoginNames& login,
                                          UnixSeconds now) {
    const auto parts = split(token);
    if (!parts) return refuse(JwtError::not_a_token, "the password is no token");
    if (token.size() > rules.token_bytes_max) {
        return refuse(JwtError::malformed,
                      fmt::format("the token has {} bytes; at most {} are taken", token.size(),
                                  rules.token_bytes_max));
    }
    if (auto refusal = check_signature(*parts, keys, rules.algorithms))
        return std::unexpected(*std::move(refusal));
    const auto claims = read_object(parts->payload, "token's payload");
    if (!claims) return std::unexpected(claims.error());

    const auto expires = check_times(*claims, rules, now);
    if (!expires) return std::unexpected(expires.error());
    Identity identity;
    identity.expires_at = *expires;
    identity.user = login.user;
    for (auto refusal :
         {check_origin(*claims, rules), take_name(*claims, rules.claims.user, false, identity.user),
          take_name(*claims, rules.claims.tenant, true, identity.tenant),
          take_name(*claims, rules.claims.client_id, true, identity.client_id),
          take_name(*claims, rules.claims.device_class, false, identity.device_class)}) {
        if (refusal) return std::unexpected(*std::move(refusal));
    }
    if (auto refusal = check_login(*claims, rules, login, identity)) {
        return std::unexpected(*std::move(refusal));
    }
    const json* rights =
        rules.claims.access.empty() ? nullptr : find_claim(*claims, rules.claims.access);
    if (rights != nullptr) {
        auto access = read_access(*rights);
        if (!access) {
            return refuse(JwtError::access,
                          fmt::format("{}: {}", rules.claims.access, access.error()));
        }
        identity.access = std::make_shared<const Access>(*std::move(access));
    }
    return identity;
}

std::string check_jwt_rules(const JwtRules& rules) {
    if (rules.leeway_s < 0 || rules.leeway_s > leeway_s_max) {
        return fmt::format("leeway is {} s; use 0..86400", rules.leeway_s);
    }
    for (const JwtClaimCheck& check : rules.checks) {
        if (check.claim.empty() || check.value.empty()) {
            return "a claim check has no claim or no value; use such as sub: ${client_id}";
        }
    }
    return {};
}

}  // namespace mitu::identity
