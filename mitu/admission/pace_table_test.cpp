#include "mitu/admission/pace_table.hpp"

#include <gtest/gtest.h>

#include "mitu/base/random.hpp"

namespace mitu::admission {
namespace {

constexpr Instant start = Instant::from_ns(1'000'000'000);

TEST(client_paces, lets_so_many_connects_of_a_minute_come_at_once_and_says_when_the_next_may) {
    ClientPaces paces{64};
    for (int i = 0; i < 6; ++i) EXPECT_FALSE(paces.try_connect(1, 6, start));
    const auto ready = paces.try_connect(1, 6, start);
    ASSERT_TRUE(ready);
    EXPECT_EQ(*ready, start + Duration::seconds(10));
    EXPECT_TRUE(paces.try_connect(1, 6, *ready + Duration::nanoseconds(-1)));
    EXPECT_FALSE(paces.try_connect(1, 6, *ready)) << "who was refused did not count";
    EXPECT_TRUE(paces.try_connect(1, 6, *ready));
    EXPECT_FALSE(paces.try_connect(2, 6, *ready)) << "another client has its own pace";
}

TEST(client_paces, takes_no_memory_while_it_is_off) {
    ClientPaces paces;
    for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(paces.try_connect(1, 0, start));
    EXPECT_EQ(paces.memory(), 0u);
}

TEST(client_paces, keeps_its_size_and_refuses_no_stranger) {
    ClientPaces paces{64};
    Prng prng{1};
    for (int i = 0; i < 10'000; ++i) ASSERT_FALSE(paces.try_connect(prng.next(), 1, start));
    EXPECT_EQ(paces.memory(), 64 * 16u);
}

}  // namespace
}  // namespace mitu::admission
