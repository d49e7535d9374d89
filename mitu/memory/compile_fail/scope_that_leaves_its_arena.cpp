// refused: address of stack memory associated with local variable 'arena' returned
#include "mitu/memory/arena.hpp"

mitu::memory::ArenaScope make() {
    mitu::memory::Arena arena;
    return mitu::memory::ArenaScope{arena};
}
