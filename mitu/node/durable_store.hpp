#pragma once
// DurableStore: the store of a node, with its two threads: one writes for all shards, one reads.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/config/config.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/journal/restore.hpp"
#include "mitu/runtime/clock.hpp"

namespace mitu::store {
class RocksEngine;
class Service;
}  // namespace mitu::store

namespace mitu::node {

/// Threading  open, restore, start, stop: the owner. journal(): until start(), then each shard's
/// own. Lifetime   outlives the shards that have its journals.
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

    /// Outlives whoever asks: any thread may read it.
    [[nodiscard]] store::RocksEngine& engine() noexcept { return *engine_; }
    [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
    /// False: nothing new is kept. Any thread.
    [[nodiscard]] bool accepts_growth() const noexcept;
    /// Says so in the log when the store stops taking what is new, and when it goes on. To be
    /// called about once a second.
    void watch();

private:
    DurableStore() = default;
    void tell_losses();

    runtime::SystemClock clock_;
    Duration will_grace_;
    journal::JournalTerms terms_;
    std::string directory_;
    std::unique_ptr<store::RocksEngine> engine_;
    std::unique_ptr<store::Service> service_;
    std::vector<std::unique_ptr<journal::StoreJournal>> journals_;
    bool accepts_ = true;  // as it was logged last
};

}  // namespace mitu::node
