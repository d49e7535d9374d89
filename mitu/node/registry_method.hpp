#pragma once
// The fleet's registry as a method of a chain: devices log in with their own name and password.

#include <memory>

#include "mitu/fleet/catalog.hpp"
#include "mitu/identity/method.hpp"

namespace mitu::node {

/// User name "id@tenant", or "id" where the tenant is known otherwise or only one tenant has it.
/// The device's client id is its id, so that no device can take over another one's session. Who is
/// not in the registry is left to the next method.
/// What a device has proved is remembered for as long as the method lives.
[[nodiscard]] identity::MethodPtr make_registry_method(
    std::shared_ptr<const fleet::Catalog> catalog);

}  // namespace mitu::node
