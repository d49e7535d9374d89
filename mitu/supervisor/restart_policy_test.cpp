#include "mitu/supervisor/restart_policy.hpp"

#include <gtest/gtest.h>

namespace mitu::supervisor {
namespace {

Instant at(std::int64_t ms) { return Instant{} + Duration::milliseconds(ms); }

TEST(restart_policy, starts_again_at_once_after_the_first_death) {
    RestartPolicy policy;
    EXPECT_EQ(policy.on_death(at(1'000)), Duration{});
    EXPECT_EQ(policy.recent_deaths(), 1u);
}

TEST(restart_policy, waits_longer_with_each_death) {
    RestartPolicy policy;
    EXPECT_EQ(policy.on_death(at(0)), Duration{});
    EXPECT_EQ(policy.on_death(at(10)), Duration::milliseconds(100));
    EXPECT_EQ(policy.on_death(at(200)), Duration::milliseconds(400));
    EXPECT_EQ(policy.on_death(at(900)), Duration::milliseconds(1'600));
}

TEST(restart_policy, gives_up_at_the_fifth_death_within_a_minute) {
    RestartPolicy policy;
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(policy.on_death(at(i * 14'999)).has_value());
    EXPECT_EQ(policy.on_death(at(59'999)), std::nullopt);
}

TEST(restart_policy, forgets_deaths_that_are_a_minute_old) {
    RestartPolicy policy;
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(policy.on_death(at(i)).has_value());
    EXPECT_EQ(policy.on_death(at(60'003)), Duration{});
    EXPECT_EQ(policy.recent_deaths(), 1u);
}

TEST(restart_policy, goes_on_for_ever_where_deaths_are_rare) {
    RestartPolicy policy;
    for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(policy.on_death(at(i * 15'000)).has_value()) << i;
}

TEST(restart_policy, keeps_to_the_longest_wait) {
    RestartPolicy policy{{.deaths_max = 50}};
    std::optional<Duration> wait;
    for (int i = 0; i < 49; ++i) wait = policy.on_death(at(i));
    EXPECT_EQ(wait, Duration::seconds(5));
}

}  // namespace
}  // namespace mitu::supervisor
