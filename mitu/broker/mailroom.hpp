#pragma once
// Mailroom: every lane between the shards of one node, and who is asleep.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "mitu/base/strong_id.hpp"
#include "mitu/memory/lane.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

/// What a lane carries decides who may wait for whom. A publish is taken in only while there is
/// room to deliver it; a delivery is always taken in and needs nothing further; control is never
/// held up by either. So no two shards can wait for each other.
enum class LaneKind : std::uint8_t {
    control,  // completions, connections that move
    deliver,  // home shard -> subscribers' shard
    publish,  // publisher's shard -> home shard; subscriptions too, in the client's order
};
inline constexpr std::size_t lane_kind_count = 3;

struct LaneSizes {
    std::uint32_t control_bytes = 256u << 10;
    std::uint32_t deliver_bytes = 1u << 20;
    /// A SUBSCRIBE travels whole: half of this holds the longest filter and group (128 KiB).
    std::uint32_t publish_bytes = 1u << 20;
};

/// Threading  lanes as Lane says; the rest any thread.
class Mailroom {
public:
    explicit Mailroom(std::uint16_t shard_count, const LaneSizes& sizes = {});

    [[nodiscard]] std::uint16_t shard_count() const noexcept { return shard_count_; }
    [[nodiscard]] memory::Lane& lane(ShardId from, ShardId to, LaneKind kind) noexcept {
        return *lanes_[(std::size_t{from.value} * shard_count_ + to.value) * lane_kind_count +
                       static_cast<std::size_t>(kind)];
    }

    /// Whom to wake for a shard. Call once per shard before it runs; null when it has stopped.
    void connect(ShardId shard, ports::Network* network) noexcept;

    /// The shard is about to wait: mail that comes from now on wakes it. Look at the lanes once
    /// more after this call, and only then wait.
    void fall_asleep(ShardId shard) noexcept;
    void stay_awake(ShardId shard) noexcept;
    /// Wakes `shard` if it sleeps. Call after publishing to it, or after releasing its credit.
    void wake(ShardId shard) noexcept;

private:
    struct alignas(64) Sleeper {
        std::atomic<bool> asleep{false};
        std::atomic<ports::Network*> network{nullptr};
    };

    std::uint16_t shard_count_;
    std::vector<std::unique_ptr<memory::Lane>> lanes_;
    std::vector<Sleeper> sleepers_;
};

}  // namespace mitu::broker
