#include "mitu/admission/token_bucket.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "mitu/admission/shared_bucket.hpp"
#include "mitu/base/random.hpp"

namespace mitu::admission {
namespace {

constexpr Instant start = Instant::from_ns(5'000'000'000);

TEST(token_bucket, gives_the_burst_at_once_and_then_the_rate) {
    const Rate rate{.per_second = 10, .burst = 3};
    TokenBucket bucket{rate, start};
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.try_take(rate, 1, start));
    EXPECT_FALSE(bucket.try_take(rate, 1, start));
    EXPECT_EQ(bucket.ready_at(rate, 1), start + Duration::milliseconds(100));
    EXPECT_FALSE(bucket.try_take(rate, 1, start + Duration::nanoseconds(99'999'999)));
    EXPECT_TRUE(bucket.try_take(rate, 1, start + Duration::milliseconds(100)));
}

TEST(token_bucket, does_not_drift_at_rates_that_do_not_divide_a_second) {
    for (const std::uint64_t per_second : {3ull, 7ull, 1'999ull, 999'999'937ull}) {
        const Rate rate{.per_second = per_second, .burst = 2};
        TokenBucket bucket{rate, start};
        // As early as it says, each time: after a million tokens no nanosecond is lost or won.
        Instant now = start;
        constexpr std::uint64_t tokens = 1'000'000;
        for (std::uint64_t i = 0; i < tokens + rate.burst; ++i) {
            now = std::max(now, bucket.ready_at(rate, 1));
            ASSERT_TRUE(bucket.try_take(rate, 1, now));
        }
        const std::uint64_t exact_ns = (tokens * 1'000'000'000 + per_second - 1) / per_second;
        EXPECT_EQ((now - start).count_ns(), static_cast<std::int64_t>(exact_ns)) << per_second;
    }
}

TEST(token_bucket, never_gives_more_than_burst_and_rate_in_any_span) {
    Prng prng{7};
    for (int run = 0; run < 200; ++run) {
        const Rate rate{.per_second = 1 + prng.below(1'000), .burst = 1 + prng.below(50)};
        TokenBucket bucket{rate, start};
        Instant now = start;
        std::uint64_t taken = 0;
        for (int i = 0; i < 500; ++i) {
            now = now + Duration::microseconds(static_cast<std::int64_t>(prng.below(20'000)));
            const std::uint64_t n = 1 + prng.below(5);
            if (bucket.try_take(rate, n, now)) taken += n;
            const auto passed_ns = static_cast<std::uint64_t>((now - start).count_ns());
            ASSERT_LE(taken, rate.burst + rate.per_second * passed_ns / 1'000'000'000 + 1);
        }
    }
}

TEST(token_bucket, remembers_what_was_spent_beyond_it) {
    const Rate rate{.per_second = 1'000, .burst = 1'000};
    TokenBucket bucket{rate, start};
    bucket.charge(rate, 3'000, start);
    EXPECT_EQ(bucket.ready_at(rate, 0), start + Duration::seconds(2));
    EXPECT_FALSE(bucket.is_full(rate, start + Duration::milliseconds(2'999)));
    EXPECT_TRUE(bucket.is_full(rate, start + Duration::seconds(3)));
}

TEST(token_bucket, survives_absurd_rates_amounts_and_times) {
    const Rate huge{.per_second = ~0ull, .burst = ~0ull};
    TokenBucket bucket{huge, start};
    bucket.charge(huge, ~0ull, start);
    bucket.charge(huge, ~0ull, start);
    EXPECT_GT(bucket.ready_at(huge, ~0ull), start);
    EXPECT_TRUE(bucket.try_take(huge, ~0ull, Instant::from_ns(9'000'000'000'000'000'000)));
    // Time that stands still or goes back brings nothing.
    EXPECT_FALSE(bucket.try_take(huge, 1, start));
}

// --- shared ---

TEST(shared_bucket, gives_the_burst_at_once_and_then_the_rate) {
    SharedBucket bucket;
    bucket.set_rate({.per_second = 10, .burst = 3});
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.try_take(1, start));
    EXPECT_FALSE(bucket.try_take(1, start));
    EXPECT_EQ(bucket.ready_at(start), start + Duration::milliseconds(100));
    EXPECT_TRUE(bucket.try_take(1, start + Duration::milliseconds(100)));
}

TEST(shared_bucket, queues_whoever_reserves_in_the_order_of_their_calls) {
    SharedBucket bucket;
    bucket.set_rate({.per_second = 10, .burst = 1});
    EXPECT_EQ(bucket.reserve(1, start), start);
    EXPECT_EQ(bucket.reserve(1, start), start + Duration::milliseconds(100));
    EXPECT_EQ(bucket.reserve(1, start), start + Duration::milliseconds(200));
}

TEST(shared_bucket, takes_a_new_rate_at_once_without_old_debts_in_new_coin) {
    SharedBucket bucket;
    bucket.set_rate({.per_second = 1'000'000, .burst = 1});
    static_cast<void>(bucket.reserve(1'000'000, start));  // a second
    bucket.set_rate({.per_second = 1, .burst = 1});
    EXPECT_LE(bucket.ready_at(start), start + Duration::seconds(2));
    bucket.set_rate({});
    EXPECT_TRUE(bucket.try_take(1'000'000, start));
}

TEST(leased_tokens, ask_the_shared_bucket_once_for_many) {
    SharedBucket bucket;
    bucket.set_rate({.per_second = 3'200, .burst = 3'200});
    LeasedTokens tokens;
    int free_of_charge = 0;
    for (int i = 0; i < 3'200; ++i) {
        const Instant before = bucket.ready_at(start + Duration::seconds(-2));
        EXPECT_LE(tokens.take(bucket, 1, start), start) << i;
        if (bucket.ready_at(start + Duration::seconds(-2)) == before) ++free_of_charge;
    }
    EXPECT_GE(free_of_charge, 3'100);
    EXPECT_GT(tokens.take(bucket, 1, start), start);
}

TEST(leased_tokens, of_several_shards_keep_the_rate_together) {
    SharedBucket bucket;
    constexpr std::int64_t burst = 640;
    bucket.set_rate({.per_second = 1'000, .burst = burst});
    std::vector<LeasedTokens> shards(8);
    Prng prng{3};
    std::int64_t taken = 0;
    Instant now = start;
    for (int i = 0; i < 20'000; ++i) {
        now = now + Duration::microseconds(static_cast<std::int64_t>(prng.below(300)));
        auto& shard = shards[prng.below(shards.size())];
        if (bucket.ready_at(now) > now) continue;  // as a reader that is paused
        static_cast<void>(shard.take(bucket, 1, now));
        ++taken;
    }
    const std::int64_t most = burst + (now - start).count_ms();
    EXPECT_LE(taken, most + 8 * (burst / 32 + 1));
    EXPECT_GE(taken, (now - start).count_ms());  // and it is not kept below it
}

TEST(shared_bucket, does_not_give_the_same_token_to_two_threads) {
    SharedBucket bucket;
    bucket.set_rate({.per_second = 1, .burst = 10'000});
    std::vector<std::thread> threads;
    std::atomic<int> taken{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 5'000; ++k) taken += bucket.try_take(1, start) ? 1 : 0;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(taken.load(), 10'000);
}

}  // namespace
}  // namespace mitu::admission
