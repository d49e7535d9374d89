#pragma once
// ChunkedList: an array that grows by chunks, for what a shard has very many of.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <type_traits>
#include <vector>

#include "mitu/base/check.hpp"

namespace mitu::broker {

/// An array of plain values whose elements never move while it grows. A vector of a million
/// elements has up to a million empty ones behind it, and holds one and a half times as many while
/// it moves; this has one chunk to spare, whatever its size.
/// Threading  shard-local.
/// Lifetime   a reference is good until the element is popped.
template <class T, std::uint32_t chunk_log2 = 8>
class ChunkedList {
    static_assert(std::is_trivially_destructible_v<T>, "chunks are freed in bulk");
    static constexpr std::size_t chunk_size = std::size_t{1} << chunk_log2;

public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    [[nodiscard]] T& operator[](std::size_t i) noexcept {
        return chunks_[i >> chunk_log2][i & (chunk_size - 1)];
    }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept {
        return chunks_[i >> chunk_log2][i & (chunk_size - 1)];
    }
    [[nodiscard]] T& front() noexcept { return (*this)[0]; }
    [[nodiscard]] const T& front() const noexcept { return (*this)[0]; }
    [[nodiscard]] T& back() noexcept { return (*this)[size_ - 1]; }

    void push_back(const T& value) {
        if (size_ == chunks_.size() << chunk_log2) {
            chunks_.push_back(std::make_unique<T[]>(chunk_size));
        }
        (*this)[size_] = value;
        ++size_;
    }
    void pop_back() noexcept {
        MITU_CHECK(size_ > 0);
        --size_;
        // One empty chunk stays, so that coming and going at the edge allocates nothing.
        while (chunks_.size() << chunk_log2 >= size_ + 2 * chunk_size) chunks_.pop_back();
    }
    void resize_down(std::size_t size) noexcept {
        while (size_ > size) pop_back();
    }

    /// Enough of a random access iterator for the algorithms of the standard library.
    template <class Value, class List>
    class Iterator {
    public:
        using iterator_category = std::random_access_iterator_tag;
        using value_type = std::remove_const_t<Value>;
        using difference_type = std::ptrdiff_t;
        using pointer = Value*;
        using reference = Value&;

        Iterator() = default;
        Iterator(List* list, std::size_t at) noexcept : list_{list}, at_{at} {}

        [[nodiscard]] Value& operator*() const noexcept { return (*list_)[at_]; }
        [[nodiscard]] Value* operator->() const noexcept { return &(*list_)[at_]; }
        [[nodiscard]] Value& operator[](difference_type n) const noexcept {
            return (*list_)[at_ + static_cast<std::size_t>(n)];
        }
        Iterator& operator++() noexcept { return *this += 1; }
        Iterator& operator--() noexcept { return *this -= 1; }
        Iterator operator++(int) noexcept {
            const Iterator before = *this;
            ++*this;
            return before;
        }
        Iterator operator--(int) noexcept {
            const Iterator before = *this;
            --*this;
            return before;
        }
        Iterator& operator+=(difference_type n) noexcept {
            at_ += static_cast<std::size_t>(n);
            return *this;
        }
        Iterator& operator-=(difference_type n) noexcept {
            at_ -= static_cast<std::size_t>(n);
            return *this;
        }
        friend Iterator operator+(Iterator i, difference_type n) noexcept { return i += n; }
        friend Iterator operator+(difference_type n, Iterator i) noexcept { return i += n; }
        friend Iterator operator-(Iterator i, difference_type n) noexcept { return i -= n; }
        friend difference_type operator-(const Iterator& a, const Iterator& b) noexcept {
            return static_cast<difference_type>(a.at_ - b.at_);
        }
        friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
            return a.at_ == b.at_;
        }
        friend auto operator<=>(const Iterator& a, const Iterator& b) noexcept {
            return a.at_ <=> b.at_;
        }

    private:
        List* list_ = nullptr;
        std::size_t at_ = 0;
    };

    [[nodiscard]] auto begin() noexcept { return Iterator<T, ChunkedList>{this, 0}; }
    [[nodiscard]] auto end() noexcept { return Iterator<T, ChunkedList>{this, size_}; }
    [[nodiscard]] auto begin() const noexcept {
        return Iterator<const T, const ChunkedList>{this, 0};
    }
    [[nodiscard]] auto end() const noexcept {
        return Iterator<const T, const ChunkedList>{this, size_};
    }

private:
    std::vector<std::unique_ptr<T[]>> chunks_;
    std::size_t size_ = 0;
};

}  // namespace mitu::broker
