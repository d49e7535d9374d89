#include "mitu/node/profiles.hpp"

#include <algorithm>

namespace mitu::node {
namespace {

std::shared_ptr<broker::Profile> make_profile(TenantId tenant, const std::string& tenant_name,
                                              const std::string& class_name,
                                              const fleet::Policy& policy) {
    auto profile = std::make_shared<broker::Profile>();
    profile->tenant = tenant;
    profile->tenant_name = tenant_name;
    profile->device_class = class_name;
    profile->policy_name = policy.name;
    profile->publish = broker::AccessList{policy.access.publish.allow, policy.access.publish.deny};
    profile->subscribe =
        broker::AccessList{policy.access.subscribe.allow, policy.access.subscribe.deny};
    if (policy.limits.message_rate) {
        profile->message_rate_per_s = policy.limits.message_rate->per_second;
        profile->message_burst = policy.limits.message_rate->burst;
    }
    profile->payload_bytes_max = policy.limits.payload_bytes_max.value_or(0);
    profile->queue_messages_max = policy.limits.queue_messages_max.value_or(0);
    profile->queue_bytes_max = policy.limits.queue_bytes_max.value_or(0);
    if (policy.heartbeat) profile->heartbeat_interval = policy.heartbeat->interval;
    return profile;
}

/// The smaller one, where 0 is no limit.
template <class Number>
Number stricter(Number a, Number b) noexcept {
    return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

template <class Rate>
void tighten_rate(Rate& per_second, Rate& burst, Rate default_per_second) noexcept {
    if (default_per_second == 0) return;
    if (per_second == 0 || default_per_second < per_second) {
        per_second = default_per_second;
        burst = 0;  // one second's worth
    } else if (default_per_second == per_second) {
        burst = burst < per_second ? burst : 0;
    }
}

/// Classes come out of credentials, of which there may be any number.
constexpr std::size_t classes_max = 4'096;

}  // namespace

ClientDefaults client_defaults(const config::Limits& limits) {
    ClientDefaults defaults;
    defaults.messages_per_s = limits.client.messages_per_s.value_or(0);
    defaults.bytes_per_s = limits.client.bytes_per_s.value_or(0);
    defaults.topic_levels_max = limits.topic_levels_max.value_or(0);
    if (const auto& levels = limits.wildcard_levels_max) {
        // No filter has more levels than fit (broker/level_tree.hpp).
        defaults.wildcard_levels_max =
            static_cast<std::uint8_t>(std::min<std::uint16_t>(*levels, 255));
    }
    return defaults;
}

void tighten(broker::Profile& profile, const ClientDefaults& defaults) {
    tighten_rate(profile.message_rate_per_s, profile.message_burst, defaults.messages_per_s);
    tighten_rate(profile.bytes_per_s, profile.bytes_burst, defaults.bytes_per_s);
    profile.topic_levels_max = stricter(profile.topic_levels_max, defaults.topic_levels_max);
    if (const auto& levels = defaults.wildcard_levels_max) {
        profile.wildcard_levels_max = std::min(profile.wildcard_levels_max.value_or(255), *levels);
    }
}

Profiles::Profiles(std::shared_ptr<const fleet::Catalog> catalog, ClientDefaults defaults)
    : catalog_{std::move(catalog)}, defaults_{defaults} {
    for (const fleet::Group& group : catalog_->groups()) {
        auto profile =
            make_profile(group.tenant, group.tenant_name, group.class_name, *group.policy);
        tighten(*profile, defaults_);
        groups_.push_back(std::move(profile));
    }
}

std::shared_ptr<const broker::Profile> Profiles::of_class(TenantId tenant,
                                                          const std::string& class_name) const {
    const MutexLock lock{mutex_};
    const auto known = classes_.find({tenant, class_name});
    if (known != classes_.end()) return known->second;
    const fleet::Policy* const policy = catalog_->select(tenant, class_name, {});
    std::shared_ptr<broker::Profile> profile;
    if (policy != nullptr) {
        profile = make_profile(tenant, catalog_->tenants()[tenant.value].name, class_name, *policy);
        tighten(*profile, defaults_);
    }
    if (classes_.size() >= classes_max) classes_.clear();
    classes_.emplace(std::pair{tenant, class_name}, profile);
    return profile;
}

std::shared_ptr<const broker::Profile> Profiles::with_access(const broker::Profile& base,
                                                             const identity::Access& access,
                                                             std::string_view user,
                                                             broker::Profile::Rules rules) {
    auto profile = std::make_shared<broker::Profile>(base);
    profile->publish = broker::AccessList{access.publish.allow, access.publish.deny};
    profile->subscribe = broker::AccessList{access.subscribe.allow, access.subscribe.deny};
    profile->rules = rules;
    profile->user = user;
    return profile;
}

}  // namespace mitu::node
