#pragma once
// ApiKeyTable: keys that programs use instead of a user's password.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/identity/digest.hpp"
#include "mitu/identity/user_table.hpp"

namespace mitu::identity {

/// Shape  the key itself is `mitu_ID_SECRET`: 12 hexadecimal digits that find it, 43 characters of
///        base64url that prove it. Only a hash of it is kept: 256 random bits need no slow one.
struct ApiKey {
    std::string id;
    std::string name;    // what it is for
    std::string tenant;  // empty: every tenant
    Role role = Role::viewer;
    Sha256 hash{};
    bool is_disabled = false;
    UnixSeconds created = 0;
    std::optional<UnixSeconds> expires_at;

    bool operator==(const ApiKey&) const = default;
};

inline constexpr std::size_t api_key_random_bytes = 38;  // 6 of id, 32 of secret

/// A key that has just been made: `text` is shown once and never again.
struct NewApiKey {
    ApiKey key;
    std::string text;
};
/// `random`: api_key_random_bytes of them. The rest of the key is the caller's to fill in.
[[nodiscard]] NewApiKey make_api_key(std::string_view random, UnixSeconds now);

enum class ApiKeyError : std::uint8_t {
    unknown,  // no such key, or another secret
    disabled,
    expired,
    bad_name,  // empty, above 256 bytes, control characters
    bad_tenant,
    bad_role,
    taken,  // the id is there already: make another key
    full,
};

/// A value, as UserTable is.
class ApiKeyTable {
public:
    static constexpr std::size_t keys_max_usual = 10'000;
    explicit ApiKeyTable(std::size_t keys_max = keys_max_usual) : keys_max_{keys_max} {}

    [[nodiscard]] static Result<ApiKeyTable, std::string> from_json(
        std::string_view json, std::size_t keys_max = keys_max_usual);
    [[nodiscard]] std::string to_json() const;

    /// Whose key `text` is. Constant in time over the secret; an unknown id costs as much.
    /// Cost  one SHA-256.
    [[nodiscard]] Result<ApiKey, ApiKeyError> check(std::string_view text, UnixSeconds now) const;

    [[nodiscard]] std::optional<ApiKeyError> add(ApiKey key);
    /// False: there is no such key.
    [[nodiscard]] bool set_disabled(std::string_view id, bool is_disabled);
    [[nodiscard]] bool remove(std::string_view id);

    [[nodiscard]] const ApiKey* find(std::string_view id) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
    [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }
    template <class Visit>
    void visit(Visit visit) const {
        for (const auto& [id, key] : keys_) visit(key);
    }

private:
    std::size_t keys_max_;
    std::uint64_t revision_ = 0;
    std::map<std::string, ApiKey, std::less<>> keys_;
};

}  // namespace mitu::identity
