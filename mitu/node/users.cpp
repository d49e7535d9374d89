// MQTT users over the API: entries of managed.yaml.
#include <fmt/format.h>

#include <algorithm>

#include "mitu/api/secrets.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/scram_verifier.hpp"
#include "mitu/node/administration.hpp"
#include "mitu/node/key_pages.hpp"
#include "mitu/runtime/clock.hpp"

namespace mitu::node {
namespace {

using api::Answer;
using api::Code;
using api::refuse;

api::User api_user(const config::User& user) {
    return {user.tenant, user.name, user.enabled, user.revision};
}

const config::User* find_user(const config::Config& config, std::string_view tenant,
                              std::string_view name) {
    const auto found = std::find_if(
        config.users.begin(), config.users.end(),
        [&](const config::User& user) { return user.tenant == tenant && user.name == name; });
    return found != config.users.end() ? &*found : nullptr;
}

api::Error unknown_user(const std::string& tenant, const std::string& name) {
    return {Code::user_unknown, fmt::format("tenant {} has no user {}", tenant, name)};
}

/// SCRAM needs a verifier of its own, which is kept only where a method asks for it: it is easier
/// to guess from than argon2id.
bool wants_scram(const config::Config& config) {
    const auto& methods = config.authentication.methods;
    return std::any_of(methods.begin(), methods.end(), [](const config::Method& method) {
        return method.kind == config::MethodKind::scram && method.file.empty();
    });
}

/// Errors  overloaded: no memory for the hash.
Answer<void> set_password(config::User& user, const std::string& password, bool with_scram) {
    runtime::SystemEntropy entropy;
    user.credential = api::hash_password(password, api::PasswordCost::normal, entropy);
    if (user.credential.empty()) {
        return refuse(Code::overloaded, "no memory to hash a password; try again");
    }
    user.scram_sha_256.clear();
    if (!with_scram) return {};
    const auto verifier = identity::make_scram_verifier(password, runtime::random_bytes(16),
                                                        identity::scram_iterations_usual);
    if (!verifier) {
        return refuse(Code::body_invalid,
                      "password: SCRAM takes printable ASCII; use letters, digits, signs");
    }
    user.scram_sha_256 = identity::format_scram_verifier(*verifier);
    return {};
}

/// Who may be changed by the API, and is as the asker knows it.
std::optional<api::Error> why_not(const config::FromFiles& now, const config::User& user,
                                  std::optional<std::uint64_t> expected) {
    const auto index = static_cast<std::size_t>(&user - now.loaded.config.users.data());
    const config::Origin origin = now.loaded.origins.near(fmt::format("users[{}]", index));
    if (origin.kind != config::Origin::Kind::managed) {
        return api::Error{Code::set_in_file,
                          fmt::format("{} has the user; change it there", config::to_text(origin))};
    }
    if (expected && *expected != user.revision) {
        return api::Error{
            Code::revision_conflict,
            fmt::format("user {} is at revision {}; read it again", user.name, user.revision)};
    }
    return std::nullopt;
}

}  // namespace

Answer<void> NodeUsers::edit(const LiveConfig::Change& change) {
    return live_.edit(change,
                      [&](const config::Config& next) { return running_.take_users(next); });
}

Answer<api::Listing<api::User>> NodeUsers::list(const api::TenantScope& scope,
                                                const api::Page& page) {
    std::vector<std::pair<std::string, api::User>> seen;
    const auto now = live_.now();
    for (const config::User& user : now->loaded.config.users) {
        if (scope && user.tenant != *scope) continue;
        seen.emplace_back(user.tenant + "\n" + user.name, api_user(user));
    }
    return page_by_key(std::move(seen), page);
}

Answer<api::User> NodeUsers::find(const api::TenantName& tenant, const std::string& name) {
    const auto now = live_.now();
    const config::User* const user = find_user(now->loaded.config, tenant, name);
    if (user == nullptr) return std::unexpected(unknown_user(tenant, name));
    return api_user(*user);
}

Answer<api::User> NodeUsers::add(const api::TenantName& tenant, const std::string& name,
                                 const std::string& password, bool enabled) {
    if (const auto why = identity::why_not_user_name(name); !why.empty()) {
        return refuse(Code::body_invalid, fmt::format("name: {}", why));
    }
    config::User user;
    user.name = name;
    user.tenant = tenant;
    user.enabled = enabled;
    // Before the lock: it takes a tenth of a second.
    const bool with_scram = wants_scram(live_.now()->loaded.config);
    if (auto hashed = set_password(user, password, with_scram); !hashed) {
        return std::unexpected(hashed.error());
    }
    const auto done = edit([&](config::ManagedFile& managed,
                               const config::FromFiles& now) -> std::optional<api::Error> {
        if (find_user(now.loaded.config, tenant, name) != nullptr) {
            return api::Error{Code::exists_already,
                              fmt::format("tenant {} has a user {} already", tenant, name)};
        }
        if (now.loaded.config.users.size() >= managed_users_max) {
            return api::Error{Code::quota_exceeded,
                              fmt::format("there are {} users; let an HTTP backend or tokens say "
                                          "who the others are",
                                          managed_users_max)};
        }
        user.revision = now.loaded.revision + 1;
        managed.put_user(user);
        return std::nullopt;
    });
    if (!done) return std::unexpected(done.error());
    return api_user(user);
}

Answer<api::User> NodeUsers::change(const api::TenantName& tenant, const std::string& name,
                                    const api::UserChange& change,
                                    std::optional<std::uint64_t> expected) {
    config::User hashed;
    if (change.password) {
        if (auto found = find(tenant, name); !found) return found;  // before the work
        const bool with_scram = wants_scram(live_.now()->loaded.config);
        if (auto done = set_password(hashed, *change.password, with_scram); !done) {
            return std::unexpected(done.error());
        }
    }
    config::User changed;
    const auto done = edit([&](config::ManagedFile& managed,
                               const config::FromFiles& now) -> std::optional<api::Error> {
        const config::User* const user = find_user(now.loaded.config, tenant, name);
        if (user == nullptr) return unknown_user(tenant, name);
        if (auto refused = why_not(now, *user, expected)) return refused;
        changed = *user;
        if (change.password) {
            changed.credential = hashed.credential;
            changed.scram_sha_256 = hashed.scram_sha_256;
        }
        if (change.enabled) changed.enabled = *change.enabled;
        changed.revision = now.loaded.revision + 1;
        managed.put_user(changed);
        return std::nullopt;
    });
    if (!done) return std::unexpected(done.error());
    return api_user(changed);
}

Answer<void> NodeUsers::remove(const api::TenantName& tenant, const std::string& name,
                               std::optional<std::uint64_t> expected) {
    return edit([&](config::ManagedFile& managed,
                    const config::FromFiles& now) -> std::optional<api::Error> {
        const config::User* const user = find_user(now.loaded.config, tenant, name);
        if (user == nullptr) return unknown_user(tenant, name);
        if (auto refused = why_not(now, *user, expected)) return refused;
        static_cast<void>(managed.remove_user(tenant, name));
        return std::nullopt;
    });
}

}  // namespace mitu::node
