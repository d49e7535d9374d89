// refused: call to deleted constructor of .*RecordHeap
#include "mitu/memory/record_heap.hpp"

mitu::memory::RecordHeap copy(mitu::memory::RecordHeap& heap) { return heap; }
