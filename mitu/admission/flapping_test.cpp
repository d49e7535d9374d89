#include "mitu/admission/flapping.hpp"

#include <gtest/gtest.h>

#include "mitu/base/random.hpp"

namespace mitu::admission {
namespace {

constexpr Instant start = Instant::from_ns(1'000'000'000);

FlappingDetector detector(std::uint32_t connects_max, std::uint32_t clients_max = 64) {
    return FlappingDetector{{.connects_max = connects_max,
                             .window = Duration::seconds(60),
                             .ban = Duration::seconds(300),
                             .clients_max = clients_max}};
}

TEST(flapping, notices_one_connect_too_many_within_the_window) {
    FlappingDetector watch = detector(5);
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(watch.is_flapping(1, start));
    EXPECT_TRUE(watch.is_flapping(1, start));
    EXPECT_FALSE(watch.is_flapping(1, start));  // counts anew: the ban is somebody else's memory
    EXPECT_FALSE(watch.is_flapping(2, start));
}

TEST(flapping, has_nothing_against_who_connects_steadily) {
    FlappingDetector watch = detector(6);
    Instant now = start;
    for (int i = 0; i < 1'000; ++i) {
        EXPECT_FALSE(watch.is_flapping(1, now));
        now = now + Duration::seconds(10);
    }
}

TEST(flapping, watches_nobody_unless_told_and_takes_no_memory_then) {
    FlappingDetector watch = detector(0);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(watch.is_flapping(1, start));
    EXPECT_EQ(watch.memory(), 0u);
}

TEST(flapping, keeps_its_size_whoever_comes_and_bans_no_stranger) {
    FlappingDetector watch = detector(3, 64);
    Prng prng{1};
    for (int i = 0; i < 100'000; ++i) {
        ASSERT_FALSE(watch.is_flapping(prng.next(), start));  // each once
    }
    EXPECT_EQ(watch.memory(), 64 * 16u);
}

TEST(flapping, still_sees_who_flaps_among_those_who_come_once) {
    FlappingDetector watch = detector(10, 512);
    Prng prng{1};
    Instant now = start;
    bool is_seen = false;
    for (int i = 0; i < 11; ++i) {
        for (int k = 0; k < 20; ++k) static_cast<void>(watch.is_flapping(prng.next(), now));
        is_seen |= watch.is_flapping(42, now);
        now = now + Duration::milliseconds(10);
    }
    EXPECT_TRUE(is_seen);
}

}  // namespace
}  // namespace mitu::admission
