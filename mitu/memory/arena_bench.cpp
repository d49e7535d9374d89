// What memory of turns and of owners costs: arenas and the slab pool beside a bare bump pointer and
// general allocators, each in the same pattern. Run with --benchmark_repetitions=9 and read the
// medians, and the ratios.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/memory/arena.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/memory/general_allocators.hpp"
#include "mitu/memory/slab_pool.hpp"

namespace mitu::memory {
namespace {

constexpr std::size_t header_bytes = 48;
constexpr std::size_t payload_bytes = 256;

// --- a message: a header, and a payload of its own ---

struct Message {
    void* header = nullptr;
    void* payload = nullptr;
};

/// What no allocator can beat: it frees nothing, and knows no end.
struct Bump {
    static constexpr std::size_t range_bytes = std::size_t{64} << 20;
    std::unique_ptr<std::uint8_t[]> range{new std::uint8_t[range_bytes]};
    std::uint8_t* next = range.get();
    void* allocate(std::size_t bytes) {
        void* const at = next;
        next += (bytes + 15) & ~std::size_t{15};
        return at;
    }
    void free(void* /*block*/) {}
    void end_turn() { next = range.get(); }
};

struct Turns {
    Arena arena{{.budget_bytes = std::size_t{64} << 20}};
    void* allocate(std::size_t bytes) { return arena.try_allocate(bytes); }
    void free(void* /*block*/) {}
    void end_turn() { arena.reset(); }
};

struct Slabs {
    SlabPool pool;
    std::vector<SlabHolding> holdings = std::vector<SlabHolding>(20'000);
    SlabHolding* holding = holdings.data();
    void* allocate(std::size_t bytes) { return pool.allocate(*holding, bytes); }
    void free(void* block) { pool.give_back(*holding, block); }
    void end_turn() {}
    void turn_to(std::size_t owner) { holding = &holdings[owner]; }
};

/// The same, but what a turn needed goes at once.
struct SlabsAtOnce : Slabs {
    void free(void* /*block*/) {}
    void end_turn() { pool.give_back_all(*holding); }
};

struct General {
    void* (*take)(std::size_t);
    void (*give)(void*);
    void* allocate(std::size_t bytes) { return take(bytes); }
    void free(void* block) { give(block); }
    void end_turn() {}
    void turn_to(std::size_t /*owner*/) {}
};

template <class Memory>
Message make(Memory& memory) {
    const Message made{memory.allocate(header_bytes), memory.allocate(payload_bytes)};
    *static_cast<void**>(made.header) = made.payload;
    *static_cast<std::uint64_t*>(made.payload) = 7;
    benchmark::DoNotOptimize(made.header);
    return made;
}
template <class Memory>
void drop(Memory& memory, const Message& message) {
    memory.free(message.payload);
    memory.free(message.header);
}

std::uint64_t minor_faults() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_minflt);
}

/// A turn: `window` messages come, then all go. The first turns are not counted.
template <class Memory>
void turns(benchmark::State& state, Memory& memory) {
    const auto window = static_cast<std::size_t>(state.range(0));
    std::vector<Message> live(window);
    const auto turn = [&] {
        for (Message& message : live) message = make(memory);
        for (const Message& message : live) drop(memory, message);
        memory.end_turn();
    };
    for (std::size_t i = 0; i < 3; ++i) turn();
    const std::uint64_t faults = minor_faults();
    for (auto _ : state) turn();
    const auto messages = static_cast<std::int64_t>(state.iterations() * window);
    state.SetItemsProcessed(messages);
    state.counters["faults_per_million"] =
        static_cast<double>(minor_faults() - faults) * 1e6 / static_cast<double>(messages);
}

/// The same, and the payloads are written, as a message's are.
template <class Memory>
void written(benchmark::State& state, Memory& memory) {
    const auto window = static_cast<std::size_t>(state.range(0));
    const std::vector<std::uint8_t> content(payload_bytes, 'x');
    std::vector<Message> live(window);
    for (auto _ : state) {
        for (Message& message : live) {
            message = make(memory);
            std::memcpy(message.payload, content.data(), payload_bytes);
        }
        for (const Message& message : live) drop(memory, message);
        memory.end_turn();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * window));
}

/// Some 16 MiB live, six messages an owner, and any of them may be the next to go.
template <class Memory>
void any_order(benchmark::State& state, Memory& memory) {
    constexpr std::size_t live_max = (std::size_t{16} << 20) / (header_bytes + payload_bytes);
    Prng random{1};
    std::vector<Message> live(live_max);
    const auto turn_to = [&](std::size_t i) -> Message& {
        memory.turn_to(i / 6);
        return live[i];
    };
    for (std::size_t i = 0; i < live_max; ++i) {
        Message& message = turn_to(i);
        message = make(memory);
    }
    const auto replace = [&] {
        Message& victim = turn_to(random.below(live_max));
        drop(memory, victim);
        victim = make(memory);
    };
    for (std::size_t i = 0; i < 2 * live_max; ++i) replace();
    const std::uint64_t faults = minor_faults();
    for (auto _ : state) replace();
    state.SetItemsProcessed(state.iterations());
    state.counters["faults_per_million"] = static_cast<double>(minor_faults() - faults) * 1e6 /
                                           static_cast<double>(state.iterations());
    for (std::size_t i = 0; i < live_max; ++i) drop(memory, turn_to(i));
    memory.turn_to(0);
}

