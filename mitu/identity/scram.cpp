#include "mitu/identity/scram.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mitu/base/check.hpp"
#include "mitu/identity/digest.hpp"

namespace mitu::identity {
namespace {

constexpr std::size_t nonce_bytes_max = 512;

/// Takes what stands in front of the next comma.
std::string_view take_field(std::string_view& rest) noexcept {
    const std::size_t comma = rest.find(',');
    const std::string_view field = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    return field;
}

/// `x=...`; nullopt: it is another attribute.
std::optional<std::string_view> value_of(std::string_view field, char name) noexcept {
    if (field.size() < 2 || field[0] != name || field[1] != '=') return std::nullopt;
    return field.substr(2);
}

bool is_nonce(std::string_view text) noexcept {
    return !text.empty() && text.size() <= nonce_bytes_max &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return c >= 0x21 && c <= 0x7E && c != ','; });
}

/// Undoes `=2C` and `=3D`.
std::optional<std::string> decode_name(std::string_view text) {
    std::string name;
    while (!text.empty()) {
        if (text.front() != '=') {
            name += text.front();
            text.remove_prefix(1);
        } else if (text.starts_with("=2C") || text.starts_with("=3D")) {
            name += text[1] == '2' ? ',' : '=';
            text.remove_prefix(3);
        } else {
            return std::nullopt;
        }
    }
    return name;
}

bool is_extension(std::string_view field) noexcept {
    const bool letter = !field.empty() && ((field[0] >= 'a' && field[0] <= 'z') ||
                                           (field[0] >= 'A' && field[0] <= 'Z'));
    return letter && field.size() > 2 && field[1] == '=';
}

}  // namespace

std::string_view server_error_value(ScramError error) noexcept {
    switch (error) {
        case ScramError::malformed:
            return "invalid-encoding";
        case ScramError::extension:
            return "extensions-not-supported";
        case ScramError::channel_binding:
            return "channel-binding-not-supported";
        case ScramError::channel_binding_changed:
            return "channel-bindings-dont-match";
        case ScramError::user_name:
            return "invalid-username-encoding";
        case ScramError::proof:
            return "invalid-proof";
        case ScramError::authorization_id:
        case ScramError::nonce:
        case ScramError::out_of_order:
            return "other-error";
    }
    return "other-error";
}

std::string make_scram_nonce(std::string_view random) {
    MITU_CHECK(random.size() >= scram_nonce_bytes);
    return to_base64(random.substr(0, scram_nonce_bytes));
}

Result<std::string_view, ScramError> ScramServer::on_client_first(std::string_view message) {
    const bool in_order = state_ == State::client_first;
    const auto error = in_order ? read_client_first(message) : ScramError::out_of_order;
    state_ = error ? State::failed : State::challenge;
    if (error) return std::unexpected(*error);
    return std::string_view{user_};
}

std::optional<ScramError> ScramServer::read_client_first(std::string_view message) {
    if (message.size() > scram_message_bytes_max || !is_utf8(message)) {
        return ScramError::malformed;
    }
    std::string_view rest = message;
    const std::string_view flag = take_field(rest);
    if (flag.starts_with("p=")) return ScramError::channel_binding;
    if (flag != "n" && flag != "y") return ScramError::malformed;
    const std::string_view authorization = take_field(rest);
    if (rest.empty()) return ScramError::malformed;
    gs2_header_ = message.substr(0, message.size() - rest.size());
    client_first_bare_ = rest;

    const std::string_view name_field = take_field(rest);
    if (value_of(name_field, 'm')) return ScramError::extension;
    const auto name = value_of(name_field, 'n');
    const auto nonce = value_of(take_field(rest), 'r');
    if (!name || !nonce || !is_nonce(*nonce)) return ScramError::malformed;
    auto decoded = decode_name(*name);
    if (!decoded) return ScramError::malformed;
    if (decoded->empty() || !is_scram_text(*decoded)) return ScramError::user_name;
    if (!authorization.empty()) {
        const auto id = value_of(authorization, 'a');
        if (!id) return ScramError::malformed;
        if (decode_name(*id) != decoded) return ScramError::authorization_id;
    }
    while (!rest.empty()) {  // optional extensions: known to nobody yet
        if (!is_extension(take_field(rest))) return ScramError::malformed;
    }
    user_ = *std::move(decoded);
    nonce_ = *nonce;
    return std::nullopt;
}

