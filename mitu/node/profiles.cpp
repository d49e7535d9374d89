#include "mitu/node/profiles.hpp"

namespace mitu::node {

std::vector<std::shared_ptr<const broker::Profile>> make_profiles(const fleet::Catalog& catalog) {
    std::vector<std::shared_ptr<const broker::Profile>> profiles;
    for (const fleet::Group& group : catalog.groups()) {
        auto profile = std::make_shared<broker::Profile>();
        const fleet::Policy& policy = *group.policy;
        profile->tenant = group.tenant;
        profile->tenant_name = group.tenant_name;
        profile->device_class = group.class_name;
        profile->policy_name = policy.name;
        profile->publish =
            broker::AccessList{policy.access.publish.allow, policy.access.publish.deny};
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
        profiles.push_back(std::move(profile));
    }
    return profiles;
}

}  // namespace mitu::node
