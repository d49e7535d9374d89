#pragma once
// DurableStore: the store of a node, with its two threads: one writes for all shards, one reads.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/config/config.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/journal/restore.hpp"
#include "mitu/runtime/clock.hpp"

namespace mitu::store {
class Committer;
class Housekeeping;
class Reader;
class RocksEngine;
}  // namespace mitu::store

namespace mitu::node {

/// Threading  open, restore, start, stop: the owner. journal(): until start(), then each shard's own.
/// Lifetime   outlives the shards that have its journals.
class DurableStore {
public:
    /// Null: nobody keeps anything, and nothing is opened.
    /// Errors  a sentence with the directory and the remedy.
    [[nodiscard]] static Result<std::unique_ptr<DurableStore>, std::string> open(
        const config::Config& config, const fleet::Catalog& catalog, std::uint16_t shards,
        std::function<void(ShardId)> wake_shard);
    ~DurableStore();
    DurableStore(const DurableStore&) = delete;
    DurableStore& operator=(const DurableStore&) = delete;

    [[nodiscard]] broker::Journal* journal(std::uint16_t shard) noexcept {
        return journals_[shard].get();
    }
    /// What the last process left, into shards that have not begun to turn.
    [[nodiscard]] std::optional<std::string> restore(std::span<broker::Shard* const> shards);
    void start();
    /// All that was handed over is on the disk when it returns. The shards have ended.
    void stop();

    [[nodiscard]] store::RocksEngine& engine() noexcept { return *engine_; }
    [[nodiscard]] const store::Committer& committer() const noexcept { return *committer_; }

private:
    /// Sleeps until woken or until a time; a wake that comes before the sleep is not lost.
    class Bell {
    public:
        void ring();
        void wait_until(Instant deadline, Instant now);

    private:
        std::mutex mutex_;
        std::condition_variable rang_;
        bool is_rung_ = false;
    };

    DurableStore() = default;
    void run_committer();
    void run_reader();

    runtime::SystemClock clock_;
    Duration will_grace_;
    journal::JournalTerms terms_;
    std::unique_ptr<store::RocksEngine> engine_;
    std::unique_ptr<store::Committer> committer_;
    std::unique_ptr<store::Housekeeping> housekeeping_;
    std::unique_ptr<store::Reader> reader_;
    std::vector<std::unique_ptr<journal::StoreJournal>> journals_;
    Bell committer_bell_;
    Bell reader_bell_;
    std::atomic<bool> is_stopping_{false};
    std::thread committer_thread_;  // tidy-allow(threads): waits for the disk, so that no shard does
    std::thread reader_thread_;     // tidy-allow(threads): see committer_thread_
};

}  // namespace mitu::node
