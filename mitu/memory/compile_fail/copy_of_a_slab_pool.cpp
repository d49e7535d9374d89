// refused: call to deleted constructor of .*SlabPool
#include "mitu/memory/slab_pool.hpp"

mitu::memory::SlabPool copy(mitu::memory::SlabPool& pool) { return pool; }
