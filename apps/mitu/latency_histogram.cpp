#include "apps/mitu/latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mitu::cli {

std::size_t LatencyHistogram::bucket_of(std::uint64_t ns) noexcept {
    constexpr std::uint64_t linear = std::uint64_t{1} << linear_bits;
    if (ns < linear) return static_cast<std::size_t>(ns);
    // The top linear_bits + 1 bits name the bucket: the highest one its power, the rest its place.
    const int shift = static_cast<int>(std::bit_width(ns)) - 1 - linear_bits;
    const std::uint64_t place = (ns >> shift) - linear;
    return static_cast<std::size_t>((static_cast<std::uint64_t>(shift) + 1) * linear + place);
}

std::uint64_t LatencyHistogram::upper_end_ns(std::size_t bucket) noexcept {
    constexpr std::uint64_t linear = std::uint64_t{1} << linear_bits;
    if (bucket < linear) return bucket;
    const std::uint64_t shift = bucket / linear - 1;
    const std::uint64_t place = bucket % linear;
    return ((linear + place + 1) << shift) - 1;
}

void LatencyHistogram::record(Duration duration) noexcept {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count_ns(), 0));
    ++buckets_[std::min(bucket_of(ns), bucket_count - 1)];
    ++count_;
    sum_ns_ += static_cast<double>(ns);
    max_ = std::max(max_, duration);
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ns_ += other.sum_ns_;
    max_ = std::max(max_, other.max_);
}

Duration LatencyHistogram::mean() const noexcept {
    if (count_ == 0) return {};
    return Duration::nanoseconds(std::llround(sum_ns_ / static_cast<double>(count_)));
}

Duration LatencyHistogram::percentile(double share) const noexcept {
    if (count_ == 0) return {};
    const auto wanted = static_cast<std::uint64_t>(
        std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
        seen += buckets_[i];
        if (seen >= std::max<std::uint64_t>(wanted, 1)) {
            const auto end = Duration::nanoseconds(static_cast<std::int64_t>(upper_end_ns(i)));
            return std::min(end, max_);
        }
    }
    return max_;
}

}  // namespace mitu::cli
