#include "apps/mitu/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "mitu/base/random.hpp"

namespace mitu::cli {
namespace {

TEST(latency_histogram, percentiles_are_at_most_a_thirtysecond_too_high) {
    Prng prng{11};
    LatencyHistogram histogram;
    std::vector<std::int64_t> values;
    for (int i = 0; i < 20'000; ++i) {
        // Over nine orders of magnitude.
        const auto value =
            static_cast<std::int64_t>(prng.below(std::uint64_t{1} << (1 + prng.below(40))));
        values.push_back(value);
        histogram.record(Duration::nanoseconds(value));
    }
    std::sort(values.begin(), values.end());
    for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
        const std::int64_t exact = values[std::max<std::size_t>(rank, 1) - 1];
        const std::int64_t estimate = histogram.percentile(share).count_ns();
        EXPECT_GE(estimate, exact) << share;
        EXPECT_LE(static_cast<double>(estimate), static_cast<double>(exact) * (1 + 1.0 / 32) + 1)
            << share;
    }
    EXPECT_EQ(histogram.max().count_ns(), values.back());
    EXPECT_EQ(histogram.percentile(1.0), histogram.max());
}

TEST(latency_histogram, small_values_are_exact) {
    LatencyHistogram histogram;
    for (int ns = 0; ns < 32; ++ns) histogram.record(Duration::nanoseconds(ns));
    EXPECT_EQ(histogram.percentile(0.5).count_ns(), 15);
    EXPECT_EQ(histogram.percentile(0).count_ns(), 0);
}

TEST(latency_histogram, empty_extreme_and_negative_values_do_no_harm) {
    LatencyHistogram histogram;
    EXPECT_EQ(histogram.percentile(0.99), Duration{});
    EXPECT_EQ(histogram.mean(), Duration{});
    histogram.record(Duration::nanoseconds(-5));
    histogram.record(Duration::nanoseconds(std::numeric_limits<std::int64_t>::max()));
    EXPECT_EQ(histogram.count(), 2u);
    EXPECT_EQ(histogram.percentile(0.5), Duration{});
    EXPECT_EQ(histogram.percentile(1), histogram.max());
}

TEST(latency_histogram, a_merge_counts_both) {
    LatencyHistogram a;
    LatencyHistogram b;
    a.record(Duration::nanoseconds(10));
    b.record(Duration::nanoseconds(20));
    b.record(Duration::nanoseconds(30));
    a.merge(b);
    EXPECT_EQ(a.count(), 3u);
    EXPECT_EQ(a.percentile(0.5).count_ns(), 20);
    EXPECT_EQ(a.mean().count_ns(), 20);
}

}  // namespace
}  // namespace mitu::cli
