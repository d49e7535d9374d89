// What the virtual server keeps: its store, the disk below it, and the ways in which a server ends.

#include <fmt/format.h>

#include "mitu/base/check.hpp"
#include "sim/world.hpp"

namespace mitu::sim {

namespace {

// Between two attempts to start on a disk that does not let it.
constexpr Duration start_again_after = Duration::seconds(1);

}  // namespace

void World::make_store() {
    const StorePlan& plan = *options_.store;
    journal::testing::VirtualStoreOptions options;
    options.seed = options_.seed ^ 0x5704'E5EE;
    options.engine = plan.engine;
    options.shards = options_.server.shards;
    options.will_grace = plan.will_grace;
    for (std::size_t i = 0; i < catalog_->tenants().size(); ++i) {
        const std::string& name = catalog_->tenants()[i].name;
        const auto durability =
            i < plan.durability.size() ? plan.durability[i] : broker::Durability::none;
        options.tenants.push_back({name, durability});
        keeping_.durability[name] = durability;
    }
    keeping_.will_grace = plan.will_grace;
    store_ = std::make_unique<journal::testing::VirtualStore>(std::move(options), clock_);
    options_.server.journal_of = [this](std::uint16_t shard) { return store_->journal(shard); };
}

/// False: the disk does not let it; it is tried again.
bool World::open_store() {
    const auto begun = store_->begin_process([this](ShardId shard) {
        if (server_) server_->network(shard.value).wake();
    });
    if (begun) {
        for (const std::string& file : store_->open_report().quarantined) {
            report("starts_with_what_it_had", fmt::format("{} was put aside", file));
        }
        return true;
    }
    ++machine_.failed_starts;
    if (!disk_is_troubled_) report("starts_with_what_it_had", begun.error());
    timeline_.at(now() + start_again_after, [this] { start_server(); });
    return false;
}

bool World::restore_store() {
    std::vector<broker::Shard*> shards;
    for (std::uint16_t i = 0; i < server_->shard_count(); ++i) shards.push_back(&server_->shard(i));
    const auto restored = store_->restore(shards);
    if (restored) {
        machine_.restored_sessions += restored->sessions;
        return true;
    }
    ++machine_.failed_starts;
    if (!disk_is_troubled_) report("starts_with_what_it_had", restored.error().detail);
    server_.reset();
    things_.clear();
    store_->end_process();
    timeline_.at(now() + start_again_after, [this] { start_server(); });
    return false;
}

/// After each step: what is certain to outlive the server.
void World::watch_store() {
    keeping_.note_takes(store_->committer().accepts_growth(), now());
    if (store_->is_all_written()) keeping_.note_all_written(now());
    if (!store_->disk().has_frozen()) return;
    ++machine_.inside_a_commit;
    lose_server(crash_takes_power_ ? Keeping::End::power : Keeping::End::process);
}

/// The shards are gone; what the process has in memory goes now.
void World::leave_store(Keeping::End how) {
    if (how == Keeping::End::in_order) store_->finish();
    store_->end_process();
    if (how == Keeping::End::power) store_->lose_power();
}

void World::kill_server() {
    if (server_) lose_server(Keeping::End::process);
}

void World::lose_power() {
    if (server_) lose_server(Keeping::End::power);
}

void World::crash_in_commit(std::uint64_t operations, bool loses_power) {
    if (!store_ || !server_) return;
    crash_takes_power_ = loses_power;
    store_->disk().freeze_after(operations);
}

void World::fill_disk(std::uint64_t bytes_left) {
    if (!store_) return;
    disk_is_troubled_ = true;
    store_->disk().set_capacity(store_->disk().used_bytes() + bytes_left);
}

void World::fail_disk(const store::VirtualDisk::Faults& faults) {
    if (!store_) return;
    disk_is_troubled_ = true;
    store_->disk().set_faults(faults);
}

void World::slow_disk(Duration commit_time_max) {
    if (!store_) return;
    keeping_.commit_time_max = std::max(keeping_.commit_time_max, commit_time_max);
    store_->set_commit_time_max(commit_time_max);
}

void World::mend_disk() {
    if (!store_) return;
    disk_is_troubled_ = false;
    store_->set_commit_time_max(Duration{});
    store_->make_well();
    static_cast<void>(store_->disk().take_frozen());
}

MachineCounts World::machine() const noexcept {
    MachineCounts counts = machine_;
    if (store_) counts.disk_failures = store_->disk().counters().failures;
    return counts;
}

std::uint64_t World::dropped(broker::DropReason reason) const {
    const auto before = dropped_before_.find(reason);
    const std::uint64_t earlier = before == dropped_before_.end() ? 0 : before->second;
    return earlier + (server_ ? server_->dropped(reason) : 0);
}

}  // namespace mitu::sim
