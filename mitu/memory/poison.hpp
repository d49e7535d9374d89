#pragma once
// Poison: memory that is ours and that nobody may touch now, so that AddressSanitizer tells.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define MITU_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MITU_HAS_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define MITU_HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MITU_HAS_TSAN 1
#endif
#endif

#ifdef MITU_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace mitu::memory {

/// Nothing without AddressSanitizer. Shape: 8-byte granules; a smaller rest stays accessible.
inline void poison([[maybe_unused]] const void* begin,
                   [[maybe_unused]] std::size_t size_bytes) noexcept {
#ifdef MITU_HAS_ASAN
    ASAN_POISON_MEMORY_REGION(begin, size_bytes);
#endif
}
inline void unpoison([[maybe_unused]] const void* begin,
                     [[maybe_unused]] std::size_t size_bytes) noexcept {
#ifdef MITU_HAS_ASAN
    ASAN_UNPOISON_MEMORY_REGION(begin, size_bytes);
#endif
}

}  // namespace mitu::memory
