#include "mitu/runtime/process.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "mitu/runtime/signals.hpp"

namespace mitu::runtime {

TEST(open_files_limit, rises_to_what_is_allowed_and_never_falls) {
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit low{64, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);

    const OpenFilesLimit some = raise_open_files_limit(100);
    EXPECT_EQ(some.soft, 100u);
    EXPECT_EQ(some.hard, before.rlim_max);
    EXPECT_TRUE(some.is_enough());
    EXPECT_EQ(raise_open_files_limit(50).soft, 100u);

    const OpenFilesLimit most = raise_open_files_limit(before.rlim_max);
    EXPECT_EQ(most.soft, before.rlim_max);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(process, knows_its_size) {
    const std::uint64_t before = resident_bytes();
    EXPECT_GT(before, 100'000u);
    constexpr std::size_t grow = 67'108'864;
    // volatile: memory that nobody looks at may be optimised away.
    const auto big = std::make_unique_for_overwrite<volatile char[]>(grow);
    for (std::size_t i = 0; i < grow; i += 4'096) big[i] = 'x';
    EXPECT_GT(resident_bytes(), before + grow / 2);
}

TEST(process, pins_a_thread_to_one_core) {
    EXPECT_GE(usable_cores(), 1u);
    std::thread{[] {
        name_thread("a name that is far too long");
        char name[32] = {};
        pthread_getname_np(pthread_self(), name, sizeof name);
        EXPECT_STREQ(name, "a name that is ");
        for (std::size_t i = 0; i < 3; ++i) {
            if (!pin_thread_to_core(i)) GTEST_SKIP() << "pinning is not allowed here";
            cpu_set_t cores;
            ASSERT_EQ(sched_getaffinity(0, sizeof cores, &cores), 0);
            EXPECT_EQ(CPU_COUNT(&cores), 1);
        }
    }}.join();
}

TEST(signal_waiter, takes_signals_that_reach_any_thread) {
    // In a child, so that the test's own signals keep their meaning.
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        bool ok = true;
        {
            const SignalWaiter waiter;
            ok = ok && !waiter.wait(Duration{}).has_value();
            const struct {
                int number;
                Signal signal;
            } rows[] = {{SIGHUP, Signal::hangup},
                        {SIGINT, Signal::interrupt},
                        {SIGTERM, Signal::terminate}};
            for (const auto& row : rows) {
                // Sent to the process: were it open in any thread, it would kill.
                kill(getpid(), row.number);
                ok = ok && waiter.wait() == row.signal;
            }
            raise(SIGPIPE);
        }
        _exit(ok ? 7 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace mitu::runtime
