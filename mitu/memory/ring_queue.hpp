#pragma once
// RingQueue: a FIFO that owns little memory while it is empty.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "mitu/base/check.hpp"

namespace mitu::memory {

/// A growable FIFO of small plain values over a power-of-two ring. Its users bound it; it only
/// stores. A queue that runs empty keeps a small ring for what comes next, until clear().
/// Threading  shard-local.
/// Cost       amortised O(1).
template <class T>
class RingQueue {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    RingQueue() = default;
    RingQueue(RingQueue&& other) noexcept
        : slots_{std::move(other.slots_)},
          capacity_log2_{other.capacity_log2_},
          head_{other.head_},
          size_{other.size_} {
        other.head_ = other.size_ = 0;
        other.capacity_log2_ = 0;
    }
    RingQueue& operator=(RingQueue&& other) noexcept {
        if (this != &other) {
            slots_ = std::move(other.slots_);
            capacity_log2_ = other.capacity_log2_;
            head_ = other.head_;
            size_ = other.size_;
            other.head_ = other.size_ = 0;
            other.capacity_log2_ = 0;
        }
        return *this;
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

    void push(const T& value) {
        if (size_ == capacity()) grow();
        slots_[mask(head_ + size_)] = value;
        ++size_;
    }

    [[nodiscard]] T& front() noexcept { return at(0); }
    /// The i-th oldest.
    [[nodiscard]] T& at(std::uint32_t i) noexcept {
        MITU_CHECK(i < size_);
        return slots_[mask(head_ + i)];
    }
    [[nodiscard]] const T& at(std::uint32_t i) const noexcept {
        MITU_CHECK(i < size_);
        return slots_[mask(head_ + i)];
    }

    void pop() noexcept {
        MITU_CHECK(size_ > 0);
        head_ = mask(head_ + 1);
        if (--size_ == 0) run_empty();
    }

    /// Takes out the i-th oldest, keeping the order of the others. Cost: O(min(i, size - i)).
    void erase_at(std::uint32_t i) noexcept {
        MITU_CHECK(i < size_);
        if (i < size_ / 2) {
            for (std::uint32_t k = i; k > 0; --k) at(k) = at(k - 1);
            pop();
            return;
        }
        for (std::uint32_t k = i; k + 1 < size_; ++k) at(k) = at(k + 1);
        if (--size_ == 0) run_empty();
    }

    /// Gives all memory back.
    void clear() noexcept {
        slots_.reset();
        capacity_log2_ = 0;
        head_ = size_ = 0;
    }

    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        return slots_ ? sizeof(T) << capacity_log2_ : 0;
    }

private:
    static constexpr std::uint32_t capacity_log2_min = 2;
    static constexpr std::size_t kept_bytes_max = 2'048;

    void run_empty() noexcept {
        if (memory_bytes() > kept_bytes_max) clear();
        head_ = 0;
    }

    [[nodiscard]] std::uint32_t capacity() const noexcept {
        return slots_ ? std::uint32_t{1} << capacity_log2_ : 0;
    }
    [[nodiscard]] std::uint32_t mask(std::uint32_t i) const noexcept {
        return i & ((std::uint32_t{1} << capacity_log2_) - 1);
    }
    void grow() {
        const std::uint32_t log2 = slots_ ? capacity_log2_ + 1 : capacity_log2_min;
        auto bigger = std::make_unique_for_overwrite<T[]>(std::size_t{1} << log2);
        for (std::uint32_t i = 0; i < size_; ++i) bigger[i] = at(i);
        slots_ = std::move(bigger);
        capacity_log2_ = log2;
        head_ = 0;
    }

    std::unique_ptr<T[]> slots_;
    std::uint32_t capacity_log2_ = 0;
    std::uint32_t head_ = 0;
    std::uint32_t size_ = 0;
};

}  // namespace mitu::memory