std::string ScramServer::challenge(std::optional<ScramVerifier> verifier,
                                   std::string_view server_nonce, const SecretKey& decoy_key,
                                   std::uint32_t decoy_iterations) {
    MITU_CHECK(state_ == State::challenge);
    MITU_CHECK(is_nonce(server_nonce));
    user_exists_ = verifier.has_value();
    if (verifier) {
        verifier_ = *std::move(verifier);
    } else {
        // What the salt and the keys are must not show that nobody has them.
        const KeyedDigest salt = keyed_digest("salt " + user_, decoy_key);
        verifier_.iterations = decoy_iterations;
        verifier_.salt = as_view(salt).substr(0, 16);
        verifier_.stored_key = keyed_digest("stored " + user_, decoy_key);
        verifier_.server_key = keyed_digest("server " + user_, decoy_key);
    }
    nonce_ += server_nonce;
    server_first_ =
        fmt::format("r={},s={},i={}", nonce_, to_base64(verifier_.salt), verifier_.iterations);
    state_ = State::client_final;
    return server_first_;
}

Result<std::string, ScramError> ScramServer::on_client_final(std::string_view message) {
    auto result = state_ == State::client_final
                      ? check_client_final(message)
                      : Result<std::string, ScramError>{std::unexpected(ScramError::out_of_order)};
    state_ = result ? State::proved : State::failed;
    return result;
}

Result<std::string, ScramError> ScramServer::check_client_final(std::string_view message) {
    const auto fail = [](ScramError error) { return std::unexpected(error); };
    if (message.size() > scram_message_bytes_max || !is_utf8(message)) {
        return fail(ScramError::malformed);
    }
    // The proof is last, and what stands in front of it is signed.
    const std::size_t proof_at = message.rfind(",p=");
    if (proof_at == std::string_view::npos) return fail(ScramError::malformed);
    const std::string_view without_proof = message.substr(0, proof_at);
    const auto proof = from_base64(message.substr(proof_at + 3));
    if (!proof || proof->size() != verifier_.stored_key.size()) return fail(ScramError::malformed);

    std::string_view rest = without_proof;
    const auto binding = value_of(take_field(rest), 'c');
    if (!binding) return fail(ScramError::malformed);
    if (from_base64(*binding) != gs2_header_) return fail(ScramError::channel_binding_changed);
    const auto nonce = value_of(take_field(rest), 'r');
    if (!nonce) return fail(ScramError::malformed);
    if (!equal_in_constant_time(*nonce, nonce_)) return fail(ScramError::nonce);
    while (!rest.empty()) {
        if (!is_extension(take_field(rest))) return fail(ScramError::malformed);
    }

    const std::string signed_text =
        fmt::format("{},{},{}", client_first_bare_, server_first_, without_proof);
    const Sha256 signature = hmac_sha256(as_view(verifier_.stored_key), signed_text);
    Sha256 client_key{};
    for (std::size_t i = 0; i < client_key.size(); ++i) {
        client_key[i] =
            static_cast<std::uint8_t>(static_cast<std::uint8_t>((*proof)[i]) ^ signature[i]);
    }
    const bool is_right =
        equal_in_constant_time(as_view(sha256(as_view(client_key))), as_view(verifier_.stored_key));
    if (!is_right || !user_exists_) return fail(ScramError::proof);
    return "v=" + to_base64(as_view(hmac_sha256(as_view(verifier_.server_key), signed_text)));
}

}  // namespace mitu::identity
