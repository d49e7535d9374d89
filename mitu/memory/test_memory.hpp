#pragma once
// What the tests of memory share: patterns in it, and how much of it is resident.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mitu/memory/reservation.hpp"

namespace mitu::memory {

/// Fills [data, data + size_bytes) with what follows from `seed`.
inline void write_pattern(std::uint8_t* data, std::size_t size_bytes, std::uint64_t seed) {
    for (std::size_t i = 0; i < size_bytes; ++i) data[i] = static_cast<std::uint8_t>(seed * 31 + i);
}
[[nodiscard]] inline bool has_pattern(const std::uint8_t* data, std::size_t size_bytes,
                                      std::uint64_t seed) {
    for (std::size_t i = 0; i < size_bytes; ++i) {
        if (data[i] != static_cast<std::uint8_t>(seed * 31 + i)) return false;
    }
    return true;
}

/// Of the pages that [begin, begin + size_bytes) touches: what is in memory.
[[nodiscard]] inline std::size_t resident_bytes(const std::uint8_t* begin, std::size_t size_bytes) {
    const std::size_t before = reinterpret_cast<std::uintptr_t>(begin) % page_bytes;
    const std::size_t bytes = size_bytes + before;
    std::vector<unsigned char> pages((bytes + page_bytes - 1) / page_bytes);
    EXPECT_EQ(::mincore(const_cast<std::uint8_t*>(begin - before), bytes, pages.data()), 0);
    const auto count =
        std::count_if(pages.begin(), pages.end(), [](auto page) { return (page & 1) != 0; });
    return static_cast<std::size_t>(count) * page_bytes;
}

}  // namespace mitu::memory
