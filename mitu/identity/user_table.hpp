#pragma once
// UserTable: the built-in users, of MQTT or of the API; two tables, one type.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/identity/identity.hpp"

namespace mitu::identity {

/// What an API user may do. Each role includes those before it.
enum class Role : std::uint8_t { none, viewer, operator_, admin };
[[nodiscard]] std::string_view name_of(Role role) noexcept;
[[nodiscard]] std::optional<Role> parse_role(std::string_view name) noexcept;

struct User {
    std::string name;
    std::string tenant;    // empty: every tenant (API), or none in particular (MQTT)
    std::string password;  // as verify_password() takes it; empty: no password opens
    std::string scram;     // a verifier (scram_verifier.hpp); empty: no SCRAM
    std::string device_class;
    Role role = Role::none;
    bool is_disabled = false;
    UnixSeconds created = 0;  // put() keeps the first
    UnixSeconds changed = 0;

    bool operator==(const User&) const = default;
};

/// What a table is for.
enum class UserKind : std::uint8_t {
    mqtt,  // no roles; the same name may be in several tenants
    api,   // every user has a role; a name is there once
};

enum class UserError : std::uint8_t {
    bad_name,      // see why_not_user_name()
    bad_tenant,    // or class: 1..64 of a-z 0-9 _ -
    bad_password,  // no hash that is known
    bad_scram,     // no verifier
    bad_role,      // an API user without, an MQTT user with a role
    name_taken,    // API: in another tenant
    full,
    not_found,
};
/// What to do about it.
[[nodiscard]] std::string_view remedy(UserError error) noexcept;

/// Shape      at most `users_max` users. A value: change a copy, hand it out as
///            `std::shared_ptr<const UserTable>`. Every change adds 1 to its revision.
/// Cost       find(): O(log n). A copy costs O(n): fit for edits by people.
class UserTable {
public:
    static constexpr std::size_t users_max_usual = 100'000;
    explicit UserTable(UserKind kind, std::size_t users_max = users_max_usual)
        : kind_{kind}, users_max_{users_max} {}

    /// What to_json() wrote.
    /// Errors  what is wrong with which user, for people; no secret. A member that is unknown is
    ///         an error: a newer version wrote it, and writing the file anew would lose it.
    [[nodiscard]] static Result<UserTable, std::string> from_json(
        std::string_view json, UserKind kind, std::size_t users_max = users_max_usual);
    /// One user a line, by name and tenant.
    [[nodiscard]] std::string to_json() const;

    [[nodiscard]] const User* find(std::string_view tenant, std::string_view name) const noexcept;
    /// The user of that name, if exactly one tenant has it.
    [[nodiscard]] const User* find_unique(std::string_view name) const noexcept;
    /// A user's password hash, always the same for the same `name`, for unknown users; see
    /// Ignore::decoy_hash.
    [[nodiscard]] std::string decoy_hash(std::string_view name) const;

    /// Adds the user, or puts it in the place of the one of its name and tenant.
    /// Errors  the table is unchanged.
    [[nodiscard]] std::optional<UserError> put(User user, UnixSeconds now);
    [[nodiscard]] std::optional<UserError> remove(std::string_view tenant, std::string_view name);

    [[nodiscard]] std::size_t size() const noexcept { return users_.size(); }
    [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }
    /// In order of name, then tenant.
    template <class Visit>
    void visit(Visit visit) const {
        for (const auto& [key, user] : users_) visit(user);
    }

private:
    struct KeyView {
        std::string_view name;
        std::string_view tenant;
        auto operator<=>(const KeyView&) const = default;
    };
    struct Key {
        std::string name;
        std::string tenant;
        operator KeyView() const noexcept { return {name, tenant}; }  // NOLINT: a view of itself
    };
    struct Less {
        using is_transparent = void;
        bool operator()(KeyView a, KeyView b) const noexcept { return a < b; }
    };
    [[nodiscard]] std::optional<UserError> check(const User& user) const;

    UserKind kind_;
    std::size_t users_max_;
    std::uint64_t revision_ = 0;
    std::map<Key, User, Less> users_;
};

}  // namespace mitu::identity
