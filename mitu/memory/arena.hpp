#pragma once
// Arena: memory that is bumped, and goes as it came: all behind a mark at once.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>

#include "mitu/base/lifetime.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/memory/poison.hpp"
#include "mitu/memory/reservation.hpp"

namespace mitu::memory {

struct ArenaOptions {
    std::size_t budget_bytes = std::size_t{4} << 20;
    /// As much stays resident after reset(), whatever was used before.
    std::size_t kept_bytes = std::size_t{256} << 10;
};

/// What left an arena for the heap, by the line that asked.
/// Threading  the arena's thread writes, any thread reads.
class EscapeReport {
public:
    struct Site {
        const char* file = nullptr;
        std::uint32_t line = 0;
        std::uint64_t count = 0;
        std::uint64_t size_bytes = 0;
    };
    /// Calls visit(Site) for each line that has ever escaped; beyond sites_max they share one
    /// without a file.
    template <class Visit>
    void for_each(Visit visit) const {
        for (const Entry& entry : entries_) {
            const char* const file = entry.file.load(std::memory_order_acquire);
            if (file == nullptr) break;
            visit(site_of(entry, file));
        }
        if (rest_.count.load(std::memory_order_relaxed) != 0) visit(site_of(rest_, nullptr));
    }
    [[nodiscard]] std::uint64_t count_total() const noexcept {
        return count_total_.load(std::memory_order_relaxed);
    }
    void add(const std::source_location& where, std::size_t size_bytes) noexcept;

private:
    static constexpr std::size_t sites_max = 32;
    struct Entry {
        std::atomic<const char*> file{nullptr};
        std::atomic<std::uint32_t> line{0};
        std::atomic<std::uint64_t> count{0};
        std::atomic<std::uint64_t> size_bytes{0};
    };
    [[nodiscard]] static Site site_of(const Entry& entry, const char* file) noexcept {
        return {file, entry.line.load(std::memory_order_relaxed),
                entry.count.load(std::memory_order_relaxed),
                entry.size_bytes.load(std::memory_order_relaxed)};
    }
    static void count(Entry& entry, std::size_t size_bytes) noexcept;

    std::array<Entry, sites_max> entries_;
    Entry rest_;
    std::atomic<std::uint64_t> count_total_{0};
};

/// Bumps a pointer through one range of addresses, which becomes memory as it is used, with a guard
/// page behind it. Beyond its budget it goes to the heap, and writes down who made it. Nothing is
/// destroyed: what lies here needs no destructor.
/// Threading  shard-local, but for escapes().
/// Lifetime   what is allocated after mark() is good until rewind() to it, all of it until reset().
/// Cost       an addition and a comparison.
class Arena {
public:
    explicit Arena(const ArenaOptions& options = {}) : options_{options} {}
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Shape   aligned to 16 bytes, not cleared.
    /// Errors  null: the heap has none either.
    [[nodiscard]] void* try_allocate(
        std::size_t size_bytes, const std::source_location& where =
                                    std::source_location::current()) noexcept MITU_LIFETIME_BOUND {
        const std::size_t bytes = usable_bytes(size_bytes);
        // 0 (nothing was asked for, or more than there are numbers) wraps, and goes the slow way.
        if (bytes - 1 >= static_cast<std::size_t>(end_ - next_)) [[unlikely]] {
            return allocate_slowly(size_bytes, where);
        }
        return bump(bytes);
    }
    [[nodiscard]] static ZoneFault refusal() noexcept { return ZoneFault::no_memory; }
    /// The block that was given out last is given out again; others wait for rewind(). It may be
    /// one from before a mark: rewind() to that has then nothing to do.
    void give_back(void* block, std::size_t size_bytes) noexcept;
    [[nodiscard]] static constexpr std::size_t usable_bytes(std::size_t size_bytes) noexcept {
        return (size_bytes + alignment - 1) & ~(alignment - 1);
    }

    struct Mark {
        std::size_t used_bytes = 0;
        void* heap = nullptr;
    };
    [[nodiscard]] Mark mark() const noexcept { return {used_bytes(), heap_}; }
    void rewind(const Mark& mark) noexcept {
        if (used_bytes() != mark.used_bytes || heap_ != mark.heap) rewind_slowly(mark);
    }
    /// Everything goes. Of the memory, what is above kept_bytes and was not needed lately goes back
    /// to the system.
    void reset() noexcept;

    [[nodiscard]] std::size_t used_bytes() const noexcept {
        return static_cast<std::size_t>(next_ - base_);
    }
    /// Since the last reset.
    [[nodiscard]] std::size_t peak_bytes() const noexcept {
        return std::max(peak_bytes_, used_bytes());
    }
    [[nodiscard]] const EscapeReport& escapes() const noexcept MITU_LIFETIME_BOUND {
        return escapes_;
    }

private:
    static constexpr std::size_t alignment = 16;
    static constexpr std::size_t opened_bytes = std::size_t{64} << 10;  // at once
    static constexpr std::uint32_t small_resets_max = 256;

    /// In front of a block on the heap.
    struct alignas(alignment) HeapBlock {
        HeapBlock* before = nullptr;
    };

    [[nodiscard]] void* bump(std::size_t bytes) noexcept {
        std::uint8_t* const at = next_;
        next_ += bytes;
        unpoison(at, bytes);
        return at;
    }
    void rewind_slowly(const Mark& mark) noexcept;
    [[nodiscard]] void* allocate_slowly(std::size_t size_bytes,
                                        const std::source_location& where) noexcept;
    /// What is above `used_bytes` is nobody's any more.
    void fall_to(std::size_t used_bytes) noexcept;

    ArenaOptions options_;
    std::optional<Reservation> memory_;  // with the first block
    std::uint8_t* next_ = nullptr;
    std::uint8_t* end_ = nullptr;  // of what is open
    std::uint8_t* base_ = nullptr;
    std::size_t peak_bytes_ = 0;      // since the last reset, from where it has fallen
    std::size_t touched_bytes_ = 0;   // resident, at most
    std::uint32_t small_resets_ = 0;  // in a row, that needed no more than is kept
    HeapBlock* heap_ = nullptr;       // the youngest
    EscapeReport escapes_;
};

/// Gives back, at its end, what was allocated in its time.
class ArenaScope {
public:
    explicit ArenaScope(Arena& arena MITU_LIFETIME_BOUND) noexcept
        : arena_{arena}, mark_{arena.mark()} {}
    ~ArenaScope() { arena_.rewind(mark_); }
    ArenaScope(const ArenaScope&) = delete;
    ArenaScope& operator=(const ArenaScope&) = delete;

private:
    Arena& arena_;
    Arena::Mark mark_;
};

}  // namespace mitu::memory
