#include <gtest/gtest.h>

#include <deque>
#include <limits>
#include <type_traits>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/memory/arena.hpp"
#include "mitu/memory/arena_queue.hpp"
#include "mitu/memory/arena_vector.hpp"
#include "mitu/memory/slab_pool.hpp"

namespace mitu::memory {
namespace {

/// An element whose size divides no block: 20 bytes, each a function of one number.
struct Odd {
    std::uint32_t words[5] = {};
    bool operator==(const Odd&) const noexcept = default;
};

template <class T>
T made(std::uint32_t n) {
    if constexpr (std::is_same_v<T, Odd>) {
        return {{n, n * 3, ~n, n ^ 7, n + 1}};
    } else {
        return static_cast<T>(n);
    }
}

/// A pool, and one owner of it.
struct Slabs {
    explicit Slabs(std::uint64_t holding_bytes_max = 64u << 20)
        : pool{{.holding_bytes_max = holding_bytes_max}} {}
    SlabPool pool;
    SlabHolding holding;
    SlabArena memory{pool, holding};
};

// --- queues ---

template <class T, class Memory>
void check_queue(Memory& memory, std::uint64_t seed) {
    Prng random{seed};
    ArenaQueue<T> queue;
    std::deque<T> model;
    for (std::uint32_t step = 0; step < 10'000; ++step) {
        const auto choice = random.below(20);
        if (choice < 10) {
            queue.push(memory, made<T>(step));
            model.push_back(made<T>(step));
        } else if (choice < 15 && !model.empty()) {
            ASSERT_EQ(queue.front(), model.front());
            queue.pop();
            model.pop_front();
        } else if (choice < 17 && !model.empty()) {
            const auto i = random.below(model.size());
            queue.erase_at(static_cast<std::uint32_t>(i));
            model.erase(model.begin() + static_cast<std::ptrdiff_t>(i));
        } else if (choice == 17 && !model.empty()) {
            const T oldest = queue.front();
            queue.pop();
            queue.push_again(oldest);
            model.push_back(model.front());
            model.pop_front();
        } else if (choice == 18 && !model.empty()) {
            // One of its own, also when the ring has to grow for it.
            const auto i = random.below(model.size());
            ASSERT_TRUE(queue.try_push(memory, queue.at(static_cast<std::uint32_t>(i))));
            model.push_back(model[i]);
        } else if (random.below(200) == 0) {
            queue.free(memory);
            model.clear();
        } else {
            queue.shrink(memory);
        }
        ASSERT_EQ(queue.size(), model.size());
        ASSERT_EQ(queue.empty(), model.empty());
        for (std::uint32_t i = 0; i < model.size(); ++i) ASSERT_EQ(queue.at(i), model[i]);
    }
    queue.free(memory);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.memory_bytes(), 0u);
}

TEST(arena_queue, behaves_like_a_deque_whatever_the_order_of_calls) {
    Slabs slabs;
    check_queue<std::uint32_t>(slabs.memory, 11);
    check_queue<Odd>(slabs.memory, 12);
    EXPECT_EQ(slabs.pool.stats().held, 0u);
    EXPECT_TRUE(slabs.pool.is_sound());
    Arena arena;
    check_queue<std::uint32_t>(arena, 13);
    arena.reset();
    check_queue<Odd>(arena, 14);
    Arena small{{.budget_bytes = 4'096}};  // what is beyond lies on the heap
    check_queue<std::uint64_t>(small, 15);
    EXPECT_GT(small.escapes().count_total(), 0u);
}

TEST(arena_queue, holds_little_memory_when_it_has_run_empty) {
    Slabs slabs;
    ArenaQueue<int> queue;
    EXPECT_EQ(queue.memory_bytes(), 0u);
    for (int i = 0; i < 1'000; ++i) queue.push(slabs.memory, i);
    EXPECT_EQ(queue.memory_bytes(), 1'024 * sizeof(int));
    queue.shrink(slabs.memory);
    EXPECT_EQ(queue.memory_bytes(), 1'024 * sizeof(int)) << "there is something in it";
    while (!queue.empty()) queue.pop();
    EXPECT_EQ(queue.memory_bytes(), 1'024 * sizeof(int)) << "until it is told";
    queue.shrink(slabs.memory);
    EXPECT_EQ(queue.memory_bytes(), 0u) << "a large ring goes";
    EXPECT_EQ(slabs.pool.stats().held, 0u);
    for (int i = 0; i < 100; ++i) queue.push(slabs.memory, i);
    while (!queue.empty()) queue.erase_at(0);
    queue.shrink(slabs.memory);
    EXPECT_EQ(queue.memory_bytes(), 128 * sizeof(int)) << "a small one stays for what comes next";
    queue.push(slabs.memory, 7);
    EXPECT_EQ(queue.front(), 7);
    queue.free(slabs.memory);
    EXPECT_EQ(slabs.pool.stats().held, 0u);
}

TEST(arena_queue, keeps_its_ring_while_it_walks_round_it) {
    Slabs slabs;
    ArenaQueue<std::uint32_t> queue;
    for (std::uint32_t i = 0; i < 4; ++i) queue.push(slabs.memory, i);
    const std::uint32_t* const ring = queue.slots();
    for (std::uint32_t i = 4; i < 1'000; ++i) {
        EXPECT_EQ(queue.front(), i - 4);
        queue.pop();
        queue.push(slabs.memory, i);
    }
    EXPECT_EQ(queue.slots(), ring);
    EXPECT_EQ(queue.memory_bytes(), 16u);
    queue.free(slabs.memory);
}

TEST(arena_queue, is_as_it_was_when_its_arena_refuses) {
    Slabs slabs{1'000};
    ArenaQueue<std::uint32_t> queue;
    std::uint32_t count = 0;
    while (queue.try_push(slabs.memory, count)) ++count;
    EXPECT_EQ(slabs.memory.refusal(), ZoneFault::budget_spent);
    const SlabHolding before = slabs.holding;
    const auto expect_unchanged = [&] {
        EXPECT_EQ(queue.size(), count);
        for (std::uint32_t i = 0; i < count; ++i) EXPECT_EQ(queue.at(i), i);
        EXPECT_EQ(slabs.holding.held_bytes, before.held_bytes);
        EXPECT_EQ(slabs.holding.block_count, before.block_count);
        EXPECT_TRUE(slabs.pool.is_sound());
    };
    expect_unchanged();
    const auto fault = in_fault_zone([&] { queue.push(slabs.memory, count); });
    EXPECT_EQ(fault, ZoneFault::budget_spent);
    expect_unchanged();
    queue.pop();
    EXPECT_TRUE(queue.try_push(slabs.memory, 7)) << "room for one";
    queue.free(slabs.memory);
    EXPECT_TRUE(queue.try_push(slabs.memory, 7));
}

TEST(arena_queue_death, stops_the_process_when_nobody_contains_the_refusal) {
    Slabs slabs{100};
    ArenaQueue<std::uint64_t> queue;
    EXPECT_DEATH(
        {
            for (std::uint32_t i = 0; i < 1'000; ++i) queue.push(slabs.memory, i);
        },
        "budget_spent an arena has no more memory for a queue");
    EXPECT_DEATH(queue.pop(), "CHECK failed");
    EXPECT_DEATH(static_cast<void>(queue.at(0)), "CHECK failed");
}

// --- vectors ---

static_assert(sizeof(ArenaVector<Odd>) == 16);
static_assert(std::is_trivially_copyable_v<ArenaVector<Odd>>);
static_assert(std::is_trivially_destructible_v<ArenaVector<Odd>>);

template <class T, class Memory>
void check_vector(Memory& memory, std::uint64_t seed) {
    Prng random{seed};
    ArenaVector<T> vector;
    std::vector<T> model;
    const auto place = [&] { return random.below(model.size() + 1); };
    const auto at = [&](std::uint64_t i) { return model.begin() + static_cast<std::ptrdiff_t>(i); };
    for (std::uint32_t step = 0; step < 20'000; ++step) {
        const auto choice = random.below(20);
        if (choice < 5) {
            vector.push_back(memory, made<T>(step));
            model.push_back(made<T>(step));
        } else if (choice < 7) {
            const auto i = place();
            vector.insert(memory, i, made<T>(step));
            model.insert(at(i), made<T>(step));
        } else if (choice < 12 && !model.empty()) {
            const auto i = random.below(model.size());
            vector.erase(i);
            model.erase(at(i));
        } else if (choice == 12) {
            std::vector<T> more(random.below(5));
            for (auto& element : more) element = made<T>(step);
            vector.append(memory, std::span<const T>{more});
            model.insert(model.end(), more.begin(), more.end());
        } else if (choice == 13 && !model.empty()) {
            // Its own elements, also when they move because of it.
            const auto i = random.below(model.size());
            const auto count = std::min<std::uint64_t>(model.size() - i, 4);
            vector.append(memory, vector.view().subspan(i, count));
            const std::vector<T> copy{at(i), at(i + count)};
            model.insert(model.end(), copy.begin(), copy.end());
        } else if (choice == 14 && !model.empty()) {
            const auto i = place();
            const auto own = random.below(model.size());
            vector.insert(memory, i, vector[own]);
            const T copy = model[own];
            model.insert(at(i), copy);
        } else if (choice == 15 && !model.empty()) {
            const auto own = random.below(model.size());
            ASSERT_TRUE(vector.try_push_back(memory, vector[own]));
            const T copy = model[own];
            model.push_back(copy);
        } else if (choice == 16) {
            const auto size = random.below(model.size() + 4);
            vector.resize(memory, size);
            model.resize(size);
        } else if (choice == 17) {
            ASSERT_TRUE(vector.try_reserve(memory, model.size() + random.below(10)));
        } else if (choice == 18) {
            T* const room = vector.extend(memory, 2);
            room[0] = room[1] = made<T>(step);
            model.resize(model.size() + 2, made<T>(step));
        } else if (random.below(50) == 0) {
            random.chance(0.5) ? vector.clear() : vector.free(memory);
            model.clear();
        }
        ASSERT_EQ(vector.size(), model.size());
        ASSERT_EQ(vector.empty(), model.empty());
        ASSERT_GE(vector.capacity(), vector.size());
        ASSERT_TRUE(std::equal(vector.begin(), vector.end(), model.begin(), model.end()));
        if (model.empty()) continue;
        ASSERT_EQ(vector.back(), model.back());
    }
    vector.free(memory);
    EXPECT_EQ(vector.capacity(), 0u);
    EXPECT_EQ(vector.data(), nullptr);
}

TEST(arena_vector, behaves_like_a_vector_whatever_the_order_of_calls) {
    Slabs slabs;
    check_vector<std::uint8_t>(slabs.memory, 21);
    check_vector<std::uint64_t>(slabs.memory, 22);
    check_vector<Odd>(slabs.memory, 23);
    EXPECT_EQ(slabs.pool.stats().held, 0u);
    EXPECT_TRUE(slabs.pool.is_sound());
    Arena arena;
    check_vector<std::uint8_t>(arena, 24);
    arena.reset();
    check_vector<Odd>(arena, 25);
    Arena small{{.budget_bytes = 4'096}};
    check_vector<std::uint64_t>(small, 26);
    EXPECT_GT(small.escapes().count_total(), 0u);
}

// A large block goes back to the system, and reads as zero, as soon as a larger one has its place.
TEST(arena_vector, takes_its_own_elements_while_it_leaves_a_large_block) {
    Slabs slabs;
    ArenaVector<std::uint64_t> vector;
    vector.resize(slabs.memory, 1u << 19);  // 4 MiB
    for (std::uint64_t i = 0; i < vector.size(); ++i) vector[i] = i + 1;
    while (vector.size() < vector.capacity()) vector.push_back(slabs.memory, 1);
    vector.push_back(slabs.memory, vector[4'711]);
    EXPECT_EQ(vector.back(), 4'712u);
    while (vector.size() < vector.capacity()) vector.push_back(slabs.memory, 1);
    vector.append(slabs.memory, vector.view().subspan(10, 5));
    EXPECT_EQ(vector.back(), 15u);
    vector.free(slabs.memory);
    EXPECT_EQ(slabs.pool.stats().held, 0u);
}

TEST(arena_vector, uses_the_whole_of_its_block) {
    Slabs slabs;
    for (std::uint32_t count = 1; count < 5'000; count += 7) {
        ArenaVector<Odd> vector;
        vector.resize(slabs.memory, count);
        EXPECT_EQ(vector.capacity(), SlabArena::usable_bytes(count * sizeof(Odd)) / sizeof(Odd));
        const std::uint64_t held = slabs.holding.held_bytes;
        vector.resize(slabs.memory, vector.capacity());
        EXPECT_EQ(slabs.holding.held_bytes, held);
        vector.free(slabs.memory);
    }
}

TEST(arena_vector, is_as_it_was_when_its_arena_refuses) {
    Slabs slabs{1'000};
    ArenaVector<std::uint32_t> vector;
    std::uint32_t count = 0;
    while (vector.try_push_back(slabs.memory, count)) ++count;
    EXPECT_EQ(slabs.memory.refusal(), ZoneFault::budget_spent);
    const std::uint64_t held = slabs.holding.held_bytes;
    const auto expect_unchanged = [&] {
        EXPECT_EQ(vector.size(), count);
        for (std::uint32_t i = 0; i < count; ++i) EXPECT_EQ(vector[i], i);
        EXPECT_EQ(slabs.holding.held_bytes, held);
        EXPECT_TRUE(slabs.pool.is_sound());
    };
    expect_unchanged();
    EXPECT_FALSE(vector.try_reserve(slabs.memory, count + 1));
    expect_unchanged();
    const auto refused = [&](auto body) {
        EXPECT_EQ(in_fault_zone(body), ZoneFault::budget_spent);
        expect_unchanged();
    };
    refused([&] { vector.push_back(slabs.memory, 1); });
    refused([&] { vector.insert(slabs.memory, 0, 1); });
    refused([&] { vector.resize(slabs.memory, count + 1); });
    refused([&] { vector.append(slabs.memory, vector.view()); });
    refused([&] { static_cast<void>(vector.extend(slabs.memory, 100)); });
    vector.erase(count - 1);
    EXPECT_TRUE(vector.try_push_back(slabs.memory, count - 1)) << "room for one";
    expect_unchanged();
}

TEST(arena_vector, refuses_more_elements_than_it_can_count) {
    Slabs slabs;
    Arena arena;
    ArenaVector<std::uint8_t> vector;
    vector.push_back(arena, 1);
    for (const std::size_t count :
         {std::size_t{1} << 32, std::numeric_limits<std::size_t>::max() - 1,
          std::numeric_limits<std::size_t>::max()}) {
        EXPECT_FALSE(vector.try_reserve(arena, count));
        EXPECT_TRUE(in_fault_zone([&] { vector.resize(arena, count); }));
        EXPECT_TRUE(in_fault_zone([&] { static_cast<void>(vector.extend(arena, count)); }));
    }
    EXPECT_EQ(vector.size(), 1u);
    EXPECT_EQ(vector[0], 1);
}

TEST(arena_vector_death, stops_the_process_when_nobody_contains_the_refusal) {
    Slabs slabs{100};
    ArenaVector<std::uint64_t> vector;
    EXPECT_DEATH(vector.resize(slabs.memory, 1'000),
                 "budget_spent an arena has no more memory for a vector");
    EXPECT_DEATH(vector.erase(0), "CHECK failed");
    EXPECT_DEATH(vector.insert(slabs.memory, 1, 7), "CHECK failed");
}

// --- single values ---

TEST(make_in, makes_a_value_where_the_arena_says_or_raises_its_refusal) {
    struct Value {
        std::uint64_t a = 7;
        std::uint64_t b[31] = {};
    };
    Slabs slabs{1'000};
    std::uint32_t made_count = 0;
    const auto fault = in_fault_zone([&] {
        for (;; ++made_count) {
            Value* const value = make_in<Value>(slabs.memory);
            EXPECT_EQ(value->a, 7u);
            EXPECT_EQ(value->b[30], 0u);
        }
    });
    EXPECT_EQ(fault, ZoneFault::budget_spent);
    EXPECT_EQ(slabs.holding.block_count, made_count);
    EXPECT_EQ(made_count, 3u);
    EXPECT_DEATH(static_cast<void>(make_in<Value>(slabs.memory)), "budget_spent");
    Arena arena;
    const Arena::Mark mark = arena.mark();
    Value* const value = make_in<Value>(arena);
    EXPECT_EQ(value->a, 7u);
    arena.rewind(mark);
}

}  // namespace
}  // namespace mitu::memory
