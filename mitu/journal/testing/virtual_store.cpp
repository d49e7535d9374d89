#include "mitu/journal/testing/virtual_store.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "mitu/store/key.hpp"

namespace mitu::journal::testing {

VirtualStore::VirtualStore(VirtualStoreOptions options, const ports::Clock& clock)
    : options_{std::move(options)},
      clock_{clock},
      disk_{options_.seed},
      random_{options_.seed ^ 0xD15C} {}

VirtualStore::~VirtualStore() { end_process(); }

Result<void, std::string> VirtualStore::open() {
    if (!has_disk()) {
        if (!engine_) engine_ = std::make_unique<store::MemoryEngine>();
        return {};
    }
    env_ = std::make_unique<store::VirtualEnv>(disk_);
    env_->set_time(clock_.now(), clock_.wall());
    store::DiskOptions disk;
    disk.directory = "/data/store";
    // A small log: flushes and compactions are frequent. Buffers are never full before: how much
    // memory their rows take is RocksDB's own chance, and not the seed's.
    disk.log_bytes_max = 96U << 10;
    disk.write_buffer_bytes = 4U << 20;
    disk.block_cache_bytes = 64U << 10;
    env_->install(disk);
    open_report_ = {};
    auto opened = store::RocksEngine::open(disk, open_report_);
    if (!opened) {
        env_.reset();
        return std::unexpected(opened.error().detail);
    }
    engine_ = std::move(*opened);
    return {};
}

Result<void, std::string> VirtualStore::begin_process(std::function<void(ShardId)> wake) {
    if (auto opened = open(); !opened) return opened;
    terms_ = {};
    terms_.tenants = options_.tenants;
    terms_.batch_bytes_max = options_.bytes_in_flight_max / 2;
    if (const auto begun = begin_run(*engine_, terms_, 1); !begun) {
        end_process();
        return std::unexpected(begun.error().detail);
    }
    store::CommitterOptions committer;
    committer.shards = options_.shards;
    committer.bytes_in_flight_max = options_.bytes_in_flight_max;
    committer.free_bytes_min = 64U << 10;
    committer_ =
        std::make_unique<store::Committer>(*engine_, committer, wake, [this] { begin_group(); });
    store::Reader::Options reader;
    reader.shards = options_.shards;
    reader_ = std::make_unique<store::Reader>(*engine_, committer_.get(), reader, std::move(wake));
    housekeeping_ = std::make_unique<store::Housekeeping>(*engine_, *committer_);
    for (std::uint16_t i = 0; i < options_.shards; ++i) {
        journals_.push_back(
            std::make_unique<StoreJournal>(ShardId{i}, terms_, *committer_, *reader_, clock_));
    }
    commit_at_ = keep_house_at_ = deadline_ = disk_busy_until_ = clock_.now();
    has_group_ = false;
    return {};
}

void VirtualStore::begin_group() {
    if (std::exchange(has_group_, true) || commit_time_max_ == Duration{}) return;
    const auto spread = static_cast<std::uint64_t>(commit_time_max_.count_ns());
    disk_busy_until_ =
        clock_.now() + Duration::nanoseconds(static_cast<std::int64_t>(random_.below(spread)));
    deadline_ = std::min(deadline_, std::max(disk_busy_until_, clock_.now()));
}

bool VirtualStore::is_all_written() const {
    if (committer_->trouble()) return false;
    for (std::uint16_t i = 0; i < options_.shards; ++i) {
        const StoreJournal& journal = *journals_[i];
        if (journal.has_put()) return false;
        if (committer_->written_through(ShardId{i}) + 1 < journal.current()) return false;
    }
    return true;
}

Result<RestoreReport, store::Error> VirtualStore::restore(std::span<broker::Shard* const> shards) {
    auto report =
        journal::restore(*engine_, terms_, shards, clock_, {.will_grace = options_.will_grace});
    if (report && report->sweep) housekeeping_->sweep(*std::move(report->sweep));
    return report;
}

bool VirtualStore::commit() {
    const store::CommitCounters& counters = committer_->counters();
    const auto done = [&counters] {
        return counters.batches.read() + counters.syncs.read() + counters.recoveries.read();
    };
    if (clock_.now() < disk_busy_until_) {
        commit_at_ = disk_busy_until_;
        return false;
    }
    has_group_ = false;
    const std::uint64_t before = done();
    if (env_) env_->set_time(clock_.now(), clock_.wall());
    const auto step = committer_->step(clock_.now(), clock_.wall());
    commit_at_ = step.has_more ? clock_.now() : step.deadline;
    return done() != before;
}

bool VirtualStore::keep_house() {
    if (clock_.now() < keep_house_at_) return false;
    const auto kept = housekeeping_->step(clock_.now(), clock_.wall());
    keep_house_at_ = clock_.now() + Duration::milliseconds(1);
    if (!kept) {
        keep_house_at_ = clock_.now() + Duration::seconds(1);
    } else if (!kept->has_more) {
        keep_house_at_ = std::min(kept->deadline, clock_.now() + Duration::seconds(1));
        keep_house_at_ = std::max(keep_house_at_, clock_.now() + Duration::milliseconds(1));
    }
    return kept && kept->has_more;
}

bool VirtualStore::step(Prng* prng) {
    const std::uint64_t first = prng != nullptr ? prng->below(3) : 0;
    bool has_done = false;
    for (std::uint64_t i = 0; i < 3 && !has_done; ++i) {
        switch ((first + i) % 3) {
            case 0:
                has_done = commit();
                break;
            case 1:
                has_done = reader_->step(clock_.wall());
                break;
            default:
                has_done = keep_house();
        }
    }
    // What is behind does not wait for anybody: it is due again when time goes on.
    deadline_ =
        std::max(std::min(commit_at_, keep_house_at_), clock_.now() + Duration::milliseconds(1));
    return has_done;
}

void VirtualStore::end_process() {
    journals_.clear();
    housekeeping_.reset();
    reader_.reset();
    committer_.reset();
    if (!engine_ || !has_disk()) return;
    // What the engine does while it ends, a process that is killed does not.
    auto frozen = disk_.take_frozen();
    store::VirtualDisk after = frozen ? std::move(*frozen) : disk_.copy();
    engine_.reset();
    env_.reset();
    disk_ = std::move(after);
}

void VirtualStore::make_well() {
    disk_.set_faults({});
    disk_.set_capacity(~std::uint64_t{0});
}

std::uint64_t VirtualStore::rows(store::Family family) {
    std::uint64_t count = 0;
    const auto all = engine_->scan(family, {}, {});
    while (all->next()) ++count;
    return count;
}

std::vector<std::string> VirtualStore::rows_without_session(store::Family family) {
    std::set<std::uint64_t> known;
    const auto sessions = engine_->scan(store::Family::sessions, {}, {});
    while (sessions->next()) {
        if (const auto record = store::decode_session(sessions->value())) {
            known.insert(record->id.value);
        }
    }
    std::vector<std::string> found;
    const auto all = engine_->scan(family, {}, {});
    while (all->next()) {
        const std::uint64_t id = store::id_of(all->key()).value_or(0);
        if (!known.contains(id)) found.push_back(std::to_string(id));
    }
    return found;
}

Result<store::CheckReport, store::Error> VirtualStore::check() {
    return store::check(*engine_, {.wall = clock_.wall()});
}

}  // namespace mitu::journal::testing
