#pragma once
// The tenants, policies and devices of the virtual world, and its rules of access in plain words.

#include <cstdint>
#include <memory>
#include <string_view>

#include "mitu/fleet/catalog.hpp"
#include "sim/client_key.hpp"

namespace mitu::sim {

/// How many registered clients ("c0", "c1", ...: no settings) and devices ("v0", ...: with
/// settings) each of the tenants acme and borealis has. The ids are the same in both, and so are
/// the topics: only the tenant keeps them apart.
inline constexpr std::uint32_t devices_per_tenant = 8;
/// Belongs to no actor: it looks at what is retained when a run is over.
inline constexpr std::string_view reader_id = "reader";
/// Its clients have a message rate.
inline constexpr std::string_view rate_limited_tenant = "acme";

/// `revision` of the policies is 1 or more. Passwords are the device ids. Made once per process.
[[nodiscard]] std::shared_ptr<const fleet::Catalog> catalog_of_revision(std::uint32_t revision);

/// What the catalog's policies mean, said again without the product's code.
[[nodiscard]] bool may_publish(const ClientKey& client, std::string_view topic);
[[nodiscard]] bool may_receive(const ClientKey& client, std::string_view topic);

}  // namespace mitu::sim
