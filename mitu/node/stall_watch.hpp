#pragma once
// StallWatch: whether a shard has stopped turning, judged by what the judge itself got done. Pure.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "mitu/base/time.hpp"

namespace mitu::node {

struct StallLimits {
    Duration period = Duration::milliseconds(250);  // between two looks
    Duration trace_after = Duration::seconds(2);    // then it is logged where the shard is
    Duration restart_after = Duration::seconds(10);
};

/// Counts time only as far as the looks at it were made: a process that was stopped, a machine that
/// slept, a debugger that held everything, are no stall, since nobody looked meanwhile.
class StallWatch {
public:
    enum class Verdict : std::uint8_t {
        turns,      // or has not stalled for long
        stalls,     // past trace_after, for the first time in this stall
        hangs,      // past restart_after; said at every look
        recovered,  // it was said to stall, and turns again
    };

    explicit StallWatch(const StallLimits& limits) : limits_{limits} {}

    /// A look: how many turns the shard has made. Each look must have given it a reason to turn.
    [[nodiscard]] Verdict look(std::uint64_t turns, Instant now) {
        const Duration since = looked_at_ ? now - *looked_at_ : Duration{};
        looked_at_ = now;
        if (turns != turns_) {
            turns_ = turns;
            const bool was_said = stalled_for_ >= limits_.trace_after;
            stalled_for_ = Duration{};
            return was_said ? Verdict::recovered : Verdict::turns;
        }
        const Duration before = stalled_for_;
        stalled_for_ = stalled_for_ + std::min(since, limits_.period * 2);
        if (stalled_for_ >= limits_.restart_after) return Verdict::hangs;
        const bool is_new = before < limits_.trace_after && stalled_for_ >= limits_.trace_after;
        return is_new ? Verdict::stalls : Verdict::turns;
    }
    [[nodiscard]] Duration stalled_for() const noexcept { return stalled_for_; }

private:
    StallLimits limits_;
    std::optional<Instant> looked_at_;
    std::uint64_t turns_ = 0;
    Duration stalled_for_;
};

}  // namespace mitu::node
