#include "mitu/api/accounts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mitu::api {
namespace {

bool is_valid_account_name(std::string_view name) {
    if (name.empty() || name.size() > 64) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-' || c == '@';
    });
}

/// Somebody who may do everything, for all tenants.
bool has_admin(const AccountTable& table) {
    return std::any_of(table.users.begin(), table.users.end(), [](const auto& entry) {
        return entry.second.role == Role::admin && !entry.second.tenant;
    });
}

Answer<void> check_password_text(std::string_view password) {
    if (password.size() >= password_bytes_min && password.size() <= password_bytes_max) return {};
    return refuse(Code::body_invalid,
                  fmt::format("the password has {} bytes; use {}..{}", password.size(),
                              password_bytes_min, password_bytes_max));
}

}  // namespace

Accounts::Accounts(AccountTable table, Save save, ports::Entropy& entropy, PasswordCost cost)
    : save_{std::move(save)}, cost_{cost}, entropy_{entropy}, table_{std::move(table)} {}

bool Accounts::is_empty() const {
    const MutexLock lock{mutex_};
    return table_.users.empty() && table_.keys.empty();
}

std::vector<ApiUser> Accounts::users() const {
    const MutexLock lock{mutex_};
    std::vector<ApiUser> all;
    for (const auto& [name, user] : table_.users) all.push_back(user);
    return all;
}

std::optional<ApiUser> Accounts::user(std::string_view name) const {
    const MutexLock lock{mutex_};
    const auto found = table_.users.find(name);
    return found == table_.users.end() ? std::nullopt : std::optional{found->second};
}

std::vector<ApiKey> Accounts::keys() const {
    const MutexLock lock{mutex_};
    std::vector<ApiKey> all;
    for (const auto& [id, key] : table_.keys) all.push_back(key);
    return all;
}

std::optional<ApiKey> Accounts::key(std::string_view id) const {
    const MutexLock lock{mutex_};
    const auto found = table_.keys.find(id);
    return found == table_.keys.end() ? std::nullopt : std::optional{found->second};
}

Answer<void> Accounts::save(AccountTable next) {
    ++next.revision;
    if (const auto problem = save_(write_accounts(next))) {
        return refuse(Code::not_saved, *problem);
    }
    table_ = std::move(next);
    return {};
}

std::string Accounts::random(std::size_t bytes) {
    const MutexLock lock{mutex_};
    return random_text(bytes, entropy_);
}

Answer<std::string> Accounts::hash(std::string_view password) {
    if (auto bad = check_password_text(password); !bad) return std::unexpected(bad.error());
    // The salt under the lock, the tenth of a second that the hash takes not.
    class OneSalt final : public ports::Entropy {
    public:
        std::uint64_t words[2]{};
        std::size_t at = 0;
        std::uint64_t next() noexcept override { return words[at++ % 2]; }
    } salt;
    {
        const MutexLock lock{mutex_};
        for (auto& word : salt.words) word = entropy_.next();
    }
    std::string phc = hash_password(password, cost_, salt);
    if (phc.empty()) return refuse(Code::overloaded, "no memory to hash a password; try again");
    return phc;
}

Answer<ApiUser> Accounts::add_user(const std::string& name, Role role, TenantScope tenant,
                                   std::string_view password, WallTime now) {
    if (!is_valid_account_name(name)) {
        return refuse(Code::body_invalid,
                      fmt::format("name is \"{}\"; use 1..64 of A-Z a-z 0-9 . _ - @", name));
    }
    auto phc = hash(password);
    if (!phc) return std::unexpected(phc.error());
    const MutexLock lock{mutex_};
    if (table_.users.contains(name)) {
        return refuse(Code::exists_already, fmt::format("there is an API user {} already", name));
    }
    if (table_.users.size() >= api_users_max) {
        return refuse(Code::quota_exceeded, fmt::format("there are {} API users", api_users_max));
    }
    AccountTable next = table_;
    const ApiUser user{name, role, std::move(tenant), *phc, now, next.revision + 1};
    next.users.emplace(name, user);
    if (auto saved = save(std::move(next)); !saved) return std::unexpected(saved.error());
    return user;
}

