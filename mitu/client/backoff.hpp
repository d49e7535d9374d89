#pragma once
// How long to wait before trying again.

#include <cstdint>

#include "mitu/base/random.hpp"
#include "mitu/base/time.hpp"

namespace mitu::client {

/// Doubles from `first` up to `most`, and draws each wait evenly from its upper half, so that a
/// fleet that was cut off together does not come back together.
class Backoff {
public:
    constexpr Backoff(Duration first, Duration most) noexcept : first_{first}, most_{most} {}

    [[nodiscard]] Duration next(Prng& prng) noexcept;
    void reset() noexcept { attempts_ = 0; }
    [[nodiscard]] std::uint32_t attempts() const noexcept { return attempts_; }

private:
    Duration first_;
    Duration most_;
    std::uint32_t attempts_ = 0;
};

}  // namespace mitu::client
