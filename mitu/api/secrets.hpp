#pragma once
// Passwords and tokens: the one file of this folder that knows how they are hashed.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/ports/entropy.hpp"

namespace mitu::api {

/// What a check of a password costs; `quick` is for tests.
enum class PasswordCost : std::uint8_t { normal, quick };

/// An argon2id PHC string. Cost: as a check. Errors: empty: no memory.
[[nodiscard]] std::string hash_password(std::string_view password, PasswordCost cost,
                                        ports::Entropy& entropy);
/// Constant in time over the password. `phc` empty: a hash that no password opens is checked all
/// the same, at the cost that real ones have, so that time does not tell who exists.
[[nodiscard]] bool check_password(std::string_view phc, std::string_view password,
                                  PasswordCost cost);

/// `bytes` random ones as base64url.
[[nodiscard]] std::string random_text(std::size_t bytes, ports::Entropy& entropy);

/// BLAKE2b-256, in hex: fit for secrets that are random.
[[nodiscard]] std::string digest_text(std::string_view secret);
/// The same under a key: for what stays in this process.
using DigestKey = std::array<std::uint8_t, 32>;
[[nodiscard]] DigestKey make_digest_key(ports::Entropy& entropy);
[[nodiscard]] std::string keyed_digest(const DigestKey& key, std::string_view text);
/// Constant in time over texts of the same length.
[[nodiscard]] bool is_same_secret(std::string_view a, std::string_view b) noexcept;
void wipe(std::string& secret) noexcept;

/// base64 with padding, as JSON carries bytes.
[[nodiscard]] std::string to_base64(std::string_view bytes);
/// False: it is none.
[[nodiscard]] bool from_base64(std::string_view text, std::string& bytes);

}  // namespace mitu::api
