#include "mitu/memory/batch_pool.hpp"

#include <algorithm>
#include <bit>

#include "mitu/base/check.hpp"
#include "mitu/memory/poison.hpp"

namespace mitu::memory {

BatchPool::BatchPool(const BatchPoolOptions& options) : options_{options} {
    MITU_CHECK(std::has_single_bit(options.batch_bytes) && options.batch_bytes >= page_bytes);
}

BatchPool::~BatchPool() {
    if (reservation_) unpoison(base_, reservation_->open_bytes());
}

bool BatchPool::open_more() {
    if (!reservation_) {
        reservation_ = Reservation::make(
            std::size_t{options_.batches_max} * options_.batch_bytes,
            options_.huge_pages ? Reservation::Pages::huge : Reservation::Pages::usual);
        if (!reservation_) return false;
        base_ = reservation_->data();
    }
    const auto first = static_cast<BatchNumber>(is_taken_.size());
    const std::uint32_t count = std::min(batches_opened, options_.batches_max - first);
    const std::size_t end = (std::size_t{first} + count) * options_.batch_bytes;
    if (count == 0 || !reservation_->open(end)) return false;
    poison(data(first), std::size_t{count} * options_.batch_bytes);
    is_taken_.resize(first + count, false);
    // The first ones are taken first.
    for (std::uint32_t i = count; i-- > 0;) empty_.push_back(first + i);
    return true;
}

std::optional<BatchNumber> BatchPool::take() {
    if (spare_.empty() && empty_.empty() && !open_more()) return std::nullopt;
    auto& from = spare_.empty() ? empty_ : spare_;
    const BatchNumber batch = from.back();
    from.pop_back();
    spare_low_ = std::min(spare_low_, spare_.size());
    MITU_CHECK(!is_taken_[batch]);
    is_taken_[batch] = true;
    ++taken_count_;
    return batch;
}

void BatchPool::give_back(BatchNumber batch) {
    MITU_CHECK(batch < is_taken_.size() && is_taken_[batch]);
    is_taken_[batch] = false;
    --taken_count_;
    poison(data(batch), options_.batch_bytes);
    spare_.push_back(batch);
    while (spare_.size() > spare_max()) return_coldest();
}

void BatchPool::trim() {
    for (std::size_t unneeded = std::min(spare_low_, spare_.size()); unneeded > spare_count_min;
         --unneeded) {
        return_coldest();
    }
    spare_low_ = spare_.size();
}

/// The one that has been spare for longest is the one least likely to be in a cache.
void BatchPool::return_coldest() {
    const BatchNumber coldest = spare_.front();
    spare_.erase(spare_.begin());
    reservation_->give_back(std::size_t{coldest} * options_.batch_bytes, options_.batch_bytes);
    empty_.push_back(coldest);
    ++returned_total_;
}

}  // namespace mitu::memory
