// refused: address of stack memory associated with local variable 'heap' returned
#include "mitu/memory/record_heap.hpp"

std::span<std::uint8_t> make() {
    mitu::memory::RecordHeap heap;
    return heap.bytes(*heap.add(16));
}
