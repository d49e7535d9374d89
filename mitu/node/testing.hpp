#pragma once
// A small fleet for the tests of this folder.

#include <memory>
#include <string>

#include "mitu/base/check.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/templates.hpp"
#include "mitu/identity/credential.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

/// Passwords of the fleet below are the device ids, hashed as cheaply as argon2id goes.
inline std::shared_ptr<const fleet::Catalog> make_catalog() {
    constexpr std::string_view policies = R"(
kind: Tenant
name: default
description: anonymous clients
---
kind: Tenant
name: acme
description: a test tenant
---
kind: Tenant
name: borealis
description: another one
---
kind: Policy
name: open
selector: {tenant: default}
access: {publish: {allow: ["#"]}, subscribe: {allow: ["#"]}}
---
kind: Policy
name: acme-thermostat
revision: 7
selector: {tenant: acme, class: thermostat}
heartbeat: {interval: 10s, timeout: 30s}
limits:
  message_rate: {per_second: 5, burst: 9}
  payload_bytes_max: 100
access:
  publish: {allow: ["t/${device}/#"], deny: ["t/${device}/secret"]}
  subscribe: {allow: ["c/${device}/#"]}
settings: {setpoint_c: 21}
---
kind: Policy
name: borealis-any
selector: {tenant: borealis}
access: {publish: {allow: ["x/#"]}, subscribe: {allow: ["x/#"]}}
)";
    const fleet::SourceFile file{"policies.yaml", policies};
    auto templates = fleet::load_templates({&file, 1});
    if (!templates) MITU_CHECK_MSG(false, fleet::to_text(templates.error()).c_str());

    std::string registry = "device,tenant,class,labels,credential\n";
    const identity::Salt salt{1, 2, 3};
    const auto add = [&](std::string_view id, std::string_view rest) {
        registry.append(id).append(rest).append(",\"");
        registry.append(identity::hash_password(id, salt, {1, 8})).append("\"\n");
    };
    add("th-1", ",acme,thermostat,");
    add("th-2", ",acme,thermostat,");
    add("both", ",acme,thermostat,");
    add("both", ",borealis,box,");
    add("reserved", ",default,box,");
    const fleet::SourceFile source{"devices.csv", registry};
    auto catalog = fleet::Catalog::build(*templates, &source);
    if (!catalog) MITU_CHECK_MSG(false, fleet::to_text(catalog.error()).c_str());
    return *catalog;
}

/// Time stands still unless it is told to go on.
class StillClock final : public ports::Clock {
public:
    [[nodiscard]] Instant now() const noexcept override { return at; }
    [[nodiscard]] WallTime wall() const noexcept override {
        return {1'700'000'000'000 + at.since_start_ns() / 1'000'000};
    }
    Instant at;
};

}  // namespace mitu::node
