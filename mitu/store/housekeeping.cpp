#include "mitu/store/housekeeping.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "mitu/store/key.hpp"

namespace mitu::store {
namespace {

// Not their wills: those that are due outlast them.
constexpr std::array swept_families{Family::queue, Family::flight, Family::subscriptions,
                                    Family::inbound, Family::cursors};

constexpr Duration idle_delay = Duration::milliseconds(200);

/// Takes back what a row of a queue or stream referred to.
void release(Batch& batch, ByteView key, ByteView value) {
    const auto holder = id_of(key);
    const auto entry = decode_queue_entry(value);
    if (!holder || !entry || entry->message.value == 0) return;
    batch.erase(Family::references, key_of(entry->message.value, *holder));
    batch.put(Family::released, key_of(entry->message.value), {});
}

}  // namespace

Housekeeping::Housekeeping(Engine& engine, Committer& committer, const Options& options)
    : engine_{engine}, committer_{committer}, options_{options} {}

void Housekeeping::sweep(SweepPlan plan) { sweep_ = std::move(plan); }

/// A look at the first row of each session that has any: those that nobody has are put down as
/// ended, and cleared away like others.
Result<void, Error> Housekeeping::sweep_leftovers(Batch& batch) {
    for (std::uint32_t looks = 0; looks < options_.rows_max; ++looks) {
        const auto rows = engine_.scan(swept_families[sweep_family_], sweep_from_, {});
        const bool is_there = rows->next();
        if (auto error = rows->error()) return std::unexpected(*error);
        const auto session = is_there ? id_of(rows->key()) : std::nullopt;
        sweep_from_ = session ? end_of_prefix(key_of(*session)) : Bytes{};
        if (sweep_from_.empty()) {
            if (++sweep_family_ < swept_families.size()) continue;
            sweep_.reset();
            return {};
        }
        if (IdMint::generation_of(*session) == sweep_->generation ||
            std::ranges::binary_search(sweep_->sessions, *session)) {
            continue;
        }
        batch.put(Family::discards, key_of(*session), {});
        counters_.sessions_swept.add();
    }
    return {};
}

Result<std::uint32_t, Error> Housekeeping::clear_sessions(Batch& batch, std::uint32_t rows_max) {
    std::uint32_t rows_done = 0;
    const auto discards = engine_.scan(Family::discards, {}, {});
    while (rows_done < rows_max && discards->next()) {
        const ByteView session = discards->key();
        const Bytes end = end_of_prefix(session);
        bool is_clear = true;
        for (const Family family : swept_families) {
            const auto rows = engine_.scan(family, session, end);
            while (rows->next()) {
                if (rows_done == rows_max) {
                    is_clear = false;
                    break;
                }
                ++rows_done;
                batch.erase(family, rows->key());
                if (family == Family::queue) release(batch, rows->key(), rows->value());
                const auto stream = second_id_of(rows->key());
                const auto at = id_of(rows->value());
                const auto id = id_of(session);
                if (family == Family::cursors && stream && at && id) {
                    batch.erase(Family::stream_order, key_of(*stream, *at, *id));
                }
            }
            if (auto error = rows->error()) return std::unexpected(*error);
        }
        if (!is_clear) break;
        batch.erase(Family::discards, session);
        counters_.sessions_cleared.add();
        ++rows_done;
    }
    if (auto error = discards->error()) return std::unexpected(*error);
    counters_.rows_cleared.add(rows_done);
    return rows_done;
}

Result<std::uint32_t, Error> Housekeeping::release_messages(Batch& batch, std::uint32_t rows_max) {
    std::uint32_t rows_done = 0;
    const auto released = engine_.scan(Family::released, {}, {});
    while (rows_done < rows_max && released->next()) {
        ++rows_done;
        const ByteView message = released->key();
        const auto holders = engine_.scan(Family::references, message, end_of_prefix(message));
        const bool is_needed = holders->next();
        if (auto error = holders->error()) return std::unexpected(*error);
        batch.erase(Family::released, message);
        if (is_needed) continue;  // who lets go of the last one puts it here again
        batch.erase(Family::messages, message);
        counters_.messages_released.add();
    }
    if (auto error = released->error()) return std::unexpected(*error);
    return rows_done;
}

Result<std::uint32_t, Error> Housekeeping::trim_streams(Batch& batch, std::uint32_t rows_max,
                                                        WallTime wall) {
    std::uint32_t rows_done = 0;
    while (rows_done < rows_max) {
        // The next stream that has rows.
        Bytes stream;
        {
            const auto rows = engine_.scan(Family::streams, next_stream_, {});
            if (rows->next() && rows->key().size() >= 8) stream = to_bytes(rows->key().first(8));
            if (auto error = rows->error()) return std::unexpected(*error);
        }
        if (stream.empty()) {
            next_stream_.clear();
            return rows_done;
        }
        const Bytes end = end_of_prefix(stream);
        Position floor = std::numeric_limits<Position>::max();  // without readers: all of it
        {
            const auto cursors = engine_.scan(Family::stream_order, stream, end);
            if (cursors->next()) floor = second_id_of(cursors->key()).value_or(0);
            if (auto error = cursors->error()) return std::unexpected(*error);
        }
        const auto last = engine_.last(Family::streams, stream, end);
        if (!last) return std::unexpected(last.error());
        const Position newest = *last ? second_id_of(**last).value_or(0) : 0;
        if (newest >= options_.stream_rows_max) {
            floor = std::max(floor, newest - options_.stream_rows_max + 1);
        }
        const auto rows = engine_.scan(Family::streams, stream, end);
        bool is_done = true;
        while (rows->next()) {
            const auto entry = decode_queue_entry(rows->value());
            const bool is_expired = entry && entry->expires_at <= wall;
            if (second_id_of(rows->key()).value_or(0) >= floor && !is_expired) break;
            if (rows_done == rows_max) {
                is_done = false;
                break;
            }
            ++rows_done;
            batch.erase(Family::streams, rows->key());
            release(batch, rows->key(), rows->value());
            counters_.stream_rows_trimmed.add();
        }
        if (auto error = rows->error()) return std::unexpected(*error);
        if (!is_done) return rows_done;
        next_stream_ = end;
        if (end.empty()) return rows_done;  // no id is as high; not to go round for ever
    }
    return rows_done;
}

Result<void, Error> Housekeeping::write(Batch& batch) {
    if (batch.is_empty()) return {};
    const auto written = committer_.write_now(batch);
    batch.clear();
    return written;
}

Result<Housekeeping::Step, Error> Housekeeping::step(Instant now, WallTime wall) {
    Batch batch;
    const std::uint32_t rows_max = options_.rows_max;
    if (sweep_ && now >= sweep_at_) {
        if (const auto swept = sweep_leftovers(batch); !swept) {
            return std::unexpected(swept.error());
        }
        if (const auto written = write(batch); !written) return std::unexpected(written.error());
        sweep_at_ = now + options_.sweep_every;
    }
    const auto cleared = clear_sessions(batch, rows_max);
    if (!cleared) return std::unexpected(cleared.error());
    std::uint32_t trimmed_rows = 0;
    if (now >= streams_at_) {
        const auto trimmed = trim_streams(batch, rows_max, wall);
        if (!trimmed) return std::unexpected(trimmed.error());
        trimmed_rows = *trimmed;
        if (trimmed_rows < rows_max) streams_at_ = now + options_.streams_every;
    }
    // Before the counts are looked at: what was just released counts.
    if (const auto written = write(batch); !written) return std::unexpected(written.error());
    const auto released = release_messages(batch, rows_max);
    if (!released) return std::unexpected(released.error());
    if (const auto written = write(batch); !written) return std::unexpected(written.error());
    Step step;
    step.has_more = *cleared >= rows_max || *released >= rows_max || trimmed_rows >= rows_max;
    step.deadline = std::min(now + idle_delay, streams_at_);
    if (sweep_) step.deadline = std::min(step.deadline, sweep_at_);
    return step;
}

}  // namespace mitu::store
