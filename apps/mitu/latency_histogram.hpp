#pragma once
// How long things took, in buckets that grow with the value.

#include <array>
#include <cstdint>

#include "mitu/base/time.hpp"

namespace mitu::cli {

/// Counts durations in 32 linear buckets per power of two, so that a percentile is at most 1/32
/// above the true one, from one nanosecond to a century, in a fixed 15 KiB. Source  G. Tene,
/// HdrHistogram (the idea of linear buckets inside exponential ones).
class LatencyHistogram {
public:
    void record(Duration duration) noexcept;
    void merge(const LatencyHistogram& other) noexcept;
    void clear() noexcept { *this = LatencyHistogram{}; }

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] Duration max() const noexcept { return max_; }
    [[nodiscard]] Duration mean() const noexcept;
    /// The smallest recorded bucket's upper end below which `share` (0..1) of the values lie; zero
    /// when nothing was recorded. Never above max().
    [[nodiscard]] Duration percentile(double share) const noexcept;

private:
    static constexpr int linear_bits = 5;
    static constexpr std::size_t bucket_count = (64 - linear_bits) << linear_bits;

    [[nodiscard]] static std::size_t bucket_of(std::uint64_t ns) noexcept;
    [[nodiscard]] static std::uint64_t upper_end_ns(std::size_t bucket) noexcept;

    std::array<std::uint64_t, bucket_count> buckets_{};
    std::uint64_t count_ = 0;
    double sum_ns_ = 0;
    Duration max_;
};

}  // namespace mitu::cli
