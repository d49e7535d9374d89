// A message's memory: the heap of records beside general allocators and a bare bump pointer, each
// in the same pattern. Run with --benchmark_repetitions=9 and read the medians, and the ratios.
#include <benchmark/benchmark.h>

#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/memory/general_allocators.hpp"
#include "mitu/memory/record_heap.hpp"

namespace mitu::memory {
namespace {

constexpr std::uint32_t message_bytes = 256;

struct Bump {  // what no allocator can beat: it never frees, and runs in circles
    using Handle = std::uint8_t*;
    std::unique_ptr<std::uint8_t[]> ring = std::make_unique<std::uint8_t[]>(ring_bytes);
    std::size_t at = 0;
    static constexpr std::size_t ring_bytes = 128u << 10;
    Handle add(std::uint32_t size) {
        if (at + size > ring_bytes) at = 0;
        std::uint8_t* const memory = ring.get() + at;
        at += size;
        return memory;
    }
    std::uint8_t* data(Handle handle) const { return handle; }
    void release(Handle) {}
    void tidy() {}
};

/// malloc and free of some library; a header of its own beside each payload, as others do.
struct General {
    struct Header {
        std::uint8_t* payload;
        std::uint64_t rest[3];
    };
    using Handle = Header*;
    void* (*allocate)(std::size_t);
    void (*free)(void*);
    Handle add(std::uint32_t size) {
        auto* const header = static_cast<Header*>(allocate(sizeof(Header)));
        header->payload = static_cast<std::uint8_t*>(allocate(size));
        return header;
    }
    std::uint8_t* data(Handle handle) const { return handle->payload; }
    void release(Handle handle) {
        free(handle->payload);
        free(handle);
    }
    void tidy() {}
};

struct Records {
    using Handle = RecordHandle;
    RecordHeap heap;
    Handle add(std::uint32_t size) { return *heap.add(size + header_bytes); }
    std::uint8_t* data(Handle handle) const { return heap.data(handle) + header_bytes; }
    static constexpr std::uint32_t header_bytes = 24;
    void release(Handle handle) { heap.release(handle); }
    void tidy() { heap.tidy(512u << 10); }
};

/// A turn: `window` messages come, then all go. What a shard without slow subscribers does.
template <class Memory>
void turns(benchmark::State& state, Memory& memory) {
    const auto window = static_cast<std::size_t>(state.range(0));
    const std::vector<std::uint8_t> content(message_bytes, 'x');
    std::vector<typename Memory::Handle> live(window);
    for (auto _ : state) {
        for (auto& handle : live) {
            handle = memory.add(message_bytes);
            std::memcpy(memory.data(handle), content.data(), message_bytes);
        }
        for (const auto handle : live) memory.release(handle);
        memory.tidy();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * window));
}

/// One message in 32 stays, until 64 MiB of them are there; then the oldest goes for each new one.
template <class Memory>
void slow_subscriber(benchmark::State& state, Memory& memory) {
    constexpr std::size_t kept_max = (64u << 20) / message_bytes;
    const std::vector<std::uint8_t> content(message_bytes, 'x');
    std::deque<typename Memory::Handle> kept;
    std::deque<typename Memory::Handle> passing;
    std::uint64_t number = 0;
    const auto one = [&] {
        const auto handle = memory.add(message_bytes);
        std::memcpy(memory.data(handle), content.data(), message_bytes);
        if (number % 32 == 0) {
            kept.push_back(handle);
            if (kept.size() > kept_max) {
                memory.release(kept.front());
                kept.pop_front();
            }
        } else {
            passing.push_back(handle);
            if (passing.size() > 500) {
                memory.release(passing.front());
                passing.pop_front();
            }
        }
        if (++number % 256 == 0) memory.tidy();
    };
    while (kept.size() < kept_max) one();
    for (auto _ : state) one();
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    for (const auto handle : kept) memory.release(handle);
    for (const auto handle : passing) memory.release(handle);
    memory.tidy();
}

/// 64 MiB live, and any of them may be the next to go: the worst that subscribers can choose.
template <class Memory>
void any_order(benchmark::State& state, Memory& memory) {
    constexpr std::size_t live_max = (64u << 20) / message_bytes;
    const std::vector<std::uint8_t> content(message_bytes, 'x');
    Prng prng{1};
    std::vector<typename Memory::Handle> live;
    live.reserve(live_max);
    std::uint64_t number = 0;
    const auto add = [&] {
        const auto handle = memory.add(message_bytes);
        std::memcpy(memory.data(handle), content.data(), message_bytes);
        return handle;
    };
    while (live.size() < live_max) live.push_back(add());
    for (auto _ : state) {
        auto& victim = live[static_cast<std::size_t>(prng.below(live_max))];
        memory.release(victim);
        victim = add();
        if (++number % 256 == 0) memory.tidy();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    for (const auto handle : live) memory.release(handle);
    memory.tidy();
}

/// A turn of 64 messages to eight subscribers each: a reference for each that waits for it.
void queued(benchmark::State& state, Allocation allocation) {
    constexpr std::size_t window = 64;
    constexpr int subscribers = 8;
    RecordHeap heap{{.allocation = allocation}};
    const std::vector<std::uint8_t> content(message_bytes, 'x');
    std::vector<RecordHandle> live(window);
    for (auto _ : state) {
        for (auto& handle : live) {
            handle = *heap.add(message_bytes);
            std::memcpy(heap.data(handle), content.data(), message_bytes);
            for (int i = 0; i < subscribers; ++i) heap.retain(handle);
            heap.release(handle);
        }
        for (int i = 0; i < subscribers; ++i) {
            for (const auto handle : live) heap.release(handle);
        }
        heap.tidy(512u << 10);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * window));
}

template <class Memory>
void all_patterns(const std::string& name, std::shared_ptr<Memory> memory) {
    const auto add = [&](const char* pattern, auto function) {
        return benchmark::RegisterBenchmark(
            (std::string{pattern} + "/" + name).c_str(),
            [memory, function](benchmark::State& state) { function(state, *memory); });
    };
    add("turns", turns<Memory>)->Arg(1)->Arg(64)->Arg(256);
    if constexpr (!std::is_same_v<Memory, Bump>) {
        add("slow_subscriber", slow_subscriber<Memory>);
        add("any_order", any_order<Memory>);
    }
}

const bool registered = [] {
    all_patterns("bump", std::make_shared<Bump>());
    all_patterns("records", std::make_shared<Records>());
    for (const GeneralAllocator& found : general_allocators()) {
        all_patterns(found.name, std::make_shared<General>(General{found.allocate, found.free}));
    }
    // LD_PRELOAD puts another library's allocator under the second.
    benchmark::RegisterBenchmark("queued/records", queued, Allocation::batches);
    benchmark::RegisterBenchmark("queued/records_in_malloc", queued, Allocation::malloc);
    return true;
}();

}  // namespace
}  // namespace mitu::memory
