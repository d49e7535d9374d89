#pragma once
// Authenticator: who sends a request, by password, session token, key, or the way it came.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/api/accounts.hpp"
#include "mitu/api/login_limiter.hpp"
#include "mitu/http/server.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::api {

struct AuthenticatorOptions {
    LoginLimits limits{};
    Duration session_time = Duration::seconds(12 * 3'600);
    Duration remember_password = Duration::seconds(300);  // HTTP Basic: argon2id once in so long
    std::size_t sessions_max = 4'096;
};

struct Refused {
    Error error;
    std::string who{};        // whom they claimed to be; empty: nobody
    bool is_attempt = false;  // credentials were shown and are wrong: somebody should know
    std::optional<Duration> retry_after{};
};

struct NewSession {
    std::string token;
    Duration time;
    Principal principal;
};

/// Keeps sessions in memory, as hashes of their tokens: they end with the process, with their time,
/// and when their user's password, or the user, goes.
/// Threading  any thread.
/// Cost       a password: as Accounts says, outside of every lock; else some microseconds.
class Authenticator {
public:
    Authenticator(Accounts& accounts, const ports::Clock& clock,
                  const AuthenticatorOptions& options = {});

    /// Reads `Authorization: Basic` or `Bearer` (a session token or a key). Who comes through the
    /// Unix socket is an administrator; who comes from loopback while there are no accounts is a
    /// viewer, unless a proxy or a name for this machine that a browser was tricked into stands
    /// between.
    /// Errors  credentials_missing, credentials_wrong, too_many_attempts
    [[nodiscard]] Result<Principal, Refused> identify(const http::Request& request)
        MITU_EXCLUDES(mutex_);

    /// Errors  credentials_wrong, too_many_attempts
    [[nodiscard]] Result<NewSession, Refused> login(const std::string& name,
                                                    std::string_view password,
                                                    const http::Peer& peer) MITU_EXCLUDES(mutex_);
    /// From now on. Sessions that have begun keep their time.
    void configure(const LoginLimits& limits, Duration session_time) MITU_EXCLUDES(mutex_);
    /// Ends the session that the request was sent with. False: it has none.
    bool logout(const http::Request& request) MITU_EXCLUDES(mutex_);

private:
    struct Session {
        std::string user;
        std::string credential;  // of the user when it began
        Instant ends_at;
    };
    struct Proved {
        std::string digest;
        Instant until;
    };

    [[nodiscard]] Result<Principal, Refused> check(const std::string& name,
                                                   std::string_view password,
                                                   const http::Peer& peer) MITU_EXCLUDES(mutex_);
    [[nodiscard]] Result<Principal, Refused> check_basic(std::string_view text,
                                                         const http::Peer& peer)
        MITU_EXCLUDES(mutex_);
    [[nodiscard]] Result<Principal, Refused> check_bearer(std::string_view token,
                                                          const http::Peer& peer)
        MITU_EXCLUDES(mutex_);
    [[nodiscard]] Result<Principal, Refused> without_credentials(
        const http::Request& request) const;
    [[nodiscard]] std::optional<Principal> find_session(std::string_view token)
        MITU_EXCLUDES(mutex_);

    Accounts& accounts_;
    const ports::Clock& clock_;
    const Duration remember_password_;
    const std::size_t sessions_max_;
    DigestKey key_{};
    Mutex mutex_;
    Duration session_time_ MITU_GUARDED_BY(mutex_);
    LoginLimiter limiter_ MITU_GUARDED_BY(mutex_);
    std::map<std::string, Session, std::less<>> sessions_ MITU_GUARDED_BY(mutex_);  // by digest
    std::map<std::string, Proved, std::less<>> proved_ MITU_GUARDED_BY(mutex_);     // by user
};

}  // namespace mitu::api
