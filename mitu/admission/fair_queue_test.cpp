#include "mitu/admission/fair_queue.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "mitu/base/random.hpp"

namespace mitu::admission {
namespace {

constexpr Instant now = Instant::from_ns(1'000'000'000);
constexpr Instant later = Instant::from_ns(2'000'000'000);

using Queue = FairQueue<int, std::string>;

TEST(fair_queue, serves_groups_in_turn_and_each_in_order) {
    Queue queue{{}};
    for (const char* item : {"a1", "a2", "a3"}) EXPECT_EQ(queue.push(1, item, later), std::nullopt);
    EXPECT_EQ(queue.push(2, "b1", later), std::nullopt);
    std::vector<std::string> order;
    while (auto next = queue.pop(now)) order.push_back(next->item);
    EXPECT_EQ(order, (std::vector<std::string>{"a1", "b1", "a2", "a3"}));
    EXPECT_EQ(queue.group_count(), 0u);
}

TEST(fair_queue, gives_the_item_back_when_there_is_no_place) {
    Queue queue{{.items_max = 3, .group_items_max = 2}};
    EXPECT_EQ(queue.push(1, "x", later), std::nullopt);
    EXPECT_EQ(queue.push(1, "y", later), std::nullopt);
    EXPECT_EQ(queue.push(1, "z", later), "z");  // of the group
    EXPECT_EQ(queue.push(2, "x", later), std::nullopt);
    EXPECT_EQ(queue.push(3, "x", later), "x");  // of all
    EXPECT_EQ(queue.size(), 3u);
}

TEST(fair_queue, keeps_places_for_those_who_have_some) {
    Queue queue{{.items_max = 4}};
    ASSERT_TRUE(queue.reserve(2, 2));
    EXPECT_FALSE(queue.reserve(3, 3));
    for (int i = 0; i < 2; ++i) EXPECT_EQ(queue.push(1, "a", later), std::nullopt);
    EXPECT_EQ(queue.push(1, "a", later), "a");
    for (int i = 0; i < 2; ++i) EXPECT_EQ(queue.push(2, "b", later), std::nullopt);
    EXPECT_EQ(queue.push(2, "b", later), "b");
}

TEST(fair_queue, hands_out_who_waited_too_long_without_giving_a_turn_to_it) {
    Queue queue{{}};
    EXPECT_EQ(queue.push(1, "dead", now), std::nullopt);
    EXPECT_EQ(queue.push(1, "alive", later), std::nullopt);
    EXPECT_EQ(queue.push(2, "other", later), std::nullopt);
    EXPECT_EQ(queue.pop(now)->item, "dead");
    EXPECT_EQ(queue.pop(now)->item, "alive");
    EXPECT_EQ(queue.pop_expired(now), std::nullopt);
    EXPECT_EQ(queue.pop_expired(later)->item, "other");
}

/// Random pushes and pops: never above the bounds, reserved places always there, and who waits is
/// passed by each other group once at most.
TEST(fair_queue, is_fair_and_bounded_whatever_comes) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Prng prng{seed};
        const std::size_t items_max = 8 + prng.below(20);
        FairQueue<int, int> queue{{.items_max = items_max, .group_items_max = items_max}};
        std::size_t reserved[4]{};
        std::size_t waiting[4]{};
        std::size_t passed_by[4][4]{};
        for (int g = 0; g < 4; ++g) {
            reserved[g] = prng.below(3);
            ASSERT_TRUE(queue.reserve(g, reserved[g]));
        }
        for (int i = 0; i < 1'000; ++i) {
            const int group = static_cast<int>(prng.below(4));
            if (prng.chance(0.55)) {
                const bool is_in = !queue.push(group, i, later);
                ASSERT_TRUE(is_in || waiting[group] >= reserved[group]);
                if (is_in && waiting[group]++ == 0) {
                    for (auto& count : passed_by[group]) count = 0;
                }
            } else if (const auto next = queue.pop(now)) {
                --waiting[next->group];
                for (int g = 0; g < 4; ++g) {
                    if (g == next->group || waiting[g] == 0) continue;
                    ASSERT_LE(++passed_by[g][next->group], 2u) << "seed " << seed;
                }
                for (auto& count : passed_by[next->group]) count = 0;
            }
            ASSERT_EQ(queue.size(), waiting[0] + waiting[1] + waiting[2] + waiting[3]);
            ASSERT_LE(queue.size(), items_max);
        }
    }
}

}  // namespace
}  // namespace mitu::admission
