#pragma once
// Housekeeping: clears away what nobody needs any more, a little at a time, between the groups of
// the committer. All that it does can be cut off anywhere and begun again.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/store/committer.hpp"
#include "mitu/store/engine.hpp"

namespace mitu::store {

/// What a start knows of sessions: of whom rows may be there. Rows of all others are left over from
/// a process that ended at a bad moment.
struct SweepPlan {
    std::vector<std::uint64_t> sessions;  // in order
    std::uint32_t generation = 0;         // of the run: what it makes itself is not looked at
};

struct HousekeepingCounters {
    trace::Counter sessions_swept;  // found without a session, after a start
    trace::Counter sessions_cleared;
    trace::Counter rows_cleared;
    trace::Counter messages_released;
    trace::Counter stream_rows_trimmed;
};

/// Four works: after a start, to find rows that no session has; the rows of sessions that have
/// ended, messages that no entry names any more, and rows of streams that every cursor has passed,
/// that have expired, or that are above the bound.
/// Threading  the committer's thread: what it reads, nobody writes meanwhile.
class Housekeeping {
public:
    struct Options {
        std::uint32_t rows_max = 256;                       // a step
        Duration sweep_every = Duration::milliseconds(50);  // a look at rows_max sessions
        std::uint64_t stream_rows_max = 1'000'000;          // of one stream; the oldest go first
        Duration streams_every = Duration::seconds(1);
    };

    /// Lifetime  both outlive it.
    Housekeeping(Engine& engine, Committer& committer)
        : Housekeeping(engine, committer, Options{}) {}
    Housekeeping(Engine& engine, Committer& committer, const Options& options);

    /// Once, before the first step.
    void sweep(SweepPlan plan);

    struct Step {
        bool has_more = false;
        Instant deadline = Instant::never();
    };
    /// Errors  as Engine::write; the work is done later.
    Result<Step, Error> step(Instant now, WallTime wall);

    [[nodiscard]] const HousekeepingCounters& counters() const noexcept { return counters_; }

private:
    [[nodiscard]] Result<void, Error> sweep_leftovers(Batch& batch);
    [[nodiscard]] Result<std::uint32_t, Error> clear_sessions(Batch& batch, std::uint32_t rows_max);
    [[nodiscard]] Result<std::uint32_t, Error> release_messages(Batch& batch,
                                                                std::uint32_t rows_max);
    [[nodiscard]] Result<std::uint32_t, Error> trim_streams(Batch& batch, std::uint32_t rows_max,
                                                            WallTime wall);
    [[nodiscard]] Result<void, Error> write(Batch& batch);

    Engine& engine_;
    Committer& committer_;
    Options options_;
    HousekeepingCounters counters_;
    std::optional<SweepPlan> sweep_;  // nullopt: it is done
    std::size_t sweep_family_ = 0;
    Bytes sweep_from_;
    Instant sweep_at_{};
    Instant streams_at_{};
    Bytes next_stream_;  // trim_streams() goes on here
};

}  // namespace mitu::store
