#pragma once
// IndexTable: finds, by hash, the index of something that is kept elsewhere.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "mitu/base/check.hpp"

namespace mitu::broker {

/// Open addressing over pairs of (hash, index), 8 bytes each. Whether an index is the wanted one is
/// asked only where the hashes agree, so that a look-up seldom touches anything in vain.
///
/// Split by hash into segments that grow one by one and by a quarter: none is ever much larger than
/// it has to be (10 to 13 bytes per entry), and no growth holds the shard up.
/// Threading  shard-local.
/// Cost       find(): one or two cache lines; insert(): amortised O(1).
/// Order      none; whoever needs one keeps it elsewhere.
class IndexTable {
public:
    static constexpr std::uint32_t none = 0xFFFF'FFFF;

    /// none: nothing with this hash for which is(index) holds.
    template <class Is>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, Is is) const {
        const Segment& segment = segments_[segment_of(hash)];
        if (segment.used == 0) return none;
        const auto low = static_cast<std::uint32_t>(hash);
        for (std::uint32_t i = segment.home_of(low);; i = segment.next(i)) {
            const Entry& entry = segment.entries[i];
            if (entry.index == none) return none;
            if (entry.hash == low && is(entry.index)) return entry.index;
        }
    }

    /// `index` is not in the table, and is not `none`.
    void insert(std::uint64_t hash, std::uint32_t index) {
        Segment& segment = segments_[segment_of(hash)];
        if ((segment.used + 1) * std::uint64_t{5} > segment.capacity * std::uint64_t{4}) {
            segment.grow();
        }
        segment.place({static_cast<std::uint32_t>(hash), index});
        ++segment.used;
        ++size_;
    }

    /// `index` was inserted with this hash.
    void erase(std::uint64_t hash, std::uint32_t index) noexcept {
        segments_[segment_of(hash)].erase(static_cast<std::uint32_t>(hash), index);
        --size_;
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// For audits: counts the entries one by one.
    [[nodiscard]] std::size_t count() const noexcept {
        std::size_t held = 0;
        for (const Segment& segment : segments_) {
            for (std::uint32_t i = 0; i < segment.capacity; ++i) {
                if (segment.entries[i].index != none) ++held;
            }
        }
        return held;
    }

private:
    struct Entry {
        std::uint32_t hash = 0;
        std::uint32_t index = none;
    };

    struct Segment {
        std::unique_ptr<Entry[]> entries;
        std::uint32_t capacity = 0;
        std::uint32_t used = 0;

        [[nodiscard]] std::uint32_t home_of(std::uint32_t hash) const noexcept {
            return static_cast<std::uint32_t>((std::uint64_t{hash} * capacity) >> 32);
        }
        [[nodiscard]] std::uint32_t next(std::uint32_t i) const noexcept {
            return i + 1 == capacity ? 0 : i + 1;
        }
        /// How far `i` stands behind `from`, going round.
        [[nodiscard]] std::uint32_t distance(std::uint32_t from, std::uint32_t i) const noexcept {
            return i >= from ? i - from : i + capacity - from;
        }
        void place(const Entry& entry) noexcept {
            std::uint32_t i = home_of(entry.hash);
            while (entries[i].index != none) i = next(i);
            entries[i] = entry;
        }
        void grow() {
            Segment bigger;
            bigger.capacity = capacity < 8 ? capacity + 4 : capacity + capacity / 4;
            bigger.entries = std::make_unique<Entry[]>(bigger.capacity);
            for (std::uint32_t i = 0; i < capacity; ++i) {
                if (entries[i].index != none) bigger.place(entries[i]);
            }
            entries = std::move(bigger.entries);
            capacity = bigger.capacity;
        }
        /// Linear probing without tombstones: what stands behind the gap moves up.
        void erase(std::uint32_t hash, std::uint32_t index) noexcept {
            MITU_CHECK(used > 0);
            std::uint32_t gap = home_of(hash);
            while (entries[gap].index != index) {
                MITU_CHECK(entries[gap].index != none);
                gap = next(gap);
            }
            entries[gap] = Entry{};
            for (std::uint32_t i = next(gap); entries[i].index != none; i = next(i)) {
                // Moves if its ideal place is not between the gap (exclusive) and here (inclusive).
                if (distance(home_of(entries[i].hash), i) >= distance(gap, i)) {
                    entries[gap] = entries[i];
                    entries[i] = Entry{};
                    gap = i;
                }
            }
            if (--used == 0) {
                entries.reset();
                capacity = 0;
            }
        }
    };

    static constexpr std::uint32_t segment_bits = 6;
    [[nodiscard]] static std::size_t segment_of(std::uint64_t hash) noexcept {
        return static_cast<std::size_t>(hash >> (64 - segment_bits));
    }

    std::array<Segment, std::size_t{1} << segment_bits> segments_;
    std::size_t size_ = 0;
};

}  // namespace mitu::broker
