#include "mitu/memory/arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>

#include "mitu/base/check.hpp"

namespace mitu::memory {

// --- what escaped ---

void EscapeReport::count(Entry& entry, std::size_t size_bytes) noexcept {
    // One thread writes: no need for a read-modify-write.
    const auto add = [](std::atomic<std::uint64_t>& to, std::uint64_t n) {
        to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    };
    add(entry.count, 1);
    add(entry.size_bytes, size_bytes);
}

void EscapeReport::add(const std::source_location& where, std::size_t size_bytes) noexcept {
    count_total_.store(count_total() + 1, std::memory_order_relaxed);
    for (Entry& entry : entries_) {
        const char* const file = entry.file.load(std::memory_order_relaxed);
        if (file == nullptr) {
            entry.line.store(where.line(), std::memory_order_relaxed);
            count(entry, size_bytes);
            entry.file.store(where.file_name(), std::memory_order_release);
            return;
        }
        if (entry.line.load(std::memory_order_relaxed) == where.line() &&
            std::string_view{file} == where.file_name()) {
            count(entry, size_bytes);
            return;
        }
    }
    count(rest_, size_bytes);
}

// --- the arena ---

Arena::~Arena() {
    rewind({});
    if (memory_) unpoison(base_, memory_->open_bytes());
}

void* Arena::allocate_slowly(std::size_t size_bytes, const std::source_location& where) noexcept {
    const ZonePause pause;
    const std::size_t bytes = usable_bytes(std::max(size_bytes, std::size_t{1}));
    if (size_bytes > SIZE_MAX / 2) return nullptr;  // no object is, and sums stay numbers
    if (!memory_) {
        memory_ = Reservation::make(options_.budget_bytes);
        if (memory_) base_ = next_ = end_ = memory_->data();
    }
    if (memory_ && bytes <= memory_->size_bytes() - used_bytes()) {
        const std::size_t before = memory_->open_bytes();
        const std::size_t wanted = (used_bytes() + bytes + opened_bytes - 1) & ~(opened_bytes - 1);
        const std::size_t end = std::max(std::min(wanted, memory_->size_bytes()), before);
        if (memory_->open(end)) {
            poison(base_ + before, end - before);
            end_ = base_ + end;
            return bump(bytes);
        }
    }
    escapes_.add(where, bytes);
    void* const memory = std::malloc(sizeof(HeapBlock) + bytes);
    if (memory == nullptr) return nullptr;
    heap_ = new (memory) HeapBlock{heap_};
    return heap_ + 1;
}

void Arena::give_back(void* block, std::size_t size_bytes) noexcept {
    const std::size_t bytes = usable_bytes(size_bytes);
    if (base_ == nullptr || static_cast<std::uint8_t*>(block) + bytes != next_) return;
    fall_to(used_bytes() - bytes);
}

void Arena::fall_to(std::size_t used_bytes) noexcept {
    const std::size_t before = this->used_bytes();
    peak_bytes_ = std::max(peak_bytes_, before);
    next_ = base_ + used_bytes;
    poison(next_, before - used_bytes);
}

void Arena::rewind_slowly(const Mark& mark) noexcept {
    if (heap_ != mark.heap) {
        const ZonePause pause;
        while (heap_ != mark.heap) {
            HeapBlock* const gone = heap_;
            MITU_CHECK(gone != nullptr);
            heap_ = gone->before;
            std::free(gone);
        }
    }
    if (mark.used_bytes < used_bytes()) fall_to(mark.used_bytes);
}

void Arena::reset() noexcept {
    rewind({});
    touched_bytes_ = std::max(touched_bytes_, peak_bytes_);
    small_resets_ = peak_bytes_ > options_.kept_bytes ? 0 : small_resets_ + 1;
    peak_bytes_ = 0;
    // Not at once: what one turn needed, the next may need.
    if (touched_bytes_ <= options_.kept_bytes || small_resets_ < small_resets_max) return;
    const std::size_t begin = (options_.kept_bytes + page_bytes - 1) & ~(page_bytes - 1);
    const std::size_t end = (touched_bytes_ + page_bytes - 1) & ~(page_bytes - 1);
    memory_->give_back(begin, end - begin);
    touched_bytes_ = options_.kept_bytes;
}

}  // namespace mitu::memory
