#include "mitu/client/backoff.hpp"

#include <algorithm>

namespace mitu::client {

Duration Backoff::next(Prng& prng) noexcept {
    // 2^20 times any sensible first wait is past any sensible bound.
    const std::uint32_t doublings = std::min(attempts_, std::uint32_t{20});
    ++attempts_;
    const std::int64_t bound_ns =
        std::min(first_.count_ns() * (std::int64_t{1} << doublings), most_.count_ns());
    const std::int64_t half_ns = std::max<std::int64_t>(bound_ns / 2, 1);
    return Duration::nanoseconds(
        half_ns + static_cast<std::int64_t>(prng.below(static_cast<std::uint64_t>(half_ns))));
}

}  // namespace mitu::client
