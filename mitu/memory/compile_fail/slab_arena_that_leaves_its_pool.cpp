// refused: address of stack memory associated with local variable 'pool' returned
#include "mitu/memory/slab_pool.hpp"

mitu::memory::SlabArena make(mitu::memory::SlabHolding& holding) {
    mitu::memory::SlabPool pool;
    return mitu::memory::SlabArena{pool, holding};
}