template <class Memory>
void all_patterns(const std::string& name, std::shared_ptr<Memory> memory) {
    const auto add = [&](const char* pattern, auto function) {
        return benchmark::RegisterBenchmark(
            (std::string{pattern} + "/" + name).c_str(),
            [memory, function](benchmark::State& state) { function(state, *memory); });
    };
    add("turns", turns<Memory>)->Arg(1)->Arg(64)->Arg(256)->Arg(32'768);
    add("written", written<Memory>)->Arg(256);
    if constexpr (std::is_same_v<Memory, Slabs> || std::is_same_v<Memory, General>) {
        add("any_order", any_order<Memory>);
    }
}

const bool registered = [] {
    all_patterns("bump", std::make_shared<Bump>());
    all_patterns("arena", std::make_shared<Turns>());
    all_patterns("slabs", std::make_shared<Slabs>());
    all_patterns("slabs_at_once", std::make_shared<SlabsAtOnce>());
    for (const GeneralAllocator& found : general_allocators()) {
        all_patterns(found.name, std::make_shared<General>(General{found.allocate, found.free}));
    }
    return true;
}();

// --- all at once ---

/// Times drop(i) for each of `count` things that fill(i) has made, without what making them costs.
template <class Fill, class Drop>
void drop_many(benchmark::State& state, std::size_t count, Fill fill, Drop drop) {
    for (auto _ : state) {
        for (std::size_t i = 0; i < count; ++i) fill(i);
        const auto begin = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < count; ++i) drop(i);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        state.SetIterationTime(took.count() / static_cast<double>(count));
    }
}

constexpr std::size_t arena_count = 64;
constexpr std::size_t batch_messages = 256;

std::vector<std::unique_ptr<Arena>> make_arenas() {
    std::vector<std::unique_ptr<Arena>> arenas(arena_count);
    for (auto& arena : arenas) arena = std::make_unique<Arena>();
    return arenas;
}
void fill_arena(Arena& arena) {
    for (std::size_t i = 0; i < batch_messages; ++i) {
        benchmark::DoNotOptimize(arena.try_allocate(header_bytes));
        benchmark::DoNotOptimize(arena.try_allocate(payload_bytes));
    }
}

void drop_batch_by_rewind(benchmark::State& state) {
    const auto arenas = make_arenas();
    drop_many(
        state, arena_count, [&](std::size_t i) { fill_arena(*arenas[i]); },
        [&](std::size_t i) { arenas[i]->rewind({}); });
}
BENCHMARK(drop_batch_by_rewind)->UseManualTime()->Iterations(2'000);

void drop_batch_by_reset(benchmark::State& state) {
    const auto arenas = make_arenas();
    drop_many(
        state, arena_count, [&](std::size_t i) { fill_arena(*arenas[i]); },
        [&](std::size_t i) { arenas[i]->reset(); });
}
BENCHMARK(drop_batch_by_reset)->UseManualTime()->Iterations(2'000);

/// Twelve blocks of a session, from 32 bytes to 2 KiB.
void fill_holding(SlabPool& pool, SlabHolding& holding, std::size_t number) {
    for (std::size_t i = 0; i < 12; ++i) {
        benchmark::DoNotOptimize(pool.allocate(holding, std::size_t{32} << (i + number) % 7));
    }
}

void give_back_all_of_12_blocks(benchmark::State& state) {
    SlabPool pool;
    std::vector<SlabHolding> holdings(static_cast<std::size_t>(state.range(0)));
    drop_many(
        state, holdings.size(), [&](std::size_t i) { fill_holding(pool, holdings[i], i); },
        [&](std::size_t i) { pool.give_back_all(holdings[i]); });
}
BENCHMARK(give_back_all_of_12_blocks)->UseManualTime()->Arg(1'000)->Iterations(200);

// --- zones ---

void enter_and_leave_a_zone(benchmark::State& state) {
    int count = 0;
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(in_fault_zone([&] { benchmark::DoNotOptimize(++count); }));
    }
}
BENCHMARK(enter_and_leave_a_zone);

void contain_a_fault(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(
            in_fault_zone([] { raise_fault(ZoneFault::budget_spent, "a benchmark says so"); }));
    }
}
BENCHMARK(contain_a_fault);

}  // namespace
}  // namespace mitu::memory
