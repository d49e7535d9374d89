#include "mitu/fleet/templates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "embedded/policies.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/fleet/selector.hpp"
#include "mitu/fleet/template_compiler.hpp"
#include "mitu/fleet/template_schema.hpp"

namespace mitu::fleet {
namespace {

constexpr std::size_t tenants_max = std::numeric_limits<decltype(TenantId::value)>::max();

/// The documents of one layer (the base, or what overlays it), by kind and name.
struct Layer {
    std::map<std::string, Tenant, std::less<>> tenants;
    std::map<std::string, Policy, std::less<>> policies;
};

template <class Item>
void add_once(std::map<std::string, Item, std::less<>>& items, Item item, Problems& problems) {
    const auto [at, is_new] = items.try_emplace(item.name, item);
    if (is_new) return;
    problems.push_back({item.file, item.line,
                        fmt::format("name \"{}\" is used twice, first at {}:{}; use another name",
                                    item.name, at->second.file, at->second.line)});
}

Layer read_layer(std::span<const SourceFile> files, TemplateSchema& schema, Problems& problems) {
    Layer layer;
    for (const SourceFile& file : files) {
        const auto first = static_cast<std::ptrdiff_t>(problems.size());
        for (const yaml::Document& document : yaml::parse(file, problems)) {
            const std::string_view kind = schema.check(document, file.name, problems);
            if (kind == "Tenant") {
                add_once(layer.tenants, compile_tenant(document, file.name), problems);
            } else if (kind == "Policy") {
                if (auto policy = compile_policy(document, file.name, schema, problems)) {
                    add_once(layer.policies, *std::move(policy), problems);
                }
            }
        }
        std::sort(problems.begin() + first, problems.end(), [](const Problem& a, const Problem& b) {
            return std::tie(a.line, a.text) < std::tie(b.line, b.text);
        });
    }
    return layer;
}

/// Puts `over` on top of `base`.
void overlay_layer(Layer& base, Layer over, Problems& problems) {
    for (auto& [name, tenant] : over.tenants)
        base.tenants.insert_or_assign(name, std::move(tenant));
    for (auto& [name, policy] : over.policies) {
        const auto below = base.policies.find(name);
        // Devices compare revisions: other content under the same one would pass unnoticed, and a
        // lower one would make a device's revision go back.
        if (below != base.policies.end() && below->second.content_hash != policy.content_hash &&
            below->second.revision >= policy.revision) {
            problems.push_back(
                {policy.file, policy.line,
                 fmt::format("revision of \"{}\" is {}, but {}:{} has other content at revision "
                             "{}; use {} or more",
                             name, policy.revision, below->second.file, below->second.line,
                             below->second.revision, below->second.revision + std::uint64_t{1})});
        }
        base.policies.insert_or_assign(name, std::move(policy));
    }
}

void check_tenants(const Layer& layer, Problems& problems) {
    std::vector<std::string_view> names;
    names.reserve(layer.tenants.size());
    for (const auto& [name, tenant] : layer.tenants) names.push_back(name);
    for (const auto& [name, policy] : layer.policies) {
        const std::string& tenant = policy.selector.tenant;
        if (tenant.empty() || layer.tenants.contains(tenant)) continue;
        const std::string_view near = did_you_mean(tenant, names);
        problems.push_back(
            {policy.file, policy.line,
             near.empty()
                 ? fmt::format("selector.tenant is \"{}\", which no document of kind Tenant "
                               "declares; use {}, or declare it",
                               tenant, fmt::join(names, ", "))
                 : fmt::format("selector.tenant is \"{}\", which no document of kind Tenant "
                               "declares; did you mean {}?",
                               tenant, near)});
    }
}

void check_ties(const std::vector<std::shared_ptr<const Policy>>& policies, Problems& problems) {
    std::vector<const Selector*> selectors;
    selectors.reserve(policies.size());
    for (const auto& policy : policies) selectors.push_back(&policy->selector);
    for (const auto& [first, second] : find_ties(selectors)) {
        const Policy& a = *policies[first];
        const Policy& b = *policies[second];
        problems.push_back(
            {b.file, b.line,
             fmt::format("\"{}\" ties with \"{}\" ({}:{}) for devices of {}; add a field or label "
                         "to one of them, or a policy that selects all of these",
                         b.name, a.name, a.file, a.line, describe(unite(a.selector, b.selector)))});
    }
}

}  // namespace

std::vector<SourceFile> embedded_templates() {
    const EmbeddedDirectory& directory = embedded::policies();
    std::vector<SourceFile> files;
    for (std::size_t i = 0; i < directory.file_count(); ++i) {
        if (!directory.path_at(i).ends_with(".yaml")) continue;
        files.push_back({fmt::format("policies/{}", directory.path_at(i)), directory.data_at(i)});
    }
    return files;
}

Result<Templates, Problems> load_templates(std::span<const SourceFile> base,
                                           std::span<const SourceFile> overlay) {
    Problems problems;
    TemplateSchema schema;
    Layer layer = read_layer(base, schema, problems);
    overlay_layer(layer, read_layer(overlay, schema, problems), problems);
    layer.tenants.try_emplace("default", Tenant{"default", "", "", 0});
    check_tenants(layer, problems);
    if (layer.tenants.size() > tenants_max) {
        problems.push_back(
            {"policies", 0,
             fmt::format("{} tenants; use at most {}", layer.tenants.size(), tenants_max)});
    }

    Templates templates;
    templates.tenants.push_back(std::move(layer.tenants.at("default")));
    layer.tenants.erase("default");
    for (auto& [name, tenant] : layer.tenants) templates.tenants.push_back(std::move(tenant));
    for (auto& [name, policy] : layer.policies) {
        templates.policies.push_back(std::make_shared<const Policy>(std::move(policy)));
    }
    check_ties(templates.policies, problems);
    if (!problems.empty()) return std::unexpected(std::move(problems));
    return templates;
}

}  // namespace mitu::fleet
