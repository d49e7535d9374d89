#pragma once
// What handling secrets needs: comparing, wiping, keyed digests, base64. Over libsodium.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mitu::identity {

/// Takes as long for a wrong first byte as for a wrong last one; only the sizes may show.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

/// Overwrites in a way that the compiler keeps, and empties.
void wipe(std::string& secret) noexcept;

/// A text that is wiped when it goes. Moving leaves nothing behind.
class SecretText {
public:
    SecretText() = default;
    explicit SecretText(std::string_view text) : text_{text} {}
    SecretText(SecretText&& other) noexcept;
    SecretText& operator=(SecretText&& other) noexcept;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    ~SecretText() { wipe(text_); }

    [[nodiscard]] std::string_view view() const noexcept { return text_; }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

private:
    std::string text_;
};

/// Makes digests of secrets useless outside the process: 256 random bits that never leave it.
using SecretKey = std::array<std::uint8_t, 32>;
using KeyedDigest = std::array<std::uint8_t, 32>;
/// BLAKE2b under `key`.
[[nodiscard]] KeyedDigest keyed_digest(std::string_view bytes, const SecretKey& key) noexcept;

/// With padding, as mosquitto_passwd and SCRAM write it.
[[nodiscard]] std::string to_base64(std::string_view bytes);
/// base64url without padding, as JOSE writes it (RFC 7515 section 2).
[[nodiscard]] std::string to_base64url(std::string_view bytes);
/// Errors  nullopt: another character, wrong padding, or bits set behind the last byte; so each
///         value has one spelling.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

[[nodiscard]] bool is_ascii(std::string_view text) noexcept;
/// Well-formed UTF-8 without U+0000 (MQTT 5.0 section 1.5.4).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// A byte that no line of text should have.
[[nodiscard]] constexpr bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

}  // namespace mitu::identity
