#include "mitu/ports/trial.hpp"

#include <algorithm>
#include <array>

namespace mitu::ports {
namespace {

constexpr std::array<std::string_view, trial_point_count> point_names{
    // In the order of the enumerators.
    "start.before_open",
    "start.opened",
    "start.generation_counted",
    "start.row_restored",
    "start.family_restored",
    "start.restored",
    "start.store_serves",
    "shard.before_hand_over",
    "shard.handed_over",
    "shard.before_answer",
    "shard.answered",
    "shard.hold_ended",
    "shard.sent",
    "committer.gathered",
    "committer.before_write",
    "committer.written",
    "committer.before_sync",
    "committer.synced",
    "committer.before_report",
    "committer.one_reported",
    "committer.reported",
    "housekeeping.before_write",
    "housekeeping.written",
    "engine.flush_began",
    "engine.flush_done",
    "engine.compaction_began",
    "engine.compaction_done",
    "engine.before_reopen",
    "engine.reopened",
    "repair.began",
    "repair.file_put_aside",
    "repair.done",
    "disk.log_created",
    "disk.log_append",
    "disk.log_appended",
    "disk.log_sync",
    "disk.log_synced",
    "disk.log_erase",
    "disk.table_created",
    "disk.table_append",
    "disk.table_appended",
    "disk.table_sync",
    "disk.table_synced",
    "disk.table_erase",
    "disk.manifest_created",
    "disk.manifest_append",
    "disk.manifest_appended",
    "disk.manifest_sync",
    "disk.manifest_synced",
    "disk.manifest_erase",
    "disk.rename",
    "disk.renamed",
    "disk.names_sync",
    "disk.names_synced",
};
static_assert(std::ranges::none_of(point_names, &std::string_view::empty));

}  // namespace

std::string_view to_text(TrialPoint point) noexcept {
    return point_names[static_cast<std::size_t>(point)];
}

std::optional<TrialPoint> parse_trial_point(std::string_view name) noexcept {
    const auto found = std::ranges::find(point_names, name);
    if (found == point_names.end()) return std::nullopt;
    return static_cast<TrialPoint>(found - point_names.begin());
}

bool may_strike(TrialPoint point, Strike strike) noexcept {
    const std::string_view name = to_text(point);
    const bool is_append = name.ends_with("_append");
    const bool is_before_a_call = is_append || name.ends_with("_sync");
    switch (strike) {
        case Strike::none:
            return true;
        case Strike::fail:
            return name.starts_with("disk.") && is_before_a_call && name != "disk.names_sync";
        case Strike::tear:
            return name.starts_with("disk.") && is_append;
        case Strike::power:
            return name.starts_with("disk.");
    }
    return false;
}

}  // namespace mitu::ports
