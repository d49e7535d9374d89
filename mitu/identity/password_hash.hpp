#pragma once
// A stored password in any form that we read: ours and mosquitto's.

#include <cstdint>
#include <optional>
#include <string_view>

namespace mitu::identity {

enum class HashKind : std::uint8_t {
    argon2id,       // `$argon2id$v=19$...`, what we write (credential.hpp)
    scram_sha256,   // `SCRAM-SHA-256$...`, opens for a plain password too (scram_verifier.hpp)
    pbkdf2_sha512,  // `$7$ITERATIONS$SALT$HASH`, mosquitto 2
    sha512,         // `$6$SALT$HASH`, mosquitto 1: one round, so quickly guessed
};

/// Errors  nullopt: none of these, or a cost that no server should bear (see credential.hpp; above
///         1,000,000 iterations).
[[nodiscard]] std::optional<HashKind> kind_of_hash(std::string_view stored);

/// Constant in time over the password; an unknown form opens for none.
/// Cost  what `stored` says: a microsecond ($6$) to a tenth of a second (argon2id of a chosen
///       password). Not on a shard.
[[nodiscard]] bool verify_password(std::string_view stored, std::string_view password);

inline constexpr std::size_t password_bytes_max = 65'535;  // what MQTT can carry

}  // namespace mitu::identity
