#include "mitu/api/authenticator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace mitu::api {
namespace {

/// What stands behind `scheme` and a space; nullopt: another scheme.
std::optional<std::string_view> behind(std::string_view text, std::string_view scheme) {
    if (text.size() <= scheme.size() || text[scheme.size()] != ' ') return std::nullopt;
    for (std::size_t i = 0; i < scheme.size(); ++i) {
        if (std::tolower(static_cast<unsigned char>(text[i])) != scheme[i]) return std::nullopt;
    }
    text.remove_prefix(scheme.size() + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
    return text;
}

Principal principal_of(const ApiUser& user, Via via) {
    return {user.name, user.role, user.tenant, via};
}

std::unexpected<Refused> wrong(std::string who, std::string message) {
    return std::unexpected(
        Refused{{Code::credentials_wrong, std::move(message)}, std::move(who), true});
}

/// "localhost" or an address: not a name that somebody else's DNS may point at this machine.
bool is_own_host(std::string_view host) {
    if (host.starts_with('[')) return true;
    host = host.substr(0, host.find(':'));
    if (host == "localhost") return true;
    return !host.empty() && std::all_of(host.begin(), host.end(),
                                        [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

/// As an entropy of its own: the accounts' is theirs.
DigestKey make_key(Accounts& accounts) {
    DigestKey key{};
    const std::string text = accounts.random(64);
    std::memcpy(key.data(), text.data(), key.size());
    return key;
}

}  // namespace

Authenticator::Authenticator(Accounts& accounts, const ports::Clock& clock,
                             const AuthenticatorOptions& options)
    : accounts_{accounts},
      clock_{clock},
      remember_password_{options.remember_password},
      sessions_max_{options.sessions_max},
      key_{make_key(accounts)},
      session_time_{options.session_time},
      limiter_{options.limits} {}

Result<Principal, Refused> Authenticator::identify(const http::Request& request) {
    if (request.peer.is_unix) return Principal{"root", Role::admin, {}, Via::unix_socket};
    const auto authorization = request.header("Authorization");
    if (!authorization) return without_credentials(request);
    if (const auto basic = behind(*authorization, "basic")) {
        return check_basic(*basic, request.peer);
    }
    if (const auto bearer = behind(*authorization, "bearer")) {
        return check_bearer(*bearer, request.peer);
    }
    return wrong({}, "Authorization is neither Basic nor Bearer");
}

Result<Principal, Refused> Authenticator::without_credentials(const http::Request& request) const {
    const bool is_direct = !request.header("Forwarded") && !request.header("X-Forwarded-For") &&
                           is_own_host(request.header("Host").value_or(""));
    if (request.peer.is_loopback && is_direct && accounts_.is_empty()) {
        return Principal{"loopback", Role::viewer, {}, Via::loopback};
    }
    return std::unexpected(Refused{
        {Code::credentials_missing,
         accounts_.is_empty()
             ? "there is no API user yet; make one on the server's machine: mitu api-user add"
             : "log in, or send Authorization: Basic or Bearer"}});
}

Result<Principal, Refused> Authenticator::check_basic(std::string_view text,
                                                      const http::Peer& peer) {
    std::string decoded;
    const bool is_base64 = from_base64(text, decoded);
    const std::size_t colon = decoded.find(':');
    if (!is_base64 || colon == std::string::npos) {
        return wrong({}, "Authorization: Basic needs base64 of NAME:PASSWORD");
    }
    auto principal =
        check(decoded.substr(0, colon), std::string_view{decoded}.substr(colon + 1), peer);
    wipe(decoded);
    return principal;
}

Result<Principal, Refused> Authenticator::check(const std::string& name, std::string_view password,
                                                const http::Peer& peer) {
    const Instant now = clock_.now();
    const auto user = accounts_.user(name);
    std::string digest;
    if (user) {
        digest = keyed_digest(key_, fmt::format("{}\n{}\n{}", name, user->credential, password));
        const MutexLock lock{mutex_};
        const auto found = proved_.find(name);
        if (found != proved_.end() && found->second.until > now &&
            is_same_secret(found->second.digest, digest)) {
            return principal_of(*user, Via::password);
        }
    }
    {
        const MutexLock lock{mutex_};
        if (const auto wait = limiter_.try_take(peer.network, name, now)) {
            Refused refused{{Code::too_many_attempts, "too many wrong passwords; wait"}, name};
            refused.retry_after = wait;
            return std::unexpected(std::move(refused));
        }
    }
    const bool is_right = password.size() <= password_bytes_max &&
                          check_password(user ? user->credential : "", password, accounts_.cost());
    if (!is_right) return wrong(name, "unknown user or wrong password");
    const MutexLock lock{mutex_};
    limiter_.give_back(peer.network, name);
    // As many as there are users, but for some that are gone.
    if (proved_.size() >= 2 * api_users_max) proved_.clear();
    proved_.insert_or_assign(name, Proved{digest, now + remember_password_});
    return principal_of(*user, Via::password);
}

Result<Principal, Refused> Authenticator::check_bearer(std::string_view token,
                                                       const http::Peer& peer) {
    if (token.starts_with(session_prefix)) {
        if (auto principal = find_session(token)) return *principal;
    } else if (const auto key = accounts_.find_secret(token, clock_.wall())) {
        return Principal{"key:" + key->id, key->role, key->tenant, Via::key};
    }
    // Nobody guesses 256 bits; that somebody tries is limited like passwords, for the log's sake.
    const MutexLock lock{mutex_};
    if (const auto wait = limiter_.try_take(peer.network, "bearer", clock_.now())) {
        Refused refused{{Code::too_many_attempts, "too many wrong tokens; wait"}};
        refused.retry_after = wait;
        return std::unexpected(std::move(refused));
    }
    return wrong({}, "the token or key is unknown, or its time is over");
}

std::optional<Principal> Authenticator::find_session(std::string_view token) {
    std::optional<Session> session;
    {
        const MutexLock lock{mutex_};
        const auto found = sessions_.find(keyed_digest(key_, token));
        if (found == sessions_.end() || found->second.ends_at <= clock_.now()) return std::nullopt;
        session = found->second;
    }
    const auto user = accounts_.user(session->user);
    if (!user || user->credential != session->credential) return std::nullopt;
    return principal_of(*user, Via::session);
}

Result<NewSession, Refused> Authenticator::login(const std::string& name, std::string_view password,
                                                 const http::Peer& peer) {
    auto principal = check(name, password, peer);
    if (!principal) return std::unexpected(principal.error());
    const auto user = accounts_.user(name);
    if (!user) return wrong(name, "unknown user or wrong password");  // gone this moment
    principal->via = Via::session;
    NewSession made{std::string{session_prefix} + accounts_.random(32), {}, *principal};
    const Instant now = clock_.now();
    const MutexLock lock{mutex_};
    made.time = session_time_;
    if (sessions_.size() >= sessions_max_) {
        std::erase_if(sessions_, [&](const auto& entry) { return entry.second.ends_at <= now; });
    }
    if (sessions_.size() >= sessions_max_) {  // the one that would end first makes room
        sessions_.erase(std::min_element(
            sessions_.begin(), sessions_.end(),
            [](const auto& a, const auto& b) { return a.second.ends_at < b.second.ends_at; }));
    }
    sessions_.emplace(keyed_digest(key_, made.token),
                      Session{name, user->credential, now + session_time_});
    return made;
}

void Authenticator::configure(const LoginLimits& limits, Duration session_time) {
    const MutexLock lock{mutex_};
    limiter_.set_limits(limits);
    session_time_ = session_time;
}

bool Authenticator::logout(const http::Request& request) {
    const auto token = behind(request.header("Authorization").value_or(""), "bearer");
    if (!token) return false;
    const MutexLock lock{mutex_};
    return sessions_.erase(keyed_digest(key_, *token)) != 0;
}

}  // namespace mitu::api
