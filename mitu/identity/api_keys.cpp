#include "mitu/identity/api_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mitu/base/check.hpp"
#include "mitu/identity/record_json.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::uint64_t api_keys_version = 1;
constexpr std::string_view api_key_prefix = "mitu_";
constexpr std::size_t id_bytes = 12;
constexpr std::size_t secret_bytes = 43;
constexpr std::size_t text_bytes = api_key_prefix.size() + id_bytes + 1 + secret_bytes;
constexpr std::size_t key_name_bytes_max = 256;

bool is_id(std::string_view text) noexcept {
    return text.size() == id_bytes && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

std::optional<ApiKeyError> check_fields(const ApiKey& key) {
    if (key.name.empty() || key.name.size() > key_name_bytes_max || !is_utf8(key.name) ||
        std::any_of(key.name.begin(), key.name.end(), is_control)) {
        return ApiKeyError::bad_name;
    }
    if (!key.tenant.empty() && !is_record_name(key.tenant)) return ApiKeyError::bad_tenant;
    if (key.role == Role::none) return ApiKeyError::bad_role;
    return std::nullopt;
}

Result<ApiKey, std::string> read_api_key(const nlohmann::json& object) {
    ApiKey key;
    std::string role;
    std::string hash;
    std::int64_t expires_at = -1;
    RecordReader reader{object};
    reader.text("id", key.id);
    reader.text("name", key.name);
    reader.text("tenant", key.tenant);
    reader.text("role", role);
    reader.text("hash", hash);
    reader.flag("disabled", key.is_disabled);
    reader.number("created", key.created);
    reader.number("expires_at", expires_at);
    if (const auto problem = reader.problem()) return std::unexpected(*problem);
    key.role = parse_role(role).value_or(Role::none);
    if (expires_at >= 0) key.expires_at = expires_at;
    const auto bytes = from_base64(hash);
    if (!bytes || bytes->size() != key.hash.size()) {
        return std::unexpected("hash is no SHA-256 in base64");
    }
    std::copy(bytes->begin(), bytes->end(), key.hash.begin());
    if (!is_id(key.id)) return std::unexpected("id is not 12 hexadecimal digits");
    if (check_fields(key)) {
        return std::unexpected("name, tenant or role is missing or out of range");
    }
    return key;
}

}  // namespace

NewApiKey make_api_key(std::string_view random, UnixSeconds now) {
    MITU_CHECK(random.size() == api_key_random_bytes);
    NewApiKey made;
    for (const char byte : random.substr(0, id_bytes / 2)) {
        made.key.id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    made.text = fmt::format("{}{}_{}", api_key_prefix, made.key.id,
                            to_base64url(random.substr(id_bytes / 2)));
    MITU_CHECK(made.text.size() == text_bytes);
    made.key.hash = sha256(made.text);
    made.key.created = now;
    return made;
}

Result<ApiKey, ApiKeyError> ApiKeyTable::check(std::string_view text, UnixSeconds now) const {
    if (text.size() != text_bytes || !text.starts_with(api_key_prefix) ||
        text[api_key_prefix.size() + id_bytes] != '_') {
        return std::unexpected(ApiKeyError::unknown);
    }
    const ApiKey* key = find(text.substr(api_key_prefix.size(), id_bytes));
    const Sha256 none{};
    const Sha256& expected = key != nullptr ? key->hash : none;
    const bool is_right = equal_in_constant_time(as_view(sha256(text)), as_view(expected));
    if (key == nullptr || !is_right) return std::unexpected(ApiKeyError::unknown);
    if (key->is_disabled) return std::unexpected(ApiKeyError::disabled);
    if (key->expires_at && *key->expires_at <= now) return std::unexpected(ApiKeyError::expired);
    return *key;
}

std::optional<ApiKeyError> ApiKeyTable::add(ApiKey key) {
    MITU_CHECK(is_id(key.id));
    if (const auto error = check_fields(key)) return error;
    if (find(key.id) != nullptr) return ApiKeyError::taken;
    if (keys_.size() >= keys_max_) return ApiKeyError::full;
    std::string id = key.id;
    keys_.emplace(std::move(id), std::move(key));
    ++revision_;
    return std::nullopt;
}

bool ApiKeyTable::set_disabled(std::string_view id, bool is_disabled) {
    const auto found = keys_.find(id);
    if (found == keys_.end()) return false;
    if (found->second.is_disabled != is_disabled) ++revision_;
    found->second.is_disabled = is_disabled;
    return true;
}

bool ApiKeyTable::remove(std::string_view id) {
    const auto found = keys_.find(id);
    if (found == keys_.end()) return false;
    keys_.erase(found);
    ++revision_;
    return true;
}

const ApiKey* ApiKeyTable::find(std::string_view id) const noexcept {
    const auto found = keys_.find(id);
    return found == keys_.end() ? nullptr : &found->second;
}

Result<ApiKeyTable, std::string> ApiKeyTable::from_json(std::string_view text,
                                                        std::size_t keys_max) {
    ApiKeyTable table{keys_max};
    std::uint64_t revision = 0;
    const auto problem = read_records(
        text, "api_keys", api_keys_version, revision, [&](const nlohmann::json& object) {
            auto key = read_api_key(object);
            if (!key) return std::optional{key.error()};
            const std::string id = key->id;
            if (const auto error = table.add(*std::move(key))) {
                return std::optional{*error == ApiKeyError::full
                                         ? std::string{"there are more keys than the limit allows"}
                                         : fmt::format("key {} is there twice", id)};
            }
            return std::optional<std::string>{};
        });
    if (problem) return std::unexpected(*problem);
    table.revision_ = revision;
    return table;
}

std::string ApiKeyTable::to_json() const {
    RecordWriter writer{"api_keys", api_keys_version, revision_};
    for (const auto& [id, key] : keys_) {
        nlohmann::ordered_json object{{"id", id}, {"name", key.name}};
        if (!key.tenant.empty()) object["tenant"] = key.tenant;
        object["role"] = name_of(key.role);
        if (key.is_disabled) object["disabled"] = true;
        object["created"] = key.created;
        if (key.expires_at) object["expires_at"] = *key.expires_at;
        object["hash"] = to_base64(as_view(key.hash));
        writer.add(object);
    }
    return writer.text();
}

}  // namespace mitu::identity
