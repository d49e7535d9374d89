#pragma once
// SlabPool: small blocks for many owners, each of whom can lose all of its own at once.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <vector>

#include "mitu/base/lifetime.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/memory/reservation.hpp"

namespace mitu::memory {

/// What one owner has. Plain; whoever keeps it keeps it away from the owner's own hands.
struct SlabHolding {
    std::uint32_t first = 0x7FFF'FFFF;  // of its blocks; they know each other
    std::uint32_t key = 0;              // of what they know; no other holding of the pool has it
    std::uint32_t block_count = 0;
    std::uint64_t held_bytes = 0;
};

struct SlabPoolOptions {
    /// Of addresses; memory as it is used. More than 64 GiB are not taken.
    std::uint64_t pool_bytes_max = std::uint64_t{16} << 30;
    std::uint64_t holding_bytes_max = std::uint64_t{64} << 20;
};

/// Sizes in bytes.
struct SlabPoolStats {
    std::uint64_t held = 0;          // by owners, rounded up to the size of the blocks
    std::uint64_t open = 0;          // of spans that blocks are cut from, used or not
    std::uint64_t block_count = 0;   // that are out
    std::uint64_t reused_total = 0;  // blocks given out that had been out before
    std::uint64_t fresh_total = 0;   // blocks given out for the first time
};

/// Blocks of some forty sizes, cut from spans of 64 KiB in one range of addresses with a guard page
/// at each end; larger ones have spans of their own. Everything that the pool knows about a block
/// lies apart from it: an owner that has written over all of its memory is freed like any other,
/// and a block that comes back twice, or from another than its owner, is noticed before anything
/// changes.
/// Threading  shard-local.
/// Cost       allocate, give_back: constant; a system call for a new span or a large block, and a
///            look at all spans once the addresses are used up. 8 bytes beside each block.
///
/// Usable inside of a fault zone: the pool's own work is done outside (ZonePause).
class SlabPool {
public:
    explicit SlabPool(const SlabPoolOptions& options = {});
    ~SlabPool();
    SlabPool(const SlabPool&) = delete;
    SlabPool& operator=(const SlabPool&) = delete;

    /// Shape   aligned to 16 bytes, of usable_bytes(size_bytes); not cleared.
    /// Errors  null: the holding's budget is spent or there is no memory (refusal()); nothing
    ///         changed.
    [[nodiscard]] void* allocate(SlabHolding& holding, std::size_t size_bytes) noexcept;
    /// Why the last allocate() gave nothing.
    [[nodiscard]] ZoneFault refusal() const noexcept { return refusal_; }
    /// Errors  a block that is not out, or that `holding` does not have: raises
    ///         ZoneFault::double_free, and nothing changed.
    void give_back(SlabHolding& holding, void* block) noexcept;
    /// Cost  a few nanoseconds a block; touches no block.
    void give_back_all(SlabHolding& holding) noexcept;

    /// Now and then: spare spans that were not needed since the last time go back to the system.
    void trim() noexcept;

    /// As many as are given when `size_bytes` are asked for.
    [[nodiscard]] static std::size_t usable_bytes(std::size_t size_bytes) noexcept;
    [[nodiscard]] SlabPoolStats stats() const noexcept { return stats_; }
    /// For audits: lists and counts agree.
    [[nodiscard]] bool is_sound() const;

private:
    static constexpr std::uint32_t none = 0x7FFF'FFFF;       // numbers have 31 bits
    static constexpr std::uint32_t free_mark = 0xFFFF'FFFF;  // BlockNote::previous of a free block
    static constexpr std::uint32_t span_log2 = 16;
    static constexpr std::uint32_t span_bytes = 1u << span_log2;
    static constexpr std::uint32_t block_log2 = 11;  // of a block's number within its span
    static constexpr std::uint32_t blocks_per_span = 1u << block_log2;
    static constexpr std::uint32_t block_bytes_min = 32;
    static_assert(block_bytes_min * blocks_per_span == span_bytes);
    static constexpr std::uint32_t spans_max = none >> block_log2;
    static constexpr std::uint32_t small_bytes_max = 32u << 10;
    static constexpr std::uint32_t large_orders = 14;  // 64 KiB << order
    static constexpr std::size_t large_bytes_max = std::size_t{span_bytes} << (large_orders - 1);
    static constexpr std::uint64_t reserved_divisor = 16;  // of the pool, for blocks up to:
    static constexpr std::uint64_t reserved_block_bytes_max = 1'024;
    static constexpr std::uint32_t spans_opened = 16;  // at once
    static constexpr std::uint64_t spare_large_bytes_max = 2u << 20;
    static constexpr std::uint32_t spare_spans_max = 128;  // 8 MiB, until trim()
    static constexpr std::uint32_t spare_spans_min = 2;

    // 32, 48 ... 128 in steps of 16, then four sizes to each doubling.
    static constexpr std::uint32_t fine_bytes_max = 128;
    static constexpr std::uint32_t class_count = 7 + 4 * 8;
    static constexpr std::uint8_t large_class = 0xFE;
    static constexpr std::uint8_t no_class = 0xFF;

