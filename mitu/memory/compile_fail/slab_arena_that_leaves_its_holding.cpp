// refused: address of stack memory associated with local variable 'holding' returned
#include "mitu/memory/slab_pool.hpp"

mitu::memory::SlabArena make(mitu::memory::SlabPool& pool) {
    mitu::memory::SlabHolding holding;
    return mitu::memory::SlabArena{pool, holding};
}
