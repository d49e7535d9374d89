#pragma once
// One key of a KeySet, and the signatures it verifies, by OpenSSL. Inside mitu/identity only.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/identity/secret.hpp"

struct evp_pkey_st;  // EVP_PKEY

namespace mitu::identity {

/// Source  RFC 7518 section 3.1, RFC 8037.
enum class JwsAlgorithm : std::uint8_t {
    hs256,
    hs384,
    hs512,
    rs256,
    rs384,
    rs512,
    ps256,
    ps384,
    ps512,
    es256,
    es384,
    eddsa,
};
[[nodiscard]] std::optional<JwsAlgorithm> parse_jws_algorithm(std::string_view name) noexcept;

/// What a key is. It decides which algorithms are possible, whatever a token says: a public key
/// never serves as an HMAC secret.
enum class KeyFamily : std::uint8_t { hmac, rsa, p256, p384, ed25519 };
[[nodiscard]] KeyFamily family_of(JwsAlgorithm algorithm) noexcept;

struct PublicKeyFree {
    void operator()(evp_pkey_st* key) const noexcept;
};
using PublicKey = std::unique_ptr<evp_pkey_st, PublicKeyFree>;

struct JoseKey {
    KeyFamily family = KeyFamily::hmac;
    std::string kid;                        // empty: none
    std::optional<JwsAlgorithm> algorithm;  // the only one it is for
    PublicKey public_key;
    SecretText secret;
};

// Each: nullopt or null where the numbers are no such key. RSA keys have 2,048..16,384 bits.
[[nodiscard]] PublicKey make_rsa_key(std::string_view modulus, std::string_view exponent);
/// `family`: p256 or p384.
[[nodiscard]] PublicKey make_ec_key(KeyFamily family, std::string_view x, std::string_view y);
[[nodiscard]] PublicKey make_ed25519_key(std::string_view x);

struct PemKey {
    KeyFamily family = KeyFamily::rsa;
    PublicKey key;
};
/// The first `PUBLIC KEY` or `CERTIFICATE` of `pem`, which is cut behind it.
/// Errors  what is wrong, for people.
[[nodiscard]] Result<PemKey, std::string> take_pem_key(std::string_view& pem);

/// Whether `signature` is the key's over `signed_bytes`. False for an algorithm that is not of the
/// key's family, too.
[[nodiscard]] bool verify_signature(const JoseKey& key, JwsAlgorithm algorithm,
                                    std::string_view signed_bytes, std::string_view signature);

/// An HMAC secret has at least the size of the hash (RFC 7518 section 3.2).
[[nodiscard]] std::size_t secret_bytes_min(JwsAlgorithm algorithm) noexcept;

}  // namespace mitu::identity
