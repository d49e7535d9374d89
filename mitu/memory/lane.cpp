#include "mitu/memory/lane.hpp"

#include <bit>
#include <new>

#include "mitu/base/check.hpp"

namespace mitu::memory {

Lane::Lane(std::uint32_t capacity_bytes)
    : ring_{std::make_unique_for_overwrite<std::uint8_t[]>(capacity_bytes)},
      capacity_bytes_{capacity_bytes} {
    MITU_CHECK(std::has_single_bit(capacity_bytes) && capacity_bytes >= 64);
}

std::uint32_t Lane::free_bytes() noexcept {
    released_seen_ = released_.load(std::memory_order_acquire);
    return static_cast<std::uint32_t>(capacity_bytes_ - (write_position_ - released_seen_));
}

std::optional<MutableByteView> Lane::try_reserve(std::uint16_t kind,
                                                 std::uint32_t size_bytes) noexcept {
    MITU_CHECK(reserved_bytes_ == 0);
    MITU_CHECK(size_bytes + sizeof(Header) <= record_bytes_max());
    const std::uint64_t need = aligned(sizeof(Header) + size_bytes);
    const std::uint64_t until_end = capacity_bytes_ - (write_position_ & (capacity_bytes_ - 1));
    const std::uint64_t padding = until_end < need ? until_end : 0;
    if (capacity_bytes_ - (write_position_ - released_seen_) < need + padding) {
        if (free_bytes() < need + padding) return std::nullopt;
    }
    if (padding != 0) {
        new (at(write_position_))
            Header{static_cast<std::uint32_t>(padding - sizeof(Header)), 0, 1};
        write_position_ += padding;
    }
    std::uint8_t* const start = at(write_position_);
    new (start) Header{size_bytes, kind, 0};
    reserved_bytes_ = need;
    return MutableByteView{start + sizeof(Header), size_bytes};
}

void Lane::commit() noexcept {
    MITU_CHECK(reserved_bytes_ != 0);
    write_position_ += reserved_bytes_;
    reserved_bytes_ = 0;
}

void Lane::publish() noexcept {
    if (published_local_ == write_position_) return;
    published_local_ = write_position_;
    published_.store(write_position_, std::memory_order_release);
}

std::optional<Lane::Record> Lane::peek() noexcept {
    for (;;) {
        if (read_position_ == published_seen_) {
            published_seen_ = published_.load(std::memory_order_acquire);
            if (read_position_ == published_seen_) return std::nullopt;
        }
        const auto* header = std::launder(reinterpret_cast<const Header*>(at(read_position_)));
        if (header->is_padding != 0) {
            read_position_ += sizeof(Header) + header->size_bytes;
            continue;
        }
        return Record{header->kind, {at(read_position_) + sizeof(Header), header->size_bytes}};
    }
}

void Lane::pop() noexcept {
    MITU_CHECK(read_position_ != published_seen_);
    const auto* header = std::launder(reinterpret_cast<const Header*>(at(read_position_)));
    read_position_ += aligned(sizeof(Header) + header->size_bytes);
}

void Lane::release() noexcept {
    if (released_local_ == read_position_) return;
    released_local_ = read_position_;
    released_.store(read_position_, std::memory_order_release);
}

bool Lane::empty() noexcept {
    if (read_position_ != published_seen_) return false;
    published_seen_ = published_.load(std::memory_order_acquire);
    return read_position_ == published_seen_;
}

}  // namespace mitu::memory
