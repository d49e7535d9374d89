// Accounts as JSON.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "mitu/api/accounts.hpp"
#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

TenantScope tenant_of(const Json& json) {
    const Json& tenant = json.at("tenant");
    if (tenant.is_null()) return std::nullopt;
    return tenant.get<std::string>();
}

Role role_of(const Json& json) {
    const auto text = json.at("role").get<std::string>();
    const auto role = parse_role(text);
    if (!role) throw std::runtime_error(fmt::format("role is \"{}\"", text));
    return *role;
}

ApiUser read_user(const Json& json) {
    ApiUser user;
    user.name = json.at("name").get<std::string>();
    user.role = role_of(json);
    user.tenant = tenant_of(json);
    user.credential = json.at("credential").get<std::string>();
    user.created_at = {json.at("created_at_ms").get<std::int64_t>()};
    user.revision = json.at("revision").get<std::uint64_t>();
    return user;
}

ApiKey read_key(const Json& json) {
    ApiKey key;
    key.id = json.at("id").get<std::string>();
    key.name = json.at("name").get<std::string>();
    key.role = role_of(json);
    key.tenant = tenant_of(json);
    key.digest = json.at("digest").get<std::string>();
    key.created_by = json.at("created_by").get<std::string>();
    key.created_at = {json.at("created_at_ms").get<std::int64_t>()};
    if (const Json& at = json.at("expires_at_ms"); !at.is_null()) {
        key.expires_at = WallTime{at.get<std::int64_t>()};
    }
    return key;
}

}  // namespace

std::string write_accounts(const AccountTable& table) {
    Json users = Json::array();
    for (const auto& [name, user] : table.users) {
        users.push_back({{"name", user.name},
                         {"role", to_text(user.role)},
                         {"tenant", tenant_json(user.tenant)},
                         {"credential", user.credential},
                         {"created_at_ms", user.created_at.unix_ms},
                         {"revision", user.revision}});
    }
    Json keys = Json::array();
    for (const auto& [id, key] : table.keys) {
        keys.push_back(
            {{"id", key.id},
             {"name", key.name},
             {"role", to_text(key.role)},
             {"tenant", tenant_json(key.tenant)},
             {"digest", key.digest},
             {"created_by", key.created_by},
             {"created_at_ms", key.created_at.unix_ms},
             {"expires_at_ms", key.expires_at ? Json(key.expires_at->unix_ms) : Json(nullptr)}});
    }
    const Json file{{"revision", table.revision}, {"users", users}, {"keys", keys}};
    return file.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<AccountTable, std::string> read_accounts(std::string_view text) {
    std::string where = "file";
    try {
        const Json file = Json::parse(text);
        AccountTable table;
        table.revision = file.at("revision").get<std::uint64_t>();
        std::size_t i = 0;
        for (const Json& json : file.at("users")) {
            where = fmt::format("users[{}]", i++);
            ApiUser user = read_user(json);
            std::string name = user.name;
            if (!table.users.emplace(name, std::move(user)).second) {
                return std::unexpected(fmt::format("{}: {} is there twice", where, name));
            }
        }
        i = 0;
        for (const Json& json : file.at("keys")) {
            where = fmt::format("keys[{}]", i++);
            ApiKey key = read_key(json);
            std::string id = key.id;
            if (!table.keys.emplace(id, std::move(key)).second) {
                return std::unexpected(fmt::format("{}: {} is there twice", where, id));
            }
        }
        return table;
    } catch (const std::exception& problem) {  // nlohmann's
        return std::unexpected(fmt::format("{}: {}", where, problem.what()));
    }
}

}  // namespace mitu::api
