#pragma once
// Lane: the one-way street between two shards. A ring of bytes with one writer and one reader; its
// free bytes are the writer's credit.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "mitu/base/bytes.hpp"

namespace mitu::memory {

/// A bounded FIFO of records (a 16-bit kind and some bytes) from one thread to one other.
///
/// What is written is copied into the ring in bulk and read in place; nothing is allocated and
/// nothing is freed by a foreign thread. A record is seen by the reader after publish().
///
/// Shape      capacity_bytes is a power of two; a record may be up to record_bytes_max().
/// Threading  one writer thread (try_reserve, commit, publish, free_bytes), one reader thread
///            (peek, pop, release); empty() may be asked by the reader.
/// Order      FIFO.
class Lane {
public:
    explicit Lane(std::uint32_t capacity_bytes);

    struct Record {
        std::uint16_t kind = 0;
        ByteView bytes;  // lent until pop()
    };

    [[nodiscard]] std::uint32_t capacity_bytes() const noexcept { return capacity_bytes_; }
    /// Half the ring, so that a record fits wherever the ring's end happens to lie.
    [[nodiscard]] std::uint32_t record_bytes_max() const noexcept { return capacity_bytes_ / 2; }

    /// Room for a record of `size_bytes`, 8-byte aligned, to be filled and then commit()ted.
    /// Errors  nullopt: not enough credit now; nothing changed.
    [[nodiscard]] std::optional<MutableByteView> try_reserve(std::uint16_t kind,
                                                             std::uint32_t size_bytes) noexcept;
    void commit() noexcept;
    /// Shows everything committed to the reader.
    void publish() noexcept;
    [[nodiscard]] bool has_unpublished() const noexcept {
        return published_local_ != write_position_;
    }
    /// Enough is committed and not shown that the reader should not wait for the rest of it.
    [[nodiscard]] bool is_worth_publishing() const noexcept {
        return write_position_ - published_local_ >= capacity_bytes_ / portions;
    }
    /// Whether at least `bytes` are free; asks the reader's side only if it must.
    [[nodiscard]] bool has_free(std::uint32_t bytes) noexcept {
        return capacity_bytes_ - (write_position_ - released_seen_) >= bytes ||
               free_bytes() >= bytes;
    }
    /// Credit left for the writer. A record that fits into half of it always finds room.
    [[nodiscard]] std::uint32_t free_bytes() noexcept;

    [[nodiscard]] std::optional<Record> peek() noexcept;
    void pop() noexcept;
    /// Gives the credit of everything popped back to the writer.
    void release() noexcept;
    /// Enough is popped and not given back that the writer should not wait for the rest of it.
    [[nodiscard]] bool is_worth_releasing() const noexcept {
        return read_position_ - released_local_ >= capacity_bytes_ / portions;
    }
    [[nodiscard]] bool empty() noexcept;

private:
    // Writer and reader pass this part of a ring at a time, so that both have something to do.
    static constexpr std::uint32_t portions = 16;

    struct Header {
        std::uint32_t size_bytes;
        std::uint16_t kind;
        std::uint16_t is_padding;
    };
    static_assert(sizeof(Header) == 8);

    static constexpr std::uint64_t aligned(std::uint64_t n) noexcept { return (n + 7) & ~7ULL; }
    [[nodiscard]] std::uint8_t* at(std::uint64_t position) noexcept {
        return &ring_[position & (capacity_bytes_ - 1)];
    }

    std::unique_ptr<std::uint8_t[]> ring_;
    std::uint32_t capacity_bytes_;

    // The writer's cache line.
    alignas(64) std::uint64_t write_position_ = 0;  // committed, maybe not yet published
    std::uint64_t reserved_bytes_ = 0;
    std::uint64_t released_seen_ = 0;
    std::uint64_t published_local_ = 0;
    // The reader's cache line.
    alignas(64) std::uint64_t read_position_ = 0;
    std::uint64_t published_seen_ = 0;
    std::uint64_t released_local_ = 0;
    // Shared.
    alignas(64) std::atomic<std::uint64_t> published_{0};
    alignas(64) std::atomic<std::uint64_t> released_{0};
};

}  // namespace mitu::memory
