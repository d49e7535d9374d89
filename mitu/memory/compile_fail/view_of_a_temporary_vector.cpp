// refused: temporary whose address is used .* will be destroyed at the end of the full-expression
// .*-Wdangling
#include "mitu/memory/arena_vector.hpp"

mitu::memory::ArenaVector<int> make();
int use() {
    const std::span<const int> view = make().view();
    return view[0];
}
