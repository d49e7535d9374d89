#include "bench/sequence_check.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace mitu::bench {
namespace {

SequenceFaults faults_of(std::initializer_list<std::uint64_t> received, std::uint64_t sent) {
    SequenceCheck check;
    for (const auto sequence : received) check.on_received(sequence);
    return check.faults(sent);
}

TEST(sequence_check, finds_nothing_when_all_arrived_in_order) {
    EXPECT_TRUE(faults_of({0, 1, 2, 3}, 4).none());
    EXPECT_TRUE(faults_of({}, 0).none());
}

TEST(sequence_check, counts_what_never_arrived_as_lost) {
    EXPECT_EQ(faults_of({0, 1, 4}, 6).lost, 3u);  // 2, 3 and 5
    EXPECT_EQ(faults_of({}, 7).lost, 7u);
}

TEST(order_check, minds_going_back_and_nothing_else) {
    OrderCheck gaps;
    for (const std::uint64_t sequence : {3u, 4u, 9u}) gaps.on_received(sequence);
    EXPECT_TRUE(gaps.faults().none());

    OrderCheck back;
    for (const std::uint64_t sequence : {3u, 3u, 9u, 4u}) back.on_received(sequence);
    EXPECT_EQ(back.faults().duplicated, 1u);
    EXPECT_EQ(back.faults().reordered, 1u);
    EXPECT_EQ(back.faults().lost, 0u);
}

TEST(sequence_check, tells_a_late_message_from_a_second_copy) {
    const auto late = faults_of({0, 2, 1, 3}, 4);
    EXPECT_EQ(late.reordered, 1u);
    EXPECT_EQ(late.lost, 0u);
    EXPECT_EQ(late.duplicated, 0u);

    const auto copy = faults_of({0, 1, 1, 2}, 3);
    EXPECT_EQ(copy.duplicated, 1u);
    EXPECT_EQ(copy.reordered, 0u);
    EXPECT_EQ(copy.lost, 0u);
}

TEST(sequence_check, tells_new_messages_from_those_seen_before) {
    SequenceCheck check;
    EXPECT_TRUE(check.on_received(0));
    EXPECT_TRUE(check.on_received(3));
    EXPECT_TRUE(check.on_received(2));
    EXPECT_FALSE(check.on_received(2));
    EXPECT_FALSE(check.on_received(0));
    EXPECT_EQ(check.next(), 4u);
}

TEST(sequence_check, remembers_only_so_many_gaps_but_counts_all) {
    const std::uint64_t far = SequenceCheck::missing_max * 3;
    const auto faults = faults_of({far}, far + 1);
    EXPECT_EQ(faults.lost, far);
}

}  // namespace
}  // namespace mitu::bench
