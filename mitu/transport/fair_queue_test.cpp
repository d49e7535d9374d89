#include "mitu/transport/fair_queue.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mitu::transport {
namespace {

std::vector<int> drain(FairQueue<int>& queue) {
    std::vector<int> order;
    while (const auto value = queue.pop()) order.push_back(*value);
    return order;
}

}  // namespace

TEST(fair_queue, groups_take_turns_and_each_is_first_in_first_out) {
    FairQueue<int> queue{100};
    for (const int value : {10, 11, 12, 13}) EXPECT_TRUE(queue.push(1, value).accepted);
    for (const int value : {20, 21}) EXPECT_TRUE(queue.push(2, value).accepted);
    EXPECT_TRUE(queue.push(3, 30).accepted);
    EXPECT_EQ(queue.size(), 7u);
    EXPECT_EQ(drain(queue), (std::vector{10, 20, 30, 11, 21, 12, 13}));
    EXPECT_TRUE(queue.empty());
}

TEST(fair_queue, full_the_largest_group_gives_up_its_newest) {
    FairQueue<int> queue{4};
    for (const int value : {10, 11, 12, 13}) EXPECT_TRUE(queue.push(1, value).accepted);
    EXPECT_FALSE(queue.push(1, 14).accepted);
    const auto first = queue.push(2, 20);
    EXPECT_TRUE(first.accepted);
    EXPECT_EQ(first.shed, 13);
    const auto second = queue.push(2, 21);
    EXPECT_EQ(second.shed, 12);
    EXPECT_FALSE(queue.push(2, 22).accepted);  // it has its share now
    EXPECT_EQ(drain(queue), (std::vector{10, 20, 11, 21}));
}

TEST(fair_queue, who_leaves_is_not_served) {
    FairQueue<int> queue{4};
    for (const int value : {10, 11}) EXPECT_TRUE(queue.push(1, value).accepted);
    EXPECT_TRUE(queue.push(2, 20).accepted);
    queue.erase(1, 10);
    queue.erase(1, 99);
    queue.erase(7, 10);
    queue.erase(2, 20);
    EXPECT_EQ(queue.size(), 1u);
    EXPECT_EQ(drain(queue), (std::vector{11}));
}

TEST(fair_queue, nothing_fits_into_none) {
    FairQueue<int> queue{0};
    EXPECT_FALSE(queue.push(1, 1).accepted);
}

}  // namespace mitu::transport
