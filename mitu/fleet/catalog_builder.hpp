#pragma once
// Templates and a registry to the tables of a catalog. Inside mitu/fleet only.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "mitu/fleet/device_table.hpp"
#include "mitu/fleet/registry.hpp"

namespace mitu::fleet {

/// Adds devices one by one, with each one's policy and group, and collects what is wrong.
class Catalog::Builder {
public:
    explicit Builder(Catalog& catalog);
    void add_anonymous(Problems& problems);
    void add_registry(const SourceFile& file, Problems& problems);

private:
    using PolicyNumber = std::uint32_t;
    struct ClassPolicies {
        std::vector<PolicyNumber> candidates;  // may select devices of this class; best first
        bool told = false;                     // that none does
    };

    void add(const DeviceRecord& record);
    [[nodiscard]] std::optional<PolicyNumber> choose(TenantId tenant, const std::string& class_name,
                                                     std::span<const Label> labels);
    ClassPolicies& policies_of(TenantId tenant, const std::string& class_name);
    GroupIndex group_of(TenantId tenant, const std::string& class_name, PolicyNumber policy);
    std::uint32_t intern(const std::vector<Label>& labels);
    [[nodiscard]] bool pack_credential(const std::string& phc, DeviceTable::Record& record);
    void add_problem(std::uint32_t line, std::string text);

    Catalog& catalog_;
    DeviceTable& table_;
    std::string file_name_;
    Problems* problems_ = nullptr;
    std::map<std::string, TenantId, std::less<>> tenants_;
    std::map<std::pair<TenantId, std::string>, ClassPolicies> classes_;
    std::map<std::tuple<TenantId, std::string, PolicyNumber>, GroupIndex> groups_;
    std::map<std::vector<Label>, std::uint32_t> label_sets_;
    std::vector<std::uint32_t> lines_;  // of each device, to name the first of two
};

}  // namespace mitu::fleet
