// refused: static assertion failed.*arenas free in bulk, without destructors
#include "mitu/memory/arena.hpp"
#include "mitu/memory/arena_vector.hpp"

struct Closes {
    ~Closes() {}
};

Closes* make(mitu::memory::Arena& arena) { return mitu::memory::make_in<Closes>(arena); }
