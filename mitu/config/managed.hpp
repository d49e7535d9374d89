#pragma once
// managed.yaml: the one place for what the API changes. It is read beside the configuration file,
// which wins where both say something (docs/decisions/0015-one-configuration.md).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "mitu/base/result.hpp"
#include "mitu/config/config.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::config {

inline constexpr std::string_view managed_file_name = "managed.yaml";  // in node.data

/// The file, edited. To see whether a change is good, and whether the configuration file leaves it
/// to the API, give text() to load(): problems say what is wrong, notices what would be in vain.
/// Then yaml::replace_file() makes it durable.
class ManagedFile {
public:
    /// Nothing in it.
    ManagedFile();
    ManagedFile(ManagedFile&& other) noexcept;
    ManagedFile& operator=(ManagedFile&& other) noexcept;
    ~ManagedFile();

    /// Errors  no YAML, not a map. The rest is load()'s to check.
    [[nodiscard]] static Result<ManagedFile, yaml::Problems> parse(const yaml::SourceFile& file);

    /// Adds the user, or replaces the one of that tenant and name.
    void put_user(const User& user);
    [[nodiscard]] bool remove_user(std::string_view tenant, std::string_view name);

    /// Adds the ban, or replaces the one of the same client id, user, address and tenant.
    void put_ban(const Ban& ban);
    [[nodiscard]] bool remove_ban(const Ban& ban);
    /// Bans that ended before `now`. Returns how many went.
    std::size_t remove_expired_bans(WallTime now);

    /// nullopt: as the configuration file says.
    void set_listener_enabled(std::string_view listener, std::optional<bool> enabled);
    /// Limits that are as by default are left out, which leaves them to the configuration file.
    void set_tenant_limits(std::string_view tenant, const TenantLimits& limits);

    /// Notes the revision, so that the next start knows whether anything has changed.
    void stamp(std::uint64_t revision, std::uint64_t content_hash);

    [[nodiscard]] std::string text() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::config
