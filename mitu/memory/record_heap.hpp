#pragma once
// RecordHeap: records of bytes behind handles that stay, in batches that do not.

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/base/lifetime.hpp"
#include "mitu/memory/batch_pool.hpp"
#include "mitu/memory/poison.hpp"

namespace mitu::memory {

/// Where the bytes of records come from.
enum class Allocation : std::uint8_t {
    batches,  // bumped into batches of the shard, moved out of those that are mostly dead
    malloc,   // one allocation a record, one more a further reference: to compare with
};

struct RecordHeapOptions {
    Allocation allocation = Allocation::batches;
    BatchPoolOptions pool{};
};

/// A record of one heap. In builds with audits its upper bits are a generation, so that a handle
/// that outlived its record is noticed; else they are more index.
struct RecordHandle {
    std::uint32_t value = 0xFFFF'FFFF;
    auto operator<=>(const RecordHandle&) const noexcept = default;
    [[nodiscard]] bool is_none() const noexcept { return value == 0xFFFF'FFFF; }
};

/// What a heap holds, in bytes unless it says otherwise.
struct RecordHeapStats {
    std::uint64_t live = 0;           // of records with their prefix and padding
    std::uint64_t dead = 0;           // of records that are gone, in batches that are not
    std::uint64_t batches = 0;        // all batches that are out
    std::uint64_t spare = 0;          // batches given back and kept resident
    std::uint64_t table = 0;          // of the slots behind handles
    std::uint64_t moved_total = 0;    // of records that were moved
    std::uint64_t records_total = 0;  // how many were ever added
    std::uint64_t reused_total = 0;   // how often a batch was begun again before it was full
    std::uint64_t nodes = 0;          // Allocation::malloc: how many stand for a reference
};

/// Records are bumped into a batch one behind the other and die in any order. A batch without a
/// live record is free at once. One that is mostly dead is emptied by tidy(): its survivors move
/// behind each other into a batch for those that last, away from what comes and goes. So whatever
/// the lifetimes, batches hold at most a fifth more than what lives, and two batches.
///
/// Handles go through a table, so that nobody who has one notices a move. Each record counts its
/// references there. With Allocation::malloc each retain() also allocates a node of 32 bytes, which
/// lives until a release(): what a broker with linked queues allocates for each message in each.
/// Threading  shard-local.
/// Lifetime   data() is good until the record's last release, or tidy().
/// Cost       add, release: constant. tidy: the bytes that it moves; nothing while little is dead.
///            Memory beside the record: 8 bytes in front of it, 8 in the table, padding to 8.
class RecordHeap {
public:
    explicit RecordHeap(const RecordHeapOptions& options = {});
    RecordHeap(const RecordHeap&) = delete;
    RecordHeap& operator=(const RecordHeap&) = delete;
    ~RecordHeap();

    /// The largest record: more would leave too much of a batch's end unused.
    [[nodiscard]] std::uint32_t record_bytes_max() const noexcept { return record_bytes_max_; }

    /// A record with one reference, its bytes not yet written.
    /// Errors  nullopt: there is no memory, or no handle left; nothing changed.
    [[nodiscard]] std::optional<RecordHandle> add(std::uint32_t size_bytes) {
        MITU_CHECK(size_bytes <= record_bytes_max_);
        const std::uint32_t bytes = padded(size_bytes);
        if (free_slot_ == none && !open_slots()) return std::nullopt;
        if (fresh_.left_bytes < bytes && !begin_batch(fresh_)) return std::nullopt;
        const std::uint32_t index = free_slot_;
        Slot& slot = slots_[index];
        std::uint32_t place = 0;
        std::uint8_t* at = nullptr;
        if (uses_malloc_) [[unlikely]] {
            at = allocate(index, bytes);
            if (at == nullptr) return std::nullopt;
        } else {
            at = bump(fresh_, bytes, place);
        }
        write_prefix(at, {index, size_bytes});
        free_slot_ = slot.place;
        slot = {place, 1};
        ++live_count_;
        live_bytes_ += bytes;
        ++totals_.records_total;
        return handle_of(index);
    }
    void retain(RecordHandle handle) noexcept {
        if (!is_in_batches(handle)) [[unlikely]]
            return retain_allocated(handle);
        ++live_slot(handle).references;
    }
    void release(RecordHandle handle) noexcept {
        if (!is_in_batches(handle)) [[unlikely]]
            return release_allocated(handle);
        Slot& gone = live_slot(handle);
        if (--gone.references != 0) return;
        const std::uint32_t place = gone.place;
        std::uint8_t* const at = pool_.base() + std::size_t{place} * grain_bytes;
        const std::uint32_t bytes = padded(read_prefix(at).size_bytes);
        free_slot(index_of(handle), bytes);
        poison(at + prefix_bytes, bytes - prefix_bytes);  // the prefix stays, for those who walk
        const BatchNumber number = place >> place_shift_;
        Batch& batch = batches_[number];
        batch.live_bytes -= bytes;
        if (batch.live_bytes == 0) {
            lose_last(number);
        } else if (batch.bucket != none && batch.bucket != batch.live_bytes >> bucket_shift_) {
            unlink(number);
            link(number);
        }
    }

