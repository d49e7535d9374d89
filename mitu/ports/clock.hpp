#pragma once
// Time comes in through this port, is read once per turn and passed on as an argument.

#include "mitu/base/time.hpp"

namespace mitu::ports {

/// Threading  any thread.
class Clock {
public:
    virtual ~Clock() = default;
    /// Monotonic; starts near zero with the process or the simulated world.
    [[nodiscard]] virtual Instant now() const noexcept = 0;
    [[nodiscard]] virtual WallTime wall() const noexcept = 0;
};

}  // namespace mitu::ports
