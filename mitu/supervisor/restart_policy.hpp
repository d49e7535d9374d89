#pragma once
// When a worker that died is started again, and when no more. Pure.

#include <cstdint>
#include <deque>
#include <optional>

#include "mitu/base/time.hpp"

namespace mitu::supervisor {

struct RestartLimits {
    std::uint32_t deaths_max = 5;  // within `window`: the last of them is the end
    Duration window = Duration::seconds(60);
    Duration delay_min = Duration::milliseconds(100);  // before the second start, then four times
    Duration delay_max = Duration::seconds(5);
};

/// The first death in a while costs no wait: clients are out there. Those that follow wait longer
/// and longer, until it is clear that starting again does not help.
class RestartPolicy {
public:
    explicit RestartPolicy(const RestartLimits& limits = {}) : limits_{limits} {}

    /// Shape  how long to wait before the next start; nullopt: not again.
    [[nodiscard]] std::optional<Duration> on_death(Instant now);

    /// Within the window, as of the last death.
    [[nodiscard]] std::uint32_t recent_deaths() const noexcept {
        return static_cast<std::uint32_t>(deaths_.size());
    }
    [[nodiscard]] const RestartLimits& limits() const noexcept { return limits_; }

private:
    RestartLimits limits_;
    std::deque<Instant> deaths_;  // deaths_max at most
};

}  // namespace mitu::supervisor
