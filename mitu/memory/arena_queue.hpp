#pragma once
// ArenaQueue: a FIFO in somebody's arena that owns little while it is empty.

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

#include "mitu/base/check.hpp"
#include "mitu/base/lifetime.hpp"
#include "mitu/memory/fault_zone.hpp"

namespace mitu::memory {

/// A growable FIFO of small plain values over a power-of-two ring in an arena, which is told at
/// each call that may need it. Its users bound it; it only stores. A queue that runs empty keeps a
/// small ring for what comes next, until free().
///
/// Lifetime   the arena outlives the elements; they go with it if free() is not called.
/// Threading  shard-local.
/// Cost       amortised O(1).
template <class T>
class ArenaQueue {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                  "arenas free in bulk, without destructors");
    static_assert(alignof(T) <= 16, "what every arena aligns to");

public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

    /// False: the arena has no room for a larger ring, and nothing changed.
    template <class Memory>
    [[nodiscard]] bool try_push(
        Memory& memory, const T& value,
        const std::source_location& where = std::source_location::current()) {
        if (size_ == capacity()) [[unlikely]] {
            const T copy = value;  // it may be one of ours
            if (!try_grow(memory, where)) return false;
            push_again(copy);
            return true;
        }
        push_again(value);
        return true;
    }
    /// Errors  the arena's refusal, as a fault.
    template <class Memory>
    void push(Memory& memory, const T& value,
              const std::source_location& where = std::source_location::current()) {
        if (!try_push(memory, value, where)) [[unlikely]] {
            raise_fault(memory.refusal(), "an arena has no more memory for a queue");
        }
    }
    /// The next push finds room.
    /// Errors  the arena's refusal, as a fault.
    template <class Memory>
    void make_room(Memory& memory,
                   const std::source_location& where = std::source_location::current()) {
        if (size_ == capacity() && !try_grow(memory, where)) [[unlikely]] {
            raise_fault(memory.refusal(), "an arena has no more memory for a queue");
        }
    }
    /// For what was in a queue a moment ago and goes behind the others.
    void push_again(const T& value) noexcept {
        MITU_CHECK(size_ < capacity());
        slots_[mask(head_ + size_)] = value;
        ++size_;
    }

    [[nodiscard]] T& front() noexcept MITU_LIFETIME_BOUND { return at(0); }
    /// The i-th oldest.
    [[nodiscard]] T& at(std::uint32_t i) noexcept MITU_LIFETIME_BOUND {
        MITU_CHECK(i < size_);
        return slots_[mask(head_ + i)];
    }
    [[nodiscard]] const T& at(std::uint32_t i) const noexcept MITU_LIFETIME_BOUND {
        MITU_CHECK(i < size_);
        return slots_[mask(head_ + i)];
    }

    /// The ring stays, whatever its size: shrink() when the queue is left alone.
    void pop() noexcept {
        MITU_CHECK(size_ > 0);
        head_ = mask(head_ + 1);
        if (--size_ == 0) head_ = 0;
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
        if (--size_ == 0) head_ = 0;
    }

    /// Gives a large ring back if nothing is in it.
    template <class Memory>
    void shrink(Memory& memory) noexcept {
        if (size_ == 0 && memory_bytes() > kept_bytes_max) free(memory);
    }
    /// Gives all memory back.
    template <class Memory>
    void free(Memory& memory) noexcept {
        if (slots_ != nullptr) memory.give_back(slots_, memory_bytes());
        *this = ArenaQueue{};
    }

    [[nodiscard]] const T* slots() const noexcept MITU_LIFETIME_BOUND { return slots_; }
    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        return slots_ != nullptr ? sizeof(T) << capacity_log2_ : 0;
    }

private:
    static constexpr std::uint32_t capacity_log2_min = 2;
    static constexpr std::uint32_t capacity_log2_max = 30;
    static constexpr std::size_t kept_bytes_max = 2'048;

    [[nodiscard]] std::uint32_t capacity() const noexcept {
        return slots_ != nullptr ? std::uint32_t{1} << capacity_log2_ : 0;
    }
    [[nodiscard]] std::uint32_t mask(std::uint32_t i) const noexcept {
        return i & ((std::uint32_t{1} << capacity_log2_) - 1);
    }
    template <class Memory>
    [[nodiscard]] bool try_grow(Memory& memory, const std::source_location& where) {
        const std::uint32_t log2 = slots_ != nullptr ? capacity_log2_ + 1 : capacity_log2_min;
        if (log2 > capacity_log2_max) return false;
        auto* const bigger = static_cast<T*>(memory.try_allocate(sizeof(T) << log2, where));
        if (bigger == nullptr) return false;
        for (std::uint32_t i = 0; i < size_; ++i) bigger[i] = at(i);
        if (slots_ != nullptr) memory.give_back(slots_, memory_bytes());
        slots_ = bigger;
        capacity_log2_ = log2;
        head_ = 0;
        return true;
    }

    T* slots_ = nullptr;
    std::uint32_t capacity_log2_ = 0;
    std::uint32_t head_ = 0;
    std::uint32_t size_ = 0;
};

}  // namespace mitu::memory
