#pragma once
// Circuit: stops asking a backend that does not answer, and tries again after a while.

#include <cstdint>
#include <string_view>

#include "mitu/base/time.hpp"

namespace mitu::identity {

struct CircuitOptions {
    std::uint32_t failures_to_open = 5;  // in a row
    Duration open_for = Duration::seconds(10);
    std::uint32_t in_flight_max = 64;
};

enum class CircuitState : std::uint8_t { closed, open, half_open };
[[nodiscard]] std::string_view name_of(CircuitState state) noexcept;

/// Counts what is on its way and what failed. Each permit is answered by exactly one on_success()
/// or on_failure().
/// Threading  one at a time; its owner locks.
class Circuit {
public:
    explicit Circuit(CircuitOptions options) noexcept : options_{options} {}

    enum class Permit : std::uint8_t { granted, busy, open };
    /// May one more request go out? After `open_for` one may, alone: how it ends decides.
    [[nodiscard]] Permit try_acquire(Instant now) noexcept;
    void on_success() noexcept;
    void on_failure(Instant now) noexcept;

    [[nodiscard]] CircuitState state(Instant now) const noexcept;
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }

private:
    CircuitOptions options_;
    std::uint32_t in_flight_ = 0;
    std::uint32_t failures_ = 0;  // in a row
    bool is_open_ = false;
    bool is_probing_ = false;
    Instant retry_at_;
};

}  // namespace mitu::identity
