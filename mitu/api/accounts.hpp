#pragma once
// Accounts: the users and keys of the API, and the file that keeps them.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/api/error.hpp"
#include "mitu/api/principal.hpp"
#include "mitu/api/secrets.hpp"
#include "mitu/base/mutex.hpp"
#include "mitu/base/time.hpp"

namespace mitu::api {

struct ApiUser {
    std::string name{};
    Role role = Role::viewer;
    TenantScope tenant{};
    std::string credential{};  // argon2id PHC
    WallTime created_at{};
    std::uint64_t revision = 0;
};
struct ApiKey {
    std::string id{};    // public; leads its secret
    std::string name{};  // what it is for
    Role role = Role::viewer;
    TenantScope tenant{};
    std::string digest{};  // BLAKE2b of the secret, in hex
    std::string created_by{};
    WallTime created_at{};
    std::optional<WallTime> expires_at{};
};
struct NewKey {
    ApiKey key;
    std::string secret{};  // "mitu_ID_..."; shown once, kept nowhere
};
struct ApiUserChange {
    std::optional<Role> role{};
    std::optional<std::string> password{};
};

struct AccountTable {
    std::uint64_t revision = 0;
    std::map<std::string, ApiUser, std::less<>> users{};
    std::map<std::string, ApiKey, std::less<>> keys{};
};
/// JSON, and back. Errors: where, which value.
[[nodiscard]] std::string write_accounts(const AccountTable& table);
[[nodiscard]] Result<AccountTable, std::string> read_accounts(std::string_view text);

inline constexpr std::size_t api_users_max = 1'000;
inline constexpr std::size_t api_keys_max = 10'000;
inline constexpr std::size_t password_bytes_min = 8;
inline constexpr std::size_t password_bytes_max = 256;

/// A change is saved before it is made: what was answered with success is on disk.
/// Threading  any thread.
class Accounts {
public:
    /// Writes the whole file; an error is a sentence. Called by one thread at a time.
    using Save = std::function<std::optional<std::string>(std::string_view text)>;

    Accounts(AccountTable table, Save save, ports::Entropy& entropy, PasswordCost cost);

    /// Nobody is set up.
    [[nodiscard]] bool is_empty() const MITU_EXCLUDES(mutex_);
    [[nodiscard]] std::vector<ApiUser> users() const MITU_EXCLUDES(mutex_);
    [[nodiscard]] std::optional<ApiUser> user(std::string_view name) const MITU_EXCLUDES(mutex_);
    [[nodiscard]] std::vector<ApiKey> keys() const MITU_EXCLUDES(mutex_);
    [[nodiscard]] std::optional<ApiKey> key(std::string_view id) const MITU_EXCLUDES(mutex_);

    /// Errors  body_invalid (name, password), exists_already, quota_exceeded, not_saved
    [[nodiscard]] Answer<ApiUser> add_user(const std::string& name, Role role, TenantScope tenant,
                                           std::string_view password, WallTime now)
        MITU_EXCLUDES(mutex_);
    /// Errors  api_user_unknown, revision_conflict, body_invalid, not_saved; last_admin: nobody
    ///         would be left who may do everything
    [[nodiscard]] Answer<ApiUser> change_user(const std::string& name, const ApiUserChange& change,
                                              std::optional<std::uint64_t> expected)
        MITU_EXCLUDES(mutex_);
    [[nodiscard]] Answer<void> remove_user(const std::string& name,
                                           std::optional<std::uint64_t> expected)
        MITU_EXCLUDES(mutex_);

    [[nodiscard]] Answer<NewKey> add_key(ApiKey wish, WallTime now) MITU_EXCLUDES(mutex_);
    [[nodiscard]] Answer<void> remove_key(const std::string& id) MITU_EXCLUDES(mutex_);
    /// The key that a secret belongs to, unless it has expired.
    [[nodiscard]] std::optional<ApiKey> find_secret(std::string_view secret, WallTime now) const
        MITU_EXCLUDES(mutex_);

    [[nodiscard]] PasswordCost cost() const noexcept { return cost_; }
    /// Random bytes as text, for tokens.
    [[nodiscard]] std::string random(std::size_t bytes) MITU_EXCLUDES(mutex_);

private:
    [[nodiscard]] Answer<void> save(AccountTable next) MITU_REQUIRES(mutex_);
    [[nodiscard]] Answer<std::string> hash(std::string_view password) MITU_EXCLUDES(mutex_);

    Save save_;
    PasswordCost cost_;
    mutable Mutex mutex_;
    ports::Entropy& entropy_ MITU_GUARDED_BY(mutex_);
    AccountTable table_ MITU_GUARDED_BY(mutex_);
};

inline constexpr std::string_view key_prefix = "mitu_";
inline constexpr std::string_view session_prefix = "mitus_";

}  // namespace mitu::api
