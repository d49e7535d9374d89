#include "mitu/api/secrets.hpp"

#include <sodium.h>

#include <cstring>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::api {
namespace {

identity::CredentialCost cost_of(PasswordCost cost) {
    return cost == PasswordCost::quick ? identity::CredentialCost{1, 8}
                                       : identity::credential_cost_chosen;
}

template <std::size_t size>
std::array<std::uint8_t, size> random_bytes(ports::Entropy& entropy) {
    static_assert(size % 8 == 0);
    std::array<std::uint8_t, size> bytes{};
    for (std::size_t i = 0; i < size; i += 8) {
        const std::uint64_t word = entropy.next();
        std::memcpy(bytes.data() + i, &word, 8);
    }
    return bytes;
}

std::string encode(const unsigned char* bytes, std::size_t size, int variant) {
    std::string text(sodium_base64_encoded_len(size, variant), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes, size, variant);
    text.pop_back();  // the zero behind it
    return text;
}

std::string hash_hex(const std::uint8_t* key, std::size_t key_bytes, std::string_view text) {
    std::array<unsigned char, 32> hash{};
    MITU_CHECK(crypto_generichash(hash.data(), hash.size(),
                                  reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                  key, key_bytes) == 0);
    std::string hex(hash.size() * 2 + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
    hex.pop_back();
    return hex;
}

}  // namespace

std::string hash_password(std::string_view password, PasswordCost cost, ports::Entropy& entropy) {
    return identity::hash_password(password, random_bytes<16>(entropy), cost_of(cost));
}

bool check_password(std::string_view phc, std::string_view password, PasswordCost cost) {
    if (!phc.empty()) return identity::verify_credential(phc, password);
    identity::Credential nobody;  // a hash of zeros: what opens it, nobody knows
    nobody.cost = cost_of(cost);
    static_cast<void>(identity::verify_credential(identity::format_credential(nobody), password));
    return false;
}

std::string random_text(std::size_t bytes, ports::Entropy& entropy) {
    std::vector<unsigned char> random(bytes);
    for (std::size_t i = 0; i < bytes; i += 8) {
        const std::uint64_t word = entropy.next();
        std::memcpy(random.data() + i, &word, std::min<std::size_t>(8, bytes - i));
    }
    return encode(random.data(), random.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::string digest_text(std::string_view secret) { return hash_hex(nullptr, 0, secret); }

DigestKey make_digest_key(ports::Entropy& entropy) { return random_bytes<32>(entropy); }

std::string keyed_digest(const DigestKey& key, std::string_view text) {
    return hash_hex(key.data(), key.size(), text);
}

bool is_same_secret(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::string& secret) noexcept {
    sodium_memzero(secret.data(), secret.size());
    secret.clear();
}

std::string to_base64(std::string_view bytes) {
    return encode(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                  sodium_base64_VARIANT_ORIGINAL);
}

bool from_base64(std::string_view text, std::string& bytes) {
    bytes.assign(text.size() / 4 * 3 + 3, '\0');
    std::size_t size = 0;
    const char* end = nullptr;
    const bool is_good =
        sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                          text.size(), nullptr, &size, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
        end == text.data() + text.size();
    bytes.resize(is_good ? size : 0);
    return is_good;
}

}  // namespace mitu::api
