#include "mitu/fleet/catalog.hpp"

#include <algorithm>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"
#include "mitu/fleet/catalog_builder.hpp"
#include "mitu/fleet/device_table.hpp"
#include "mitu/fleet/selector.hpp"

namespace mitu::fleet {

// --- the table ---

std::size_t Catalog::DeviceTable::slot_of(std::string_view id) const noexcept {
    return hash_bytes(id) & (slots.size() - 1);
}

void Catalog::DeviceTable::place(std::uint32_t index) noexcept {
    std::size_t slot = slot_of(id_of(index));
    while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = index + 1;
}

void Catalog::DeviceTable::insert(std::uint32_t index) {
    const std::size_t count = index + std::size_t{1};
    if (slots.empty() || count * 10 > slots.size() * 7) {
        slots.assign(std::max<std::size_t>(16, slots.size() * 2), 0);
        for (std::uint32_t i = 0; i < index; ++i) place(i);
    }
    place(index);
}

std::size_t Catalog::DeviceTable::size_bytes() const noexcept {
    return records.capacity() * sizeof(Record) + ids.capacity() +
           credentials.capacity() * sizeof(PackedCredential) + slots.capacity() * sizeof(slots[0]) +
           labels.capacity() * sizeof(Label) + label_sets.capacity() * sizeof(LabelSet);
}

// --- the catalog ---

Catalog::Catalog() : devices_{std::make_unique<DeviceTable>()} {}
Catalog::~Catalog() = default;

Result<std::shared_ptr<const Catalog>, Problems> Catalog::build(const Templates& templates,
                                                                const SourceFile* registry,
                                                                std::uint64_t revision) {
    std::shared_ptr<Catalog> catalog{new Catalog};
    catalog->revision_ = revision;
    catalog->templates_ = templates;
    Problems problems;
    {
        Builder builder{*catalog};
        builder.add_anonymous(problems);
        if (registry != nullptr) builder.add_registry(*registry, problems);
    }
    if (!problems.empty()) return std::unexpected(std::move(problems));
    DeviceTable& table = *catalog->devices_;
    table.records.shrink_to_fit();
    table.ids.shrink_to_fit();
    table.credentials.shrink_to_fit();
    return catalog;
}

std::uint32_t Catalog::device_count() const noexcept {
    return static_cast<std::uint32_t>(devices_->records.size());
}

std::optional<TenantId> Catalog::find_tenant(std::string_view name) const noexcept {
    // `default` is the first; the others are sorted by name (templates.hpp).
    const auto& tenants = templates_.tenants;
    if (name == tenants.front().name) return tenant_default;
    const auto found =
        std::lower_bound(tenants.begin() + 1, tenants.end(), name,
                         [](const Tenant& tenant, std::string_view n) { return tenant.name < n; });
    if (found == tenants.end() || found->name != name) return std::nullopt;
    return TenantId{static_cast<std::uint16_t>(found - tenants.begin())};
}

Device Catalog::device(DeviceIndex index) const noexcept {
    MITU_CHECK(index.value < devices_->records.size());
    const DeviceTable::Record& record = devices_->records[index.value];
    const Group& group = groups_[record.group];
    return {index,
            GroupIndex{record.group},
            TenantId{record.tenant},
            devices_->id_of(index.value),
            group.tenant_name,
            group.class_name};
}

std::optional<Device> Catalog::find(TenantId tenant, std::string_view id) const noexcept {
    std::optional<Device> found;
    devices_->find_all(id, [&](std::uint32_t index) {
        if (devices_->records[index].tenant != tenant.value) return true;
        found = device(DeviceIndex{index});
        return false;
    });
    return found;
}

Result<Device, LoginError> Catalog::find_login(std::string_view user_name) const noexcept {
    // Ids hold no '@' (names.hpp).
    if (const std::size_t at = user_name.find('@'); at != std::string_view::npos) {
        const auto tenant = find_tenant(user_name.substr(at + 1));
        if (!tenant) return std::unexpected(LoginError::unknown);
        const auto found = find(*tenant, user_name.substr(0, at));
        if (!found) return std::unexpected(LoginError::unknown);
        return *found;
    }
    std::optional<std::uint32_t> only;
    bool is_ambiguous = false;
    devices_->find_all(user_name, [&](std::uint32_t index) {
        is_ambiguous = only.has_value();
        only = index;
        return !is_ambiguous;
    });
    if (is_ambiguous) return std::unexpected(LoginError::ambiguous);
    if (!only) return std::unexpected(LoginError::unknown);
    return device(DeviceIndex{*only});
}

std::string Catalog::credential_of(DeviceIndex index) const {
    MITU_CHECK(index.value < devices_->records.size());
    const DeviceTable::Record& record = devices_->records[index.value];
    if (record.credential == 0) return {};
    const auto& packed = devices_->credentials[record.credential - 1];
    return identity::format_credential({devices_->costs[record.cost], packed.salt, packed.hash});
}

std::span<const Label> Catalog::labels_of(DeviceIndex index) const noexcept {
    MITU_CHECK(index.value < devices_->records.size());
    const auto& set = devices_->label_sets[devices_->records[index.value].label_set];
    return std::span{devices_->labels}.subspan(set.first, set.count);
}

const Policy* Catalog::select(TenantId tenant, std::string_view class_name,
                              std::span<const Label> labels) const noexcept {
    MITU_CHECK(tenant.value < templates_.tenants.size());
    const std::string& tenant_name = templates_.tenants[tenant.value].name;
    const Policy* best = nullptr;  // ties were refused when the policies were loaded
    for (const auto& policy : templates_.policies) {
        if (!selects(policy->selector, tenant_name, class_name, labels)) continue;
        if (best == nullptr || policy->selector.specificity() > best->selector.specificity()) {
            best = policy.get();
        }
    }
    return best;
}

const std::shared_ptr<const Policy>& Catalog::policy_for(const Device& device) const {
    MITU_CHECK(device.group.value < groups_.size());
    return groups_[device.group.value].policy;
}

const std::shared_ptr<const Policy>& Catalog::policy_for_anonymous() const {
    return groups_[anonymous_.value].policy;
}

GroupIndex Catalog::group_for_anonymous() const noexcept { return anonymous_; }

std::size_t Catalog::device_bytes() const noexcept { return devices_->size_bytes(); }

}  // namespace mitu::fleet
