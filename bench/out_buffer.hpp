#pragma once
// OutBuffer: bytes that wait for the kernel to take them.

#include <cstdint>
#include <cstring>
#include <memory>

#include "mitu/base/bytes.hpp"

namespace mitu::bench {

/// Bytes on their way out: appended at the end, written from the front, never cleared to zero.
class OutBuffer {
public:
    /// Room for `size` more bytes, which count as appended.
    /// Lifetime  until the next call.
    [[nodiscard]] std::uint8_t* append(std::size_t size) {
        if (end_ + size > capacity_) make_room(size);
        std::uint8_t* room = bytes_.get() + end_;
        end_ += size;
        return room;
    }
    void append(ByteView bytes) { std::memcpy(append(bytes.size()), bytes.data(), bytes.size()); }
    void consume(std::size_t size) noexcept {
        begin_ += size;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    [[nodiscard]] ByteView waiting() const noexcept {
        return {bytes_.get() + begin_, end_ - begin_};
    }

private:
    void make_room(std::size_t size);

    std::unique_ptr<std::uint8_t[]> bytes_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace mitu::bench
