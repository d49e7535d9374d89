#include "mitu/broker/timer_queue.hpp"

#include <gtest/gtest.h>

#include <map>

#include "mitu/base/random.hpp"

namespace mitu::broker {
namespace {

using Kind = TimerQueue::Kind;

Instant at(std::int64_t seconds) { return Instant{} + Duration::seconds(seconds); }

TEST(timer_queue, gives_notes_in_the_order_of_their_time) {
    TimerQueue timers;
    EXPECT_TRUE(timers.next().is_never());
    timers.add({at(3), Kind::session, 1, 1});
    timers.add({at(1), Kind::connection, 2, 1});
    timers.add({Instant::never(), Kind::session, 3, 1});
    timers.add({at(2), Kind::session, 4, 1});
    EXPECT_EQ(timers.size(), 3u) << "never is not noted";
    EXPECT_EQ(timers.next(), at(1));
    EXPECT_FALSE(timers.take_due(at(0)));
    EXPECT_EQ(timers.take_due(at(5))->index, 2u);
    EXPECT_EQ(timers.take_due(at(5))->index, 4u);
    EXPECT_FALSE(timers.take_due(at(2)));
    EXPECT_EQ(timers.take_due(at(3))->index, 1u);
    EXPECT_TRUE(timers.next().is_never());
}

TEST(timer_queue, breaks_ties_by_kind_and_number) {
    TimerQueue timers;
    timers.add({at(1), Kind::connection, 1, 1});
    timers.add({at(1), Kind::session, 9, 1});
    timers.add({at(1), Kind::session, 2, 1});
    EXPECT_EQ(timers.take_due(at(1))->index, 2u);
    EXPECT_EQ(timers.take_due(at(1))->index, 9u);
    EXPECT_EQ(timers.take_due(at(1))->kind, Kind::connection);
}

TEST(timer_queue, prunes_what_is_not_wanted_and_stays_in_order) {
    Prng prng{5};
    TimerQueue timers;
    std::map<Instant, std::uint32_t> wanted;
    for (std::uint32_t i = 0; i < 1'000; ++i) {
        const TimerQueue::Note note{at(static_cast<std::int64_t>(prng.below(1'000'000))),
                                    Kind::session, i, 1};
        timers.add(note);
        timers.add(note);
        if (i % 3 == 0) wanted[note.at] = i;
    }
    timers.prune([](const TimerQueue::Note& note) { return note.index % 3 == 0; });
    EXPECT_EQ(timers.size(), wanted.size());
    timers.add({at(-1), Kind::session, 0, 0});
    EXPECT_EQ(timers.take_due(at(0))->at, at(-1));
    for (const auto& [when, index] : wanted) {
        const auto note = timers.take_due(Instant::from_ns(1'000'000'000'000'000'000));
        ASSERT_TRUE(note);
        EXPECT_EQ(note->at, when);
        EXPECT_EQ(note->index, index);
    }
}

}  // namespace
}  // namespace mitu::broker
