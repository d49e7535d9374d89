#include "mitu/identity/key_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "mitu/base/json_depth.hpp"
#include "mitu/identity/jose_key.hpp"

namespace mitu::identity {
namespace {

using nlohmann::json;

constexpr std::size_t keys_max = 256;
constexpr std::size_t jwks_bytes_max = std::size_t{1} << 20;
constexpr std::size_t kid_bytes_max = 256;

/// A key; or why it is left out (skipped), or why the document is refused.
struct Unusable {
    std::string why;
    bool is_error = false;
};

std::optional<std::string> member_text(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get_ref<const std::string&>();
}

std::optional<std::string> member_bytes(const json& object, const char* name) {
    const auto text = member_text(object, name);
    return text ? from_base64url(*text) : std::nullopt;
}

Unusable skip(std::string why) { return {std::move(why), false}; }
Unusable refuse(std::string why) { return {std::move(why), true}; }

/// `use` and `key_ops` (RFC 7517 sections 4.2, 4.3).
bool is_for_signatures(const json& object) {
    const auto use = member_text(object, "use");
    if (use && *use != "sig") return false;
    const auto operations = object.find("key_ops");
    if (operations == object.end() || !operations->is_array()) return true;
    return std::any_of(operations->begin(), operations->end(), [](const json& operation) {
        return operation == "verify" || operation == "sign";  // an HMAC key may say only sign
    });
}

std::optional<Unusable> read_numbers(const json& object, JoseKey& key) {
    const auto kty = member_text(object, "kty");
    if (!kty) return refuse("no kty");
    const auto curve = member_text(object, "crv").value_or("");
    const auto x = member_bytes(object, "x");
    if (*kty == "RSA") {
        const auto n = member_bytes(object, "n");
        const auto e = member_bytes(object, "e");
        if (!n || !e) return refuse("n or e is missing or not base64url");
        key.family = KeyFamily::rsa;
        key.public_key = make_rsa_key(*n, *e);
        if (!key.public_key) return refuse("n and e are no RSA key of 2048..16384 bits");
    } else if (*kty == "EC" && (curve == "P-256" || curve == "P-384")) {
        const auto y = member_bytes(object, "y");
        if (!x || !y) return refuse("x or y is missing or not base64url");
        key.family = curve == "P-256" ? KeyFamily::p256 : KeyFamily::p384;
        key.public_key = make_ec_key(key.family, *x, *y);
        if (!key.public_key) return refuse(fmt::format("x and y are no point of {}", curve));
    } else if (*kty == "OKP" && curve == "Ed25519") {
        if (!x) return refuse("x is missing or not base64url");
        key.family = KeyFamily::ed25519;
        key.public_key = make_ed25519_key(*x);
        if (!key.public_key) return refuse("x is no Ed25519 key");
    } else if (*kty == "oct") {
        auto secret = member_bytes(object, "k");
        if (!secret) return refuse("k is missing or not base64url");
        const std::size_t size = secret->size();
        key.family = KeyFamily::hmac;
        key.secret = SecretText{*secret};
        wipe(*secret);
        if (size < secret_bytes_min(JwsAlgorithm::hs256)) {
            return refuse(fmt::format("k has {} bytes; use at least 32", size));
        }
    } else {
        return skip(fmt::format("kty \"{}\"{} is not supported", kty->substr(0, 32),
                                curve.empty() ? "" : " with crv \"" + curve.substr(0, 32) + "\""));
    }
    return std::nullopt;
}

std::optional<Unusable> read_key(const json& object, JoseKey& key) {
    if (!object.is_object()) return refuse("no JSON object");
    key.kid = member_text(object, "kid").value_or("");
    if (key.kid.size() > kid_bytes_max) return refuse("kid has more than 256 bytes");
    if (!is_for_signatures(object)) return skip("it is not for signatures");
    const auto algorithm = member_text(object, "alg");
    if (algorithm) {
        key.algorithm = parse_jws_algorithm(*algorithm);
        if (!key.algorithm) {
            return skip(fmt::format("alg \"{}\" is not supported", algorithm->substr(0, 32)));
        }
    }
    if (auto unusable = read_numbers(object, key)) return unusable;
    if (key.algorithm && family_of(*key.algorithm) != key.family) {
        return refuse(fmt::format("alg is {}, which does not go with kty and crv", *algorithm));
    }
    return std::nullopt;
}

}  // namespace

Result<KeySet, std::string> KeySet::from_jwks(std::string_view text) {
    if (text.size() > jwks_bytes_max) {
        return std::unexpected("the JWKS document has more than 1 MiB");
    }
    if (is_json_deeper_than(text, json_depth_max)) {
        return std::unexpected("the JWKS document nests too deep");
    }
    const json document = json::parse(text, nullptr, false);
    if (!document.is_object()) return std::unexpected("the JWKS document is no JSON object");
    const auto keys = document.find("keys");
    if (keys == document.end() || !keys->is_array()) {
        return std::unexpected("the JWKS document has no array \"keys\"");
    }
    if (keys->size() > keys_max) return std::unexpected("the JWKS document has more than 256 keys");
    KeySet set;
    for (std::size_t i = 0; i < keys->size(); ++i) {
        JoseKey key;
        const auto unusable = read_key((*keys)[i], key);
        const auto name = [&] {
            return key.kid.empty() ? fmt::format("keys[{}]", i)
                                   : fmt::format("keys[{}] (kid \"{}\")", i, key.kid);
        };
        if (!unusable) {
            set.keys_.push_back(std::make_shared<const JoseKey>(std::move(key)));
        } else if (unusable->is_error) {
            return std::unexpected(fmt::format("{}: {}", name(), unusable->why));
        } else {
            set.warnings_.push_back(fmt::format("{} is left out: {}", name(), unusable->why));
        }
    }
    if (set.keys_.empty()) {
        return std::unexpected(set.warnings_.empty()
                                   ? "the JWKS document has no keys"
                                   : "no key of the JWKS document is of use: " + set.warnings_[0]);
    }
    return set;
}

Result<KeySet, std::string> KeySet::from_pem(std::string_view pem, std::string kid) {
    KeySet set;
    do {
        auto taken = take_pem_key(pem);
        if (!taken) return std::unexpected(taken.error());
        if (set.keys_.size() == keys_max) return std::unexpected("more than 256 PEM blocks");
        JoseKey key;
        key.family = taken->family;
        key.kid = kid;
        key.public_key = std::move(taken->key);
        set.keys_.push_back(std::make_shared<const JoseKey>(std::move(key)));
    } while (pem.find("-----BEGIN ") != std::string_view::npos);
    return set;
}

Result<KeySet, std::string> KeySet::from_secret(std::string_view secret, std::string kid) {
    if (secret.size() < secret_bytes_min(JwsAlgorithm::hs256)) {
        return std::unexpected(fmt::format(
            "the secret has {} bytes; use at least 32, random ones (openssl rand -base64 48)",
            secret.size()));
    }
    JoseKey key;
    key.kid = std::move(kid);
    key.secret = SecretText{secret};
    KeySet set;
    set.keys_.push_back(std::make_shared<const JoseKey>(std::move(key)));
    return set;
}

KeySet KeySet::with(const KeySet& other) const {
    KeySet both = *this;
    both.keys_.insert(both.keys_.end(), other.keys_.begin(), other.keys_.end());
    both.warnings_.insert(both.warnings_.end(), other.warnings_.begin(), other.warnings_.end());
    return both;
}

}  // namespace mitu::identity
