#include "mitu/node/stall_watch.hpp"

#include <gtest/gtest.h>

#include "mitu/node/pulse.hpp"

namespace mitu::node {
namespace {

using Verdict = StallWatch::Verdict;

/// Looks at a shard every 250 ms.
class Looks {
public:
    Verdict at_turn(std::uint64_t turns, Duration later = Duration::milliseconds(250)) {
        now_ = now_ + later;
        return watch_.look(turns, now_);
    }
    StallWatch watch_{StallLimits{}};

private:
    Instant now_;
};

TEST(stall_watch, says_nothing_of_a_shard_that_turns_however_rarely) {
    Looks looks;
    for (std::uint64_t turn = 1; turn < 100; ++turn) {
        for (int i = 0; i < 7; ++i) EXPECT_EQ(looks.at_turn(turn), Verdict::turns);
    }
}

TEST(stall_watch, says_once_that_a_shard_stalls_and_once_that_it_is_back) {
    Looks looks;
    EXPECT_EQ(looks.at_turn(1), Verdict::turns);
    for (int i = 0; i < 7; ++i) EXPECT_EQ(looks.at_turn(1), Verdict::turns) << i;
    EXPECT_EQ(looks.at_turn(1), Verdict::stalls);
    EXPECT_EQ(looks.watch_.stalled_for(), Duration::seconds(2));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(looks.at_turn(1), Verdict::turns) << i;
    EXPECT_EQ(looks.at_turn(2), Verdict::recovered);
    EXPECT_EQ(looks.at_turn(2), Verdict::turns);
}

TEST(stall_watch, calls_it_hanging_after_ten_seconds_of_looks) {
    Looks looks;
    EXPECT_EQ(looks.at_turn(1), Verdict::turns);
    for (int i = 1; i < 40; ++i) EXPECT_NE(looks.at_turn(1), Verdict::hangs) << i;
    EXPECT_EQ(looks.at_turn(1), Verdict::hangs);
    EXPECT_EQ(looks.at_turn(1), Verdict::hangs);
}

TEST(stall_watch, does_not_count_time_in_which_nobody_looked) {
    Looks looks;
    EXPECT_EQ(looks.at_turn(1), Verdict::turns);
    // SIGSTOP for an hour, three times; the shard gets to its turn a little later than the look.
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(looks.at_turn(1, Duration::seconds(3'600)), Verdict::turns) << i;
    }
    EXPECT_EQ(looks.watch_.stalled_for(), Duration::milliseconds(1'500));
}

TEST(pulse, answers_the_oldest_open_question_at_the_next_turn) {
    Pulse pulse;
    const Instant start = Instant::from_ns(1'000'000'000);
    pulse.beat(start);
    EXPECT_EQ(pulse.turns(), 1u);
    EXPECT_EQ(pulse.delays().sum_ns.read(), 0u) << "nobody has asked";
    pulse.ask(start);
    pulse.ask(start + Duration::milliseconds(250));
    pulse.beat(start + Duration::milliseconds(700));
    pulse.beat(start + Duration::milliseconds(900));
    EXPECT_EQ(pulse.delays().last_ns.read(), 700'000'000u);
    EXPECT_EQ(pulse.delays().max_ns.read(), 700'000'000u);
    EXPECT_EQ(pulse.delays().counts[7].read(), 1u) << "500 ms to 1 s";
    EXPECT_EQ(pulse.turns(), 3u);
    EXPECT_EQ(pulse.last_turn(), start + Duration::milliseconds(900));
}

TEST(delay_histogram, has_a_place_for_every_delay) {
    DelayHistogram delays;
    delays.add(Duration{});
    delays.add(Duration::milliseconds(1));
    delays.add(Duration::microseconds(1'001));
    delays.add(Duration::seconds(3'600));
    delays.add(Duration::seconds(-1));  // two clocks of one process never say it; no harm is done
    EXPECT_EQ(delays.counts.front().read(), 3u);
    EXPECT_EQ(delays.counts[1].read(), 1u);
    EXPECT_EQ(delays.counts.back().read(), 1u);
}

}  // namespace
}  // namespace mitu::node
