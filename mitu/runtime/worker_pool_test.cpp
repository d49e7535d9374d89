#include "mitu/runtime/worker_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <vector>

namespace mitu::runtime {

TEST(worker_pool, runs_every_job_it_took) {
    std::atomic<int> done{0};
    WorkerPool pool{3, 1'000};
    std::promise<void> all;
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(pool.try_submit([&] {
            if (++done == 500) all.set_value();
        }));
    }
    all.get_future().wait();
    EXPECT_EQ(done.load(), 500);
}

TEST(worker_pool, one_thread_keeps_the_order) {
    std::vector<int> order;
    std::promise<void> last;
    WorkerPool pool{1, 100};
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(pool.try_submit([&order, i] { order.push_back(i); }));
    ASSERT_TRUE(pool.try_submit([&] { last.set_value(); }));
    last.get_future().wait();
    for (int i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(worker_pool, refuses_when_its_queue_is_full) {
    std::promise<void> begun;
    std::promise<void> may_end;
    WorkerPool pool{1, 2};
    ASSERT_TRUE(pool.try_submit([&] {
        begun.set_value();
        may_end.get_future().wait();
    }));
    begun.get_future().wait();
    EXPECT_TRUE(pool.try_submit([] {}));
    EXPECT_TRUE(pool.try_submit([] {}));
    EXPECT_FALSE(pool.try_submit([] {}));
    EXPECT_EQ(pool.jobs_waiting(), 2u);
    may_end.set_value();
}

TEST(worker_pool, stop_ends_what_runs_and_drops_what_waits) {
    std::promise<void> begun;
    std::promise<void> may_end;
    std::atomic<bool> first_ended{false};
    std::atomic<bool> second_ran{false};
    auto owned_by_waiting_job = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned_by_waiting_job;
    WorkerPool pool{1, 10};
    ASSERT_TRUE(pool.try_submit([&] {
        begun.set_value();
        may_end.get_future().wait();
        first_ended = true;
    }));
    begun.get_future().wait();
    ASSERT_TRUE(pool.try_submit(
        [&second_ran, kept = std::move(owned_by_waiting_job)] { second_ran = true; }));
    std::thread releaser{[&] { may_end.set_value(); }};
    pool.stop();
    releaser.join();
    // The releaser may win against stop(): then the second job had its turn. Either way the first
    // was waited for, and nothing is kept.
    EXPECT_TRUE(first_ended.load());
    EXPECT_TRUE(watch.expired());
    EXPECT_FALSE(pool.try_submit([] {}));
    pool.stop();  // again: nothing
}

}  // namespace mitu::runtime
