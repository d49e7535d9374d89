#include "mitu/ports/inbox.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace mitu::ports {

TEST(inbox, hands_over_in_the_order_of_pushing) {
    Inbox<int> inbox;
    EXPECT_TRUE(inbox.is_empty());
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(inbox.try_push(i));
    EXPECT_FALSE(inbox.is_empty());

    std::vector<int> values{99};
    inbox.drain(values);
    EXPECT_EQ(values, (std::vector{0, 1, 2}));
    EXPECT_TRUE(inbox.is_empty());
    inbox.drain(values);
    EXPECT_TRUE(values.empty());
}

TEST(inbox, refuses_when_full_and_leaves_the_value_with_its_owner) {
    Inbox<std::unique_ptr<int>> inbox{1};
    EXPECT_TRUE(inbox.try_push(std::make_unique<int>(1)));
    auto second = std::make_unique<int>(2);
    EXPECT_FALSE(inbox.try_push(std::move(second)));
    EXPECT_NE(second, nullptr);  // NOLINT(bugprone-use-after-move): that it stays is the promise

    std::vector<std::unique_ptr<int>> values;
    inbox.drain(values);
    EXPECT_TRUE(inbox.try_push(std::move(second)));
}

TEST(inbox, loses_nothing_between_threads) {
    constexpr int threads = 4;
    constexpr int per_thread = 5'000;
    Inbox<std::pair<int, int>> inbox;
    std::vector<std::thread> pushers;
    for (int t = 0; t < threads; ++t) {
        pushers.emplace_back([&inbox, t] {
            for (int i = 0; i < per_thread; ++i) {
                while (!inbox.try_push(std::pair{t, i})) std::this_thread::yield();
            }
        });
    }
    std::vector<int> next(threads, 0);
    std::vector<std::pair<int, int>> values;
    for (int seen = 0; seen < threads * per_thread;) {
        inbox.drain(values);
        if (values.empty()) std::this_thread::yield();
        for (const auto& [thread, i] : values) {
            ASSERT_EQ(i, next[static_cast<std::size_t>(thread)]++);
            ++seen;
        }
    }
    for (auto& pusher : pushers) pusher.join();
    EXPECT_TRUE(inbox.is_empty());
}

}  // namespace mitu::ports
