#pragma once
// Where plaintext stands until the next poll: blocks that are used again and never move.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "mitu/base/bytes.hpp"

namespace mitu::transport {

/// Threading  shard-local.
class ReadScratch {
public:
    /// At least `size` bytes in one piece. Lifetime  until reset().
    [[nodiscard]] MutableByteView reserve(std::size_t size) {
        while (at_ < blocks_.size() && blocks_[at_].size - used_ < size) {
            ++at_;
            used_ = 0;
        }
        if (at_ == blocks_.size()) {
            const std::size_t bytes = std::max(size, block_bytes);
            blocks_.push_back({std::make_unique_for_overwrite<std::uint8_t[]>(bytes), bytes});
        }
        return {blocks_[at_].bytes.get() + used_, size};
    }
    /// Keeps the first `count` bytes of what reserve() gave last, and returns them.
    ByteView keep(std::size_t count) {
        const ByteView kept{blocks_[at_].bytes.get() + used_, count};
        used_ += count;
        return kept;
    }
    /// What was kept is no longer needed.
    void reset() {
#ifdef MITU_AUDITS
        // Whoever kept bytes beyond their poll shall notice.
        for (Block& block : blocks_) std::memset(block.bytes.get(), 0xDD, block.size);
#endif
        if (blocks_.size() > blocks_kept) blocks_.resize(blocks_kept);
        at_ = used_ = 0;
    }

private:
    static constexpr std::size_t block_bytes = 262'144;
    static constexpr std::size_t blocks_kept = 4;
    struct Block {
        std::unique_ptr<std::uint8_t[]> bytes;
        std::size_t size = 0;
    };
    std::vector<Block> blocks_;
    std::size_t at_ = 0;
    std::size_t used_ = 0;
};

}  // namespace mitu::transport
