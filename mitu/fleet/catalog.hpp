#pragma once
// Who is who: tenants, policies and devices, as one immutable table that every shard reads.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/fleet/policy.hpp"
#include "mitu/fleet/problem.hpp"
#include "mitu/fleet/templates.hpp"

namespace mitu::fleet {

/// A device's dense number in one catalog: 0..device_count()-1.
using DeviceIndex = StrongId<struct DeviceIndexTag, std::uint32_t>;
/// A dense number of one (tenant, class, policy): the rows of the fleet's status.
using GroupIndex = StrongId<struct GroupIndexTag, std::uint32_t>;

/// The class of clients that logged in without a name; their tenant is `default`.
inline constexpr std::string_view class_anonymous = "anonymous";

/// What the catalog knows of one device. Lifetime: borrows from the catalog.
struct Device {
    DeviceIndex index;
    GroupIndex group;
    TenantId tenant;
    std::string_view id;
    std::string_view tenant_name;
    std::string_view class_name;
};

/// Devices that share tenant, class and policy.
struct Group {
    TenantId tenant;
    std::string tenant_name;
    std::string class_name;
    std::shared_ptr<const Policy> policy;
    std::uint32_t devices = 0;  // registered; 0 for anonymous clients
};

enum class LoginError : std::uint8_t {
    unknown,    // no such device
    ambiguous,  // the id alone is used by several tenants; log in as id@tenant
};

/// Lifetime   devices, policies and groups borrow from it or are shared.
/// Threading  immutable.
/// Cost       about 90 bytes a device with a credential (measured: README.md).
class Catalog {
public:
    /// Builds from templates and, if given, a registry file (registry.hpp; a name that ends in .csv
    /// is CSV, any other is YAML).
    /// `revision`  the number of this configuration as a whole; only grows.
    /// Errors      all of the registry's problems; a device whose tenant is not declared or that no
    ///             policy selects.
    [[nodiscard]] static Result<std::shared_ptr<const Catalog>, Problems> build(
        const Templates& templates, const SourceFile* registry = nullptr,
        std::uint64_t revision = 1);
    ~Catalog();
    Catalog(const Catalog&) = delete;
    Catalog& operator=(const Catalog&) = delete;

    [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }
    [[nodiscard]] std::span<const Tenant> tenants() const noexcept { return templates_.tenants; }
    [[nodiscard]] std::span<const std::shared_ptr<const Policy>> policies() const noexcept {
        return templates_.policies;
    }
    [[nodiscard]] std::span<const Group> groups() const noexcept { return groups_; }
    [[nodiscard]] std::uint32_t device_count() const noexcept;
    [[nodiscard]] std::optional<TenantId> find_tenant(std::string_view name) const noexcept;

    /// By MQTT user name: "id@tenant", or "id" when one tenant only has it.
    [[nodiscard]] Result<Device, LoginError> find_login(std::string_view user_name) const noexcept;
    [[nodiscard]] std::optional<Device> find(TenantId tenant, std::string_view id) const noexcept;
    [[nodiscard]] Device device(DeviceIndex index) const noexcept;

    /// The device's argon2id PHC string, for verify_credential(). Empty: it has none, and no
    /// password opens it.
    [[nodiscard]] std::string credential_of(DeviceIndex index) const;
    [[nodiscard]] std::span<const Label> labels_of(DeviceIndex index) const noexcept;

    [[nodiscard]] const std::shared_ptr<const Policy>& policy_for(const Device& device) const;
    /// For clients without a login: tenant `default`, class `anonymous`.
    [[nodiscard]] const std::shared_ptr<const Policy>& policy_for_anonymous() const;
    [[nodiscard]] GroupIndex group_for_anonymous() const noexcept;
    /// For a client of that tenant that is in no registry. Null: no policy selects it.
    /// Labels  sorted by key.
    [[nodiscard]] const Policy* select(TenantId tenant, std::string_view class_name,
                                       std::span<const Label> labels) const noexcept;

    /// Bytes held for devices: records, ids, credentials, the index.
    [[nodiscard]] std::size_t device_bytes() const noexcept;

private:
    struct DeviceTable;
    class Builder;
    Catalog();

    std::uint64_t revision_ = 1;
    Templates templates_;
    std::vector<Group> groups_;
    GroupIndex anonymous_;
    std::unique_ptr<DeviceTable> devices_;
};

}  // namespace mitu::fleet
