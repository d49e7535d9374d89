#include "mitu/runtime/fault_signals.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <thread>

#include "mitu/memory/fault_zone.hpp"
#include "mitu/memory/poison.hpp"
#include "mitu/memory/reservation.hpp"

namespace mitu::runtime {
namespace {

using memory::ZoneFault;

/// Addresses that are ours and closed, as behind the end of a pool.
struct GuardPage {
    std::optional<memory::Reservation> memory = memory::Reservation::make(memory::page_bytes);
    [[nodiscard]] volatile std::uint8_t* at() const { return memory->data(); }
};

class FaultSignalsTest : public ::testing::Test {
protected:
    static void SetUpTestSuite() { install_fault_signals(); }
    FaultStack stack_;
    GuardPage guard_;
};

TEST_F(FaultSignalsTest, turn_a_bad_access_inside_a_zone_into_its_fault) {
    for (int i = 0; i < 1'000; ++i) {
        const auto fault = memory::in_fault_zone([&] { *guard_.at() = 1; });
        ASSERT_EQ(fault, ZoneFault::bad_access);
        ASSERT_FALSE(memory::is_in_fault_zone());
    }
    EXPECT_EQ(memory::in_fault_zone([] {}), std::nullopt);
}

TEST_F(FaultSignalsTest, work_in_every_thread_that_has_a_stack_for_them) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            const FaultStack stack;
            const GuardPage guard;
            for (int i = 0; i < 200; ++i) {
                const auto fault = memory::in_fault_zone([&] { *guard.at() = 1; });
                EXPECT_EQ(fault, ZoneFault::bad_access);
            }
        });
    }
    for (auto& thread : threads) thread.join();
}

#if !defined(MITU_HAS_ASAN) && !defined(MITU_HAS_TSAN)
// Sanitizers have stacks of their own mind.
[[gnu::noinline]] std::uint64_t without_end(std::uint64_t depth) {
    if (depth == 0) return 0;
    volatile std::uint8_t frame[4'096];
    frame[depth % sizeof frame] = static_cast<std::uint8_t>(depth);
    return without_end(depth + 1) + frame[depth % sizeof frame];
}

TEST_F(FaultSignalsTest, leave_a_zone_that_has_run_out_of_stack) {
    std::thread thread{[] {
        const FaultStack stack;
        for (int i = 0; i < 3; ++i) {
            std::uint64_t depth = 0;
            const auto fault = memory::in_fault_zone([&] { depth = without_end(1); });
            EXPECT_EQ(fault, ZoneFault::bad_access);
        }
    }};
    thread.join();
}
#endif

using FaultSignalsDeathTest = FaultSignalsTest;

TEST_F(FaultSignalsDeathTest, stop_the_process_outside_of_a_zone) {
    EXPECT_DEATH({ *guard_.at() = 1; }, "SIGSEGV at 0x[0-9a-f]+, outside of any fault zone");
}

TEST_F(FaultSignalsDeathTest, stop_the_process_while_a_zone_is_paused) {
    const auto paused = [&] {
        static_cast<void>(memory::in_fault_zone([&] {
            const memory::ZonePause pause;
            *guard_.at() = 1;
        }));
    };
    EXPECT_DEATH(paused(), "outside of any fault zone");
}

TEST_F(FaultSignalsDeathTest, do_not_take_a_signal_that_was_sent_for_an_access) {
    const auto sent = [] { static_cast<void>(memory::in_fault_zone([] { raise(SIGSEGV); })); };
    EXPECT_DEATH(sent(), "outside of any fault zone");
}

}  // namespace
}  // namespace mitu::runtime
