#include "mitu/fleet/status.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

namespace mitu::fleet {
namespace {

/// Ordered, so that people read the keys as the documentation lists them.
using nlohmann::ordered_json;

ordered_json numbers_json(const StatusNumbers& numbers) {
    return {{"devices", numbers.devices},
            {"unseen", numbers.unseen},
            {"online", numbers.online},
            {"heartbeat_missed", numbers.heartbeat_missed},
            {"drifted", numbers.drifted}};
}

void add(StatusNumbers& total, const StatusNumbers& numbers) noexcept {
    total.devices += numbers.devices;
    total.unseen += numbers.unseen;
    total.online += numbers.online;
    total.heartbeat_missed += numbers.heartbeat_missed;
    total.drifted += numbers.drifted;
}

}  // namespace

StatusNumbers sum_group(const Catalog& catalog, GroupIndex group,
                        std::span<const ShardStatus* const> shards) noexcept {
    StatusNumbers numbers;
    std::uint64_t seen = 0;
    for (const ShardStatus* shard : shards) {
        const GroupCounters& counters = shard->at(group);
        seen += counters.seen.read();
        numbers.online += counters.online.read();
        numbers.heartbeat_missed += counters.heartbeat_missed.read();
        numbers.drifted += counters.drifted.read();
    }
    // The counters are read one after the other while shards go on: a device may be counted online
    // a moment before it is counted seen.
    numbers.devices = catalog.groups()[group.value].devices;
    if (group == catalog.group_for_anonymous()) numbers.devices += numbers.online;
    numbers.unseen = numbers.devices - std::min(numbers.devices, std::max(seen, numbers.online));
    return numbers;
}

std::string status_json(const Catalog& catalog, std::span<const ShardStatus* const> shards) {
    const auto groups = catalog.groups();
    std::vector<std::uint32_t> order(groups.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::tie(groups[a].tenant_name, groups[a].class_name, groups[a].policy->name) <
               std::tie(groups[b].tenant_name, groups[b].class_name, groups[b].policy->name);
    });

    StatusNumbers total;
    ordered_json rows = ordered_json::array();
    for (const std::uint32_t index : order) {
        const Group& group = groups[index];
        const StatusNumbers numbers = sum_group(catalog, GroupIndex{index}, shards);
        add(total, numbers);
        ordered_json row{{"tenant", group.tenant_name},
                         {"class", group.class_name},
                         {"policy", group.policy->name},
                         {"policy_revision", group.policy->revision}};
        row.update(numbers_json(numbers));
        rows.push_back(std::move(row));
    }
    const ordered_json body{
        {"revision", catalog.revision()}, {"totals", numbers_json(total)}, {"groups", rows}};
    return body.dump();
}

}  // namespace mitu::fleet