Answer<ApiUser> Accounts::change_user(const std::string& name, const ApiUserChange& change,
                                      std::optional<std::uint64_t> expected) {
    std::string phc;
    if (change.password) {
        auto hashed = hash(*change.password);
        if (!hashed) return std::unexpected(hashed.error());
        phc = std::move(*hashed);
    }
    const MutexLock lock{mutex_};
    AccountTable next = table_;
    const auto found = next.users.find(name);
    if (found == next.users.end()) {
        return refuse(Code::api_user_unknown, fmt::format("there is no API user {}", name));
    }
    ApiUser& user = found->second;
    if (expected && *expected != user.revision) {
        return refuse(
            Code::revision_conflict,
            fmt::format("API user {} is at revision {}; read it again", name, user.revision));
    }
    if (change.role) user.role = *change.role;
    if (!phc.empty()) user.credential = phc;
    user.revision = next.revision + 1;
    if (has_admin(table_) && !has_admin(next)) {
        return refuse(Code::last_admin, "nobody would be left who may do everything");
    }
    const ApiUser changed = user;
    if (auto saved = save(std::move(next)); !saved) return std::unexpected(saved.error());
    return changed;
}

Answer<void> Accounts::remove_user(const std::string& name, std::optional<std::uint64_t> expected) {
    const MutexLock lock{mutex_};
    AccountTable next = table_;
    const auto found = next.users.find(name);
    if (found == next.users.end()) {
        return refuse(Code::api_user_unknown, fmt::format("there is no API user {}", name));
    }
    if (expected && *expected != found->second.revision) {
        return refuse(Code::revision_conflict,
                      fmt::format("API user {} is at revision {}; read it again", name,
                                  found->second.revision));
    }
    next.users.erase(found);
    if (has_admin(table_) && !has_admin(next)) {
        return refuse(Code::last_admin, "nobody would be left who may do everything");
    }
    return save(std::move(next));
}

Answer<NewKey> Accounts::add_key(ApiKey wish, WallTime now) {
    if (wish.name.empty() || wish.name.size() > 128) {
        return refuse(Code::body_invalid, "name has to say in 1..128 bytes what the key is for");
    }
    if (wish.expires_at && *wish.expires_at <= now) {
        return refuse(Code::body_invalid, "expires_at is in the past");
    }
    const MutexLock lock{mutex_};
    if (table_.keys.size() >= api_keys_max) {
        return refuse(Code::quota_exceeded, fmt::format("there are {} API keys", api_keys_max));
    }
    NewKey made{std::move(wish), {}};
    do {
        made.key.id = digest_text(random_text(16, entropy_)).substr(0, 12);
    } while (table_.keys.contains(made.key.id));
    made.secret = fmt::format("{}{}_{}", key_prefix, made.key.id, random_text(32, entropy_));
    made.key.digest = digest_text(made.secret);
    made.key.created_at = now;
    AccountTable next = table_;
    next.keys.emplace(made.key.id, made.key);
    if (auto saved = save(std::move(next)); !saved) return std::unexpected(saved.error());
    return made;
}

Answer<void> Accounts::remove_key(const std::string& id) {
    const MutexLock lock{mutex_};
    AccountTable next = table_;
    if (next.keys.erase(id) == 0) {
        return refuse(Code::api_key_unknown, fmt::format("there is no API key {}", id));
    }
    return save(std::move(next));
}

std::optional<ApiKey> Accounts::find_secret(std::string_view secret, WallTime now) const {
    const std::string digest = digest_text(secret);
    if (!secret.starts_with(key_prefix)) return std::nullopt;
    std::string_view id = secret.substr(key_prefix.size());
    id = id.substr(0, id.find('_'));
    const MutexLock lock{mutex_};
    const auto found = table_.keys.find(id);
    if (found == table_.keys.end() || !is_same_secret(found->second.digest, digest)) {
        return std::nullopt;
    }
    if (found->second.expires_at && *found->second.expires_at <= now) return std::nullopt;
    return found->second;
}

}  // namespace mitu::api
