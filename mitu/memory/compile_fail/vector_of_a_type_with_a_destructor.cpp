// refused: static assertion failed.*arenas free in bulk, without destructors
#include <memory>

#include "mitu/memory/arena_vector.hpp"

mitu::memory::ArenaVector<std::unique_ptr<int>> vector;
