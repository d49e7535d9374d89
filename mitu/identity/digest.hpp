#pragma once
// SHA-2, HMAC and PBKDF2, by OpenSSL.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mitu::identity {

using Sha256 = std::array<std::uint8_t, 32>;
using Sha512 = std::array<std::uint8_t, 64>;

[[nodiscard]] Sha256 sha256(std::string_view bytes) noexcept;
[[nodiscard]] Sha512 sha512(std::string_view bytes) noexcept;

enum class HmacHash : std::uint8_t { sha256, sha384, sha512 };
/// The MAC's bytes: 32, 48 or 64.
[[nodiscard]] std::string hmac(HmacHash hash, std::string_view key, std::string_view bytes);
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view bytes) noexcept;

/// Errors  nullopt: out of memory.
[[nodiscard]] std::optional<Sha256> pbkdf2_sha256(std::string_view password, std::string_view salt,
                                                  std::uint32_t iterations) noexcept;
[[nodiscard]] std::optional<Sha512> pbkdf2_sha512(std::string_view password, std::string_view salt,
                                                  std::uint32_t iterations) noexcept;

[[nodiscard]] inline const unsigned char* unsigned_bytes(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

template <std::size_t Size>
[[nodiscard]] std::string_view as_view(const std::array<std::uint8_t, Size>& bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), Size};
}

}  // namespace mitu::identity
