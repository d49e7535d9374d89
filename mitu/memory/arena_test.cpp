#include "mitu/memory/arena.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <string_view>
#include <thread>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/memory/poison.hpp"
#include "mitu/memory/test_memory.hpp"

namespace mitu::memory {
namespace {

constexpr std::size_t kib = 1'024;

std::uint8_t* take(Arena& arena, std::size_t size) {
    return static_cast<std::uint8_t*>(arena.try_allocate(size));
}

struct ArenaBlock {
    std::uint8_t* data = nullptr;
    std::size_t size = 0;
    std::uint64_t seed = 0;
};

/// Allocates, marks and rewinds at random; whatever is below a mark is as it was.
void live_and_die(Arena& arena, std::uint64_t seed) {
    Prng random{seed};
    std::vector<ArenaBlock> blocks;
    struct Level {
        Arena::Mark mark;
        std::size_t block_count;
    };
    std::vector<Level> levels;
    for (std::uint64_t step = 0; step < 5'000; ++step) {
        const auto dice = random.below(100);
        if (dice < 80) {
            const std::size_t size = 1 + random.below(random.chance(0.05) ? 20'000 : 400);
            std::uint8_t* const data = take(arena, size);
            ASSERT_NE(data, nullptr);
            ASSERT_EQ(reinterpret_cast<std::uintptr_t>(data) % 16, 0u);
            write_pattern(data, Arena::usable_bytes(size), step);
            blocks.push_back({data, Arena::usable_bytes(size), step});
        } else if (dice < 90) {
            levels.push_back({arena.mark(), blocks.size()});
        } else if (dice < 99 && !levels.empty()) {
            const Level level = levels.back();
            levels.pop_back();
            arena.rewind(level.mark);
            ASSERT_EQ(arena.used_bytes(), level.mark.used_bytes);
            blocks.resize(level.block_count);
        } else if (random.below(10) == 0) {
            arena.reset();
            ASSERT_EQ(arena.used_bytes(), 0u);
            blocks.clear();
            levels.clear();
        }
        if (step % 100 == 0) {
            for (const ArenaBlock& block : blocks) {
                ASSERT_TRUE(has_pattern(block.data, block.size, block.seed));
            }
        }
    }
    arena.reset();
}

TEST(arena, keeps_what_is_below_a_mark_whatever_is_rewound_above) {
    Arena arena;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) live_and_die(arena, seed);
    EXPECT_EQ(arena.escapes().count_total(), 0u);
    Arena small{{.budget_bytes = 16 * kib}};
    for (std::uint64_t seed = 1; seed <= 3; ++seed) live_and_die(small, seed);
    EXPECT_GT(small.escapes().count_total(), 0u) << "the same, half of it on the heap";
}

TEST(arena, gives_every_size_aligned_and_one_behind_the_other) {
    Arena arena;
    std::uint8_t* before = take(arena, 16);
    std::size_t bytes = 16;
    for (std::size_t size = 1; size < 1'000; ++size) {
        std::uint8_t* const block = take(arena, size);
        EXPECT_EQ(block, before + bytes);
        bytes = Arena::usable_bytes(size);
        EXPECT_GE(bytes, size);
        EXPECT_LT(bytes, size + 16);
        std::memset(block, 1, bytes);
        before = block;
    }
}

TEST(arena, gives_a_place_of_its_own_for_nothing_and_none_for_more_than_there_is) {
    Arena arena;
    std::uint8_t* const first = take(arena, 0);
    std::uint8_t* const second = take(arena, 0);
    EXPECT_NE(first, nullptr);
    EXPECT_NE(first, second);
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    const std::size_t used = arena.used_bytes();
    for (const std::size_t size : {most, most - 15, most - 16, most - 40}) {
        EXPECT_EQ(arena.try_allocate(size), nullptr);
    }
    EXPECT_EQ(arena.used_bytes(), used);
}

TEST(arena, scopes_nest_and_give_back_what_was_allocated_in_their_time) {
    Arena arena;
    std::uint8_t* const outer = take(arena, 100);
    write_pattern(outer, 100, 1);
    std::uint8_t* inside = nullptr;
    {
        const ArenaScope scope{arena};
        inside = take(arena, 100);
        {
            const ArenaScope inner{arena};
            std::uint8_t* const innermost = take(arena, 1'000);
            write_pattern(innermost, 1'000, 3);
        }
        EXPECT_EQ(take(arena, 10), inside + 112) << "where the inner one began";
    }
    EXPECT_EQ(arena.used_bytes(), 112u);
    EXPECT_EQ(take(arena, 100), inside);
    EXPECT_TRUE(has_pattern(outer, 100, 1));
    EXPECT_EQ(arena.peak_bytes(), 2 * 112 + 1'008u);
    arena.reset();
    EXPECT_EQ(arena.peak_bytes(), 0u);
    EXPECT_EQ(take(arena, 1), outer);
}

TEST(arena, takes_back_the_last_block_and_no_other) {
    Arena arena;
    std::uint8_t* const first = take(arena, 100);
    std::uint8_t* const second = take(arena, 50);
    arena.give_back(first, 100);
    EXPECT_EQ(arena.used_bytes(), 112 + 64u);
    arena.give_back(second, 50);
    EXPECT_EQ(arena.used_bytes(), 112u);
    EXPECT_EQ(arena.peak_bytes(), 112 + 64u);
    arena.give_back(first, 100);
    EXPECT_EQ(arena.used_bytes(), 0u);
    EXPECT_EQ(take(arena, 200), first);
    std::uint64_t elsewhere = 0;
    arena.give_back(&elsewhere, sizeof elsewhere);
    EXPECT_EQ(arena.used_bytes(), 208u);
}

TEST(arena, has_nothing_to_rewind_when_more_came_back_than_was_allocated) {
    Arena arena;
    std::uint8_t* const first = take(arena, 100);
    std::uint8_t* const second = take(arena, 100);
    {
        const ArenaScope scope{arena};
        arena.give_back(second, 100);
    }
    EXPECT_EQ(arena.used_bytes(), 112u);
    {
        const ArenaScope scope{arena};
        arena.give_back(first, 100);
        EXPECT_EQ(take(arena, 16), first);
    }
    EXPECT_EQ(arena.used_bytes(), 16u) << "it lies below the mark";
}

// --- beyond the budget ---

TEST(arena, goes_to_the_heap_beyond_its_budget_and_says_who_made_it) {
    Arena arena{{.budget_bytes = 64 * kib}};
    const auto whole = take(arena, 64 * kib);
    ASSERT_NE(whole, nullptr);
    EXPECT_EQ(arena.escapes().count_total(), 0u);
    std::vector<ArenaBlock> blocks;
    std::uint32_t line = 0;
    for (std::uint64_t i = 0; i < 10; ++i) {
        line = __LINE__ + 1;
        auto* const data = static_cast<std::uint8_t*>(arena.try_allocate(160));
        ASSERT_NE(data, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 16, 0u);
        write_pattern(data, 160, i);
        blocks.push_back({data, 160, i});
    }
    auto* const other = arena.try_allocate(100 * kib);
    ASSERT_NE(other, nullptr);
    for (const ArenaBlock& block : blocks) {
        EXPECT_TRUE(has_pattern(block.data, block.size, block.seed));
        EXPECT_TRUE(block.data < whole || block.data >= whole + 64 * kib);
    }
    std::vector<EscapeReport::Site> sites;
    arena.escapes().for_each([&](const EscapeReport::Site& site) { sites.push_back(site); });
    ASSERT_EQ(sites.size(), 2u);
    for (const EscapeReport::Site& site : sites) {
        EXPECT_TRUE(std::string_view{site.file}.ends_with("arena_test.cpp")) << site.file;
    }
    EXPECT_EQ(sites[0].line, line);
    EXPECT_EQ(sites[0].count, 10u);
    EXPECT_EQ(sites[0].size_bytes, 1'600u);
    EXPECT_GT(sites[1].line, line);
    EXPECT_EQ(sites[1].count, 1u);
    EXPECT_EQ(sites[1].size_bytes, 100 * kib);
    EXPECT_EQ(arena.escapes().count_total(), 11u);
    EXPECT_EQ(arena.used_bytes(), 64 * kib) << "of the range";
}

TEST(arena, tells_thirty_two_lines_apart_and_counts_the_others_together) {
    const auto here = [](std::source_location where = std::source_location::current()) {
        return where;
    };
    const std::source_location lines[] = {
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
        here(),  //
    };
    Arena arena{{.budget_bytes = 0}};
    for (std::uint32_t round = 1; round <= 3; ++round) {
        for (const std::source_location& line : lines) {
            ASSERT_NE(arena.try_allocate(32, line), nullptr);
        }
        std::vector<EscapeReport::Site> sites;
        arena.escapes().for_each([&](const EscapeReport::Site& site) { sites.push_back(site); });
        ASSERT_EQ(sites.size(), 33u);
        for (std::size_t i = 0; i < 32; ++i) {
            EXPECT_EQ(sites[i].line, lines[i].line());
            EXPECT_EQ(sites[i].count, round);
            EXPECT_EQ(sites[i].size_bytes, 32 * round);
        }
        EXPECT_EQ(sites[32].file, nullptr);
        EXPECT_EQ(sites[32].line, 0u);
        EXPECT_EQ(sites[32].count, 4 * round);
        EXPECT_EQ(sites[32].size_bytes, 4 * 32 * round);
        EXPECT_EQ(arena.escapes().count_total(), std::size(lines) * round);
    }
}

/// Whether AddressSanitizer would let somebody read there; without it, what `expected` is.
bool may_be_read(const std::uint8_t* data, [[maybe_unused]] bool expected) {
#ifdef MITU_HAS_ASAN
    return __asan_address_is_poisoned(data) == 0;
#else
    return data != nullptr && expected;
#endif
}

TEST(arena, frees_what_lies_on_the_heap_when_it_rewinds) {
    Arena arena{{.budget_bytes = 0}};
    std::uint8_t* const outer = take(arena, 5'000);
    write_pattern(outer, 5'000, 1);
    std::uint8_t* inner = nullptr;
    {
        const ArenaScope scope{arena};
        for (int i = 0; i < 1'000; ++i) {
            inner = take(arena, 5'000);
            ASSERT_NE(inner, nullptr);
            write_pattern(inner, 5'000, 2);
        }
    }
    EXPECT_TRUE(has_pattern(outer, 5'000, 1));
    EXPECT_TRUE(may_be_read(outer, true));
    EXPECT_FALSE(may_be_read(inner, false));
    arena.give_back(outer, 5'000);
    EXPECT_TRUE(has_pattern(outer, 5'000, 1)) << "the heap's blocks wait for rewind()";
    arena.reset();
    EXPECT_FALSE(may_be_read(outer, false));
    static_cast<void>(take(arena, 5'000));  // and what is left at the end goes with the arena
}

TEST(arena, lets_any_thread_read_what_escapes_while_it_does) {
    Arena arena{{.budget_bytes = 4 * kib}};
    std::atomic<bool> is_done{false};
    std::uint64_t seen = 0;
    std::thread reader{[&] {
        std::uint64_t before = 0;
        while (!is_done.load(std::memory_order_acquire)) {
            std::uint64_t now = 0;
            arena.escapes().for_each([&](const EscapeReport::Site& site) {
                EXPECT_TRUE(std::string_view{site.file}.ends_with("arena_test.cpp"));
                EXPECT_GT(site.line, 0u);
                EXPECT_GT(site.count, 0u);
                now += site.count;
            });
            EXPECT_GE(now, before);
            before = now;
            EXPECT_LE(arena.escapes().count_total(), 40'000u);
            seen = std::max(seen, now);
        }
    }};
    for (int i = 0; i < 10'000; ++i) {
        const ArenaScope scope{arena};
        static_cast<void>(take(arena, 5'000));
        static_cast<void>(arena.try_allocate(5'000));
        static_cast<void>(arena.try_allocate(6'000));
        static_cast<void>(arena.try_allocate(7'000));
    }
    is_done.store(true, std::memory_order_release);
    reader.join();
    EXPECT_LE(seen, 40'000u);
    EXPECT_EQ(arena.escapes().count_total(), 40'000u);
}

// --- memory that is resident ---

TEST(arena, keeps_what_the_last_turns_needed_and_gives_the_rest_back) {
    constexpr std::size_t whole = 4'096 * kib;
    constexpr std::size_t kept = 256 * kib;
    Arena arena{{.budget_bytes = whole, .kept_bytes = kept}};
    std::uint8_t* const begin = take(arena, 16);
    const auto turn = [&](std::size_t size) {
        arena.reset();
        std::uint8_t* const data = take(arena, size);
        std::memset(data, 1, size);
    };
    for (int flood = 0; flood < 3; ++flood) {
        turn(whole);
        EXPECT_EQ(arena.escapes().count_total(), 0u);
        for (int i = 0; i < 200; ++i) turn(10 * kib);
        EXPECT_EQ(resident_bytes(begin, whole), whole) << "what one turn needed, the next may";
        turn(kept + 1);
        for (int i = 0; i < 200; ++i) turn(10 * kib);
        EXPECT_EQ(resident_bytes(begin, whole), whole) << "it did, a little";
        for (int i = 0; i < 100; ++i) turn(10 * kib);
        EXPECT_EQ(resident_bytes(begin, whole), kept);
        for (int i = 0; i < 1'000; ++i) turn(kept);
        EXPECT_EQ(resident_bytes(begin, whole), kept);
    }
}

// --- zones ---

TEST(arena, is_used_from_within_a_zone) {
    Arena arena{{.budget_bytes = 64 * kib}};
    const Arena::Mark before = arena.mark();
    for (int i = 0; i < 1'000; ++i) {
        const auto fault = in_fault_zone([&] {
            std::memset(take(arena, 40 * kib), 1, 40 * kib);
            std::memset(take(arena, 40 * kib), 1, 40 * kib);  // on the heap
            if (i % 2 == 0) raise_fault(ZoneFault::no_memory, "a test says so");
            arena.rewind(before);
        });
        EXPECT_EQ(fault.has_value(), i % 2 == 0);
        arena.rewind(before);  // whoever left the zone had no time to
        EXPECT_EQ(arena.used_bytes(), 0u);
    }
    EXPECT_EQ(arena.escapes().count_total(), 1'000u);
}

TEST(arena_death, faults_behind_its_budget) {
    Arena arena{{.budget_bytes = 64 * kib}};
    volatile std::uint8_t* const whole = take(arena, 64 * kib);
    whole[64 * kib - 1] = 1;
    EXPECT_DEATH(whole[64 * kib] = 1, "");
    EXPECT_DEATH(whole[-1] = 1, "");
}

TEST(arena_death, notices_a_mark_whose_heap_block_is_gone) {
    Arena arena{{.budget_bytes = 0}};
    static_cast<void>(take(arena, 16));
    const Arena::Mark mark = arena.mark();
    arena.reset();
    EXPECT_DEATH(arena.rewind(mark), "CHECK failed");
}

#ifdef MITU_HAS_ASAN
TEST(arena_death, poisons_what_is_not_given_out) {
    Arena arena;
    const Arena::Mark mark = arena.mark();
    volatile std::uint8_t* const data = take(arena, 100);
    data[99] = 1;
    EXPECT_DEATH(data[112] = 1, "use-after-poison");
    arena.rewind(mark);
    EXPECT_DEATH(data[0] = 1, "use-after-poison");
    static_cast<void>(take(arena, 16));
    data[15] = 1;
    EXPECT_DEATH(data[16] = 1, "use-after-poison");
}
#endif

}  // namespace
}  // namespace mitu::memory
