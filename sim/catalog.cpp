#include "sim/catalog.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "mitu/base/check.hpp"
#include "mitu/fleet/templates.hpp"
#include "mitu/identity/credential.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::sim {
namespace {

// acme has rules; borealis may do all that does not touch the server's own topics.
constexpr std::string_view policies = R"(
kind: Tenant
name: default
description: anonymous clients
---
kind: Tenant
name: acme
description: strict
---
kind: Tenant
name: borealis
description: generous
---
kind: Policy
name: open
selector: {{tenant: default}}
access: {{publish: {{allow: ["#"]{1}}}, subscribe: {{allow: ["#"]{2}}}}}
---
kind: Policy
name: strict
selector: {{tenant: acme, class: client}}
limits: {{message_rate: {{per_second: 20, burst: 10}}}}
access:
  publish: {{allow: ["t/#", "deep/#", "s/#", "mine/${{device}}/#", "will/#"], deny: ["t/2"{3}]}}
  subscribe: {{allow: ["t/#", "deep/#", "s/#", "mine/#", "will/#"], deny: ["deep/a/b/2"{4}]}}
---
kind: Policy
name: strict-sensor
revision: {0}
selector: {{tenant: acme, class: sensor}}
heartbeat: {{interval: 20s, timeout: 60s}}
access:
  publish: {{allow: ["fleet/${{device}}/#", "$mitu/things/${{device}}/#"]}}
  subscribe: {{allow: ["$mitu/things/${{device}}/#"]}}
settings: {{sample_s: {0}}}
---
kind: Policy
name: generous
selector: {{tenant: borealis, class: client}}
access: {{publish: {{allow: ["#"]{5}}}, subscribe: {{allow: ["#"]{6}}}}}
---
kind: Policy
name: generous-sensor
revision: {0}
selector: {{tenant: borealis, class: sensor}}
access: {{publish: {{allow: ["#"]}}, subscribe: {{allow: ["#"]}}}}
settings: {{sample_s: {0}, color: blue}}
)";

bool are_taken_of(Rights rights, std::uint32_t tenant) { return ((rights >> tenant) & 1) != 0; }

std::shared_ptr<const fleet::Catalog> make(std::uint32_t revision, Rights rights) {
    const auto deny = [&](std::uint32_t tenant, std::string_view topic) {
        return are_taken_of(rights, tenant) ? fmt::format(", deny: [{}]", topic) : std::string{};
    };
    const auto and_deny = [&](std::uint32_t tenant, std::string_view topic) {
        return are_taken_of(rights, tenant) ? fmt::format(", {}", topic) : std::string{};
    };
    const std::string text =
        fmt::format(policies, revision, deny(0, publish_taken), deny(0, subscribe_taken),
                    and_deny(1, publish_taken), and_deny(1, subscribe_taken),
                    deny(2, publish_taken), deny(2, subscribe_taken));
    const fleet::SourceFile file{"sim.yaml", text};
    auto templates = fleet::load_templates({&file, 1});
    if (!templates) MITU_CHECK_MSG(false, fleet::to_text(templates.error()).c_str());
    std::string registry = "device,tenant,class,labels,credential\n";
    const identity::Salt salt{1, 2, 3};
    const auto add = [&](std::string_view tenant, std::string_view id, std::string_view kind) {
        // As cheap as argon2id goes: guessing is no concern here.
        registry += fmt::format("{},{},{},,\"{}\"\n", id, tenant, kind,
                                identity::hash_password(id, salt, {1, 8}));
    };
    for (const char* tenant : {"acme", "borealis"}) {
        add(tenant, reader_id, "client");
        for (std::uint32_t i = 0; i < devices_per_tenant; ++i) {
            add(tenant, fmt::format("c{}", i), "client");
            add(tenant, fmt::format("v{}", i), "sensor");
        }
    }
    const fleet::SourceFile source{"sim.csv", registry};
    auto catalog = fleet::Catalog::build(*templates, &source, revision);
    if (!catalog) MITU_CHECK_MSG(false, fleet::to_text(catalog.error()).c_str());
    return *catalog;
}

/// Devices keep what they have.
bool are_taken_from(const ClientKey& client, Rights rights) {
    if (client.tenant == "default") return are_taken_of(rights, 0);
    if (client.client_id.starts_with('v')) return false;
    return are_taken_of(rights, client.tenant == "acme" ? 1 : 2);
}

bool is_below(std::string_view topic, std::string_view prefix) {
    return topic == prefix || (topic.starts_with(prefix) && topic[prefix.size()] == '/');
}

}  // namespace

std::shared_ptr<const fleet::Catalog> catalog_of_revision(std::uint32_t revision, Rights rights) {
    static std::mutex mutex;
    static std::map<std::pair<std::uint32_t, Rights>, std::shared_ptr<const fleet::Catalog>> made;
    const std::lock_guard lock{mutex};
    auto& catalog = made[{revision, rights}];
    if (!catalog) catalog = make(revision, rights);
    return catalog;
}

bool may_publish(const ClientKey& client, std::string_view topic, Rights rights) {
    if (topic == publish_taken && are_taken_from(client, rights)) return false;
    if (client.tenant != "acme") return true;
    if (client.client_id.starts_with('v')) {
        return is_below(topic, "fleet/" + client.client_id) ||
               is_below(topic, "$mitu/things/" + client.client_id);
    }
    if (topic == "t/2") return false;
    return is_below(topic, "t") || is_below(topic, "deep") || is_below(topic, "s") ||
           is_below(topic, "will") || is_below(topic, "mine/" + client.client_id);
}

bool may_receive(const ClientKey& client, std::string_view topic, Rights rights) {
    if (topic == subscribe_taken && are_taken_from(client, rights)) return false;
    if (client.tenant != "acme") return true;
    if (client.client_id.starts_with('v')) {
        return is_below(topic, "$mitu/things/" + client.client_id);
    }
    if (topic == "deep/a/b/2") return false;
    return is_below(topic, "t") || is_below(topic, "deep") || is_below(topic, "s") ||
           is_below(topic, "mine") || is_below(topic, "will");
}

bool takes_subscription(const ClientKey& client, std::string_view filter, Rights rights) {
    return are_taken_from(client, rights) && mqtt::matches(filter, subscribe_taken);
}

}  // namespace mitu::sim
