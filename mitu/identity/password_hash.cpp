#include "mitu/identity/password_hash.hpp"

#include <charconv>
#include <string>

#include "mitu/identity/credential.hpp"
#include "mitu/identity/digest.hpp"
#include "mitu/identity/scram_verifier.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::uint32_t iterations_max = 1'000'000;
constexpr std::size_t salt_bytes_max = 64;

/// What mosquitto_passwd writes.
struct MosquittoHash {
    std::uint32_t iterations = 0;  // 0: $6$, one plain SHA-512
    std::string salt;
    std::string hash;
};

std::optional<MosquittoHash> parse_mosquitto(std::string_view stored) {
    MosquittoHash parsed;
    const bool is_pbkdf2 = stored.starts_with("$7$");
    if (!is_pbkdf2 && !stored.starts_with("$6$")) return std::nullopt;
    stored.remove_prefix(3);
    if (is_pbkdf2) {
        const char* end = stored.data() + stored.size();
        const auto [after, error] = std::from_chars(stored.data(), end, parsed.iterations);
        if (error != std::errc{} || stored.starts_with('0') || after == end || *after != '$' ||
            parsed.iterations > iterations_max) {
            return std::nullopt;
        }
        stored.remove_prefix(static_cast<std::size_t>(after - stored.data()) + 1);
    }
    const std::size_t dollar = stored.find('$');
    if (dollar == std::string_view::npos) return std::nullopt;
    auto salt = from_base64(stored.substr(0, dollar));
    auto hash = from_base64(stored.substr(dollar + 1));
    if (!salt || salt->empty() || salt->size() > salt_bytes_max || !hash ||
        hash->size() != std::tuple_size_v<Sha512>) {
        return std::nullopt;
    }
    parsed.salt = *std::move(salt);
    parsed.hash = *std::move(hash);
    return parsed;
}

bool verify_mosquitto(const MosquittoHash& stored, std::string_view password) {
    if (stored.iterations > 0) {
        const auto key = pbkdf2_sha512(password, stored.salt, stored.iterations);
        return key && equal_in_constant_time(as_view(*key), stored.hash);
    }
    std::string salted{password};
    salted += stored.salt;
    const Sha512 digest = sha512(salted);
    wipe(salted);
    return equal_in_constant_time(as_view(digest), stored.hash);
}

}  // namespace

std::optional<HashKind> kind_of_hash(std::string_view stored) {
    if (parse_credential(stored)) return HashKind::argon2id;
    if (parse_scram_verifier(stored)) return HashKind::scram_sha256;
    const auto mosquitto = parse_mosquitto(stored);
    if (!mosquitto) return std::nullopt;
    return mosquitto->iterations > 0 ? HashKind::pbkdf2_sha512 : HashKind::sha512;
}

bool verify_password(std::string_view stored, std::string_view password) {
    if (password.size() > password_bytes_max) return false;
    if (stored.starts_with("$argon2id$")) return verify_credential(stored, password);
    if (const auto scram = parse_scram_verifier(stored)) {
        return verify_scram_password(*scram, password);
    }
    const auto mosquitto = parse_mosquitto(stored);
    return mosquitto && verify_mosquitto(*mosquitto, password);
}

}  // namespace mitu::identity
