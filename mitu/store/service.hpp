#pragma once
// Service: the threads of a store in a server. All they do is step() in a loop; a simulator steps
// by itself.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "mitu/ports/clock.hpp"
#include "mitu/store/committer.hpp"
#include "mitu/store/housekeeping.hpp"
#include "mitu/store/reader.hpp"

namespace mitu::store {

/// One committer, which keeps house when it has nothing better to do, and one reader.
/// Threading  committer() and reader() as they say; stop(): whoever made it, once the shards have
/// stopped.
class Service {
public:
    struct Options {
        CommitterOptions committer;
        Housekeeping::Options housekeeping;
        std::size_t requests_max = 65'536;
    };

    /// `wake_shard`: there is something to poll; called from these threads.
    /// Lifetime  engine and clock outlive it.
    Service(Engine& engine, const ports::Clock& clock, const Options& options,
            std::function<void(ShardId)> wake_shard);
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// Before start().
    void sweep(SweepPlan plan) { housekeeping_.sweep(std::move(plan)); }
    void start();
    /// Writes and syncs all that was submitted, answers nothing more, and joins.
    void stop();

    [[nodiscard]] Committer& committer() noexcept { return committer_; }
    [[nodiscard]] Reader& reader() noexcept { return reader_; }
    [[nodiscard]] const Housekeeping& housekeeping() const noexcept { return housekeeping_; }

    /// One turn of both, without threads: what a simulator calls instead of start().
    /// Shape  when to call again, if nothing else happens before.
    Instant step(Instant now, WallTime wall);

private:
    /// Wakes one thread; a wake before the wait is not lost.
    class Bell {
    public:
        void ring();
        void wait(Duration at_most);

    private:
        std::atomic<bool> has_rung_{false};
        std::mutex mutex_;  // base's Condition waits without end
        std::condition_variable condition_;
    };

    void commit_for_ever();
    void read_for_ever();
    /// Groups until none is waiting, then a bit of housekeeping if it is due.
    Instant commit_step(Instant now, WallTime wall);

    const ports::Clock& clock_;
    Bell commit_bell_;
    Bell read_bell_;
    Committer committer_;
    Reader reader_;
    Housekeeping housekeeping_;
    Instant keep_house_at_{};
    std::atomic<bool> is_stopping_{false};
    // A disk makes its caller wait, so no shard calls it.
    std::thread commit_thread_;  // tidy-allow(threads): for the disk
    std::thread read_thread_;    // tidy-allow(threads): for the disk
};

}  // namespace mitu::store
