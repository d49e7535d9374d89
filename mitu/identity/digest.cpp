#include "mitu/identity/digest.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

namespace mitu::identity {
namespace {

template <std::size_t Size>
std::optional<std::array<std::uint8_t, Size>> pbkdf2(std::string_view password,
                                                     std::string_view salt,
                                                     std::uint32_t iterations,
                                                     const EVP_MD* hash) noexcept {
    std::array<std::uint8_t, Size> key{};
    if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), unsigned_bytes(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations), hash,
                          static_cast<int>(Size), key.data()) != 1) {
        return std::nullopt;
    }
    return key;
}

}  // namespace

Sha256 sha256(std::string_view bytes) noexcept {
    Sha256 digest{};
    SHA256(unsigned_bytes(bytes), bytes.size(), digest.data());
    return digest;
}

Sha512 sha512(std::string_view bytes) noexcept {
    Sha512 digest{};
    SHA512(unsigned_bytes(bytes), bytes.size(), digest.data());
    return digest;
}

std::string hmac(HmacHash hash, std::string_view key, std::string_view bytes) {
    const EVP_MD* md = hash == HmacHash::sha256   ? EVP_sha256()
                       : hash == HmacHash::sha384 ? EVP_sha384()
                                                  : EVP_sha512();
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned int size = 0;
    // An empty key must not be a null pointer: OpenSSL takes that for "the key of before".
    const char empty = '\0';
    HMAC(md, key.empty() ? &empty : key.data(), static_cast<int>(key.size()), unsigned_bytes(bytes),
         bytes.size(), mac.data(), &size);
    return {reinterpret_cast<const char*>(mac.data()), size};
}

Sha256 hmac_sha256(std::string_view key, std::string_view bytes) noexcept {
    Sha256 mac{};
    const char empty = '\0';
    unsigned int size = 0;
    HMAC(EVP_sha256(), key.empty() ? &empty : key.data(), static_cast<int>(key.size()),
         unsigned_bytes(bytes), bytes.size(), mac.data(), &size);
    return mac;
}

std::optional<Sha256> pbkdf2_sha256(std::string_view password, std::string_view salt,
                                    std::uint32_t iterations) noexcept {
    return pbkdf2<32>(password, salt, iterations, EVP_sha256());
}

std::optional<Sha512> pbkdf2_sha512(std::string_view password, std::string_view salt,
                                    std::uint32_t iterations) noexcept {
    return pbkdf2<64>(password, salt, iterations, EVP_sha512());
}

}  // namespace mitu::identity
