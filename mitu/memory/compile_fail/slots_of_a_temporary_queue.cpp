// refused: temporary whose address is used .* will be destroyed at the end of the full-expression
// .*-Wdangling
#include "mitu/memory/arena_queue.hpp"

mitu::memory::ArenaQueue<int> make();
int use() {
    const int* const slots = make().slots();
    return *slots;
}
