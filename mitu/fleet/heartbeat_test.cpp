#include "mitu/fleet/heartbeat.hpp"

#include <gtest/gtest.h>

namespace mitu::fleet {
namespace {

using Change = Heartbeat::Change;
constexpr Duration timeout = Duration::seconds(90);

Instant at(std::int64_t s) { return Instant::from_ns(s * 1'000'000'000); }

TEST(heartbeat, is_missed_after_the_timeout_and_recovers_when_heard) {
    Heartbeat heartbeat;
    EXPECT_EQ(heartbeat.on_heard(at(10)), Change::none);
    EXPECT_EQ(heartbeat.next_deadline(timeout), at(100));
    EXPECT_EQ(heartbeat.on_deadline(at(99), timeout), Change::none);
    EXPECT_EQ(heartbeat.on_heard(at(50)), Change::none);
    EXPECT_EQ(heartbeat.on_deadline(at(100), timeout), Change::none);
    EXPECT_EQ(heartbeat.on_deadline(at(140), timeout), Change::missed);
    EXPECT_TRUE(heartbeat.missed());
    EXPECT_TRUE(heartbeat.next_deadline(timeout).is_never());
    EXPECT_EQ(heartbeat.on_deadline(at(500), timeout), Change::none);
    EXPECT_EQ(heartbeat.on_heard(at(501)), Change::recovered);
    EXPECT_FALSE(heartbeat.missed());
    EXPECT_EQ(heartbeat.next_deadline(timeout), at(591));
}

TEST(heartbeat, is_not_expected_after_a_clean_goodbye) {
    Heartbeat heartbeat;
    heartbeat.on_heard(at(10));
    heartbeat.on_goodbye(true);
    EXPECT_TRUE(heartbeat.next_deadline(timeout).is_never());
    EXPECT_EQ(heartbeat.on_deadline(at(1'000), timeout), Change::none);
    EXPECT_EQ(heartbeat.on_heard(at(2'000)), Change::none);
    EXPECT_EQ(heartbeat.next_deadline(timeout), at(2'090));
}

TEST(heartbeat, runs_on_after_a_cut_connection) {
    Heartbeat heartbeat;
    heartbeat.on_heard(at(10));
    heartbeat.on_goodbye(false);
    EXPECT_EQ(heartbeat.on_deadline(at(100), timeout), Change::missed);
    heartbeat.on_goodbye(true);
    EXPECT_TRUE(heartbeat.missed());
}

TEST(heartbeat, never_misses_before_the_first_sign_or_without_a_timeout) {
    Heartbeat heartbeat;
    EXPECT_TRUE(heartbeat.next_deadline(timeout).is_never());
    EXPECT_EQ(heartbeat.on_deadline(at(1'000), timeout), Change::none);
    heartbeat.on_heard(at(10));
    EXPECT_TRUE(heartbeat.next_deadline(Duration{}).is_never());
    EXPECT_EQ(heartbeat.on_deadline(at(1'000), Duration{}), Change::none);
}

TEST(heartbeat, is_small) { EXPECT_LE(sizeof(Heartbeat), 16u); }

}  // namespace
}  // namespace mitu::fleet
