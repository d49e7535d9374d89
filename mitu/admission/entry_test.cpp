#include "mitu/admission/entry.hpp"

#include <gtest/gtest.h>

namespace mitu::admission {
namespace {

constexpr Instant start = Instant::from_ns(1'000'000'000);
const IpAddress somebody = make_v4(192, 0, 2, 7);

TEST(entry, lets_everybody_in_whom_nothing_bounds) {
    Control control;
    BanView bans;
    for (int i = 0; i < 1'000; ++i) {
        ASSERT_FALSE(judge_address(control, bans, somebody, start));
        ASSERT_FALSE(judge_pace(control, 0, start));
    }
}

TEST(entry, refuses_a_banned_network_until_the_ban_ends) {
    Control control;
    BanView bans;
    const Instant end = start + Duration::seconds(60);
    ASSERT_TRUE(control.bans.set(
        {BanTarget::from(*parse_ip_network("192.0.2.0/24")), "storm", "test", start, end}));
    const auto refusal = judge_address(control, bans, somebody, start);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->bound, (Bound{Limit::ban, Scope::server}));
    EXPECT_EQ(refusal->retry_at, end);
    EXPECT_FALSE(judge_address(control, bans, make_v4(192, 0, 3, 7), start));
    EXPECT_FALSE(judge_address(control, bans, somebody, end));
}

TEST(entry, refuses_everybody_while_memory_is_short_and_not_a_moment_longer) {
    constexpr std::uint64_t budget = 1u << 30;
    Control control{{.memory = {.budget_bytes = budget}}};
    BanView bans;
    control.memory.update(budget);
    const auto refusal = judge_address(control, bans, somebody, start);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->bound, (Bound{Limit::memory, Scope::server}));
    EXPECT_EQ(refusal->retry_at, start + control.options.retry_after);
    control.memory.update(budget / 2);
    EXPECT_FALSE(judge_address(control, bans, somebody, start));
}

TEST(entry, holds_the_pace_of_each_listener_and_of_all_together) {
    Control control{{.server = {.connect_rate = {.per_second = 10, .burst = 3}}}};
    control.ledger.set_listener(1, {.connect_rate = {.per_second = 1, .burst = 1}});
    EXPECT_FALSE(judge_pace(control, 1, start));
    const auto of_listener = judge_pace(control, 1, start);
    ASSERT_TRUE(of_listener);
    EXPECT_EQ(of_listener->bound, (Bound{Limit::connect_rate, Scope::listener}));
    EXPECT_EQ(of_listener->retry_at, start + Duration::seconds(1));
    EXPECT_FALSE(judge_pace(control, 0, start)) << "another listener has its own pace";
    EXPECT_FALSE(judge_pace(control, 0, start));
    const auto of_server = judge_pace(control, 0, start);
    ASSERT_TRUE(of_server);
    EXPECT_EQ(of_server->bound, (Bound{Limit::connect_rate, Scope::server}));
    EXPECT_FALSE(judge_pace(control, 1, start + Duration::seconds(1)));
}

}  // namespace
}  // namespace mitu::admission
