#include "mitu/fleet/catalog_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "mitu/fleet/selector.hpp"

namespace mitu::fleet {

Catalog::Builder::Builder(Catalog& catalog) : catalog_{catalog}, table_{*catalog.devices_} {
    std::uint16_t number = 0;
    for (const Tenant& tenant : catalog.templates_.tenants) {
        tenants_.emplace(tenant.name, TenantId{number++});
    }
    intern({});  // label set 0: none
}

void Catalog::Builder::add_anonymous(Problems& problems) {
    const std::string class_name{class_anonymous};
    const auto policy = choose(tenant_default, class_name, {});
    if (!policy) {
        problems.push_back({"policies", 0,
                            "no policy selects clients without a login (tenant default, class "
                            "anonymous); add one with selector: {tenant: default}"});
        return;
    }
    catalog_.anonymous_ = group_of(tenant_default, class_name, *policy);
}

void Catalog::Builder::add_registry(const SourceFile& file, Problems& problems) {
    file_name_ = file.name;
    Problems own;
    problems_ = &own;
    Problems found = parse_registry(file, {}, [this](DeviceRecord& record) { add(record); });
    own.insert(own.end(), found.begin(), found.end());
    std::sort(own.begin(), own.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.line, a.text) < std::tie(b.line, b.text);
    });
    problems.insert(problems.end(), own.begin(), own.end());
    problems_ = nullptr;
}

void Catalog::Builder::add_problem(std::uint32_t line, std::string text) {
    problems_->push_back({file_name_, line, std::move(text)});
}

void Catalog::Builder::add(const DeviceRecord& record) {
    const auto tenant = tenants_.find(record.tenant);
    if (tenant == tenants_.end()) {
        std::vector<std::string_view> names;
        names.reserve(tenants_.size());
        for (const auto& [name, id] : tenants_) names.push_back(name);
        const std::string_view near = did_you_mean(record.tenant, names);
        add_problem(record.line,
                    near.empty()
                        ? fmt::format("tenant is \"{}\"; use {}, or declare it in a policy "
                                      "file with kind: Tenant",
                                      record.tenant, fmt::join(names, ", "))
                        : fmt::format("tenant is \"{}\"; did you mean {}?", record.tenant, near));
        return;
    }
    const auto policy = choose(tenant->second, record.class_name, record.labels);
    if (!policy) {
        ClassPolicies& entry = policies_of(tenant->second, record.class_name);
        if (entry.told) return;  // once for a class, not for each of its devices
        entry.told = true;
        add_problem(record.line,
                    fmt::format("class is \"{}\", which no policy of tenant \"{}\" selects; "
                                "correct it, or add a policy",
                                record.class_name, record.tenant));
        return;
    }

    std::optional<std::uint32_t> twin;
    table_.find_all(record.device, [&](std::uint32_t index) {
        if (table_.records[index].tenant != tenant->second.value) return true;
        twin = index;
        return false;
    });
    if (twin) {
        add_problem(record.line, fmt::format("device \"{}\" of tenant \"{}\" is there twice, first "
                                             "on line {}; remove one",
                                             record.device, record.tenant, lines_[*twin]));
        return;
    }
    constexpr std::size_t offset_max = std::numeric_limits<std::uint32_t>::max();
    if (table_.ids.size() + record.device.size() > offset_max) {
        add_problem(record.line, "more devices than one registry can hold (4 GiB of ids)");
        return;
    }

    DeviceTable::Record packed;
    packed.id_offset = static_cast<std::uint32_t>(table_.ids.size());
    packed.id_bytes = static_cast<std::uint8_t>(record.device.size());  // 1..128: names.hpp
    packed.tenant = tenant->second.value;
    packed.label_set = intern(record.labels);
    packed.group = group_of(tenant->second, record.class_name, *policy).value;
    if (!pack_credential(record.credential, packed)) {
        add_problem(record.line,
                    "credential has a cost that differs from 255 others before; use "
                    "the same cost for all devices");
        return;
    }
    const auto index = static_cast<std::uint32_t>(table_.records.size());
    table_.ids += record.device;
    table_.records.push_back(packed);
    table_.insert(index);
    lines_.push_back(record.line);
    ++catalog_.groups_[packed.group].devices;
}

Catalog::Builder::ClassPolicies& Catalog::Builder::policies_of(TenantId tenant,
                                                               const std::string& class_name) {
    const auto [at, is_new] = classes_.try_emplace({tenant, class_name});
    if (!is_new) return at->second;
    const auto& policies = catalog_.templates_.policies;
    const std::string& tenant_name = catalog_.templates_.tenants[tenant.value].name;
    auto& candidates = at->second.candidates;
    for (PolicyNumber i = 0; i < policies.size(); ++i) {
        const Selector& selector = policies[i]->selector;
        const Selector without_labels{selector.tenant, selector.class_name, {}};
        if (selects(without_labels, tenant_name, class_name, {})) candidates.push_back(i);
    }
    std::sort(candidates.begin(), candidates.end(), [&](PolicyNumber a, PolicyNumber b) {
        const auto a_fields = policies[a]->selector.specificity();
        const auto b_fields = policies[b]->selector.specificity();
        return a_fields != b_fields ? a_fields > b_fields : a < b;
    });
    return at->second;
}

std::optional<Catalog::Builder::PolicyNumber> Catalog::Builder::choose(
    TenantId tenant, const std::string& class_name, std::span<const Label> labels) {
    const std::string& tenant_name = catalog_.templates_.tenants[tenant.value].name;
    for (const PolicyNumber number : policies_of(tenant, class_name).candidates) {
        const Selector& selector = catalog_.templates_.policies[number]->selector;
        if (selects(selector, tenant_name, class_name, labels)) return number;
    }
    return std::nullopt;
}

GroupIndex Catalog::Builder::group_of(TenantId tenant, const std::string& class_name,
                                      PolicyNumber policy) {
    const GroupIndex next{static_cast<std::uint32_t>(catalog_.groups_.size())};
    const auto [at, is_new] = groups_.try_emplace({tenant, class_name, policy}, next);
    if (is_new) {
        catalog_.groups_.push_back({tenant, catalog_.templates_.tenants[tenant.value].name,
                                    class_name, catalog_.templates_.policies[policy], 0});
    }
    return at->second;
}

std::uint32_t Catalog::Builder::intern(const std::vector<Label>& labels) {
    const auto next = static_cast<std::uint32_t>(table_.label_sets.size());
    const auto [at, is_new] = label_sets_.try_emplace(labels, next);
    if (is_new) {
        table_.label_sets.push_back({static_cast<std::uint32_t>(table_.labels.size()),
                                     static_cast<std::uint32_t>(labels.size())});
        table_.labels.insert(table_.labels.end(), labels.begin(), labels.end());
    }
    return at->second;
}

bool Catalog::Builder::pack_credential(const std::string& phc, DeviceTable::Record& record) {
    const auto credential = identity::parse_credential(phc);
    if (!credential) return true;  // empty: parse_registry() has refused all others
    auto cost = std::find(table_.costs.begin(), table_.costs.end(), credential->cost);
    if (cost == table_.costs.end()) {
        if (table_.costs.size() == std::numeric_limits<std::uint8_t>::max()) return false;
        cost = table_.costs.insert(table_.costs.end(), credential->cost);
    }
    record.cost = static_cast<std::uint8_t>(cost - table_.costs.begin());
    table_.credentials.push_back({credential->salt, credential->hash});
    record.credential = static_cast<std::uint32_t>(table_.credentials.size());
    return true;
}

}  // namespace mitu::fleet