    [[nodiscard]] std::uint32_t references(RecordHandle handle) const noexcept {
        return slot(handle).references;
    }
    [[nodiscard]] std::uint8_t* data(RecordHandle handle) const noexcept MITU_LIFETIME_BOUND {
        return address(index_of(handle), slot(handle)) + prefix_bytes;
    }
    [[nodiscard]] std::span<std::uint8_t> bytes(RecordHandle handle) const noexcept
        MITU_LIFETIME_BOUND {
        std::uint8_t* const at = address(index_of(handle), slot(handle));
        return {at + prefix_bytes, read_prefix(at).size_bytes};
    }
    /// Calls visit(bytes) for every record.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::uint32_t index = 0; index < slot_count_; ++index) {
            if (slots_[index].references == 0) continue;
            std::uint8_t* const at = address(index, slots_[index]);
            visit(std::span{at + prefix_bytes, read_prefix(at).size_bytes});
        }
    }

    /// How often each record is referred to, as whoever has references tells.
    class Recount {
    public:
        void add(RecordHandle handle) noexcept {
            const std::uint32_t index = index_of(handle);
            MITU_CHECK(index < counts_.size());
            ++counts_[index];
        }

    private:
        friend class RecordHeap;
        std::vector<std::uint32_t> counts_;
    };
    [[nodiscard]] Recount recount() const {
        Recount count;
        count.counts_.resize(slot_count_);
        return count;
    }
    /// Calls release(handle) for each reference that nobody has told of. More of them than a record
    /// has is a broken invariant.
    /// Shape  how many there were.
    template <class Release>
    std::uint64_t settle(const Recount& count, Release release) {
        std::uint64_t lost = 0;
        for (std::uint32_t index = 0; index < count.counts_.size(); ++index) {
            const std::uint32_t has = slots_[index].references;
            MITU_CHECK(count.counts_[index] <= has);
            const RecordHandle handle = handle_of(index);
            for (std::uint32_t n = count.counts_[index]; n < has; ++n) release(handle);
            lost += has - count.counts_[index];
        }
        return lost;
    }

    /// Whether tidy() has something to do.
    [[nodiscard]] bool is_untidy() const noexcept {
        return std::uint64_t{pool_.taken_count()} * pool_.batch_bytes() >
               live_bytes_ + live_bytes_ / dead_divisor + 2ull * pool_.batch_bytes();
    }
    /// Moves survivors until little is dead, or about `bytes_max` were moved.
    /// Shape  true: there is more to move.
    bool tidy(std::uint64_t bytes_max);

    /// Batches that were spare for long go back to the system (BatchPool::trim).
    void trim() { pool_.trim(); }

    [[nodiscard]] std::uint32_t live_count() const noexcept { return live_count_; }
    [[nodiscard]] RecordHeapStats stats() const noexcept;
    /// For audits: every live record lies where its slot says, and the counts are right.
    [[nodiscard]] bool is_sound() const;

private:
#ifdef MITU_AUDITS
    static constexpr std::uint32_t generation_bits = 6;
#else
    static constexpr std::uint32_t generation_bits = 0;
#endif
    static constexpr std::uint32_t index_bits = 32 - generation_bits;
    static constexpr std::uint32_t index_mask = 0xFFFF'FFFFu >> generation_bits;
    static constexpr std::uint32_t none = 0xFFFF'FFFF;
    static constexpr std::uint32_t grain_bytes = 8;
    static constexpr std::uint32_t prefix_bytes = 8;
    static constexpr std::uint32_t bucket_count = 16;     // of batches, by how much of them lives
    static constexpr std::uint32_t slots_max = 1u << 26;  // 512 MiB of addresses
    static constexpr std::uint32_t slots_opened = 1u << 13;
    static constexpr std::uint32_t slots_kept_min = 8 * slots_opened;  // 512 KiB

    /// In front of each record, so that a batch can be walked.
    struct Prefix {
        std::uint32_t index = 0;
        std::uint32_t size_bytes = 0;  // of the record, without prefix and padding
    };

    struct Slot {
        std::uint32_t place = 0;       // live: of the record, in grains; free: the next free slot
        std::uint32_t references = 0;  // 0: free
    };

    struct Batch {
        std::uint32_t live_bytes = 0;
        std::uint32_t used_bytes = 0;  // once it is full
        std::uint32_t bucket = none;   // none: being filled, or not out
        BatchNumber previous = none;
        BatchNumber next = none;
    };

    /// What other brokers allocate for each message in each queue.
    struct Node {
        Node* next = nullptr;
        std::uint8_t unused[24] = {};
    };
    static_assert(sizeof(Node) == 32);

    /// Allocation::malloc: what a slot stands for.
    struct Allocated {
        std::uint8_t* record = nullptr;
        Node* nodes = nullptr;  // one a reference beyond the first, the youngest in front
    };

    /// A batch that is being filled.
    struct Filling {
        BatchNumber batch = none;
        std::uint32_t place = 0;       // of the next record
        std::uint32_t left_bytes = 0;  // 0 without a batch
    };

