// refused: static assertion failed.*arenas free in bulk, without destructors
#include <string>

#include "mitu/memory/arena_queue.hpp"

mitu::memory::ArenaQueue<std::string> queue;
