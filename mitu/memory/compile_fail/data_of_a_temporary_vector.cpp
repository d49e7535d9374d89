// refused: temporary whose address is used .* will be destroyed at the end of the full-expression
// .*-Wdangling
#include "mitu/memory/arena_vector.hpp"

mitu::memory::ArenaVector<int> make();
int use() {
    const int* const data = make().data();
    return *data;
}
