#include "mitu/node/profiles.hpp"

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

/// Classes come out of credentials, of which there may be any number.
constexpr std::size_t classes_max = 4'096;

}  // namespace

Profiles::Profiles(std::shared_ptr<const fleet::Catalog> catalog) : catalog_{std::move(catalog)} {
    for (const fleet::Group& group : catalog_->groups()) {
        groups_.push_back(
            make_profile(group.tenant, group.tenant_name, group.class_name, *group.policy));
    }
}

std::shared_ptr<const broker::Profile> Profiles::of_class(TenantId tenant,
                                                          const std::string& class_name) const {
    const MutexLock lock{mutex_};
    const auto known = classes_.find({tenant, class_name});
    if (known != classes_.end()) return known->second;
    const fleet::Policy* const policy = catalog_->select(tenant, class_name, {});
    std::shared_ptr<const broker::Profile> profile;
    if (policy != nullptr) {
        profile = make_profile(tenant, catalog_->tenants()[tenant.value].name, class_name, *policy);
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
