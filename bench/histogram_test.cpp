#include "bench/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "mitu/base/random.hpp"

namespace mitu::bench {
namespace {

TEST(histogram, is_zero_when_empty) {
    const LatencyHistogram histogram;
    EXPECT_EQ(histogram.count(), 0u);
    EXPECT_EQ(histogram.percentile_ns(0.99), 0);
    EXPECT_EQ(histogram.max_ns(), 0);
}

TEST(histogram, percentiles_are_within_one_part_in_128_of_the_sorted_samples) {
    Prng random{42};
    std::vector<std::int64_t> samples;
    LatencyHistogram histogram;
    for (int i = 0; i < 100'000; ++i) {
        // Spread over nine orders of magnitude, as latencies with stalls are.
        const auto value = static_cast<std::int64_t>(std::exp(random.unit() * 25.0));
        samples.push_back(value);
        histogram.record(value);
    }
    std::ranges::sort(samples);
    for (const double fraction : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const auto rank = std::max<std::size_t>(
            1, static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(samples.size()))));
        const auto exact = static_cast<double>(samples[rank - 1]);
        const auto told = static_cast<double>(histogram.percentile_ns(fraction));
        EXPECT_GE(told, exact) << fraction;
        EXPECT_LE(told, exact * (1.0 + 1.0 / 128.0) + 1.0) << fraction;
    }
    EXPECT_EQ(histogram.max_ns(), samples.back());
    EXPECT_EQ(histogram.percentile_ns(1.0), samples.back());
}

TEST(histogram, keeps_values_below_256_exactly) {
    for (std::int64_t value = 0; value < 256; ++value) {
        LatencyHistogram histogram;
        histogram.record(value);
        histogram.record(1'000'000);
        EXPECT_EQ(histogram.percentile_ns(0.5), value);
    }
}

TEST(histogram, counts_values_outside_its_range_at_its_ends) {
    LatencyHistogram histogram;
    histogram.record(-5);
    EXPECT_EQ(histogram.percentile_ns(1.0), 0);
    const std::int64_t years = std::int64_t{1} << 60;
    histogram.record(years);
    EXPECT_EQ(histogram.max_ns(), years);
    EXPECT_EQ(histogram.count(), 2u);
    EXPECT_GT(histogram.percentile_ns(1.0), std::int64_t{1} << 39);
}

}  // namespace
}  // namespace mitu::bench
