#include "mitu/memory/record_heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "mitu/base/random.hpp"
#include "mitu/memory/poison.hpp"

namespace mitu::memory {
namespace {

RecordHeapOptions tiny(Allocation allocation = Allocation::batches) {
    return {allocation, {.batch_bytes = 4'096}};
}

/// What a record is filled with, from its number and size.
void fill(std::uint8_t* data, std::uint32_t size, std::uint32_t seed) {
    for (std::uint32_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(seed * 31 + i);
}
bool is_filled(const std::uint8_t* data, std::uint32_t size, std::uint32_t seed) {
    for (std::uint32_t i = 0; i < size; ++i) {
        if (data[i] != static_cast<std::uint8_t>(seed * 31 + i)) return false;
    }
    return true;
}

struct Record {
    std::uint32_t seed = 0;
    std::uint32_t size = 0;
    std::uint32_t references = 1;
};

/// Random adds, references and releases; everything is looked at again after each tidy().
void live_and_die(RecordHeap& heap, std::uint64_t seed, std::uint32_t steps) {
    Prng prng{seed};
    std::map<RecordHandle, Record> records;
    for (std::uint32_t step = 0; step < steps; ++step) {
        const std::uint64_t dice = prng.below(100);
        const std::uint64_t wanted = 50 + prng.below(400) * (step / 1'000 % 2);
        if (records.size() < wanted || dice < 20) {
            const auto size = static_cast<std::uint32_t>(prng.below(heap.record_bytes_max() + 1));
            const auto handle = heap.add(size);
            ASSERT_TRUE(handle);
            fill(heap.data(*handle), size, step);
            ASSERT_TRUE(records.try_emplace(*handle, Record{step, size}).second);
        } else {
            auto it = records.begin();
            std::advance(it, static_cast<std::ptrdiff_t>(prng.below(records.size())));
            if (dice < 30) {
                heap.retain(it->first);
                ++it->second.references;
            } else {
                heap.release(it->first);
                if (--it->second.references == 0) records.erase(it);
            }
        }
        if (dice == 99) {
            heap.tidy(prng.chance(0.5) ? ~std::uint64_t{0} : prng.below(5'000));
            ASSERT_TRUE(heap.is_sound());
            for (const auto& [handle, record] : records) {
                ASSERT_EQ(heap.bytes(handle).size(), record.size);
                ASSERT_EQ(heap.references(handle), record.references);
                ASSERT_TRUE(is_filled(heap.data(handle), record.size, record.seed));
            }
        }
    }
    ASSERT_EQ(heap.live_count(), records.size());
    for (auto& [handle, record] : records) {
        while (record.references-- != 0) heap.release(handle);
    }
    ASSERT_TRUE(heap.is_sound());
    EXPECT_EQ(heap.live_count(), 0u);
    EXPECT_EQ(heap.stats().live, 0u);
}

TEST(record_heap, keeps_records_whatever_dies_beside_them) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        RecordHeap heap{tiny()};
        live_and_die(heap, seed, 20'000);
        EXPECT_LE(heap.stats().batches, 2u * 4'096) << "what is being filled";
        EXPECT_GT(heap.stats().moved_total, 0u);
    }
}

TEST(record_heap, does_the_same_with_one_allocation_a_record) {
    RecordHeap heap{tiny(Allocation::malloc)};
    live_and_die(heap, 3, 20'000);
    EXPECT_EQ(heap.stats().batches, 0u);
    EXPECT_EQ(heap.stats().nodes, 0u);
}

TEST(record_heap, allocates_a_node_for_each_further_reference_in_malloc_mode_alone) {
    for (const auto allocation : {Allocation::batches, Allocation::malloc}) {
        const std::uint64_t each = allocation == Allocation::malloc ? 1 : 0;
        RecordHeap heap{tiny(allocation)};
        const auto first = heap.add(100);
        const auto second = heap.add(100);
        EXPECT_EQ(heap.stats().nodes, 0u) << "the first reference comes with the record";
        for (int i = 0; i < 1'000; ++i) heap.retain(*first);
        for (int i = 0; i < 10; ++i) heap.retain(*second);
        EXPECT_EQ(heap.stats().nodes, 1'010 * each);
        EXPECT_EQ(heap.references(*first), 1'001u);
        for (int i = 0; i < 1'000; ++i) heap.release(*first);
        EXPECT_EQ(heap.stats().nodes, 10 * each);
        EXPECT_TRUE(heap.is_sound());
        heap.release(*first);
        EXPECT_EQ(heap.live_count(), 1u);
        const auto again = heap.add(50);  // in the slot of the one that went
        heap.release(*again);
        EXPECT_EQ(heap.stats().nodes, 10 * each);
        // The heap ends with what lives; AddressSanitizer would tell of a node left behind.
    }
}

TEST(record_heap, starts_its_batch_again_when_nothing_in_it_lives) {
    RecordHeap heap{tiny()};
    const auto first = heap.add(100);
    const std::uint8_t* const at = heap.data(*first);
    heap.release(*first);
    for (int i = 0; i < 1'000; ++i) {
        const auto next = heap.add(100);
        EXPECT_EQ(heap.data(*next), at);
        heap.release(*next);
    }
    EXPECT_EQ(heap.stats().batches, 4'096u);
    EXPECT_EQ(heap.stats().reused_total, 1'001u);
}

// One long-lived message a batch makes a plain bump arena hold 32 times what lives, and more.
TEST(record_heap, is_not_pinned_by_one_survivor_a_batch) {
    RecordHeap heap{{Allocation::batches, {.batch_bytes = 128u << 10}}};
    constexpr std::uint32_t size = 300;
    std::uint64_t kept_bytes = 0;
    std::vector<RecordHandle> kept;
    for (std::uint32_t i = 0; kept_bytes < 8u << 20; ++i) {
        const auto handle = heap.add(size);
        ASSERT_TRUE(handle);
        if (i % 400 == 0) {
            kept.push_back(*handle);
            kept_bytes += size;
        } else {
            heap.release(*handle);
        }
        if (i % 1'000 == 0) heap.tidy(1u << 20);
    }
    heap.tidy(~std::uint64_t{0});
    const auto stats = heap.stats();
    EXPECT_FALSE(heap.is_untidy());
    EXPECT_LE(stats.batches, stats.live + stats.live / 5 + 2 * (128u << 10));
    for (const RecordHandle handle : kept) heap.release(handle);
}

TEST(record_heap, stays_within_its_bound_in_every_order_of_dying) {
    for (int order = 0; order < 4; ++order) {
        RecordHeap heap{{Allocation::batches, {.batch_bytes = 16u << 10}}};
        Prng prng{static_cast<std::uint64_t>(order) + 1};
        std::vector<RecordHandle> live;
        for (std::uint32_t i = 0; i < 40'000; ++i) {
            const auto handle = heap.add(64 + static_cast<std::uint32_t>(prng.below(400)));
            ASSERT_TRUE(handle);
            live.push_back(*handle);
            if (live.size() > 5'000) {
                const std::size_t victim = order == 0   ? 0
                                           : order == 1 ? live.size() - 1
                                           : order == 2 ? prng.below(live.size())
                                                        : (i % 7 == 0 ? 0 : live.size() / 2);
                heap.release(live[victim]);
                live.erase(live.begin() + static_cast<std::ptrdiff_t>(victim));
            }
            if (i % 256 == 0) {
                heap.tidy(~std::uint64_t{0});
                const auto stats = heap.stats();
                ASSERT_LE(stats.batches, stats.live + stats.live / 5 + 3 * (16u << 10)) << order;
            }
        }
        for (const RecordHandle handle : live) heap.release(handle);
    }
}

TEST(record_heap, says_when_it_is_full_and_stays_as_it_was) {
    RecordHeap heap{{Allocation::batches, {.batch_bytes = 4'096, .batches_max = 2}}};
    std::vector<RecordHandle> records;
    while (const auto handle = heap.add(500)) records.push_back(*handle);
    EXPECT_EQ(records.size(), 16u);
    EXPECT_TRUE(heap.is_sound());
    heap.release(records.back());
    records.pop_back();
    heap.tidy(~std::uint64_t{0});  // nowhere to move to: all stays
    EXPECT_TRUE(heap.is_sound());
    for (const RecordHandle handle : records) heap.release(handle);
    EXPECT_TRUE(heap.add(500));
}

TEST(record_heap, gives_the_table_back_after_a_flood) {
    RecordHeap heap{tiny()};
    std::vector<RecordHandle> flood;
    for (int round = 0; round < 3; ++round) {
        flood.clear();
        for (int i = 0; i < 200'000; ++i) flood.push_back(*heap.add(8));
        EXPECT_GE(heap.stats().table, 200'000u * 8);
        // All but a few of the first go.
        for (std::size_t i = 100; i < flood.size(); ++i) heap.release(flood[i]);
        heap.tidy(~std::uint64_t{0});
        EXPECT_TRUE(heap.is_sound());
        EXPECT_LE(heap.stats().table, 1u << 20);
        for (std::size_t i = 0; i < 100; ++i) heap.release(flood[i]);
    }
    EXPECT_EQ(heap.live_count(), 0u);
}

TEST(record_heap_death, notices_a_handle_that_outlived_its_record) {
    RecordHeap heap{tiny()};
    const auto other = heap.add(8);
    ASSERT_TRUE(other);
    const auto handle = heap.add(8);
    heap.release(*handle);
    EXPECT_DEATH(heap.release(*handle), "");
}

TEST(record_heap_death, knows_a_handle_beyond_its_table_in_both_modes) {
    for (const auto allocation : {Allocation::batches, Allocation::malloc}) {
        RecordHeap heap{tiny(allocation)};
        ASSERT_TRUE(heap.add(8));
        EXPECT_DEATH(heap.retain(RecordHandle{}), "");
        EXPECT_DEATH(heap.release(RecordHandle{}), "");
    }
}

#ifdef MITU_AUDITS
TEST(record_heap_death, notices_it_though_the_slot_has_a_new_record) {
    RecordHeap heap{tiny()};
    const auto old = heap.add(8);
    heap.release(*old);
    const auto young = heap.add(8);
    ASSERT_TRUE(young);
    EXPECT_NE(*old, *young);
    EXPECT_DEATH(static_cast<void>(heap.data(*old)), "");
}
#endif

TEST(batch_pool_death, notices_a_batch_that_comes_back_twice) {
    BatchPool pool{{.batch_bytes = 4'096}};
    const auto batch = pool.take();
    pool.give_back(*batch);
    EXPECT_DEATH(pool.give_back(*batch), "");
}

#ifdef MITU_HAS_ASAN
TEST(record_heap_death, poisons_what_has_died) {
    RecordHeap heap{tiny()};
    const auto keeper = heap.add(8);
    ASSERT_TRUE(keeper);
    const auto handle = heap.add(64);
    volatile std::uint8_t* const data = heap.data(*handle);
    heap.release(*handle);
    EXPECT_DEATH(data[0] = 1, "use-after-poison");
}
#endif

TEST(batch_pool, keeps_few_spares_and_takes_the_warmest_first) {
    BatchPool pool{{.batch_bytes = 4'096}};
    std::vector<BatchNumber> taken;
    for (int i = 0; i < 1'000; ++i) taken.push_back(*pool.take());
    for (int i = 0; i < 300; ++i) pool.give_back(taken[static_cast<std::size_t>(i)]);
    EXPECT_EQ(pool.spare_count(), 21u) << "a thirty-second of what is out";
    for (std::size_t i = 300; i < taken.size(); ++i) pool.give_back(taken[i]);
    EXPECT_EQ(pool.spare_count(), 64u) << "a turn's worth";
    EXPECT_EQ(*pool.take(), taken.back());
}

TEST(batch_pool, gives_back_what_nobody_needs_for_a_while) {
    BatchPool pool{{.batch_bytes = 4'096}};
    std::vector<BatchNumber> taken;
    const auto turn = [&](int count) {
        taken.clear();
        for (int i = 0; i < count; ++i) taken.push_back(*pool.take());
        for (const BatchNumber batch : taken) pool.give_back(batch);
    };
    turn(50);
    pool.trim();
    const std::uint64_t returned = pool.returned_total();
    for (int i = 0; i < 10; ++i) turn(50);
    pool.trim();
    EXPECT_EQ(pool.returned_total(), returned) << "all are needed, turn by turn";
    for (int i = 0; i < 10; ++i) turn(10);
    pool.trim();
    EXPECT_EQ(pool.spare_count(), 12u) << "those that are, and two";
    pool.trim();
    pool.trim();
    EXPECT_EQ(pool.spare_count(), 2u);
}

TEST(batch_pool, reads_as_zero_what_went_back_to_the_system) {
    BatchPool pool{{.batch_bytes = 4'096}};
    std::vector<BatchNumber> taken;
    for (int i = 0; i < 70; ++i) {
        taken.push_back(*pool.take());
        unpoison(pool.data(taken.back()), 4'096);
        std::memset(pool.data(taken.back()), 0xAB, 4'096);
    }
    for (const BatchNumber batch : taken) pool.give_back(batch);
    std::uint32_t zeroed = 0;
    for (int i = 0; i < 70; ++i) {
        const std::uint8_t* const data = pool.data(*pool.take());
        unpoison(data, 4'096);
        zeroed += std::all_of(data, data + 4'096, [](std::uint8_t b) { return b == 0; }) ? 1 : 0;
    }
    EXPECT_EQ(zeroed, 6u);
}

TEST(reservation_death, faults_wherever_it_is_not_open) {
    auto range = Reservation::make(std::size_t{64} << 30);
    ASSERT_TRUE(range);
    ASSERT_TRUE(range->open(3 * page_bytes));
    volatile std::uint8_t* const data = range->data();
    data[0] = 1;
    data[3 * page_bytes - 1] = 1;
    EXPECT_DEATH(data[-1] = 1, "");
    EXPECT_DEATH(data[3 * page_bytes] = 1, "");
    EXPECT_FALSE(range->open(std::size_t{65} << 30));
    EXPECT_EQ(range->open_bytes(), 3 * page_bytes);
}

}  // namespace
}  // namespace mitu::memory
