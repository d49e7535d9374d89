#include "mitu/broker/mailroom.hpp"

namespace mitu::broker {

Mailroom::Mailroom(std::uint16_t shard_count, const LaneSizes& sizes)
    : shard_count_{shard_count}, sleepers_(shard_count) {
    const std::array<std::uint32_t, lane_kind_count> bytes{sizes.control_bytes, sizes.deliver_bytes,
                                                           sizes.publish_bytes};
    for (std::uint32_t from = 0; from < shard_count; ++from) {
        for (std::uint32_t to = 0; to < shard_count; ++to) {
            for (const std::uint32_t size : bytes) {
                lanes_.push_back(from == to ? nullptr : std::make_unique<memory::Lane>(size));
            }
        }
    }
}

void Mailroom::connect(ShardId shard, ports::Network* network) noexcept {
    sleepers_[shard.value].network.store(network, std::memory_order_release);
}

void Mailroom::fall_asleep(ShardId shard) noexcept {
    // Sequentially consistent on both sides: either the writer sees `asleep`, or the sleeper's
    // last look sees what was written.
    sleepers_[shard.value].asleep.store(true, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Mailroom::stay_awake(ShardId shard) noexcept {
    sleepers_[shard.value].asleep.store(false, std::memory_order_relaxed);
}

void Mailroom::wake(ShardId shard) noexcept {
    Sleeper& sleeper = sleepers_[shard.value];
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!sleeper.asleep.load(std::memory_order_seq_cst)) return;
    sleeper.asleep.store(false, std::memory_order_relaxed);
    if (auto* const network = sleeper.network.load(std::memory_order_acquire)) network->wake();
}

}  // namespace mitu::broker
