#pragma once
// Reservation: a long range of addresses of which as much is memory as is needed.

#include <cstddef>
#include <cstdint>
#include <optional>

namespace mitu::memory {

/// The size of the pages that a fault brings; what is given back is given back in whole ones.
inline constexpr std::size_t page_bytes = 4'096;
/// The size of the larger ones that the kernel may use instead, where it is asked.
inline constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

/// Addresses are taken once and for all, so that what lies in them is found by adding an offset and
/// never moves; memory comes with open() and first touch. Whatever is not open faults, and so does
/// the page before and the page behind: a pointer that runs off is noticed at once.
/// Lifetime   unmapped with the object.
/// Cost       make: one system call; open, give_back: one each; a fault a page on first touch.
class Reservation {
public:
    enum class Pages : std::uint8_t { usual, huge };
    /// `size_bytes` is rounded up to whole pages. Counts neither as memory nor as committed.
    /// `huge`: begins at a huge page, and asks for them; uses_huge_pages() tells the answer.
    /// Errors  nullopt: the process has no address space left (RLIMIT_AS).
    [[nodiscard]] static std::optional<Reservation> make(std::size_t size_bytes,
                                                         Pages pages = Pages::usual);
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();

    [[nodiscard]] std::uint8_t* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
    /// The kernel uses huge pages here when it has some: it was asked and has not refused.
    [[nodiscard]] bool uses_huge_pages() const noexcept { return uses_huge_pages_; }
    /// From the beginning; the rest is closed.
    [[nodiscard]] std::size_t open_bytes() const noexcept { return open_bytes_; }

    /// Opens up to `size_bytes` from the beginning, zero until written.
    /// Errors  false: it is more than was reserved, or the system has no memory for us.
    [[nodiscard]] bool open(std::size_t size_bytes) noexcept;
    /// The memory of these whole pages goes back to the system; they stay open and read as zero.
    void give_back(std::size_t offset_bytes, std::size_t size_bytes) noexcept;

private:
    Reservation() = default;
    void unmap() noexcept;

    void* mapping_ = nullptr;
    std::size_t mapping_bytes_ = 0;
    bool uses_huge_pages_ = false;
    std::uint8_t* data_ = nullptr;
    std::size_t size_bytes_ = 0;
    std::size_t open_bytes_ = 0;
};

}  // namespace mitu::memory
