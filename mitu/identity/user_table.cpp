#include "mitu/identity/user_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mitu/base/hash.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/password_hash.hpp"
#include "mitu/identity/record_json.hpp"
#include "mitu/identity/scram_verifier.hpp"

namespace mitu::identity {
namespace {

using nlohmann::ordered_json;

constexpr std::uint64_t users_version = 1;

ordered_json write_user(const User& user) {
    ordered_json object{{"name", user.name}};
    if (!user.tenant.empty()) object["tenant"] = user.tenant;
    if (user.role != Role::none) object["role"] = name_of(user.role);
    if (!user.device_class.empty()) object["class"] = user.device_class;
    if (user.is_disabled) object["disabled"] = true;
    object["created"] = user.created;
    object["changed"] = user.changed;
    if (!user.password.empty()) object["password"] = user.password;
    if (!user.scram.empty()) object["scram"] = user.scram;
    return object;
}

Result<User, std::string> read_user(const nlohmann::json& object) {
    User user;
    std::string role;
    RecordReader reader{object};
    reader.text("name", user.name);
    reader.text("tenant", user.tenant);
    reader.text("role", role);
    reader.text("class", user.device_class);
    reader.flag("disabled", user.is_disabled);
    reader.number("created", user.created);
    reader.number("changed", user.changed);
    reader.text("password", user.password);
    reader.text("scram", user.scram);
    if (const auto problem = reader.problem()) return std::unexpected(*problem);
    if (!role.empty()) {
        const auto parsed = parse_role(role);
        if (!parsed) return std::unexpected("role is not viewer, operator or admin");
        user.role = *parsed;
    }
    return user;
}

}  // namespace

std::string_view name_of(Role role) noexcept {
    constexpr std::string_view names[] = {"none", "viewer", "operator", "admin"};
    return names[static_cast<std::size_t>(role)];
}

std::optional<Role> parse_role(std::string_view name) noexcept {
    for (const Role role : {Role::viewer, Role::operator_, Role::admin}) {
        if (name_of(role) == name) return role;
    }
    return std::nullopt;
}

std::string_view remedy(UserError error) noexcept {
    switch (error) {
        case UserError::bad_name:
            return "use a name of 1..1024 bytes of text, without : and not beginning with #";
        case UserError::bad_tenant:
            return "use 1..64 of a-z 0-9 _ - for tenant and class";
        case UserError::bad_password:
            return "give a password hash that is known: argon2id, or mosquitto's $7$ or $6$";
        case UserError::bad_scram:
            return "give a SCRAM-SHA-256 verifier";
        case UserError::bad_role:
            return "give API users viewer, operator or admin, and MQTT users none";
        case UserError::name_taken:
            return "take another name: API users have theirs for themselves";
        case UserError::full:
            return "remove users, or raise the limit";
        case UserError::not_found:
            return "check name and tenant";
    }
    return "";
}

std::optional<UserError> UserTable::check(const User& user) const {
    if (!why_not_user_name(user.name).empty()) return UserError::bad_name;
    if (!user.tenant.empty() && !is_record_name(user.tenant)) return UserError::bad_tenant;
    if (!user.device_class.empty() && !is_record_name(user.device_class)) {
        return UserError::bad_tenant;
    }
    if (!user.password.empty() && !kind_of_hash(user.password)) return UserError::bad_password;
    if (!user.scram.empty() && !parse_scram_verifier(user.scram)) return UserError::bad_scram;
    if ((kind_ == UserKind::api) != (user.role != Role::none)) return UserError::bad_role;
    return std::nullopt;
}

const User* UserTable::find(std::string_view tenant, std::string_view name) const noexcept {
    const auto found = users_.find(KeyView{name, tenant});
    return found == users_.end() ? nullptr : &found->second;
}

const User* UserTable::find_unique(std::string_view name) const noexcept {
    const auto first = users_.lower_bound(KeyView{name, {}});
    if (first == users_.end() || first->first.name != name) return nullptr;
    const auto next = std::next(first);
    if (next != users_.end() && next->first.name == name) return nullptr;
    return &first->second;
}

std::string UserTable::decoy_hash(std::string_view name) const {
    // Any user will do, as long as it is always the same one: the neighbour of a made-up name.
    if (users_.empty()) return {};
    const std::string place = fmt::format("{:016x}", hash_bytes(name));
    auto at = users_.lower_bound(KeyView{place, {}});
    for (std::size_t i = 0; i < std::min<std::size_t>(users_.size(), 16); ++i, ++at) {
        if (at == users_.end()) at = users_.begin();
        if (!at->second.password.empty()) return at->second.password;
    }
    return {};
}

std::optional<UserError> UserTable::put(User user, UnixSeconds now) {
    if (const auto error = check(user)) return error;
    const auto found = users_.find(KeyView{user.name, user.tenant});
    if (found != users_.end()) {
        user.created = found->second.created;
        user.changed = now;
        found->second = std::move(user);
        ++revision_;
        return std::nullopt;
    }
    if (users_.size() >= users_max_) return UserError::full;
    if (kind_ == UserKind::api) {
        const auto same_name = users_.lower_bound(KeyView{user.name, {}});
        if (same_name != users_.end() && same_name->first.name == user.name) {
            return UserError::name_taken;
        }
    }
    user.created = now;
    user.changed = now;
    Key key{user.name, user.tenant};
    users_.emplace(std::move(key), std::move(user));
    ++revision_;
    return std::nullopt;
}

std::optional<UserError> UserTable::remove(std::string_view tenant, std::string_view name) {
    const auto found = users_.find(KeyView{name, tenant});
    if (found == users_.end()) return UserError::not_found;
    users_.erase(found);
    ++revision_;
    return std::nullopt;
}

Result<UserTable, std::string> UserTable::from_json(std::string_view text, UserKind kind,
                                                    std::size_t users_max) {
    UserTable table{kind, users_max};
    std::uint64_t revision = 0;
    const auto problem =
        read_records(text, "users", users_version, revision, [&](const nlohmann::json& object) {
            auto user = read_user(object);
            if (!user) return std::optional{user.error()};
            if (table.find(user->tenant, user->name) != nullptr) {
                return std::optional{fmt::format("user \"{}\" is there twice", user->name)};
            }
            const UnixSeconds created = user->created;
            const UnixSeconds changed = user->changed;
            const std::string name = user->name;
            const std::string tenant = user->tenant;
            if (const auto error = table.put(*std::move(user), created)) {
                return std::optional{fmt::format("user \"{}\": {}", name, remedy(*error))};
            }
            table.users_.find(KeyView{name, tenant})->second.changed = changed;
            return std::optional<std::string>{};
        });
    if (problem) return std::unexpected(*problem);
    table.revision_ = revision;
    return table;
}

std::string UserTable::to_json() const {
    RecordWriter writer{"users", users_version, revision_};
    for (const auto& [key, user] : users_) writer.add(write_user(user));
    return writer.text();
}

}  // namespace mitu::identity
