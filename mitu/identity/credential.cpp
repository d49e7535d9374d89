#include "mitu/identity/credential.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <charconv>

#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::uint32_t passes_max = 16;
constexpr std::uint32_t memory_kib_min = 8;
constexpr std::uint32_t memory_kib_max = 1u << 20;
constexpr int phc_base64 = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
constexpr std::string_view phc_prefix = "$argon2id$v=19$m=";

static_assert(crypto_pwhash_argon2id_SALTBYTES == std::tuple_size_v<Salt>);

bool is_ready() noexcept {
    static const bool ready = sodium_init() >= 0;  // picks the implementation for this CPU
    return ready;
}

bool is_bearable(CredentialCost cost) noexcept {
    return cost.passes >= 1 && cost.passes <= passes_max && cost.memory_kib >= memory_kib_min &&
           cost.memory_kib <= memory_kib_max;
}

template <std::size_t Size>
std::string to_base64(const std::array<std::uint8_t, Size>& bytes, int variant) {
    std::string text(sodium_base64_encoded_len(Size, variant), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes.data(), Size, variant);
    text.pop_back();  // the terminating zero
    return text;
}

/// Walks a PHC string.
class PhcReader {
public:
    explicit PhcReader(std::string_view text) noexcept : rest_{text} {}
    bool skip(std::string_view text) noexcept {
        if (!rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    bool number(std::uint32_t& value) noexcept {
        // A leading zero would be a second spelling of the same credential.
        if (rest_.starts_with('0')) return false;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc{}) return false;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        return true;
    }
    template <std::size_t Size>
    bool base64(std::array<std::uint8_t, Size>& bytes) noexcept {
        constexpr std::size_t length = (Size * 8 + 5) / 6;
        const std::string_view text = rest_.substr(0, length);
        std::size_t read = 0;
        if (text.size() != length || !is_ascii(text) ||
            sodium_base642bin(bytes.data(), Size, text.data(), text.size(), nullptr, &read, nullptr,
                              phc_base64) != 0 ||
            read != Size) {
            return false;
        }
        rest_.remove_prefix(length);
        return true;
    }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
};

}  // namespace

std::string hash_password(std::string_view password, const Salt& salt, CredentialCost cost) {
    if (!is_ready() || !is_bearable(cost)) return {};
    Credential credential{cost, salt, {}};
    if (crypto_pwhash_argon2id(credential.hash.data(), credential.hash.size(), password.data(),
                               password.size(), salt.data(), cost.passes,
                               std::size_t{cost.memory_kib} * 1'024,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
        return {};
    }
    return format_credential(credential);
}

std::string format_secret(const std::array<std::uint8_t, 16>& random) {
    return to_base64(random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::optional<Credential> parse_credential(std::string_view phc) noexcept {
    Credential credential;
    PhcReader reader{phc};
    const bool parsed = reader.skip(phc_prefix) && reader.number(credential.cost.memory_kib) &&
                        reader.skip(",t=") && reader.number(credential.cost.passes) &&
                        reader.skip(",p=1$") && reader.base64(credential.salt) &&
                        reader.skip("$") && reader.base64(credential.hash) && reader.at_end();
    if (!parsed || !is_bearable(credential.cost)) return std::nullopt;
    return credential;
}

std::string format_credential(const Credential& credential) {
    return fmt::format("{}{},t={},p=1${}${}", phc_prefix, credential.cost.memory_kib,
                       credential.cost.passes, to_base64(credential.salt, phc_base64),
                       to_base64(credential.hash, phc_base64));
}

bool verify_credential(std::string_view phc, std::string_view password) noexcept {
    if (!is_ready() || !parse_credential(phc)) return false;
    // libsodium wants a zero at the end, and reads no more than this.
    std::array<char, crypto_pwhash_argon2id_STRBYTES> text{};
    if (phc.size() >= text.size()) return false;
    phc.copy(text.data(), phc.size());
    // Nor does it take a null pointer for an empty password.
    const char* const bytes = password.empty() ? "" : password.data();
    return crypto_pwhash_argon2id_str_verify(text.data(), bytes, password.size()) == 0;
}

}  // namespace mitu::identity
