#include "mitu/memory/slab_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/memory/poison.hpp"
#include "mitu/memory/test_memory.hpp"

namespace mitu::memory {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::size_t span_bytes = 64u << 10;
#ifdef MITU_AUDITS
constexpr std::size_t canary_bytes = 8;  // what the pool keeps of each block
#else
constexpr std::size_t canary_bytes = 0;
#endif

/// The numbers that a holding and a pool tell: what must be as before when nothing changed.
auto numbers_of(const SlabPool& pool, const SlabHolding& holding) {
    const SlabPoolStats stats = pool.stats();
    return std::array<std::uint64_t, 9>{stats.held,          stats.open,         stats.block_count,
                                        stats.reused_total,  stats.fresh_total,  holding.first,
                                        holding.block_count, holding.held_bytes, holding.key};
}

std::uint8_t* allocate(SlabPool& pool, SlabHolding& holding, std::size_t size) {
    return static_cast<std::uint8_t*>(pool.allocate(holding, size));
}

// --- sizes ---

TEST(slab_pool, gives_blocks_of_every_size_aligned_and_with_little_waste) {
    SlabPool pool;
    SlabHolding holding;
    std::set<std::size_t> sizes_given;
    for (std::size_t size = 1; size <= 40'000; ++size) {
        std::uint8_t* const block = allocate(pool, holding, size);
        ASSERT_NE(block, nullptr);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
        const std::size_t usable = SlabPool::usable_bytes(size);
        const std::size_t given = usable + canary_bytes;
        ASSERT_GE(usable, size);
        ASSERT_EQ(holding.held_bytes, given) << "what usable_bytes() says is what there is";
        ASSERT_EQ(pool.stats().held, given);
        ASSERT_EQ(SlabPool::usable_bytes(usable), usable);
        std::memset(block, 0xAB, usable);
        if (const std::size_t wanted = size + canary_bytes; wanted <= 128) {
            ASSERT_LE(given, std::max<std::size_t>(wanted + 15, 32));
        } else if (wanted <= 32u << 10) {
            ASSERT_LE(given, wanted + wanted / 4);
            sizes_given.insert(given);
        } else {
            ASSERT_EQ(given, span_bytes) << "a span of its own";
        }
        pool.give_back(holding, block);
        ASSERT_EQ(holding.held_bytes, 0u);
    }
    EXPECT_EQ(sizes_given.size(), 32u) << "four to each doubling";
    EXPECT_TRUE(pool.is_sound());
    pool.trim();
    EXPECT_EQ(pool.stats().open, 0u);
}

TEST(slab_pool, refuses_sizes_that_no_number_holds) {
    SlabPool pool{{.pool_bytes_max = 4u << 30, .holding_bytes_max = ~std::uint64_t{0} / 2}};
    SlabHolding holding;
    const auto before = numbers_of(pool, holding);
    for (const std::size_t size :
         {~std::size_t{0}, ~std::size_t{0} - 8, ~std::size_t{0} - span_bytes + 1,
          (~std::size_t{0} >> 1) + 1, std::size_t{1} << 30}) {
        EXPECT_EQ(pool.allocate(holding, size), nullptr) << size;
        EXPECT_EQ(pool.refusal(), ZoneFault::budget_spent);
        EXPECT_GE(SlabPool::usable_bytes(size), size);
    }
    EXPECT_EQ(numbers_of(pool, holding), before);
}

// --- everything at random ---

struct SlabBlock {
    std::size_t size = 0;
    std::uint64_t seed = 0;
};

struct Owner {
    SlabHolding holding;
    std::map<std::uint8_t*, SlabBlock> blocks;
};

std::size_t random_size(Prng& random) {
    const auto dice = random.below(100);
    if (dice < 70) return 1 + random.below(300);
    if (dice < 97) return 1 + random.below(9'000);
    return 1 + random.below(300'000);
}

void live_and_die(SlabPool& pool, std::uint64_t seed) {
    Prng random{seed};
    std::vector<Owner> owners(20);
    std::uint64_t held = 0;
    std::uint64_t block_count = 0;
    for (std::uint64_t step = 0; step < 20'000; ++step) {
        Owner& owner = owners[random.below(owners.size())];
        const auto dice = random.below(1'000);
        if (dice < 550) {
            const std::size_t size = random_size(random);
            std::uint8_t* const block = allocate(pool, owner.holding, size);
            ASSERT_NE(block, nullptr);
            const std::size_t usable = SlabPool::usable_bytes(size);
            write_pattern(block, usable, step);
            // Nobody's block lies in another's.
            ASSERT_TRUE(owner.blocks.try_emplace(block, SlabBlock{usable, step}).second);
            held += usable + canary_bytes;
            ++block_count;
        } else if (dice < 990 && !owner.blocks.empty()) {
            auto it =
                owner.blocks.lower_bound(owner.blocks.begin()->first + random.below(2'000'000));
            if (it == owner.blocks.end()) it = std::prev(it);
            const auto [block, what] = *it;
            ASSERT_TRUE(has_pattern(block, what.size, what.seed));
            pool.give_back(owner.holding, block);
            owner.blocks.erase(it);
            held -= what.size + canary_bytes;
            --block_count;
        } else if (dice >= 990) {
            for (const auto& [block, what] : owner.blocks) {
                ASSERT_TRUE(has_pattern(block, what.size, what.seed));
                held -= what.size + canary_bytes;
            }
            block_count -= owner.blocks.size();
            pool.give_back_all(owner.holding);
            owner.blocks.clear();
            ASSERT_EQ(owner.holding.held_bytes, 0u);
        }
        ASSERT_EQ(pool.stats().held, held);
        ASSERT_EQ(pool.stats().block_count, block_count);
        ASSERT_EQ(owner.holding.block_count, owner.blocks.size());
        ASSERT_TRUE(step % 500 != 0 || pool.is_sound());
    }
    for (Owner& owner : owners) {
        for (const auto& [block, what] : owner.blocks) {
            ASSERT_TRUE(has_pattern(block, what.size, what.seed));
        }
        pool.give_back_all(owner.holding);
    }
    ASSERT_TRUE(pool.is_sound());
    EXPECT_EQ(pool.stats().held, 0u);
    EXPECT_EQ(pool.stats().block_count, 0u);
    pool.trim();
    EXPECT_EQ(pool.stats().open, 0u);
}

TEST(slab_pool, keeps_blocks_whatever_comes_and_goes_beside_them) {
    SlabPool pool;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) live_and_die(pool, seed);
    EXPECT_GT(pool.stats().reused_total, pool.stats().fresh_total);
}

// --- budgets and ends ---

TEST(slab_pool, gives_a_holding_no_more_than_its_budget) {
    SlabPool pool{{.holding_bytes_max = 10'000}};
    SlabHolding holding;
    SlabHolding other;
    std::vector<void*> blocks;
    while (void* const block = pool.allocate(holding, 100)) blocks.push_back(block);
    EXPECT_EQ(pool.refusal(), ZoneFault::budget_spent);
    EXPECT_EQ(holding.held_bytes, 10'000 / 112 * 112u);
    const auto before = numbers_of(pool, holding);
    for (const std::size_t size : {100u, 3'000u, 10'000u, 100'000u}) {
        EXPECT_EQ(pool.allocate(holding, size), nullptr);
        EXPECT_EQ(pool.refusal(), ZoneFault::budget_spent);
    }
    EXPECT_EQ(numbers_of(pool, holding), before);
    EXPECT_NE(pool.allocate(other, 100), nullptr) << "each has its own";
    pool.give_back(holding, blocks.back());
    EXPECT_NE(pool.allocate(holding, 100), nullptr);
    pool.give_back_all(holding);
    EXPECT_NE(pool.allocate(holding, 8'000), nullptr);
    pool.give_back_all(holding);
    pool.give_back_all(other);
    EXPECT_TRUE(pool.is_sound());
}

TEST(slab_pool, says_when_it_is_full_and_goes_on_once_something_is_freed) {
    SlabPool pool{{.pool_bytes_max = 40 * span_bytes}};
    SlabHolding holding;
    Prng random{5};
    std::size_t count_before = 0;
    for (const std::size_t size : {500u, 500u, 20'000u, 40'000u, 300'000u, 60u, 60'000u, 500u}) {
        std::vector<std::uint8_t*> blocks;
        while (std::uint8_t* const block = allocate(pool, holding, size)) {
            write_pattern(block, 60, blocks.size());
            blocks.push_back(block);
        }
        EXPECT_EQ(pool.refusal(), ZoneFault::no_memory);
        EXPECT_TRUE(pool.is_sound());
        EXPECT_GE(pool.stats().held + 8 * span_bytes, 40 * span_bytes)
            << size << ": whatever the addresses were used for before";
        if (size == 500u) {
            EXPECT_EQ(blocks.size(), count_before != 0 ? count_before : blocks.size());
            count_before = blocks.size();
        }
        for (std::size_t i = 0; i < blocks.size(); ++i) EXPECT_TRUE(has_pattern(blocks[i], 60, i));
        const auto before = numbers_of(pool, holding);
        EXPECT_EQ(pool.allocate(holding, size), nullptr);
        EXPECT_EQ(numbers_of(pool, holding), before);
        for (int i = 0; i < 100; ++i) {
            const auto victim = random.below(blocks.size());
            pool.give_back(holding, blocks[victim]);
            blocks[victim] = allocate(pool, holding, size);
            ASSERT_NE(blocks[victim], nullptr) << "room for one";
            EXPECT_EQ(pool.allocate(holding, size), nullptr) << "and no more";
        }
        pool.give_back_all(holding);
        EXPECT_TRUE(pool.is_sound());
        EXPECT_EQ(pool.stats().held, 0u);
    }
}

TEST(slab_pool, makes_whole_again_what_many_small_spans_were_cut_from) {
    SlabPool pool{{.pool_bytes_max = 40 * span_bytes}};
    SlabHolding gone;
    SlabHolding stays;
    std::vector<void*> blocks;
    while (void* const block = pool.allocate(gone, 30'000)) blocks.push_back(block);
    // One block in the middle is somebody else's, and stays.
    pool.give_back(gone, blocks[40]);
    std::uint8_t* const kept = allocate(pool, stays, 30'000);
    ASSERT_EQ(kept, blocks[40]);
    write_pattern(kept, 30'000, 1);
    pool.give_back_all(gone);
    EXPECT_EQ(pool.allocate(gone, 32 * span_bytes - canary_bytes), nullptr) << "it is in the way";
    EXPECT_EQ(pool.refusal(), ZoneFault::no_memory);
    EXPECT_TRUE(pool.is_sound());
    void* const large = pool.allocate(gone, 16 * span_bytes - canary_bytes);
    ASSERT_NE(large, nullptr);
    std::memset(large, 1, 16 * span_bytes - canary_bytes);
    EXPECT_TRUE(pool.is_sound());
    EXPECT_TRUE(has_pattern(kept, 30'000, 1));
    pool.give_back(stays, kept);
    pool.give_back_all(gone);
    EXPECT_NE(pool.allocate(gone, 32 * span_bytes - canary_bytes), nullptr) << "looked for again";
    pool.give_back_all(gone);
    EXPECT_TRUE(pool.is_sound());
}

// --- who gives back what ---

/// One pool, two owners with some blocks each, and pointers that are wrong in every way.
struct Wrong {
    Wrong() {
        for (std::size_t i = 0; i < 5; ++i) mine.push_back(allocate(pool, holding, 100));
        for (std::size_t i = 0; i < 5; ++i) theirs.push_back(allocate(pool, other, 100));
        large = allocate(pool, holding, 4 * span_bytes - canary_bytes);
        freed_large = allocate(pool, holding, 2 * span_bytes - canary_bytes);
        freed = allocate(pool, holding, 100);
        freed_alone = allocate(pool, holding, 5'000);
        pool.give_back(holding, freed);
        pool.give_back(holding, freed_alone);
        pool.give_back(holding, freed_large);
        // Freed, and somebody else's since.
        reused = allocate(pool, holding, 700);
        pool.give_back(holding, reused);
        EXPECT_EQ(pool.allocate(other, 700), reused);
    }
    [[nodiscard]] std::vector<std::uint8_t*> pointers() {
        std::vector<std::uint8_t*> all{
            nullptr,
            freed,
            freed_alone,
            freed_large,
            reused,
            mine[0] + 1,
            mine[0] + 16,
            large + 16,
            large + span_bytes,
            mine[0] - span_bytes,
            large + 200 * span_bytes,
            reinterpret_cast<std::uint8_t*>(&outside),
            std::bit_cast<std::uint8_t*>(~std::uintptr_t{0}),
        };
        all.insert(all.end(), theirs.begin(), theirs.end());
        return all;
    }

    SlabPool pool;
    SlabHolding holding;
    SlabHolding other;
    std::vector<std::uint8_t*> mine;
    std::vector<std::uint8_t*> theirs;
    std::uint8_t* large = nullptr;
    std::uint8_t* freed = nullptr;
    std::uint8_t* freed_alone = nullptr;
    std::uint8_t* freed_large = nullptr;
    std::uint8_t* reused = nullptr;
    std::uint64_t outside[16]{};
};

TEST(slab_pool, is_as_it_was_after_a_pointer_that_is_not_the_owners_to_give) {
    Wrong wrong;
    const auto before = numbers_of(wrong.pool, wrong.holding);
    const auto others_before = numbers_of(wrong.pool, wrong.other);
    SlabHolding nobody;
    for (std::uint8_t* const pointer : wrong.pointers()) {
        EXPECT_EQ(in_fault_zone([&] { wrong.pool.give_back(wrong.holding, pointer); }),
                  ZoneFault::double_free);
        EXPECT_EQ(in_fault_zone([&] { wrong.pool.give_back(nobody, pointer); }),
                  ZoneFault::double_free);
        ASSERT_EQ(numbers_of(wrong.pool, wrong.holding), before);
        ASSERT_EQ(numbers_of(wrong.pool, wrong.other), others_before);
        ASSERT_TRUE(wrong.pool.is_sound());
    }
    for (std::uint8_t* const block : wrong.mine) wrong.pool.give_back(wrong.holding, block);
    for (std::uint8_t* const block : wrong.theirs) wrong.pool.give_back(wrong.other, block);
    wrong.pool.give_back(wrong.other, wrong.reused);
    wrong.pool.give_back(wrong.holding, wrong.large);
    EXPECT_EQ(wrong.pool.stats().held, 0u);
    live_and_die(wrong.pool, 9);
}

// Whoever comes first, last or in the middle of a list of many: no other holding's key opens it.
TEST(slab_pool, knows_each_block_of_each_holding) {
    SlabPool pool;
    std::vector<SlabHolding> holdings(64);
    std::vector<std::vector<void*>> blocks(holdings.size());
    for (int i = 0; i < 20; ++i) {
        for (std::size_t k = 0; k < holdings.size(); ++k) {
            blocks[k].push_back(pool.allocate(holdings[k], 50));
        }
    }
    for (std::size_t from = 0; from < holdings.size(); ++from) {
        for (std::size_t to = 0; to < holdings.size(); ++to) {
            if (from == to) continue;
            for (void* const block : blocks[from]) {
                ASSERT_EQ(in_fault_zone([&] { pool.give_back(holdings[to], block); }),
                          ZoneFault::double_free);
            }
        }
    }
    Prng random{6};
    for (std::size_t k = 0; k < holdings.size(); ++k) {
        random.shuffle(blocks[k]);
        for (void* const block : blocks[k]) pool.give_back(holdings[k], block);
        EXPECT_EQ(holdings[k].block_count, 0u);
    }
    EXPECT_EQ(pool.stats().held, 0u);
}

TEST(slab_pool_death, stops_the_process_at_a_wrong_pointer_that_nobody_contains) {
    Wrong wrong;
    for (std::uint8_t* const pointer : {wrong.freed, wrong.freed_large, wrong.theirs[2]}) {
        EXPECT_DEATH(wrong.pool.give_back(wrong.holding, pointer), "double_free a block came back");
    }
}

TEST(slab_pool, frees_an_owner_that_has_written_over_all_it_has) {
    SlabPool pool;
    SlabHolding broken;
    SlabHolding whole;
    Prng random{7};
    std::vector<std::pair<std::uint8_t*, std::size_t>> blocks;
    std::vector<std::pair<std::uint8_t*, std::size_t>> beside;
    for (int round = 0; round < 10; ++round) {
        blocks.clear();
        for (int i = 0; i < 300; ++i) {
            const std::size_t size = random_size(random);
            blocks.emplace_back(allocate(pool, broken, size), SlabPool::usable_bytes(size));
            if (i % 10 == 0) {
                beside.emplace_back(allocate(pool, whole, size), SlabPool::usable_bytes(size));
                write_pattern(beside.back().first, beside.back().second, beside.size());
            }
        }
        for (const auto& [block, size] : blocks) {
            for (std::size_t i = 0; i < size; ++i)
                block[i] = static_cast<std::uint8_t>(random.next());
        }
        pool.give_back_all(broken);
        EXPECT_EQ(broken.block_count, 0u);
        EXPECT_EQ(broken.held_bytes, 0u);
        ASSERT_TRUE(pool.is_sound());
    }
    for (std::size_t i = 0; i < beside.size(); ++i) {
        EXPECT_TRUE(has_pattern(beside[i].first, beside[i].second, i + 1));
    }
    EXPECT_EQ(pool.stats().block_count, whole.block_count);
    pool.give_back_all(whole);
    pool.give_back_all(whole);
    EXPECT_EQ(pool.stats().held, 0u);
}

// --- memory that is resident ---

TEST(slab_pool, takes_large_blocks_back_and_gives_them_again) {
    SlabPool pool;
    SlabHolding holding;
    std::map<std::size_t, std::set<std::uint8_t*>> places;
    for (std::uint64_t round = 0; round < 4; ++round) {
        std::map<std::uint8_t*, SlabBlock> blocks;
        for (std::size_t size = 64u << 10; size <= 4u << 20; size += size / 2) {
            for (int i = 0; i < 3; ++i) {
                const std::size_t usable = SlabPool::usable_bytes(size);
                std::uint8_t* const block = allocate(pool, holding, size);
                ASSERT_NE(block, nullptr);
                ASSERT_LT(usable, 2 * size + span_bytes);
                for (std::size_t at = 0; at < usable; at += 1'000)
                    block[at] = std::uint8_t(size + round);
                block[usable - 1] = 7;
                blocks[block] = {usable, size};
                places[usable].insert(block);
            }
        }
        EXPECT_EQ(pool.stats().open, pool.stats().held);
        for (const auto& [block, what] : blocks) {
            for (std::size_t at = 0; at < what.size; at += 1'000) {
                ASSERT_EQ(block[at], std::uint8_t(what.seed + round));
            }
            pool.give_back(holding, block);
        }
        EXPECT_TRUE(pool.is_sound());
        pool.trim();
        EXPECT_EQ(pool.stats().open, 0u);
    }
    std::size_t place_count = 0;
    for (const auto& [size, blocks] : places) place_count += blocks.size();
    EXPECT_EQ(pool.stats().fresh_total, place_count);
    EXPECT_EQ(pool.stats().reused_total, 3 * place_count) << "the same, round by round";
}

TEST(slab_pool, gives_memory_back_to_the_system_after_a_flood) {
    SlabPool pool{{.holding_bytes_max = 256 * mib}};
    SlabHolding holding;
    std::uint8_t* begin = nullptr;
    std::uint8_t* end = nullptr;
    for (const std::size_t size : {200u, 3'000u, 30'000u, 60'000u, 1'000'000u, 200u}) {
        begin = end = allocate(pool, holding, size);
        while (holding.held_bytes < 64 * mib) {
            std::uint8_t* const block = allocate(pool, holding, size);
            ASSERT_NE(block, nullptr);
            std::memset(block, 1, SlabPool::usable_bytes(size));
            begin = std::min(begin, block);
            end = std::max(end, block + SlabPool::usable_bytes(size));
        }
        EXPECT_GE(resident_bytes(begin, static_cast<std::size_t>(end - begin)), 60 * mib);
        pool.give_back_all(holding);
        EXPECT_LE(resident_bytes(begin, static_cast<std::size_t>(end - begin)), 11 * mib)
            << "spares: 8 MiB of spans, 2 MiB of large blocks";
        for (int i = 0; i < 2; ++i) pool.trim();
        EXPECT_LE(resident_bytes(begin, static_cast<std::size_t>(end - begin)), 3 * mib)
            << "nobody has needed the spans";
        EXPECT_TRUE(pool.is_sound());
    }
}

// --- what only some builds notice ---

#ifdef MITU_AUDITS
TEST(slab_pool_death, notices_a_write_beyond_the_end_of_a_block) {
    SlabPool pool;
    SlabHolding holding;
    for (const std::size_t size : {24u, 100u, 5'000u, 100'000u}) {
        volatile std::uint8_t* const block = allocate(pool, holding, size);
        const std::size_t usable = SlabPool::usable_bytes(size);
        block[usable - 1] = 1;
        EXPECT_DEATH(
            {
                block[usable] = 1;
                pool.give_back_all(holding);
            },
            "use-after-poison|beyond the end of a block");
    }
}
#endif

#ifdef MITU_HAS_ASAN
TEST(slab_pool_death, poisons_what_is_freed_and_what_was_never_given) {
    SlabPool pool;
    SlabHolding holding;
    std::uint8_t* const keeper = allocate(pool, holding, 100);
    volatile std::uint8_t* const block = allocate(pool, holding, 100);
    volatile std::uint8_t* const large = allocate(pool, holding, 100'000);
    pool.give_back(holding, const_cast<std::uint8_t*>(block));
    pool.give_back(holding, const_cast<std::uint8_t*>(large));
    EXPECT_DEATH(block[0] = 1, "use-after-poison");
    EXPECT_DEATH(large[99'999] = 1, "use-after-poison");
    EXPECT_DEATH(static_cast<volatile std::uint8_t*>(keeper)[1'000] = 1, "use-after-poison");
    pool.give_back_all(holding);
    EXPECT_DEATH(static_cast<volatile std::uint8_t*>(keeper)[0] = 1, "use-after-poison");
}
#endif

}  // namespace
}  // namespace mitu::memory
