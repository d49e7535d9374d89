#pragma once
// ScramServer: the server's side of SCRAM-SHA-256, message by message. For AUTH packets of MQTT 5.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/identity/scram_verifier.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {

inline constexpr std::string_view scram_method = "SCRAM-SHA-256";  // MQTT's Authentication Method
inline constexpr std::size_t scram_message_bytes_max = 4'096;
inline constexpr std::size_t scram_nonce_bytes = 18;  // of randomness: 24 characters

enum class ScramError : std::uint8_t {
    malformed,                // not the message that RFC 5802 wants here
    extension,                // `m=`: an extension that we must know, and do not
    channel_binding,          // `p=`: none is offered
    channel_binding_changed,  // the last message does not repeat what the first said
    user_name,                // empty, or beyond ASCII (see is_scram_text)
    authorization_id,         // somebody wants to act as somebody else
    nonce,                    // not the one that was agreed
    proof,                    // wrong password, or there is no such user
    out_of_order,             // a message after the last one
};

/// As `e=` of server-final says it (RFC 5802 section 7).
[[nodiscard]] std::string_view server_error_value(ScramError error) noexcept;

/// 24 printable characters from 18 random bytes.
[[nodiscard]] std::string make_scram_nonce(std::string_view random);

/// One authentication: on_client_first(), then challenge(), then on_client_final(). Every error
/// ends it. A client that is ready for channel binding (`y`) is served without.
/// Cost     no PBKDF2: a few HMACs, fit for a shard.
/// Source   RFC 5802, RFC 7677.
class ScramServer {
public:
    /// The user name that `message` claims, decoded.
    /// Lifetime  the name: until the next call.
    [[nodiscard]] Result<std::string_view, ScramError> on_client_first(std::string_view message);

    /// server-first, for the user's verifier. nullopt: there is no such user, who gets a salt all
    /// the same: always the same one, made from `decoy_key`, and then no proof is right.
    /// `server_nonce`: fresh from make_scram_nonce(). `decoy_iterations`: what real users have.
    [[nodiscard]] std::string challenge(std::optional<ScramVerifier> verifier,
                                        std::string_view server_nonce, const SecretKey& decoy_key,
                                        std::uint32_t decoy_iterations = scram_iterations_usual);

    /// server-final; the client has proved its password.
    [[nodiscard]] Result<std::string, ScramError> on_client_final(std::string_view message);

    [[nodiscard]] bool is_proved() const noexcept { return state_ == State::proved; }
    [[nodiscard]] std::string_view user() const noexcept { return user_; }

private:
    enum class State : std::uint8_t { client_first, challenge, client_final, proved, failed };
    [[nodiscard]] std::optional<ScramError> read_client_first(std::string_view message);
    [[nodiscard]] Result<std::string, ScramError> check_client_final(std::string_view message);

    State state_ = State::client_first;
    bool user_exists_ = false;
    std::string gs2_header_;         // `n,,`
    std::string client_first_bare_;  // `n=...,r=...`
    std::string server_first_;
    std::string user_;
    std::string nonce_;  // the client's, then both
    ScramVerifier verifier_;
};

}  // namespace mitu::identity
