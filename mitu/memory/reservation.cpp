#include "mitu/memory/reservation.hpp"

#include <sys/mman.h>

#include <utility>

#include "mitu/base/check.hpp"

namespace mitu::memory {

std::optional<Reservation> Reservation::make(std::size_t size_bytes, Pages pages) {
    const std::size_t size = (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
    const std::size_t slack = pages == Pages::huge ? huge_page_bytes : 0;
    const std::size_t mapping_bytes = size + slack + 2 * page_bytes;
    void* const mapping = ::mmap(nullptr, mapping_bytes, PROT_NONE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return std::nullopt;
    Reservation made;
    made.mapping_ = mapping;
    made.mapping_bytes_ = mapping_bytes;
    made.data_ = static_cast<std::uint8_t*>(mapping) + page_bytes;
    made.size_bytes_ = size;
    if (pages == Pages::huge) {
        const auto address = reinterpret_cast<std::uintptr_t>(made.data_);
        made.data_ += (huge_page_bytes - address % huge_page_bytes) % huge_page_bytes;
        // Refused by kernels without transparent huge pages, and where prctl forbids them.
        made.uses_huge_pages_ = ::madvise(made.data_, size, MADV_HUGEPAGE) == 0;
    }
    return made;
}

Reservation::Reservation(Reservation&& other) noexcept { *this = std::move(other); }

Reservation& Reservation::operator=(Reservation&& other) noexcept {
    if (this == &other) return *this;
    unmap();
    mapping_ = std::exchange(other.mapping_, nullptr);
    mapping_bytes_ = std::exchange(other.mapping_bytes_, 0);
    uses_huge_pages_ = std::exchange(other.uses_huge_pages_, false);
    data_ = std::exchange(other.data_, nullptr);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
    open_bytes_ = std::exchange(other.open_bytes_, 0);
    return *this;
}

Reservation::~Reservation() { unmap(); }

void Reservation::unmap() noexcept {
    if (mapping_ == nullptr) return;
    static_cast<void>(::munmap(mapping_, mapping_bytes_));
}

bool Reservation::open(std::size_t size_bytes) noexcept {
    MITU_CHECK(size_bytes % page_bytes == 0);
    if (size_bytes <= open_bytes_) return true;
    if (size_bytes > size_bytes_) return false;
    if (::mprotect(data_ + open_bytes_, size_bytes - open_bytes_, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    open_bytes_ = size_bytes;
    return true;
}

void Reservation::give_back(std::size_t offset_bytes, std::size_t size_bytes) noexcept {
    MITU_CHECK(offset_bytes % page_bytes == 0 && size_bytes % page_bytes == 0 &&
               offset_bytes + size_bytes <= open_bytes_);
    static_cast<void>(::madvise(data_ + offset_bytes, size_bytes, MADV_DONTNEED));
}

}  // namespace mitu::memory
