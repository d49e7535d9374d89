#include "tests/chaos/strikes.hpp"

#include <new>
#include <stdexcept>

#include "mitu/base/check.hpp"
#include "mitu/memory/arena_vector.hpp"

namespace mitu::chaos {
namespace {

/// Grows until the arena refuses, which is a fault.
void grow_without_end(memory::SlabPool& pool, memory::SlabHolding& holding) {
    pool.give_back_all(holding);
    memory::SlabArena arena{pool, holding};
    for (;;) {
        memory::ArenaVector<std::uint64_t> values;
        for (std::uint64_t i = 0; i < 2'000; ++i) values.push_back(arena, i);
    }
}

}  // namespace

Striker::Striker() : guard_{memory::Reservation::make(memory::page_bytes)} {
    MITU_CHECK(guard_.has_value());
}

void Striker::strike(Strike strike) {
    switch (strike) {
        case Strike::budget:
            grow_without_end(small_budget_, holding_);
            break;
        case Strike::pool_is_full:
            grow_without_end(small_pool_, hungry_);
            break;
        case Strike::bad_alloc:
            throw std::bad_alloc{};
        case Strike::exception:
            throw std::runtime_error{"chaos"};
        case Strike::guard_page:
            *guard() = 1;
            break;
        case Strike::null_pointer: {
            volatile std::uint8_t* volatile nowhere = nullptr;
            *nowhere = 1;  // NOLINT(clang-analyzer-core.NullDereference): that is the strike
            break;
        }
        case Strike::double_free: {
            small_budget_.give_back_all(holding_);
            void* const block = small_budget_.allocate(holding_, 100);
            small_budget_.give_back(holding_, block);
            small_budget_.give_back(holding_, block);
            break;
        }
    }
    MITU_CHECK_MSG(false, "a strike that missed");
}

}  // namespace mitu::chaos
