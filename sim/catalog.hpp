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

/// What a reload may take from the clients of a tenant, and give them again: a bit for each tenant,
/// in the order of the catalog. Its clients, but not its devices, may then neither publish to `t/0`
/// nor subscribe to anything that `t/1` matches.
using Rights = std::uint8_t;
inline constexpr Rights usual_rights = 0;
inline constexpr std::string_view publish_taken = "t/0";
inline constexpr std::string_view subscribe_taken = "t/1";

/// `revision` of the policies is 1 or more. Passwords are the device ids. Made once per process.
[[nodiscard]] std::shared_ptr<const fleet::Catalog> catalog_of_revision(
    std::uint32_t revision, Rights rights = usual_rights);

/// What the catalog's policies mean, said again without the product's code.
[[nodiscard]] bool may_publish(const ClientKey& client, std::string_view topic,
                               Rights rights = usual_rights);
[[nodiscard]] bool may_receive(const ClientKey& client, std::string_view topic,
                               Rights rights = usual_rights);
/// Whether `rights` takes a subscription that the client may have otherwise. `filter` without the
/// `$share/...` in front.
[[nodiscard]] bool takes_subscription(const ClientKey& client, std::string_view filter,
                                      Rights rights);

}  // namespace mitu::sim
