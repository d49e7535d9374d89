#include "mitu/identity/scram_verifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "mitu/identity/digest.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::string_view scram_prefix = "SCRAM-SHA-256$";

struct Keys {
    Sha256 stored;
    Sha256 server;
};

std::optional<Keys> derive(std::string_view password, std::string_view salt,
                           std::uint32_t iterations) {
    const auto salted = pbkdf2_sha256(password, salt, iterations);
    if (!salted) return std::nullopt;
    const Sha256 client_key = hmac_sha256(as_view(*salted), "Client Key");
    return Keys{sha256(as_view(client_key)), hmac_sha256(as_view(*salted), "Server Key")};
}

bool take_key(std::string_view text, Sha256& key) {
    const auto bytes = from_base64(text);
    if (!bytes || bytes->size() != key.size()) return false;
    std::copy(bytes->begin(), bytes->end(), key.begin());
    return true;
}

}  // namespace

bool is_scram_text(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7E; });
}

std::optional<ScramVerifier> make_scram_verifier(std::string_view password, std::string_view salt,
                                                 std::uint32_t iterations) {
    if (password.empty() || !is_scram_text(password) || salt.empty() ||
        salt.size() > scram_salt_bytes_max || iterations < scram_iterations_min ||
        iterations > scram_iterations_max) {
        return std::nullopt;
    }
    const auto keys = derive(password, salt, iterations);
    if (!keys) return std::nullopt;
    return ScramVerifier{iterations, std::string{salt}, keys->stored, keys->server};
}

std::optional<ScramVerifier> parse_scram_verifier(std::string_view text) {
    if (!text.starts_with(scram_prefix)) return std::nullopt;
    text.remove_prefix(scram_prefix.size());
    ScramVerifier verifier;
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, verifier.iterations);
    if (error != std::errc{} || text.starts_with('0') || after == end || *after != ':' ||
        verifier.iterations < scram_iterations_min || verifier.iterations > scram_iterations_max) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(after - text.data()) + 1);
    const std::size_t dollar = text.find('$');
    const std::size_t colon = text.find(':');
    if (dollar == std::string_view::npos || colon == std::string_view::npos || colon < dollar) {
        return std::nullopt;
    }
    auto salt = from_base64(text.substr(0, dollar));
    if (!salt || salt->empty() || salt->size() > scram_salt_bytes_max ||
        !take_key(text.substr(dollar + 1, colon - dollar - 1), verifier.stored_key) ||
        !take_key(text.substr(colon + 1), verifier.server_key)) {
        return std::nullopt;
    }
    verifier.salt = *std::move(salt);
    return verifier;
}

std::string format_scram_verifier(const ScramVerifier& verifier) {
    return fmt::format("{}{}:{}${}:{}", scram_prefix, verifier.iterations, to_base64(verifier.salt),
                       to_base64(as_view(verifier.stored_key)),
                       to_base64(as_view(verifier.server_key)));
}

bool verify_scram_password(const ScramVerifier& verifier, std::string_view password) {
    const auto keys = derive(password, verifier.salt, verifier.iterations);
    return keys && equal_in_constant_time(as_view(keys->stored), as_view(verifier.stored_key));
}

}  // namespace mitu::identity
