#pragma once
// The real clock and the kernel's randomness.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "mitu/ports/clock.hpp"
#include "mitu/ports/entropy.hpp"

namespace mitu::runtime {

/// CLOCK_MONOTONIC since the process began to run, and the wall clock.
/// Threading  any thread; every SystemClock of a process tells the same time.
class SystemClock final : public ports::Clock {
public:
    [[nodiscard]] Instant now() const noexcept override;
    [[nodiscard]] WallTime wall() const noexcept override;
};

/// From getrandom(2), for secrets and nonces. Any thread.
[[nodiscard]] std::string random_bytes(std::size_t count);

/// getrandom(2), 32 numbers per system call.
/// Threading  shard-local.
class SystemEntropy final : public ports::Entropy {
public:
    [[nodiscard]] std::uint64_t next() noexcept override;

private:
    std::array<std::uint64_t, 32> numbers_{};
    std::size_t left_ = 0;
};

}  // namespace mitu::runtime
