#include "mitu/memory/fault_zone.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>

#include <array>
#include <atomic>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/memory/poison.hpp"
#include "mitu/memory/reservation.hpp"

namespace mitu::memory {
namespace {

constexpr std::array all_faults{ZoneFault::budget_spent, ZoneFault::no_memory, ZoneFault::exception,
                                ZoneFault::bad_access, ZoneFault::double_free};
static_assert(all_faults.size() == zone_fault_count);

// --- faults that code raises ---

TEST(fault_zone, lets_a_body_without_a_fault_run_to_its_end) {
    EXPECT_FALSE(is_in_fault_zone());
    int runs = 0;
    bool was_inside = false;
    EXPECT_EQ(in_fault_zone([&] {
                  was_inside = is_in_fault_zone();
                  ++runs;
              }),
              std::nullopt);
    EXPECT_TRUE(was_inside);
    EXPECT_EQ(runs, 1);
    EXPECT_FALSE(is_in_fault_zone());
    struct Body {
        int* runs;
        void operator()() const { ++*runs; }
    };
    const Body body{&runs};
    EXPECT_EQ(in_fault_zone(body), std::nullopt);
    EXPECT_EQ(in_fault_zone(Body{&runs}), std::nullopt);
    EXPECT_EQ(runs, 3);
}

TEST(fault_zone, contains_a_fault_of_each_kind_and_names_it) {
    for (const ZoneFault raised : all_faults) {
        bool went_on = false;
        const auto fault = in_fault_zone([&] {
            raise_fault(raised, "a test says so");
            went_on = true;
        });
        EXPECT_EQ(fault, raised) << to_text(raised);
        EXPECT_FALSE(went_on);
        EXPECT_FALSE(is_in_fault_zone());
    }
    EXPECT_EQ(to_text(ZoneFault::budget_spent), "budget_spent");
    EXPECT_EQ(to_text(ZoneFault::double_free), "double_free");
    EXPECT_TRUE(leaves_memory_sound(ZoneFault::no_memory));
    EXPECT_FALSE(leaves_memory_sound(ZoneFault::bad_access));
    EXPECT_FALSE(leaves_memory_sound(ZoneFault::double_free));
}

TEST(fault_zone, contains_what_is_thrown) {
    int unwound = 0;
    struct Counter {
        int& count;
        ~Counter() { ++count; }
    };
    const auto thrown = [&](auto what) {
        return in_fault_zone([&] {
            const Counter counter{unwound};
            throw what;
        });
    };
    EXPECT_EQ(thrown(std::bad_alloc{}), ZoneFault::no_memory);
    EXPECT_EQ(thrown(std::bad_array_new_length{}), ZoneFault::no_memory) << "a kind of the same";
    EXPECT_EQ(thrown(std::runtime_error{"a test says so"}), ZoneFault::exception);
    EXPECT_EQ(thrown(7), ZoneFault::exception);
    EXPECT_EQ(unwound, 4) << "exceptions unwind, unlike other faults";
    EXPECT_FALSE(is_in_fault_zone());
    EXPECT_EQ(in_fault_zone([&] {
                  try {
                      throw 7;
                  } catch (int) {
                      ++unwound;
                  }
              }),
              std::nullopt)
        << "what the body catches is its own";
    EXPECT_EQ(unwound, 5);
}

[[gnu::noinline]] std::uint64_t sink_noexcept(std::uint32_t depth,
                                              volatile std::uint64_t* steps) noexcept {
    *steps = *steps + 1;
    if (*steps > 100) raise_fault(ZoneFault::budget_spent, "a test says so");
    return depth == 0 ? 0 : sink_noexcept(depth - 1, steps) + 1;
}

TEST(fault_zone, is_left_from_deep_below_through_functions_that_do_not_throw) {
    std::uint64_t steps = 0;
    EXPECT_EQ(in_fault_zone([&] { static_cast<void>(sink_noexcept(1'000, &steps)); }),
              ZoneFault::budget_spent);
    EXPECT_EQ(steps, 101u);
}

TEST(fault_zone, leaves_the_locals_of_the_caller_as_they_were_written) {
    Prng random{1};
    for (std::uint64_t round = 0; round < 100; ++round) {
        // Enough of them that registers are kept across the zone, and one that the body writes.
        std::uint64_t a = random.next();
        std::uint64_t b = random.next();
        const std::uint64_t c = random.next();
        double d = random.unit();
        std::uint64_t seen = 0;
        const std::uint64_t sum = a + b + c;
        const double twice = d * 2;
        a += round;
        d *= 2;
        const auto fault = in_fault_zone([&seen, round] {
            std::uint64_t e = round;
            for (std::uint64_t i = 0; i < 10; ++i) e = e * 31 + i;
            seen = e;
            if (round % 2 == 0) raise_fault(ZoneFault::no_memory, "a test says so");
        });
        std::uint64_t expected = round;
        for (std::uint64_t i = 0; i < 10; ++i) expected = expected * 31 + i;
        EXPECT_EQ(seen, expected);
        EXPECT_EQ(fault.has_value(), round % 2 == 0);
        b += fault ? 1 : 0;
        EXPECT_EQ(a + b + c, sum + round + (round % 2 == 0 ? 1 : 0));
        EXPECT_EQ(d, twice);
    }
}

TEST(fault_zone, is_entered_again_after_any_number_of_faults) {
    std::uint64_t faults = 0;
    for (std::uint32_t i = 0; i < 100'000; ++i) {
        const auto fault = in_fault_zone([&] {
            if (i % 3 != 0) raise_fault(all_faults[i % all_faults.size()], "a test says so");
        });
        if (fault) {
            ++faults;
            ASSERT_EQ(fault, all_faults[i % all_faults.size()]);
        }
    }
    EXPECT_EQ(faults, 66'666u);
}

TEST(fault_zone, is_each_threads_own) {
    constexpr std::uint32_t rounds = 5'000;
    std::atomic<std::uint64_t> contained{0};
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (std::uint32_t number = 0; number < 4; ++number) {
        threads.emplace_back([&contained, number] {
            const ZoneFault mine = all_faults[number];
            for (std::uint32_t i = 0; i < rounds; ++i) {
                const auto fault = in_fault_zone([&] {
                    if (i % 2 == 0) raise_fault(mine, "a test says so");
                });
                if (fault && *fault == mine) contained.fetch_add(1, std::memory_order_relaxed);
            }
            EXPECT_FALSE(is_in_fault_zone());
        });
    }
    EXPECT_EQ(in_fault_zone([&] {
                  for (std::thread& thread : threads) thread.join();
              }),
              std::nullopt)
        << "the others' faults are not ours";
    EXPECT_EQ(contained.load(), 4 * rounds / 2);
}

// --- pauses ---

TEST(fault_zone, is_itself_again_after_a_pause) {
    const auto fault = in_fault_zone([] {
        {
            const ZonePause pause;
            EXPECT_FALSE(is_in_fault_zone());
            {
                const ZonePause another;
                EXPECT_FALSE(is_in_fault_zone());
            }
            EXPECT_FALSE(is_in_fault_zone());
        }
        EXPECT_TRUE(is_in_fault_zone());
        raise_fault(ZoneFault::no_memory, "a test says so");
    });
    EXPECT_EQ(fault, ZoneFault::no_memory);
    const ZonePause outside;
    EXPECT_FALSE(is_in_fault_zone());
}

TEST(fault_zone, contains_what_is_thrown_through_a_pause) {
    EXPECT_EQ(in_fault_zone([] {
                  const ZonePause pause;
                  throw 7;
              }),
              ZoneFault::exception);
    EXPECT_FALSE(is_in_fault_zone());
}

TEST(fault_zone_death, stops_the_process_where_no_zone_is) {
    EXPECT_DEATH(raise_fault(ZoneFault::budget_spent, "a test says so"),
                 "CHECK failed: budget_spent a test says so");
    static_cast<void>(in_fault_zone([] {}));
    EXPECT_DEATH(raise_fault(ZoneFault::double_free, "a test says so"),
                 "CHECK failed: double_free a test says so");
    leave_zone_after_bad_access();  // nothing to leave: it returns
}

TEST(fault_zone_death, stops_the_process_at_a_fault_in_a_pause) {
    EXPECT_DEATH(static_cast<void>(in_fault_zone([] {
                     const ZonePause pause;
                     raise_fault(ZoneFault::no_memory, "a test says so");
                 })),
                 "CHECK failed: no_memory a test says so");
}

TEST(fault_zone_death, does_not_nest) {
    EXPECT_DEATH(static_cast<void>(in_fault_zone([] { static_cast<void>(in_fault_zone([] {})); })),
                 "CHECK failed");
}

// --- bad accesses ---

void on_bad_access(int number, siginfo_t* /*what*/, void* context) {
    // As it was: ThreadSanitizer blocks all signals in a handler, whatever sa_mask says.
    ::pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t*>(context)->uc_sigmask, nullptr);
    leave_zone_after_bad_access();
    ::signal(number, SIG_DFL);  // nobody's zone: the same access again, and the process stops
}

/// SIGSEGV and SIGBUS leave the zone while it lives, on a stack of its own.
/// Threading  the stack is that of the thread that makes it.
class BadAccessHandler {
public:
    BadAccessHandler() : memory_(stack_bytes) {
        const stack_t stack{.ss_sp = memory_.data(), .ss_flags = 0, .ss_size = stack_bytes};
        EXPECT_EQ(::sigaltstack(&stack, &stack_before_), 0);
        struct sigaction action{};
        action.sa_sigaction = on_bad_access;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        EXPECT_EQ(::sigaction(SIGSEGV, &action, &segv_before_), 0);
        EXPECT_EQ(::sigaction(SIGBUS, &action, &bus_before_), 0);
    }
    ~BadAccessHandler() {
        EXPECT_EQ(::sigaction(SIGBUS, &bus_before_, nullptr), 0);
        EXPECT_EQ(::sigaction(SIGSEGV, &segv_before_, nullptr), 0);
        EXPECT_EQ(::sigaltstack(&stack_before_, nullptr), 0);
    }
    BadAccessHandler(const BadAccessHandler&) = delete;
    BadAccessHandler& operator=(const BadAccessHandler&) = delete;

private:
    static constexpr std::size_t stack_bytes = std::size_t{256} << 10;
    std::vector<std::uint8_t> memory_;
    stack_t stack_before_{};
    struct sigaction segv_before_{};
    struct sigaction bus_before_{};
};

// What UndefinedBehaviorSanitizer would stop before the processor does.
__attribute__((noinline, no_sanitize("undefined"))) void write_to(volatile std::uint8_t* address) {
    *address = 1;
}
__attribute__((noinline, no_sanitize("undefined"))) std::uint8_t read_from(
    const volatile std::uint8_t* address) {
    return *address;
}

/// A page that may be used, between two that may not.
Reservation one_page() {
    auto page = Reservation::make(page_bytes);
    EXPECT_TRUE(page && page->open(page_bytes));
    return std::move(*page);
}

TEST(fault_zone, contains_an_access_to_a_guard_page_and_to_nothing) {
    const BadAccessHandler handler;
    const Reservation page = one_page();
    std::uint8_t* const data = page.data();
    std::uint8_t* volatile nothing = nullptr;
    EXPECT_EQ(in_fault_zone([&] {
                  write_to(data);
                  write_to(data + page_bytes - 1);
              }),
              std::nullopt);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(in_fault_zone([&] { write_to(data + page_bytes); }), ZoneFault::bad_access);
        EXPECT_EQ(in_fault_zone([&] { write_to(data - 1); }), ZoneFault::bad_access);
        EXPECT_EQ(in_fault_zone([&] { static_cast<void>(read_from(data + page_bytes)); }),
                  ZoneFault::bad_access);
        EXPECT_EQ(in_fault_zone([&] { write_to(nothing); }), ZoneFault::bad_access);
        EXPECT_EQ(in_fault_zone([&] { static_cast<void>(read_from(nothing)); }),
                  ZoneFault::bad_access);
        EXPECT_FALSE(is_in_fault_zone());
    }
    EXPECT_EQ(data[0], 1);
}

TEST(fault_zone, contains_thousands_of_bad_accesses_and_leaves_the_signal_open) {
    const BadAccessHandler handler;
    const Reservation page = one_page();
    std::uint64_t written = 0;
    for (std::uint64_t i = 0; i < 3'000; ++i) {
        const auto fault = in_fault_zone([&] {
            written = i;
            write_to(page.data() + page_bytes + i % page_bytes);
        });
        ASSERT_EQ(fault, ZoneFault::bad_access);
        ASSERT_EQ(written, i);
    }
    sigset_t blocked;
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &blocked), 0);
    EXPECT_EQ(sigismember(&blocked, SIGSEGV), 0);
    stack_t stack{};
    ASSERT_EQ(::sigaltstack(nullptr, &stack), 0);
    EXPECT_EQ(stack.ss_flags & SS_ONSTACK, 0);
}

TEST(fault_zone, contains_bad_accesses_on_several_threads_at_once) {
    const BadAccessHandler handler;
    std::atomic<std::uint64_t> contained{0};
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (std::uint32_t number = 0; number < 4; ++number) {
        threads.emplace_back([&] {
            const Reservation page = one_page();
            std::vector<std::uint8_t> memory(std::size_t{256} << 10);
            const stack_t stack{.ss_sp = memory.data(), .ss_flags = 0, .ss_size = memory.size()};
            stack_t before{};
            EXPECT_EQ(::sigaltstack(&stack, &before), 0);
            for (int i = 0; i < 1'000; ++i) {
                const auto fault = in_fault_zone([&] { write_to(page.data() - 1); });
                if (fault == ZoneFault::bad_access) contained.fetch_add(1);
            }
            EXPECT_EQ(::sigaltstack(&before, nullptr), 0);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(contained.load(), 4'000u);
}

TEST(fault_zone_death, stops_the_process_at_a_bad_access_outside_or_in_a_pause) {
    const BadAccessHandler handler;
    const Reservation page = one_page();
    EXPECT_DEATH(write_to(page.data() - 1), "");
    EXPECT_DEATH(static_cast<void>(in_fault_zone([&] {
                     const ZonePause pause;
                     write_to(page.data() - 1);
                 })),
                 "");
}

#if !defined(MITU_HAS_ASAN) && !defined(MITU_HAS_TSAN)  // they have other ideas of a stack
[[gnu::noinline]] std::uint64_t sink_for_ever(std::uint64_t depth) {
    volatile std::uint8_t frame[512];
    frame[0] = static_cast<std::uint8_t>(depth);
    if (depth == ~std::uint64_t{0}) return 0;
    return sink_for_ever(depth + 1) + frame[0];
}

TEST(fault_zone, contains_a_stack_that_overflows) {
    std::thread thread{[] {
        const BadAccessHandler handler;
        for (int i = 0; i < 10; ++i) {
            EXPECT_EQ(in_fault_zone([] { static_cast<void>(sink_for_ever(0)); }),
                      ZoneFault::bad_access);
        }
    }};
    thread.join();
}
#endif

}  // namespace
}  // namespace mitu::memory
