#pragma once
// BatchPool: memory of one shard in batches of one size, taken and given back whole.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "mitu/memory/reservation.hpp"

namespace mitu::memory {

using BatchNumber = std::uint32_t;

struct BatchPoolOptions {
    std::uint32_t batch_bytes = 128u << 10;  // a power of two, at least a page
    std::uint32_t batches_max = 1u << 16;    // 8 GiB; addresses only, until they are used
    bool huge_pages = false;                 // ask the kernel for them
};

/// Batches lie behind each other in one range of addresses. Those that come back stay resident as
/// long as they are few, so that a shard whose turns take and give back the same again faults on
/// nothing; beyond that their pages return to the system at once, and what nobody has needed for a
/// while with trim().
/// Threading  shard-local.
/// Cost       take, give_back: constant; a system call where the pages come or go.
class BatchPool {
public:
    explicit BatchPool(const BatchPoolOptions& options);
    BatchPool(const BatchPool&) = delete;
    BatchPool& operator=(const BatchPool&) = delete;
    ~BatchPool();

    /// Its bytes are poisoned: whoever hands out parts of it unpoisons them.
    /// Errors  nullopt: batches_max are out, or the system has no memory for us.
    [[nodiscard]] std::optional<BatchNumber> take();
    /// A batch that is not out stops the process: somebody has given it back twice.
    void give_back(BatchNumber batch);
    /// Of the spare ones those that were not needed since the last call go back to the system.
    void trim();

    /// Of batch 0; batch n lies n * batch_bytes() behind it.
    [[nodiscard]] std::uint8_t* base() const noexcept { return base_; }
    [[nodiscard]] std::uint8_t* data(BatchNumber batch) const noexcept {
        return base_ + std::size_t{batch} * options_.batch_bytes;
    }
    [[nodiscard]] std::uint32_t batch_bytes() const noexcept { return options_.batch_bytes; }
    [[nodiscard]] std::uint32_t taken_count() const noexcept { return taken_count_; }
    /// Given back and kept, ready to be taken without a fault.
    [[nodiscard]] std::uint32_t spare_count() const noexcept {
        return static_cast<std::uint32_t>(spare_.size());
    }
    /// Asked for and not refused; false before the first batch.
    [[nodiscard]] bool uses_huge_pages() const noexcept {
        return reservation_ && reservation_->uses_huge_pages();
    }
    /// How often pages went back to the system.
    [[nodiscard]] std::uint64_t returned_total() const noexcept { return returned_total_; }

private:
    static constexpr std::uint32_t batches_opened = 16;  // at once
    // A turn's worth of messages (64: 8 MiB) while little is out; where much is out, little beside
    // it: a shard with 64 MiB live holds 2 MiB more.
    [[nodiscard]] std::size_t spare_max() const noexcept {
        const std::uint32_t few = 64 - std::min(64u, taken_count_ / 8);
        return std::max({spare_count_min, few, taken_count_ / 32});
    }
    static constexpr std::uint32_t spare_count_min = 2;

    [[nodiscard]] bool open_more();
    void return_coldest();

    BatchPoolOptions options_;
    std::optional<Reservation> reservation_;  // with the first batch
    std::uint8_t* base_ = nullptr;
    std::vector<bool> is_taken_;      // by batch
    std::vector<BatchNumber> spare_;  // resident; the last one given back is taken first
    std::vector<BatchNumber> empty_;  // not resident
    std::size_t spare_low_ = 0;       // the fewest that were spare since trim()
    std::uint32_t taken_count_ = 0;
    std::uint64_t returned_total_ = 0;
};

}  // namespace mitu::memory
