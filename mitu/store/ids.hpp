#pragma once
// Names of things that are stored. None is ever used twice, and none needs a counter on disk beside
// the generation, which counts starts.

#include <cstdint>

#include "mitu/base/strong_id.hpp"

namespace mitu::store {

/// A persistent session. A clean start makes a new one, so what is left of the old one is nobody's.
using SessionId = StrongId<struct StoredSessionTag, std::uint64_t>;
/// A message that several queues refer to.
using MessageId = StrongId<struct StoredMessageTag, std::uint64_t>;
/// The stream of one filter: messages that many sessions read, each at its own place.
using StreamId = StrongId<struct StreamTag, std::uint64_t>;
/// A will: one connection's.
using WillId = StrongId<struct StoredWillTag, std::uint64_t>;
/// A place in a queue or a stream; the lower one goes first. Counted by whoever writes.
using Position = std::uint64_t;

/// Makes ids for one shard of one run.
/// Shape      generation (20 bits: a million starts), shard (8), counter (36: 68 billion).
/// Threading  shard-local.
class IdMint {
public:
    constexpr IdMint(std::uint32_t generation, ShardId shard) noexcept
        : next_{(std::uint64_t{generation & 0xF'FFFFU} << 44) |
                (std::uint64_t{shard.value & 0xFFU} << 36) | 1U} {}

    /// Of an id that was made so.
    [[nodiscard]] static constexpr std::uint32_t generation_of(std::uint64_t id) noexcept {
        return static_cast<std::uint32_t>(id >> 44);
    }

    template <class Id>
    [[nodiscard]] constexpr Id next() noexcept {
        return Id{next_++};
    }

private:
    std::uint64_t next_;
};

}  // namespace mitu::store
