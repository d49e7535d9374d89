#include "mitu/memory/ring_queue.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "mitu/base/random.hpp"

namespace mitu::memory {

TEST(ring_queue, behaves_like_a_deque_whatever_the_order_of_calls) {
    Prng random{11};
    RingQueue<std::uint32_t> queue;
    std::deque<std::uint32_t> model;
    for (std::uint32_t step = 0; step < 20'000; ++step) {
        const auto choice = random.below(10);
        if (choice < 5) {
            queue.push(step);
            model.push_back(step);
        } else if (choice < 8 && !model.empty()) {
            EXPECT_EQ(queue.front(), model.front());
            queue.pop();
            model.pop_front();
        } else if (choice == 8 && !model.empty()) {
            const auto i = random.below(model.size());
            queue.erase_at(static_cast<std::uint32_t>(i));
            model.erase(model.begin() + static_cast<std::ptrdiff_t>(i));
        } else if (random.below(200) == 0) {
            queue.clear();
            model.clear();
        }
        ASSERT_EQ(queue.size(), model.size());
        for (std::uint32_t i = 0; i < model.size(); ++i) ASSERT_EQ(queue.at(i), model[i]);
    }
}

TEST(ring_queue, holds_little_memory_when_it_has_run_empty) {
    RingQueue<int> queue;
    EXPECT_EQ(queue.memory_bytes(), 0u);
    for (int i = 0; i < 1'000; ++i) queue.push(i);
    EXPECT_GE(queue.memory_bytes(), 1'000 * sizeof(int));
    while (!queue.empty()) queue.pop();
    EXPECT_EQ(queue.memory_bytes(), 0u) << "a large ring goes at once";
    for (int i = 0; i < 100; ++i) queue.push(i);
    while (!queue.empty()) queue.erase_at(0);
    EXPECT_EQ(queue.memory_bytes(), 128 * sizeof(int)) << "a small one stays for what comes next";
    queue.push(7);
    EXPECT_EQ(queue.front(), 7);
    queue.clear();
    EXPECT_EQ(queue.memory_bytes(), 0u);
}

}  // namespace mitu::memory
