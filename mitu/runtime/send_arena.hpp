#pragma once
// Where bytes wait that write() has taken and the kernel has not: densely packed, given back by
// count.

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/check.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::runtime {

/// The bytes of sends in flight. A chunk is filled from front to back and begins anew once none of
/// its sends is in flight; as most sends end in the turn that submits them, one chunk nearly always
/// does, and stays in the cache.
/// Threading  shard-local.
class SendArena {
public:
    /// More than this is worth a system call of its own: ten small messages, or one of a kilobyte.
    static constexpr std::size_t send_bytes_max = 1'024;

    struct Send {
        ports::ConnectionId connection;
        const std::uint8_t* data = nullptr;
        std::uint32_t size = 0;
        std::uint32_t chunk = 0;
    };

    /// Copies the parts together. Their sizes sum to `size`, 1..send_bytes_max.
    /// Lifetime  the bytes stay where they are until end() of the index that is returned.
    [[nodiscard]] std::uint32_t begin(ports::ConnectionId connection,
                                      std::span<const ByteView> parts, std::size_t size) {
        MITU_CHECK(size > 0 && size <= send_bytes_max);
        Chunk& chunk = chunk_for(size);
        std::uint8_t* const to = chunk.bytes.get() + chunk.used;
        std::size_t at = 0;
        for (const ByteView part : parts) {
            if (part.empty()) continue;
            std::memcpy(to + at, part.data(), part.size());
            at += part.size();
        }
        MITU_CHECK(at == size);
        chunk.used += size;
        ++chunk.in_flight;
        if (free_sends_.empty()) {
            free_sends_.push_back(static_cast<std::uint32_t>(sends_.size()));
            sends_.emplace_back();
        }
        const std::uint32_t index = free_sends_.back();
        free_sends_.pop_back();
        sends_[index] = {connection, to, static_cast<std::uint32_t>(size), current_};
        return index;
    }
    [[nodiscard]] const Send& at(std::uint32_t index) const noexcept { return sends_[index]; }
    [[nodiscard]] Send end(std::uint32_t index) {
        const Send send = sends_[index];
        Chunk& chunk = chunks_[send.chunk];
        MITU_CHECK(chunk.in_flight > 0);
        if (--chunk.in_flight == 0) chunk.used = 0;
        free_sends_.push_back(index);
        return send;
    }
    [[nodiscard]] std::size_t in_flight() const noexcept {
        return sends_.size() - free_sends_.size();
    }

private:
    static constexpr std::size_t chunk_bytes = 262'144;
    struct Chunk {
        std::unique_ptr<std::uint8_t[]> bytes;
        std::size_t used = 0;
        std::uint32_t in_flight = 0;
    };

    [[nodiscard]] Chunk& chunk_for(std::size_t size) {
        if (current_ < chunks_.size() && chunks_[current_].used + size <= chunk_bytes) {
            return chunks_[current_];
        }
        for (std::uint32_t i = 0; i < chunks_.size(); ++i) {
            if (chunks_[i].in_flight == 0) {
                current_ = i;
                return chunks_[i];
            }
        }
        current_ = static_cast<std::uint32_t>(chunks_.size());
        // Not zeroed: pages that no send reaches are never touched.
        chunks_.push_back({std::make_unique_for_overwrite<std::uint8_t[]>(chunk_bytes)});
        return chunks_.back();
    }

    std::vector<Chunk> chunks_;
    std::uint32_t current_ = 0;
    std::vector<Send> sends_;
    std::vector<std::uint32_t> free_sends_;
};

}  // namespace mitu::runtime
