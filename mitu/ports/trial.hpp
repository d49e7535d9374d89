#pragma once
// Trial points: named steps of the way to the disk and back, at which a trial of the real server
// may kill the process, slow it down or fail a call of the disk. A server that is not on trial
// reads one pointer there, which is null.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mitu::ports {

enum class TrialPoint : std::uint8_t {
    // The start, in its order.
    start_before_open,
    start_opened,
    start_generation_counted,
    start_row_restored,
    start_family_restored,
    start_restored,
    start_store_serves,
    // A shard.
    shard_before_hand_over,
    shard_handed_over,
    shard_before_answer,
    shard_answered,
    shard_hold_ended,
    shard_sent,
    // The thread that writes.
    committer_gathered,
    committer_before_write,
    committer_written,
    committer_before_sync,
    committer_synced,
    committer_before_report,
    committer_one_reported,
    committer_reported,
    housekeeping_before_write,
    housekeeping_written,
    // RocksDB's own work.
    engine_flush_began,
    engine_flush_done,
    engine_compaction_began,
    engine_compaction_done,
    // After an error.
    engine_before_reopen,
    engine_reopened,
    repair_began,
    repair_file_put_aside,
    repair_done,
    // Files. `append` and `sync` are before the call, the others after it, but for `erase`.
    disk_log_created,
    disk_log_append,
    disk_log_appended,
    disk_log_sync,
    disk_log_synced,
    disk_log_erase,
    disk_table_created,
    disk_table_append,
    disk_table_appended,
    disk_table_sync,
    disk_table_synced,
    disk_table_erase,
    disk_manifest_created,
    disk_manifest_append,
    disk_manifest_appended,
    disk_manifest_sync,
    disk_manifest_synced,
    disk_manifest_erase,
    disk_rename,
    disk_renamed,
    disk_names_sync,
    disk_names_synced,
};
inline constexpr std::size_t trial_point_count =
    static_cast<std::size_t>(TrialPoint::disk_names_synced) + 1;

/// Shape  "disk.log_sync": the part, a dot, the enumerator's rest.
[[nodiscard]] std::string_view to_text(TrialPoint point) noexcept;
[[nodiscard]] std::optional<TrialPoint> parse_trial_point(std::string_view name) noexcept;

/// What the code at a point is to do.
enum class Strike : std::uint8_t {
    none,
    fail,   // the call that follows fails, and nothing of it is done
    tear,   // it is done by half, and then die()
    power,  // what was not synced is forgotten, and then die()
};

/// Whether a strike makes sense there: all but a kill and a delay need the code's help.
[[nodiscard]] bool may_strike(TrialPoint point, Strike strike) noexcept;

/// Threading  any thread.
class Trial {
public:
    virtual ~Trial() = default;
    /// May take its time, and may not return.
    [[nodiscard]] virtual Strike pass(TrialPoint point) noexcept = 0;
    /// Ends the process as kill -9 does.
    [[noreturn]] virtual void die(TrialPoint point) noexcept = 0;
};

namespace detail {
inline std::atomic<Trial*> trial_under_way{nullptr};
}

/// The trial of this process; null: there is none.
[[nodiscard]] inline Trial* trial() noexcept {
    return detail::trial_under_way.load(std::memory_order_acquire);
}

/// Lifetime  it outlives all threads that may pass a point.
inline void set_trial(Trial* trial) noexcept {
    detail::trial_under_way.store(trial, std::memory_order_release);
}

[[nodiscard]] inline Strike strike_at(TrialPoint point) noexcept {
    Trial* const now = trial();
    if (now == nullptr) [[likely]] {
        return Strike::none;
    }
    return now->pass(point);
}

/// For points at which nothing can fail.
inline void pass_trial(TrialPoint point) noexcept { (void)strike_at(point); }

}  // namespace mitu::ports
