#include "bench/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mitu::bench {
namespace {

constexpr int linear_bits = 7;  // 128 buckets per octave
constexpr std::uint64_t linear = std::uint64_t{1} << linear_bits;
constexpr int octaves = 33;  // values below 2^(33 + 7) ns
constexpr std::uint64_t value_max = (std::uint64_t{1} << (octaves + linear_bits)) - 1;

constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < linear) return value;
    const int shift = static_cast<int>(std::bit_width(value)) - linear_bits - 1;
    return static_cast<std::size_t>(shift) * linear + (value >> shift);
}

constexpr std::uint64_t upper_edge_of(std::size_t bucket) noexcept {
    if (bucket < 2 * linear) return bucket;
    const std::uint64_t shift = bucket / linear - 1;
    return (((bucket - shift * linear) + 1) << shift) - 1;
}

static_assert(bucket_of(linear) == linear);
static_assert(bucket_of(2 * linear - 1) == 2 * linear - 1);
static_assert(bucket_of(2 * linear) == 2 * linear);
static_assert(upper_edge_of(bucket_of(1'000'000)) >= 1'000'000);
static_assert(upper_edge_of(bucket_of(1'000'000)) <= 1'000'000 + 1'000'000 / 128);

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(bucket_of(value_max) + 1) {}

void LatencyHistogram::record(std::int64_t ns) noexcept {
    const std::int64_t clamped = std::max<std::int64_t>(ns, 0);
    ++buckets_[bucket_of(std::min(static_cast<std::uint64_t>(clamped), value_max))];
    ++count_;
    max_ns_ = std::max(max_ns_, clamped);
}

std::int64_t LatencyHistogram::percentile_ns(double fraction) const noexcept {
    if (count_ == 0) return 0;
    const double clamped = std::clamp(fraction, 0.0, 1.0);
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(clamped * static_cast<double>(count_))));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= rank) return std::min(static_cast<std::int64_t>(upper_edge_of(i)), max_ns_);
    }
    return max_ns_;
}

}  // namespace mitu::bench
