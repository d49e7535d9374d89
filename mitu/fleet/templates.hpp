#pragma once
// Policy templates: the files compiled in, a directory that overlays them, and the loader of both.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/fleet/policy.hpp"
#include "mitu/fleet/problem.hpp"

namespace mitu::fleet {

/// The templates compiled into the program (policies/*.yaml). Lifetime: the process.
[[nodiscard]] std::vector<SourceFile> embedded_templates();

/// A checked set of templates. Tenant 0 is `default`; the others follow by name. Policies by name.
struct Templates {
    std::vector<Tenant> tenants;
    std::vector<std::shared_ptr<const Policy>> policies;
};

/// Parses and checks YAML documents of kind Tenant and Policy.
/// `overlay` documents replace those of `base` that have the same kind and name, and add others. A
/// policy replaced with other content must have a higher revision: devices compare revisions.
/// Errors  everything that is wrong in any file, not just the first: YAML syntax, the schema
///         (policies/schema/policy.schema.json), unknown keys, names used twice, a timeout below
///         its interval, filters that are none, tenants that nobody declares, selectors that may
///         tie.
[[nodiscard]] Result<Templates, Problems> load_templates(std::span<const SourceFile> base,
                                                         std::span<const SourceFile> overlay = {});

}  // namespace mitu::fleet
