#pragma once
// From the fleet's policies to what the broker enforces.

#include <memory>
#include <vector>

#include "mitu/broker/profile.hpp"
#include "mitu/fleet/catalog.hpp"

namespace mitu::node {

/// One profile for each of catalog.groups(), in their order.
[[nodiscard]] std::vector<std::shared_ptr<const broker::Profile>> make_profiles(
    const fleet::Catalog& catalog);

}  // namespace mitu::node
