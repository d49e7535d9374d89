#include "bench/out_buffer.hpp"

#include <algorithm>

namespace mitu::bench {

void OutBuffer::make_room(std::size_t size) {
    const std::size_t waiting_bytes = end_ - begin_;
    if (waiting_bytes + size > capacity_) {
        const std::size_t capacity = std::max<std::size_t>(2 * (waiting_bytes + size), 64);
        auto bytes = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
        if (waiting_bytes > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, waiting_bytes);
        bytes_ = std::move(bytes);
        capacity_ = capacity;
    } else {
        std::memmove(bytes_.get(), bytes_.get() + begin_, waiting_bytes);
    }
    begin_ = 0;
    end_ = waiting_bytes;
}

}  // namespace mitu::bench
