#include "mitu/store/committer.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/ports/trial.hpp"
#include "mitu/store/key.hpp"

namespace mitu::store {
namespace {

// In `meta`: the number of the group that was written last.
constexpr std::string_view last_group = "last group";

// Space is back when there is half as much again: no flutter at the edge.
constexpr std::uint64_t enough_again(std::uint64_t free_bytes_min) noexcept {
    return free_bytes_min + free_bytes_min / 2;
}

}  // namespace

Committer::Committer(Engine& engine, const CommitterOptions& options,
                     std::function<void(ShardId)> wake_shard, std::function<void()> wake_committer)
    : engine_{engine},
      options_{options},
      wake_shard_{std::move(wake_shard)},
      wake_committer_{std::move(wake_committer)} {
    MITU_CHECK(options.shards > 0);
    for (std::uint16_t i = 0; i < options.shards; ++i) lanes_.push_back(std::make_unique<Lane>());
}

// ---- a shard's side
// --------------------------------------------------------------------------------

bool Committer::may_submit(ShardId shard) const noexcept {
    return lanes_[shard.value]->bytes_in_flight.load(std::memory_order_relaxed) <
           options_.bytes_in_flight_max;
}

std::optional<Ticket> Committer::submit(ShardId shard, Batch& batch) {
    MITU_CHECK(shard.value < lanes_.size());
    if (!may_submit(shard)) return std::nullopt;
    Lane& lane = *lanes_[shard.value];
    lane.bytes_in_flight.fetch_add(batch.size_bytes(), std::memory_order_relaxed);
    const Ticket ticket = ++lane.last_ticket;
    Submitted submitted{ticket, std::exchange(batch, Batch{})};
    MITU_CHECK(lane.submitted.try_push(std::move(submitted)));
    if (lane.spare_taken.empty()) lane.spare.drain(lane.spare_taken);
    if (!lane.spare_taken.empty()) {
        batch = std::move(lane.spare_taken.back());
        lane.spare_taken.pop_back();
    }
    if (wake_committer_) wake_committer_();
    return ticket;
}

void Committer::poll(ShardId shard, std::vector<CommitReport>& reports) {
    MITU_CHECK(shard.value < lanes_.size());
    lanes_[shard.value]->reports.drain(reports);
}

Ticket Committer::written_through(ShardId shard) const noexcept {
    return lanes_[shard.value]->written_through.load(std::memory_order_acquire);
}

// ---- the committer's side
// --------------------------------------------------------------------------

/// Fills the group with whole batches, a shard after the other, beginning with another one each
/// time. Returns whether anything is left.
bool Committer::gather() {
    group_.clear(static_cast<std::size_t>(2 * options_.group_bytes_max));
    shares_.clear();
    bool is_left = false;
    first_lane_ = (first_lane_ + 1) % lanes_.size();
    for (std::size_t turn = 0; turn < lanes_.size(); ++turn) {
        const std::size_t index = (first_lane_ + turn) % lanes_.size();
        Lane& lane = *lanes_[index];
        if (lane.pending_at == lane.pending.size()) {
            lane.submitted.drain(lane.pending);
            lane.pending_at = 0;
        }
        Share share{index, 0, 0, 0};
        while (lane.pending_at < lane.pending.size()) {
            Submitted& next = lane.pending[lane.pending_at];
            const bool fits = group_.is_empty() || group_.size_bytes() + next.batch.size_bytes() <=
                                                       options_.group_bytes_max;
            if (!fits) {
                is_left = true;
                break;
            }
            group_.append(next.batch);
            share.through = next.ticket;
            share.bytes += next.batch.size_bytes();
            ++share.batches;
            next.batch.clear();
            (void)lane.spare.try_push(std::move(next.batch));  // full: it has enough of them
            ++lane.pending_at;
        }
        is_left |= !lane.submitted.is_empty();
        if (share.batches > 0) shares_.push_back(share);
    }
    return is_left;
}

void Committer::report(Lane& lane, ShardId shard, Ticket through) {
    MITU_CHECK(lane.reports.try_push(CommitReport{through}));
    if (wake_shard_) wake_shard_(shard);
}

void Committer::note(const Error& error, Instant now) {
    trouble_ = error;
    retry_at_ = now + options_.retry_delay;
    accepts_growth_.store(false, std::memory_order_relaxed);
}

void Committer::try_to_recover(Instant now) {
    if (!trouble_ && engine_.has_found_damage()) {
        note(Error{ErrorKind::damaged, "a file does not hold against its checksum"}, now);
        retry_at_ = now;
    }
    if (!trouble_ || now < retry_at_) return;
    const auto recovered = engine_.recover();
    if (!recovered) return note(recovered.error(), now);
    trouble_.reset();
    retry_at_ = Instant::never();
    counters_.recoveries.add();
    look_at_space_at_ = now;
    accepts_growth_.store(!is_short_of_space_, std::memory_order_relaxed);
}

void Committer::watch_space(Instant now) {
    if (now < look_at_space_at_) return;
    look_at_space_at_ = now + options_.free_bytes_every;
    const auto free = engine_.free_bytes();
    const std::uint64_t wanted =
        is_short_of_space_ ? enough_again(options_.free_bytes_min) : options_.free_bytes_min;
    // The reserve is part of what is to be kept free: making it must not look like a loss.
    const std::uint64_t kept = engine_.reserved_bytes();
    is_short_of_space_ = free && *free + kept < wanted;
    if (kept == 0 && free && *free >= enough_again(options_.free_bytes_min)) {
        engine_.refill_reserve();
    }
    accepts_growth_.store(!is_short_of_space_ && !trouble_, std::memory_order_relaxed);
}

Committer::Step Committer::step(Instant now, WallTime wall) {
    engine_.set_time(wall);
    try_to_recover(now);
    watch_space(now);

    Step result;
    // A group that could not be written is kept, and comes first: what a shard has handed over is
    // never dropped.
    if (shares_.empty()) {
        result.has_more = gather();
        if (!shares_.empty()) ports::pass_trial(ports::TrialPoint::committer_gathered);
    }
    if (!shares_.empty() && !trouble_) number_group(now);
    if (!shares_.empty() && !trouble_) {
        if (const auto written = write_group(now); !written) {
            counters_.failures.add();
            is_in_doubt_ = true;
            note(written.error(), now);
        } else {
            report_group();
        }
    }
    if (unsynced_since_ && now >= *unsynced_since_ + options_.async_delay && !trouble_) {
        ports::pass_trial(ports::TrialPoint::committer_before_sync);
        const auto synced = engine_.sync();
        if (synced) {
            ports::pass_trial(ports::TrialPoint::committer_synced);
            counters_.syncs.add();
            unsynced_since_.reset();
        } else {
            note(synced.error(), now);
        }
    }
    if (trouble_) result.has_more = false;
    result.deadline = next_deadline();
    return result;
}

/// A group has a number that is written with it: one that failed may be in the log all the same,
/// and is found when that log is opened again. Counts of references must not be added twice.
void Committer::number_group(Instant now) {
    if (group_.is_empty()) return;
    if (!last_number_ || is_in_doubt_) {
        const auto stored = engine_.get(Family::meta, as_bytes(last_group));
        if (!stored) return note(stored.error(), now);
        const std::uint64_t last = *stored ? id_of(**stored).value_or(0) : 0;
        if (is_in_doubt_) {
            is_in_doubt_ = false;
            if (last != *last_number_) return;
            const Durability durability = group_.durability();
            group_.clear();
            group_.require(durability);
            --*last_number_;
        } else {
            last_number_ = last;
        }
    }
    group_.put(Family::meta, as_bytes(last_group), key_of(++*last_number_));
}

Result<void, Error> Committer::write_group(Instant now) {
    const bool sync = group_.durability() == Durability::sync;
    // Empty batches have tickets too: they are markers, and cost no write.
    if (group_.is_empty() && !(sync && unsynced_since_)) return {};
    ports::pass_trial(ports::TrialPoint::committer_before_write);
    if (const auto written = engine_.write(group_.bytes(), sync); !written) return written;
    ports::pass_trial(ports::TrialPoint::committer_written);
    counters_.groups.add();
    counters_.bytes.add(group_.size_bytes());
    if (sync) {
        counters_.syncs.add();
        unsynced_since_.reset();
    } else if (group_.durability() == Durability::async && !unsynced_since_) {
        unsynced_since_ = now;
    }
    return {};
}

void Committer::report_group() {
    ports::pass_trial(ports::TrialPoint::committer_before_report);
    for (const Share& share : shares_) {
        Lane& lane = *lanes_[share.lane];
        lane.bytes_in_flight.fetch_sub(share.bytes, std::memory_order_relaxed);
        lane.written_through.store(share.through, std::memory_order_release);
        counters_.batches.add(share.batches);
        report(lane, ShardId{static_cast<std::uint16_t>(share.lane)}, share.through);
        ports::pass_trial(ports::TrialPoint::committer_one_reported);
    }
    shares_.clear();
    ports::pass_trial(ports::TrialPoint::committer_reported);
}

Instant Committer::next_deadline() const noexcept {
    Instant deadline = look_at_space_at_;
    if (unsynced_since_ && !trouble_) {
        deadline = std::min(deadline, *unsynced_since_ + options_.async_delay);
    }
    if (trouble_) deadline = std::min(deadline, retry_at_);
    return deadline;
}

Result<void, Error> Committer::write_now(const Batch& batch) {
    if (trouble_) return std::unexpected(*trouble_);
    ports::pass_trial(ports::TrialPoint::housekeeping_before_write);
    auto written = engine_.write(batch.bytes(), batch.durability() == Durability::sync);
    ports::pass_trial(ports::TrialPoint::housekeeping_written);
    return written;
}

void Committer::finish(Instant now, WallTime wall) {
    bool has_retried = false;
    for (;;) {
        const bool has_more = step(now, wall).has_more;
        if (trouble_) {
            if (has_retried) break;
            has_retried = true;  // once more, whatever it was
            retry_at_ = now;
            continue;
        }
        if (!has_more && shares_.empty()) break;
    }
    if (!trouble_) {
        if (const auto synced = engine_.sync(); !synced) note(synced.error(), now);
    }
    unsynced_since_.reset();
}

}  // namespace mitu::store
