// refused: no matching constructor for initialization of .*ArenaScope
#include "mitu/memory/arena.hpp"

void use() { const mitu::memory::ArenaScope scope{mitu::memory::Arena{}}; }
