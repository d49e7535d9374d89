#include "mitu/runtime/thread_trace.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

namespace mitu::runtime {
namespace {

/// A thread that hangs in user code until it is let go.
class Hanging {
public:
    Hanging() {
        while (number_.load() == 0) std::this_thread::yield();
    }
    ~Hanging() {
        is_free_ = true;
        thread_.join();
    }
    [[nodiscard]] pid_t number() const { return number_.load(); }

private:
    void hang() {
        number_ = own_thread_number();
        while (!is_free_) std::this_thread::yield();
    }
    std::atomic<pid_t> number_{0};
    std::atomic<bool> is_free_{false};
    std::thread thread_{[this] { hang(); }};
};

TEST(thread_trace, names_frames_of_a_thread_that_hangs_as_file_and_offset) {
    install_thread_trace();
    const Hanging hanging;
    for (int i = 0; i < 3; ++i) {
        const auto frames = trace_thread(hanging.number(), Duration::seconds(20));
        ASSERT_FALSE(frames.empty());
        EXPECT_TRUE(std::any_of(frames.begin(), frames.end(), [](const std::string& frame) {
            return frame.starts_with("thread_trace_test+0x");
        })) << frames.front();
    }
}

TEST(thread_trace, of_a_thread_that_is_gone_is_empty) {
    install_thread_trace();
    pid_t number = 0;
    {
        const Hanging hanging;
        number = hanging.number();
    }
    EXPECT_TRUE(trace_thread(number, Duration::milliseconds(1)).empty());
}

TEST(thread_trace, does_not_wait_longer_than_it_may_for_one_that_does_not_answer) {
    install_thread_trace();
    std::atomic<pid_t> number{0};
    std::atomic<bool> is_free{false};
    std::thread deaf{[&] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        number = own_thread_number();
        while (!is_free) std::this_thread::yield();
    }};
    while (number == 0) std::this_thread::yield();
    EXPECT_TRUE(trace_thread(number, Duration::milliseconds(20)).empty());
    const Hanging hanging;  // the question that nobody answered is in nobody's way
    EXPECT_FALSE(trace_thread(hanging.number(), Duration::seconds(20)).empty());
    is_free = true;
    deaf.join();
}

}  // namespace
}  // namespace mitu::runtime
