#pragma once
// Device passwords: argon2id PHC strings. docs/decisions/0004-device-credentials.md.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mitu::identity {

/// What one check of a password costs.
struct CredentialCost {
    std::uint32_t passes = 2;      // argon2's t
    std::uint32_t memory_kib = 0;  // argon2's m; at least 8

    bool operator==(const CredentialCost&) const = default;
};

/// For secrets of 128 random bits, where the hash need not slow down guessing: about a millisecond.
inline constexpr CredentialCost credential_cost_random{2, 1'024};
/// For passwords that people choose: libsodium's INTERACTIVE, 64 MiB.
inline constexpr CredentialCost credential_cost_chosen{2, 65'536};

using Salt = std::array<std::uint8_t, 16>;

/// `$argon2id$v=19$m=...,t=...,p=1$salt$hash`. Pure: the caller gives the random salt.
/// Errors  empty: the memory cannot be had, or the cost is out of range.
[[nodiscard]] std::string hash_password(std::string_view password, const Salt& salt,
                                        CredentialCost cost);

/// A secret as text: 22 characters of base64url from 128 random bits.
[[nodiscard]] std::string format_secret(const std::array<std::uint8_t, 16>& random);

/// A PHC string in 56 bytes, so that a million devices fit.
struct Credential {
    CredentialCost cost;
    Salt salt{};
    std::array<std::uint8_t, 32> hash{};

    bool operator==(const Credential&) const = default;
};

/// Errors  nullopt: not an argon2id PHC string as hash_password() writes (version 19, one lane, 16
///         bytes of salt, 32 of hash), or a cost that no server should bear (memory 8 KiB..1 GiB,
///         1..16 passes).
[[nodiscard]] std::optional<Credential> parse_credential(std::string_view phc) noexcept;
[[nodiscard]] std::string format_credential(const Credential& credential);

/// Constant in time over the password.
/// Cost  as `phc` says: about a millisecond for random secrets, a tenth of a second for chosen
///       passwords; so not on a shard. Allocates the memory that the cost names.
[[nodiscard]] bool verify_credential(std::string_view phc, std::string_view password) noexcept;

}  // namespace mitu::identity
