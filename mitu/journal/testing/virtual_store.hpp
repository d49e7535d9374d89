#pragma once
// VirtualStore: what a server keeps, on a disk at its worst, in one thread: the same engine,
// committer, reader, housekeeping and journals as on a node, for a VirtualServer.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/journal/restore.hpp"
#include "mitu/store/check.hpp"
#include "mitu/store/housekeeping.hpp"
#include "mitu/store/memory_engine.hpp"
#include "mitu/store/virtual_env.hpp"

namespace mitu::journal::testing {

struct VirtualStoreOptions {
    enum class Engine : std::uint8_t {
        disk,    // RocksDB on a virtual disk
        memory,  // maps that outlive the process; there is no power to lose, and no disk to fail
    };
    std::uint64_t seed = 1;
    Engine engine = Engine::disk;
    std::uint16_t shards = 1;
    std::vector<TenantTerms> tenants{};  // by TenantId
    std::uint64_t bytes_in_flight_max = 256u << 10;
    Duration will_grace = Duration::seconds(30);
};

/// The disk outlives the processes that use it: begin_process() and its end may alternate.
/// Lifetime   `clock` outlives it; the shards of a process end before it does.
/// Threading  one thread.
class VirtualStore {
public:
    VirtualStore(VirtualStoreOptions options, const ports::Clock& clock);
    ~VirtualStore();
    VirtualStore(const VirtualStore&) = delete;
    VirtualStore& operator=(const VirtualStore&) = delete;

    [[nodiscard]] bool has_disk() const noexcept {
        return options_.engine == VirtualStoreOptions::Engine::disk;
    }
    [[nodiscard]] store::VirtualDisk& disk() noexcept { return disk_; }
    [[nodiscard]] store::Engine& engine() noexcept { return *engine_; }
    [[nodiscard]] store::Committer& committer() noexcept { return *committer_; }

    // --- a process ---
    /// Opens what the disk has. `wake`: a shard has something to poll.
    /// Errors  in words; the disk failed, and the next attempt may go better.
    [[nodiscard]] Result<void, std::string> begin_process(std::function<void(ShardId)> wake);
    [[nodiscard]] broker::Journal* journal(std::uint16_t shard) { return journals_[shard].get(); }
    /// So long after the first batch of a group the disk begins with it, at most: what comes
    /// meanwhile joins the group. 0: at once.
    void set_commit_time_max(Duration time) noexcept { commit_time_max_ = time; }
    /// All that the shards have put down is written, and nothing is wrong with the disk.
    [[nodiscard]] bool is_all_written() const;
    /// A process that ends in good order: all of it is written and synced, if the disk lets it.
    void finish() { committer_->finish(clock_.now(), clock_.wall()); }
    [[nodiscard]] Result<RestoreReport, store::Error> restore(
        std::span<broker::Shard* const> shards);
    /// A step of committer, reader or housekeeping, whichever `prng` draws; false: none of them has
    /// anything to do. Null: in turn.
    bool step(Prng* prng);
    /// When one of them has something to do by itself.
    [[nodiscard]] Instant next_deadline() const noexcept { return deadline_; }
    /// What was in memory is gone; files are as programs saw them, or as they were where
    /// disk().freeze_after() said.
    void end_process();
    /// After end_process(): the power was gone too.
    void lose_power() { disk_.crash(); }

    /// Everything is well with the disk again.
    void make_well();
    /// How many rows of a kind there are.
    [[nodiscard]] std::uint64_t rows(store::Family family);
    /// Rows that begin with a session which is not there, in words.
    [[nodiscard]] std::vector<std::string> rows_without_session(store::Family family);
    [[nodiscard]] Result<store::CheckReport, store::Error> check();
    [[nodiscard]] const store::OpenReport& open_report() const noexcept { return open_report_; }

private:
    [[nodiscard]] Result<void, std::string> open();
    bool commit();
    bool keep_house();
    void begin_group();

    VirtualStoreOptions options_;
    const ports::Clock& clock_;
    store::VirtualDisk disk_;
    std::unique_ptr<store::VirtualEnv> env_;
    store::OpenReport open_report_;
    std::unique_ptr<store::Engine> engine_;
    JournalTerms terms_;
    std::unique_ptr<store::Committer> committer_;
    std::unique_ptr<store::Reader> reader_;
    std::unique_ptr<store::Housekeeping> housekeeping_;
    std::vector<std::unique_ptr<StoreJournal>> journals_;
    Prng random_;
    Duration commit_time_max_{};
    bool has_group_ = false;  // a batch was handed over since the last commit
    Instant disk_busy_until_;
    Instant commit_at_;
    Instant keep_house_at_;
    Instant deadline_;
};

}  // namespace mitu::journal::testing
