#pragma once
// SessionMemory: where one session keeps what it has beside its fixed part.

#include <cstddef>
#include <source_location>

#include "mitu/memory/slab_pool.hpp"
#include "mitu/ports/faults.hpp"

namespace mitu::broker {

/// Blocks of the shard's pool, held by one session from its start to its end and given back all at
/// once when it goes, however it goes.
/// Lifetime  borrows all three; `faults` null: none will fire.
class SessionMemory : public memory::SlabArena {
public:
    SessionMemory(memory::SlabPool& pool, memory::SlabHolding& holding,
                  ports::Faults* faults) noexcept
        : SlabArena{pool, holding}, faults_{faults} {}

    [[nodiscard]] void* try_allocate(
        std::size_t size_bytes,
        const std::source_location& where = std::source_location::current()) noexcept {
        was_denied_ = faults_ != nullptr && faults_->fire(ports::Fault::session_memory_full);
        return was_denied_ ? nullptr : SlabArena::try_allocate(size_bytes, where);
    }
    [[nodiscard]] memory::ZoneFault refusal() const noexcept {
        return was_denied_ ? memory::ZoneFault::budget_spent : SlabArena::refusal();
    }

private:
    ports::Faults* faults_;
    bool was_denied_ = false;
};

}  // namespace mitu::broker
