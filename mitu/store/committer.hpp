#pragma once
// Committer: the one writer. It gathers the batches of all shards, writes them as one, syncs once
// for all of them, and tells each shard how far it has come.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/ports/inbox.hpp"
#include "mitu/store/batch.hpp"
#include "mitu/store/engine.hpp"
#include "mitu/trace/counter.hpp"

namespace mitu::store {

/// A batch of one shard, counted from 1 in the order of submission.
using Ticket = std::uint64_t;

struct CommitterOptions {
    std::uint16_t shards = 1;
    std::uint64_t bytes_in_flight_max = 8ULL << 20;  // of one shard; above it submit() refuses
    std::uint64_t group_bytes_max = 8ULL << 20;      // of one write; a batch above it goes alone
    Duration async_delay = Duration::milliseconds(100);
    Duration retry_delay = Duration::seconds(1);  // between attempts after an error
    std::uint64_t free_bytes_min = 64ULL << 20;   // below it nothing new is accepted
    Duration free_bytes_every = Duration::seconds(1);
};

/// How far a shard's batches have come. Those that asked for `sync` are on the device; the others
/// are written, and on the device within `async_delay`. What cannot be written waits until it can:
/// nothing that was taken is given back.
struct CommitReport {
    Ticket through = 0;
};

struct CommitCounters {
    trace::Counter groups;
    trace::Counter batches;
    trace::Counter bytes;
    trace::Counter syncs;
    trace::Counter failures;    // attempts to write a group
    trace::Counter recoveries;  // times that writing went on after an error
};

/// Threading  submit, may_submit, poll: the shard that is named; accepts_growth, written_through:
/// any;
///            the rest: the committer's thread.
/// Order      batches of one shard are stored in the order of submission; after a crash, what is
/// there is
///            all of what came before it. Reports come in the same order.
class Committer {
public:
    /// `wake_shard`: there is a report to poll; `wake_committer`: there is a batch. Both are called
    /// from the other side's thread. Lifetime  the engine outlives it.
    Committer(Engine& engine, const CommitterOptions& options,
              std::function<void(ShardId)> wake_shard = {},
              std::function<void()> wake_committer = {});

    // ---- a shard's side
    // --------------------------------------------------------------------------
    /// Takes what is in `batch` and leaves it empty, with the capacity of an older one.
    /// Errors  nullopt: too much is in flight; nothing was taken. Stop reading publishers, poll,
    /// try again.
    [[nodiscard]] std::optional<Ticket> submit(ShardId shard, Batch& batch);
    /// False: submit() would refuse.
    [[nodiscard]] bool may_submit(ShardId shard) const noexcept;
    /// Replaces `reports`, oldest first.
    void poll(ShardId shard, std::vector<CommitReport>& reports);

    /// False: the disk is full, or does not work. New durable work is to be refused (0x97); what
    /// gives space back (acknowledgements, ends of sessions) is submitted as always.
    [[nodiscard]] bool accepts_growth() const noexcept {
        return accepts_growth_.load(std::memory_order_relaxed);
    }
    /// Readers of this shard's rows find all of this and what came before it.
    [[nodiscard]] Ticket written_through(ShardId shard) const noexcept;

    // ---- the committer's side
    // --------------------------------------------------------------------
    struct Step {
        bool has_more = false;                // call again at once
        Instant deadline = Instant::never();  // or then, or when woken
    };
    /// One group: gathers, writes, syncs, reports. May take as long as the disk does.
    Step step(Instant now, WallTime wall);
    /// The housekeeping's: written beside the groups, with the same care.
    [[nodiscard]] Result<void, Error> write_now(const Batch& batch);
    /// Syncs what is written, and reports; for the end.
    void finish(Instant now, WallTime wall);

    [[nodiscard]] const CommitCounters& counters() const noexcept { return counters_; }
    /// The last error, while it lasts. Threading  the committer's thread.
    [[nodiscard]] const std::optional<Error>& trouble() const noexcept { return trouble_; }

private:
    struct Submitted {
        Ticket ticket = 0;
        Batch batch;
    };
    struct Lane {
        ports::Inbox<Submitted> submitted;
        ports::Inbox<CommitReport> reports;
        ports::Inbox<Batch> spare{16};  // empty batches with capacity, on their way back
        std::vector<Batch> spare_taken;
        Ticket last_ticket = 0;
        std::atomic<std::uint64_t> bytes_in_flight{0};
        std::atomic<Ticket> written_through{0};
        std::vector<Submitted> pending;  // the committer's: taken over, not yet written
        std::size_t pending_at = 0;
    };

    bool gather();
    void number_group(Instant now);
    [[nodiscard]] Result<void, Error> write_group(Instant now);
    void report_group();
    void report(Lane& lane, ShardId shard, Ticket through);
    void note(const Error& error, Instant now);
    void watch_space(Instant now);
    void try_to_recover(Instant now);
    [[nodiscard]] Instant next_deadline() const noexcept;

    Engine& engine_;
    CommitterOptions options_;
    std::function<void(ShardId)> wake_shard_;
    std::function<void()> wake_committer_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::atomic<bool> accepts_growth_{true};
    CommitCounters counters_;

    Batch group_;
    struct Share {
        std::size_t lane;
        Ticket through;
        std::uint64_t batches;
        std::uint64_t bytes;
    };
    std::vector<Share> shares_;  // of the group
    std::size_t first_lane_ = 0;
    std::optional<std::uint64_t> last_number_;  // of the group, or of the one before it
    bool is_in_doubt_ = false;                  // the group failed, and may be stored all the same
    std::optional<Instant> unsynced_since_;
    std::optional<Error> trouble_;
    Instant retry_at_ = Instant::never();
    Instant look_at_space_at_{};
    bool is_short_of_space_ = false;
};

}  // namespace mitu::store
