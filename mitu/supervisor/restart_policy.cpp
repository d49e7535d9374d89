#include "mitu/supervisor/restart_policy.hpp"

#include <algorithm>

namespace mitu::supervisor {

std::optional<Duration> RestartPolicy::on_death(Instant now) {
    while (!deaths_.empty() && now - deaths_.front() >= limits_.window) deaths_.pop_front();
    deaths_.push_back(now);
    if (deaths_.size() >= limits_.deaths_max) return std::nullopt;
    if (deaths_.size() == 1) return Duration{};
    std::int64_t delay_ns = limits_.delay_min.count_ns();
    for (std::size_t i = 2; i < deaths_.size() && delay_ns < limits_.delay_max.count_ns(); ++i) {
        delay_ns *= 4;
    }
    return std::min(Duration::nanoseconds(delay_ns), limits_.delay_max);
}

}  // namespace mitu::supervisor