    /// Out: both are numbers of blocks of the same holding, xored with its key. Who comes with
    /// another key finds a neighbour that does not know the block (or, once in 2^31, does).
    struct BlockNote {
        std::uint32_t previous;  // free_mark: the block is not out
        std::uint32_t next;      // not out: the next free one of the span, as it is
    };
    static constexpr std::size_t note_bytes_per_span = blocks_per_span * sizeof(BlockNote);
    // No field that a block's coming and going writes shares four aligned bytes with another: what
    // is loaded with its neighbour waits for the neighbour's store.
    struct alignas(32) Span {
        std::uint32_t used = 0;
        std::uint32_t block_bytes = 0;
        std::uint32_t reciprocal = 0;  // of block_bytes, in 2^-32, rounded up
        std::uint32_t previous = none;
        std::uint32_t next = none;  // with room, of the same class; or the next free one
        std::uint16_t block_count = 0;
        std::uint16_t free_head = 0xFFFF;  // of its blocks; BlockNote::next leads on
        std::uint8_t size_class = no_class;
        std::uint8_t order = 0;    // large: span_bytes << order
        std::uint16_t fresh = 0;   // blocks from here on were never out
        bool is_resident = false;  // while it is free
    };

    [[nodiscard]] static std::uint32_t class_of(std::size_t size_bytes) noexcept;
    [[nodiscard]] static std::uint32_t class_bytes(std::uint32_t size_class) noexcept;
    [[nodiscard]] static std::uint32_t order_of(std::size_t size_bytes) noexcept;

    [[nodiscard]] void* refuse(ZoneFault fault) noexcept {
        refusal_ = fault;
        return nullptr;
    }
    [[nodiscard]] void* allocate_large(SlabHolding& holding, std::size_t size_bytes) noexcept;
    [[nodiscard]] bool open(std::uint32_t span_count) noexcept;
    [[nodiscard]] bool is_reserved(std::uint64_t block_bytes,
                                   std::uint64_t opened_bytes) const noexcept;
    [[nodiscard]] std::uint32_t take_span() noexcept;
    [[nodiscard]] std::uint32_t take_run(std::uint32_t span_count) noexcept;
    void leave_lists(std::uint32_t begin, std::uint32_t end) noexcept;
    void put_by(std::uint32_t span) noexcept;
    void put_by_empty() noexcept;
    void list(std::uint32_t span) noexcept;
    void unlist(std::uint32_t span) noexcept;
    void hand_out(SlabHolding& holding, std::uint32_t id, std::uint64_t size_bytes) noexcept;
    void take_back(std::uint32_t id) noexcept;
    [[nodiscard]] bool has(const SlabHolding& holding, std::uint32_t id) const noexcept;
    [[nodiscard]] std::uint32_t new_key() noexcept;
    [[nodiscard]] std::uint32_t id_of(const void* block) const noexcept;
    [[nodiscard]] std::uint8_t* block_at(std::uint32_t id) const noexcept;
    void check_canary(std::uint32_t id) const noexcept;
    void write_canary(std::uint32_t id) noexcept;

    SlabPoolOptions options_;
    std::optional<Reservation> memory_;  // with the first block
    std::optional<Reservation> notes_memory_;
    std::uint8_t* base_ = nullptr;
    BlockNote* notes_ = nullptr;
    std::vector<Span> spans_;
    std::uint32_t spans_used_ = 0;                      // those behind were never cut
    std::array<std::uint32_t, class_count> with_room_;  // by class
    std::uint32_t free_spans_ = none;                   // cut once, and whole again
    std::uint32_t spare_spans_ = none;                  // the same, and resident
    std::uint32_t spare_span_count_ = 0;
    std::uint32_t spare_span_low_ = 0;  // the fewest since trim()
    std::array<std::uint32_t, large_orders> free_large_;
    std::uint64_t spare_large_bytes_ = 0;  // resident
    std::uint32_t run_missing_ = none;     // so many free spans in a row are not there
    std::uint32_t key_count_ = 0;
    ZoneFault refusal_ = ZoneFault::no_memory;
    SlabPoolStats stats_;
};

/// One owner's memory: a pool, and what the owner has of it. What containers are given.
/// Lifetime  borrows both.
class SlabArena {
public:
    SlabArena(SlabPool& pool MITU_LIFETIME_BOUND, SlabHolding& holding MITU_LIFETIME_BOUND) noexcept
        : pool_{&pool}, holding_{&holding} {}

    /// Null: refused, see refusal().
    [[nodiscard]] void* try_allocate(
        std::size_t size_bytes,
        const std::source_location& /*where*/ = std::source_location::current()) noexcept {
        return pool_->allocate(*holding_, size_bytes);
    }
    [[nodiscard]] ZoneFault refusal() const noexcept { return pool_->refusal(); }
    void give_back(void* block, std::size_t /*size_bytes*/) noexcept {
        pool_->give_back(*holding_, block);
    }
    [[nodiscard]] static std::size_t usable_bytes(std::size_t size_bytes) noexcept {
        return SlabPool::usable_bytes(size_bytes);
    }

private:
    SlabPool* pool_;
    SlabHolding* holding_;
};

}  // namespace mitu::memory
