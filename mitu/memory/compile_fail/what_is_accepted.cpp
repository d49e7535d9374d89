// accepted: what the others do wrong, done right
#include <span>

#include "mitu/memory/arena.hpp"
#include "mitu/memory/arena_queue.hpp"
#include "mitu/memory/arena_vector.hpp"
#include "mitu/memory/record_heap.hpp"
#include "mitu/memory/slab_pool.hpp"

namespace mitu::memory {

struct Plain {
    int number = 0;
};

struct Owner {
    ArenaVector<Plain> vector;
    ArenaQueue<int> queue;
};

std::span<const Plain> view_of(const Owner& owner) { return owner.vector.view(); }
const int* slots_of(const Owner& owner) { return owner.queue.slots(); }
std::uint8_t* data_of(const RecordHeap& heap, RecordHandle handle) { return heap.data(handle); }
SlabArena arena_of(SlabPool& pool, SlabHolding& holding) { return SlabArena{pool, holding}; }
Plain* make(SlabPool& pool, SlabHolding& holding) {
    SlabArena arena{pool, holding};
    return make_in<Plain>(arena);
}

int use(Owner& owner, SlabPool& pool, SlabHolding& holding) {
    SlabArena memory = arena_of(pool, holding);
    owner.vector.push_back(memory, Plain{7});
    owner.queue.push(memory, 7);
    Arena arena;
    const ArenaScope scope{arena};
    ArenaVector<int> numbers;
    numbers.push_back(arena, 7);
    const std::span<const int> view = numbers.view();
    return view[0] + view_of(owner)[0].number + *slots_of(owner) + make(pool, holding)->number;
}

}  // namespace mitu::memory
