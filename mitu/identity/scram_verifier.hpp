#pragma once
// What a server keeps of a SCRAM-SHA-256 password: enough to check it, not enough to log in with.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mitu::identity {

/// Shape   text: `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`, base64, as PostgreSQL writes it.
/// Source  RFC 5803 (the fields), RFC 7677 (SHA-256, at least 4,096 iterations).
struct ScramVerifier {
    std::uint32_t iterations = 0;
    std::string salt;  // bytes
    std::array<std::uint8_t, 32> stored_key{};
    std::array<std::uint8_t, 32> server_key{};

    bool operator==(const ScramVerifier&) const = default;
};

inline constexpr std::uint32_t scram_iterations_min = 4'096;
inline constexpr std::uint32_t scram_iterations_max = 1'000'000;
inline constexpr std::uint32_t scram_iterations_usual = 4'096;  // what devices can bear at a login
inline constexpr std::size_t scram_salt_bytes_max = 64;

/// Whether a user name or password may be used with SCRAM: printable ASCII. RFC 5802 wants
/// SASLprep, which leaves exactly these characters as they are; others, which two clients might
/// normalise in two ways, are refused when the password is set and not found out when a device
/// fails to log in.
[[nodiscard]] bool is_scram_text(std::string_view text) noexcept;

/// Errors  nullopt: the password is empty or not is_scram_text(), or salt or iterations are out of
///         range.
/// Cost    one PBKDF2: about 2 ms at 4,096 iterations.
[[nodiscard]] std::optional<ScramVerifier> make_scram_verifier(std::string_view password,
                                                               std::string_view salt,
                                                               std::uint32_t iterations);

[[nodiscard]] std::optional<ScramVerifier> parse_scram_verifier(std::string_view text);
[[nodiscard]] std::string format_scram_verifier(const ScramVerifier& verifier);

/// For a plain password (in CONNECT) of a user who has a SCRAM verifier. Constant in time.
[[nodiscard]] bool verify_scram_password(const ScramVerifier& verifier, std::string_view password);

}  // namespace mitu::identity
