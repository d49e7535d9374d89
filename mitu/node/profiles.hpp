#pragma once
// From the fleet's policies, and what a login says besides, to what the broker enforces.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/broker/profile.hpp"
#include "mitu/config/limits.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/identity/identity.hpp"

namespace mitu::node {

/// What the configuration allows to each client. 0, or nothing: no limit.
struct ClientDefaults {
    std::uint32_t messages_per_s = 0;
    std::uint64_t bytes_per_s = 0;
    std::uint16_t topic_levels_max = 0;
    std::optional<std::uint8_t> wildcard_levels_max{};
};
[[nodiscard]] ClientDefaults client_defaults(const config::Limits& limits);

/// Of each limit the stricter one holds: the profile's own, or the default. A rate is taken with
/// its burst; of two equal rates the smaller burst.
void tighten(broker::Profile& profile, const ClientDefaults& defaults);

/// Threading  any thread.
/// Cost       one profile for each group of devices, and for each (tenant, class) that logged in
///            without being registered; one more for each client with access rules of its own.
class Profiles {
public:
    explicit Profiles(std::shared_ptr<const fleet::Catalog> catalog, ClientDefaults defaults = {});

    [[nodiscard]] const std::shared_ptr<const broker::Profile>& of_group(
        fleet::GroupIndex group) const noexcept {
        return groups_[group.value];
    }

    /// For a client that is no registered device. Null: no policy selects this class of the tenant.
    [[nodiscard]] std::shared_ptr<const broker::Profile> of_class(
        TenantId tenant, const std::string& class_name) const MITU_EXCLUDES(mutex_);

    /// What holds for every client beside its policy.
    [[nodiscard]] const ClientDefaults& defaults() const noexcept { return defaults_; }

    /// `base`, but with the user's own rules.
    [[nodiscard]] static std::shared_ptr<const broker::Profile> with_access(
        const broker::Profile& base, const identity::Access& access, std::string_view user,
        broker::Profile::Rules rules);

private:
    std::shared_ptr<const fleet::Catalog> catalog_;
    ClientDefaults defaults_;
    std::vector<std::shared_ptr<const broker::Profile>> groups_;
    mutable Mutex mutex_;
    mutable std::map<std::pair<TenantId, std::string>, std::shared_ptr<const broker::Profile>>
        classes_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::node
