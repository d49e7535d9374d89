// The methods that check a password against a hash of ours: password file and built-in users.

#include <utility>

#include "mitu/identity/method.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/user_table.hpp"

namespace mitu::identity {
namespace {

Deny wrong_password() { return {{RefusalKind::credentials, "the password is wrong"}}; }

/// Checks the login's password against `hash` and then says `if_right`.
SlowWork check_password(std::shared_ptr<const Login> login, std::string hash, Verdict if_right) {
    return {[login = std::move(login), hash = std::move(hash), if_right = std::move(if_right)] {
        return verify_password(hash, login->password_or_empty()) ? if_right
                                                                 : Verdict{wrong_password()};
    }};
}

/// What a password method says before it looks anybody up.
std::optional<Ignore> check_shape(const Login& login) {
    if (!login.user) return Ignore{"the login has no user name", {}};
    if (!login.password) return Ignore{"the login has no password", {}};
    return std::nullopt;
}

/// No tenant on either side is no contradiction.
bool is_of_tenant(std::string_view tenant, std::string_view wanted) noexcept {
    return tenant.empty() || wanted.empty() || tenant == wanted;
}

class PasswordFileMethod final : public Method {
public:
    explicit PasswordFileMethod(std::shared_ptr<const PasswordFile> file)
        : file_{std::move(file)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "password_file"; }

    [[nodiscard]] Answer ask(const std::shared_ptr<const Login>& login,
                             const Now& /*now*/) const override {
        if (auto ignore = check_shape(*login)) return *std::move(ignore);
        const auto entry = find(login->tenant, *login->user);
        if (!entry) return Ignore{"unknown user", std::string{file_->decoy_hash(*login->user)}};
        return check_password(login, std::string{entry->hash}, Allow{identity_of(*entry)});
    }

    [[nodiscard]] std::optional<ScramUser> find_scram(std::string_view tenant,
                                                      std::string_view user) const override {
        const auto entry = find(tenant, user);
        auto verifier = entry ? parse_scram_verifier(entry->hash) : std::nullopt;
        if (!verifier) return std::nullopt;
        return ScramUser{*std::move(verifier), identity_of(*entry)};
    }

private:
    [[nodiscard]] std::optional<PasswordEntry> find(std::string_view tenant,
                                                    std::string_view user) const {
        auto entry = file_->find(user);
        if (entry && !is_of_tenant(entry->tenant, tenant)) return std::nullopt;
        return entry;
    }
    static Identity identity_of(const PasswordEntry& entry) {
        Identity identity;
        identity.user = entry.user;
        identity.tenant = entry.tenant;
        identity.device_class = entry.device_class;
        return identity;
    }

    std::shared_ptr<const PasswordFile> file_;
};

class UserTableMethod final : public Method {
public:
    explicit UserTableMethod(std::shared_ptr<const UserTable> users) : users_{std::move(users)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "users"; }

    [[nodiscard]] Answer ask(const std::shared_ptr<const Login>& login,
                             const Now& /*now*/) const override {
        if (auto ignore = check_shape(*login)) return *std::move(ignore);
        const User* user = find(login->tenant, *login->user);
        if (user == nullptr) return Ignore{"unknown user", users_->decoy_hash(*login->user)};
        // A user who may only use SCRAM has a verifier, which takes a plain password too.
        const std::string& hash = user->password.empty() ? user->scram : user->password;
        if (hash.empty()) {
            return check_password(login, users_->decoy_hash(*login->user), wrong_password());
        }
        if (user->is_disabled) {
            return check_password(login, hash,
                                  Deny{{RefusalKind::not_allowed, "the user is disabled"}});
        }
        return check_password(login, hash, Allow{identity_of(*user)});
    }

    [[nodiscard]] std::optional<ScramUser> find_scram(std::string_view tenant,
                                                      std::string_view name) const override {
        const User* user = find(tenant, name);
        if (user == nullptr || user->is_disabled) return std::nullopt;
        auto verifier = parse_scram_verifier(user->scram);
        if (!verifier) return std::nullopt;
        return ScramUser{*std::move(verifier), identity_of(*user)};
    }

private:
    [[nodiscard]] const User* find(std::string_view tenant, std::string_view name) const {
        if (tenant.empty()) return users_->find_unique(name);
        const User* user = users_->find(tenant, name);
        return user != nullptr ? user : users_->find({}, name);  // of no tenant in particular
    }
    static Identity identity_of(const User& user) {
        Identity identity;
        identity.user = user.name;
        identity.tenant = user.tenant;
        identity.device_class = user.device_class;
        return identity;
    }

    std::shared_ptr<const UserTable> users_;
};

}  // namespace

MethodPtr make_password_file_method(std::shared_ptr<const PasswordFile> file) {
    return std::make_shared<PasswordFileMethod>(std::move(file));
}

MethodPtr make_user_table_method(std::shared_ptr<const UserTable> users) {
    return std::make_shared<UserTableMethod>(std::move(users));
}

}  // namespace mitu::identity
