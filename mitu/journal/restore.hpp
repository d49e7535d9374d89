#pragma once
// What the store has, given back to the shards of a server that begins.

#include <cstdint>
#include <optional>
#include <span>

#include "mitu/base/result.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/journal/store_journal.hpp"
#include "mitu/ports/clock.hpp"
#include "mitu/store/engine.hpp"
#include "mitu/store/housekeeping.hpp"

namespace mitu::journal {

/// One more start: brings the store's layout to this version, and fills `terms` with what numbers
/// begin from. `node`, `has_lost`: see store::begin_generation.
/// Errors  as store::begin_generation: nothing was begun.
[[nodiscard]] Result<void, store::Error> begin_run(store::Engine& engine, JournalTerms& terms,
                                                   std::uint64_t node, bool has_lost = false);

struct RestoreOptions {
    /// The wills of clients without a kept session that were connected when the last process ended
    /// wait so long for them to come back.
    Duration will_grace = Duration::seconds(30);
};

struct RestoreReport {
    std::uint64_t sessions = 0;
    std::uint64_t subscriptions = 0;
    std::uint64_t retained = 0;
    std::uint64_t wills = 0;    // of clients without a kept session, which wait for them
    std::uint64_t due = 0;      // wills that were on their way: published
    std::uint64_t expired = 0;  // sessions and messages whose time had passed: erased
    /// Rows that stay in the store and are not served: of tenants that are not there or keep
    /// nothing, damaged, or without room.
    std::uint64_t left = 0;
    /// For the housekeeping. Nullopt: a session could not be read, and nothing is to be swept.
    std::optional<store::SweepPlan> sweep{};
};

/// Sessions, filters, retained messages and wills; queues stay where they are. Each shard must be
/// one that has not begun to turn.
/// Cost    a pass over the rows; a million sessions with a filter each take a few seconds.
/// Errors  as Engine: the shards may have a part of it; the process should end.
[[nodiscard]] Result<RestoreReport, store::Error> restore(store::Engine& engine,
                                                          const JournalTerms& terms,
                                                          std::span<broker::Shard* const> shards,
                                                          const ports::Clock& clock,
                                                          const RestoreOptions& options = {});

}  // namespace mitu::journal
