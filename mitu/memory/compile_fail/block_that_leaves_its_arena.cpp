// refused: address of stack memory associated with local variable 'arena' returned
#include "mitu/memory/arena.hpp"

void* make() {
    mitu::memory::Arena arena;
    return arena.try_allocate(16);
}
