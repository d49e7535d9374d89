#pragma once
// A login, and what a method of the chain may answer to it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mitu/base/time.hpp"
#include "mitu/identity/certificate.hpp"
#include "mitu/identity/identity.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {

/// What a CONNECT, its listener and its TLS say about who is there. Owned: the answer may come long
/// after the packet has gone. Shared as `std::shared_ptr<const Login>`.
struct Login {
    std::string client_id;
    std::optional<std::string> user;
    std::optional<SecretText> password;
    std::string tenant;  // by listener, SNI or the user name's suffix; empty: not yet known
    std::string listener;
    std::string peer;  // the address, without port
    bool is_loopback = false;
    std::optional<CertificateFacts> certificate;  // verified by TLS

    [[nodiscard]] std::string_view user_or_empty() const noexcept {
        return user ? std::string_view{*user} : std::string_view{};
    }
    [[nodiscard]] std::string_view password_or_empty() const noexcept {
        return password ? password->view() : std::string_view{};
    }
};

struct Now {
    Instant instant;         // for what lasts: caches, circuits
    UnixSeconds unix_s = 0;  // for what is written in tokens
};

enum class RefusalKind : std::uint8_t {
    credentials,  // wrong or unknown; the client learns no more
    client_id,    // not the one that this identity may use
    expired,
    not_yet_valid,
    unknown_key,  // a token of a key that is not here (yet): fetch the JWKS, not too often
    not_allowed,  // known, and not welcome: disabled, anonymous, denied by the backend
    unavailable,  // who could tell cannot be asked
    busy,         // too many ask at once
};

struct Refusal {
    RefusalKind kind = RefusalKind::credentials;
    std::string text;  // for the log; no secret
};

struct Allow {
    Identity identity;
};
struct Deny {
    Refusal refusal;
};
/// It is not for this method to say.
struct Ignore {
    std::string why;  // for the log
    /// Somebody's password hash. Where nobody lets the client in, checking the password against it
    /// makes an unknown user as dear as a wrong password. Empty: nothing to hide.
    std::string decoy_hash;
};
using Verdict = std::variant<Allow, Deny, Ignore>;

/// Work that takes longer than a shard has. Runs on any thread, once; owns all that it needs.
struct SlowWork {
    std::function<Verdict()> run;
};

/// What to ask.
struct BackendRequest {
    bool is_get = false;  // otherwise POST
    std::string query;    // of a GET: "?client_id=d1&...", escaped; may hold a password, too
    std::string content_type = "application/json";
    std::string body;  // may hold a password: wipe it after use
};
/// What came back.
struct BackendReply {
    bool was_reached = false;  // false: refused, timed out, cut off, no TLS
    int status = 0;
    std::string body;
    std::string error;  // for the log, where it was not reached
};
/// A question to an HTTP backend. `finish` is called once, from any thread; one that is dropped
/// counts as a failure of the backend.
struct BackendWork {
    BackendRequest request;
    std::function<Verdict(const BackendReply&, const Now&)> finish;
};

using Answer = std::variant<Allow, Deny, Ignore, SlowWork, BackendWork>;

}  // namespace mitu::identity
