#pragma once
// Our own deterministic randomness: the same sequence on every machine and with every library.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mitu {

/// xoshiro256** seeded by splitmix64 (Blackman, Vigna, 2018). Not for secrets.
/// Threading  shard-local; split() gives each actor its own.
class Prng {
public:
    explicit constexpr Prng(std::uint64_t seed) noexcept {
        for (auto& word : state_) {
            seed += 0x9E3779B97F4A7C15ULL;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
            word = z ^ (z >> 31);
        }
    }

    constexpr std::uint64_t next() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    /// Uniform in 0..n-1; n is at least 1. Unbiased by rejection.
    constexpr std::uint64_t below(std::uint64_t n) noexcept {
        const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % n);
        for (;;) {
            const std::uint64_t value = next();
            if (value < limit) return value % n;
        }
    }

    /// Uniform in [0, 1).
    constexpr double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    constexpr bool chance(double probability) noexcept { return unit() < probability; }

    /// Fisher-Yates; std::shuffle differs between libraries.
    template <class Range>
    constexpr void shuffle(Range& range) noexcept {
        for (std::size_t i = range.size(); i > 1; --i) {
            std::swap(range[i - 1], range[static_cast<std::size_t>(below(i))]);
        }
    }

    /// An independent generator for one actor.
    constexpr Prng split() noexcept { return Prng{next()}; }

private:
    std::uint64_t state_[4]{};
};

}  // namespace mitu
