#pragma once
// ArenaVector: a growing array whose elements lie in somebody's arena.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <source_location>
#include <span>
#include <type_traits>

#include "mitu/base/check.hpp"
#include "mitu/base/lifetime.hpp"
#include "mitu/memory/fault_zone.hpp"

namespace mitu::memory {

/// What every arena aligns to.
inline constexpr std::size_t arena_alignment = 16;

/// Who asks, for the report of what outgrew its arena.
using Where = std::source_location;

/// Memory for `size_bytes` from an arena of any kind, or the fault that it names as its refusal.
template <class Memory>
[[nodiscard]] void* allocate_or_fault(Memory& memory, std::size_t size_bytes,
                                      const Where& where = Where::current()) {
    void* const block = memory.try_allocate(size_bytes, where);
    if (block == nullptr) [[unlikely]] {
        raise_fault(memory.refusal(), "an arena has no more memory");
    }
    return block;
}

/// A T in an arena. No destructor will run.
template <class T, class Memory>
[[nodiscard]] T* make_in(Memory& memory, const Where& where = Where::current()) {
    static_assert(std::is_trivially_destructible_v<T>, "arenas free in bulk, without destructors");
    static_assert(alignof(T) <= arena_alignment);
    return ::new (allocate_or_fault(memory, sizeof(T), where)) T{};
}

/// Elements in one block of an arena, which is told at each call that may need it: the vector
/// itself is 16 bytes, plain, and has no destructor. What it leaves behind when it grows goes back
/// to a SlabArena; an Arena has it until rewind().
///
/// Lifetime   the arena outlives the elements; they go with it if free() is not called.
/// Errors     try_*: false, and nothing changed. The others raise the arena's refusal as a fault
///            (fault_zone.hpp).
/// Threading  shard-local.
template <class T>
class ArenaVector {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                  "arenas free in bulk, without destructors");
    static_assert(alignof(T) <= arena_alignment);

public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] T* data() noexcept MITU_LIFETIME_BOUND { return data_; }
    [[nodiscard]] const T* data() const noexcept MITU_LIFETIME_BOUND { return data_; }
    [[nodiscard]] T* begin() noexcept MITU_LIFETIME_BOUND { return data_; }
    [[nodiscard]] T* end() noexcept MITU_LIFETIME_BOUND { return data_ + size_; }
    [[nodiscard]] const T* begin() const noexcept MITU_LIFETIME_BOUND { return data_; }
    [[nodiscard]] const T* end() const noexcept MITU_LIFETIME_BOUND { return data_ + size_; }
    [[nodiscard]] T& operator[](std::size_t i) noexcept MITU_LIFETIME_BOUND {
        MITU_AUDIT(i < size_);
        return data_[i];
    }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept MITU_LIFETIME_BOUND {
        MITU_AUDIT(i < size_);
        return data_[i];
    }
    [[nodiscard]] T& back() noexcept MITU_LIFETIME_BOUND { return (*this)[size_ - 1]; }
    [[nodiscard]] std::span<const T> view() const noexcept MITU_LIFETIME_BOUND {
        return {data_, size_};
    }

    template <class Memory>
    [[nodiscard]] bool try_reserve(Memory& memory, std::size_t count,
                                   const Where& where = Where::current()) {
        return count <= capacity_ || try_grow(memory, count - size_, where);
    }
    template <class Memory>
    void reserve(Memory& memory, std::size_t count, const Where& where = Where::current()) {
        if (!try_reserve(memory, count, where)) [[unlikely]]
            refuse(memory);
    }
    template <class Memory>
    [[nodiscard]] bool try_push_back(Memory& memory, const T& value,
                                     const Where& where = Where::current()) {
        if (size_ == capacity_) [[unlikely]] {
            const T copy = value;  // it may be one of ours
            if (!try_grow(memory, 1, where)) return false;
            data_[size_++] = copy;
            return true;
        }
        data_[size_++] = value;
        return true;
    }
    template <class Memory>
    void push_back(Memory& memory, const T& value, const Where& where = Where::current()) {
        if (!try_push_back(memory, value, where)) [[unlikely]]
            refuse(memory);
    }
    template <class Memory>
    void append(Memory& memory, std::span<const T> values, const Where& where = Where::current()) {
        if (values.empty()) return;
        // Where they lie if they are our own.
        const std::less<const T*> before;
        const bool are_ours = !before(values.data(), data_) && before(values.data(), data_ + size_);
        const std::size_t at = are_ours ? static_cast<std::size_t>(values.data() - data_) : 0;
        T* const room = extend(memory, values.size(), where);
        std::memcpy(room, are_ours ? data_ + at : values.data(), values.size_bytes());
    }
    /// `count` more elements, to be written by the caller.
    template <class Memory>
    [[nodiscard]] T* extend(Memory& memory, std::size_t count,
                            const Where& where = Where::current()) {
        if (count > capacity_ - size_ && !try_grow(memory, count, where)) [[unlikely]] {
            refuse(memory);
        }
        T* const room = data_ + size_;
        size_ += static_cast<std::uint32_t>(count);
        return room;
    }
    /// New elements are T{}.
    template <class Memory>
    void resize(Memory& memory, std::size_t count, const Where& where = Where::current()) {
        if (count > size_) {
            const std::size_t more = count - size_;
            std::fill_n(extend(memory, more, where), more, T{});
        }
        size_ = static_cast<std::uint32_t>(count);
    }
    template <class Memory>
    void insert(Memory& memory, std::size_t at, const T& value,
                const Where& where = Where::current()) {
        MITU_CHECK(at <= size_);
        const T copy = value;  // it may be one of ours
        static_cast<void>(extend(memory, 1, where));
        std::copy_backward(data_ + at, data_ + size_ - 1, data_ + size_);
        data_[at] = copy;
    }
    void erase(std::size_t at) noexcept {
        MITU_CHECK(at < size_);
        std::copy(data_ + at + 1, data_ + size_, data_ + at);
        --size_;
    }
    /// Keeps its room.
    void clear() noexcept { size_ = 0; }
    /// Gives its room back.
    template <class Memory>
    void free(Memory& memory) noexcept {
        if (data_ != nullptr) memory.give_back(data_, std::size_t{capacity_} * sizeof(T));
        *this = ArenaVector{};
    }

private:
    /// Room for `more` elements behind those that are there.
    template <class Memory>
    [[nodiscard]] bool try_grow(Memory& memory, std::size_t more, const Where& where) {
        constexpr std::size_t count_max = std::numeric_limits<std::uint32_t>::max();
        if (more > count_max - size_) return false;
        const std::size_t wanted = std::max(size_ + more, std::size_t{capacity_} + capacity_ / 2);
        const std::size_t bytes = Memory::usable_bytes(wanted * sizeof(T));
        auto* const bigger = static_cast<T*>(memory.try_allocate(bytes, where));
        if (bigger == nullptr) return false;
        if (size_ != 0) std::memcpy(static_cast<void*>(bigger), data_, size_ * sizeof(T));
        if (data_ != nullptr) memory.give_back(data_, std::size_t{capacity_} * sizeof(T));
        data_ = bigger;
        capacity_ = static_cast<std::uint32_t>(std::min(bytes / sizeof(T), count_max));
        return true;
    }
    template <class Memory>
    [[noreturn]] static void refuse(const Memory& memory) noexcept {
        raise_fault(memory.refusal(), "an arena has no more memory for a vector");
    }

    T* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;
};

}  // namespace mitu::memory
