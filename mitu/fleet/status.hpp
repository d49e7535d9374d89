#pragma once
// The fleet in numbers: counters that each shard keeps per group, and the JSON that sums them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "mitu/fleet/catalog.hpp"
#include "mitu/trace/counter.hpp"

namespace mitu::fleet {

/// Gauges of one group on one shard.
/// Threading  one thread writes, any thread reads.
struct GroupCounters {
    trace::Counter seen;    // devices that connected at least once since start
    trace::Counter online;  // connected now
    trace::Counter heartbeat_missed;
    trace::Counter drifted;  // of the seen ones
};

/// One shard's counters, one row for each of Catalog::groups().
class ShardStatus {
public:
    explicit ShardStatus(std::size_t group_count)
        : groups_{std::make_unique<GroupCounters[]>(group_count)}, group_count_{group_count} {}

    [[nodiscard]] GroupCounters& at(GroupIndex group) noexcept { return groups_[group.value]; }
    [[nodiscard]] const GroupCounters& at(GroupIndex group) const noexcept {
        return groups_[group.value];
    }
    [[nodiscard]] std::size_t group_count() const noexcept { return group_count_; }

private:
    std::unique_ptr<GroupCounters[]> groups_;
    std::size_t group_count_;
};

struct StatusNumbers {
    std::uint64_t devices = 0;  // registered; of anonymous clients: those online
    std::uint64_t unseen = 0;   // never connected: neither drifted nor missed
    std::uint64_t online = 0;
    std::uint64_t heartbeat_missed = 0;
    std::uint64_t drifted = 0;
};

/// The sum over shards for one group. Threading: any thread.
[[nodiscard]] StatusNumbers sum_group(const Catalog& catalog, GroupIndex group,
                                      std::span<const ShardStatus* const> shards) noexcept;

/// The body of GET /api/v1/fleet/status.
[[nodiscard]] std::string status_json(const Catalog& catalog,
                                      std::span<const ShardStatus* const> shards);

}  // namespace mitu::fleet
