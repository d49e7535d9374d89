#pragma once
// Strikes: the ways in which the handling of a session can fail, done for real.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mitu/memory/fault_zone.hpp"
#include "mitu/memory/reservation.hpp"
#include "mitu/memory/slab_pool.hpp"

namespace mitu::chaos {

enum class Strike : std::uint8_t {
    budget,        // an owner's budget is spent in the middle of a container's growth
    pool_is_full,  // the pool itself has nothing left
    bad_alloc,     // the general allocator throws
    exception,     // something else is thrown
    guard_page,    // a write to a page that is closed
    null_pointer,
    double_free,
};
inline constexpr std::size_t strike_count = static_cast<std::size_t>(Strike::double_free) + 1;

[[nodiscard]] constexpr std::string_view to_text(Strike strike) noexcept {
    constexpr std::array<std::string_view, strike_count> texts{
        "budget",     "pool is full", "bad_alloc",  "exception",
        "guard page", "null pointer", "double free"};
    return texts[static_cast<std::size_t>(strike)];
}
[[nodiscard]] constexpr memory::ZoneFault fault_of(Strike strike) noexcept {
    using memory::ZoneFault;
    constexpr std::array<ZoneFault, strike_count> faults{
        ZoneFault::budget_spent, ZoneFault::no_memory,  ZoneFault::no_memory,  ZoneFault::exception,
        ZoneFault::bad_access,   ZoneFault::bad_access, ZoneFault::double_free};
    return faults[static_cast<std::size_t>(strike)];
}

/// What strikes are done with: pools of their own, so that what breaks is the handling and not the
/// shard's memory.
class Striker {
public:
    Striker();
    /// Does not return.
    void strike(Strike strike);
    [[nodiscard]] volatile std::uint8_t* guard() const noexcept { return guard_->data(); }

private:
    std::optional<memory::Reservation> guard_;
    memory::SlabPool small_budget_{{.holding_bytes_max = 4'096}};
    memory::SlabPool small_pool_{{.pool_bytes_max = 128u << 10}};
    memory::SlabHolding holding_;
    memory::SlabHolding hungry_;
};

}  // namespace mitu::chaos