    [[nodiscard]] static std::uint32_t padded(std::uint32_t size_bytes) noexcept {
        return (size_bytes + prefix_bytes + grain_bytes - 1) & ~(grain_bytes - 1);
    }
    [[nodiscard]] static Prefix read_prefix(const std::uint8_t* at) noexcept {
        Prefix prefix;
        std::memcpy(&prefix, at, sizeof prefix);
        return prefix;
    }
    static void write_prefix(std::uint8_t* at, Prefix prefix) noexcept {
        std::memcpy(at, &prefix, sizeof prefix);
    }

    [[nodiscard]] static std::uint32_t index_of(RecordHandle handle) noexcept {
        return handle.value & index_mask;
    }
#ifdef MITU_AUDITS
    [[nodiscard]] RecordHandle handle_of(std::uint32_t index) const noexcept {
        constexpr std::uint32_t mask = (1u << generation_bits) - 1;
        return {index | (generations_[index] & mask) << index_bits};
    }
    void end_generation(std::uint32_t index) noexcept { ++generations_[index]; }
#else
    [[nodiscard]] static RecordHandle handle_of(std::uint32_t index) noexcept { return {index}; }
    static void end_generation(std::uint32_t /*index*/) noexcept {}
#endif
    [[nodiscard]] Slot& slot(RecordHandle handle) const noexcept {
        MITU_CHECK(index_of(handle) < slot_count_);
        return live_slot(handle);
    }
    /// slot() of a handle within the table.
    [[nodiscard]] Slot& live_slot(RecordHandle handle) const noexcept {
        const std::uint32_t index = index_of(handle);
        MITU_AUDIT(handle_of(index) == handle);
        MITU_CHECK(slots_[index].references != 0);
        return slots_[index];
    }
    /// False also for a handle beyond the table: the one branch serves as slot()'s bound, so that
    /// batches pay nothing for there being another mode.
    [[nodiscard]] bool is_in_batches(RecordHandle handle) const noexcept {
        return index_of(handle) < batched_slot_count_;
    }
    void free_slot(std::uint32_t index, std::uint32_t bytes) noexcept {
        --live_count_;
        live_bytes_ -= bytes;
        slots_[index].place = free_slot_;
        free_slot_ = index;
        end_generation(index);
    }
    [[nodiscard]] std::uint8_t* address(std::uint32_t index, const Slot& slot) const noexcept {
        if (uses_malloc_) [[unlikely]]
            return allocated_[index].record;
        return pool_.base() + std::size_t{slot.place} * grain_bytes;
    }
    [[nodiscard]] std::uint8_t* bump(Filling& filling, std::uint32_t bytes,
                                     std::uint32_t& place) noexcept {
        place = filling.place;
        std::uint8_t* const at = pool_.base() + std::size_t{place} * grain_bytes;
        unpoison(at, bytes);
        filling.place += bytes / grain_bytes;
        filling.left_bytes -= bytes;
        batches_[filling.batch].live_bytes += bytes;
        return at;
    }

    [[nodiscard]] bool open_slots();
    void close_slots();
    void set_slot_count(std::uint32_t count);
    [[nodiscard]] std::uint8_t* allocate(std::uint32_t index, std::uint32_t bytes);
    void retain_allocated(RecordHandle handle) noexcept;
    void release_allocated(RecordHandle handle) noexcept;
    void free_node(Allocated& allocated) noexcept;
    [[nodiscard]] bool begin_batch(Filling& filling);
    void stop_filling(Filling& filling);
    void lose_last(BatchNumber number);
    void link(BatchNumber number);
    void unlink(BatchNumber number);
    [[nodiscard]] bool empty_one(std::uint64_t& budget);
    [[nodiscard]] bool move_survivors(BatchNumber victim);

    // A fifth of what lives: with the table and a queue's references, that keeps what is resident
    // below 1.5 times the content of messages of 256 bytes and more.
    static constexpr std::uint64_t dead_divisor = 5;

    bool uses_malloc_;
    std::uint32_t record_bytes_max_;
    std::uint32_t place_shift_;   // a place's batch
    std::uint32_t bucket_shift_;  // live bytes to bucket
    Slot* slots_ = nullptr;
    std::uint32_t slot_count_ = 0;
    std::uint32_t batched_slot_count_ = 0;  // the same; 0 with Allocation::malloc
    std::uint32_t free_slot_ = none;
    std::uint32_t slots_wanted_max_ = slots_kept_min;  // more, if few live, are looked at
    Filling fresh_;                                    // for what comes
    std::uint32_t live_count_ = 0;
    std::uint64_t live_bytes_ = 0;
    RecordHeapStats totals_;
    BatchPool pool_;
    std::vector<Batch> batches_;  // by number
    Filling survivors_;           // for what has lasted
    std::uint32_t buckets_[bucket_count];
    std::optional<Reservation> table_;  // of slots
    std::vector<Allocated> allocated_;  // Allocation::malloc: by slot
#ifdef MITU_AUDITS
    std::vector<std::uint8_t> generations_;
#endif
};

}  // namespace mitu::memory
