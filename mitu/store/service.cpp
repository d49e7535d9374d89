#include "mitu/store/service.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace mitu::store {
namespace {

// Nothing is due later than this: a clock that is set does not leave a thread asleep.
constexpr Duration wait_max = Duration::seconds(1);
// After an error of the housekeeping; the committer sees to the disk meanwhile.
constexpr Duration housekeeping_retry = Duration::seconds(1);

}  // namespace

void Service::Bell::ring() {
    // Most rings come while the thread is at work: they cost one exchange.
    if (has_rung_.exchange(true, std::memory_order_acq_rel)) return;
    const std::lock_guard lock{mutex_};
    condition_.notify_one();
}

void Service::Bell::wait(Duration at_most) {
    std::unique_lock lock{mutex_};
    if (!has_rung_.load(std::memory_order_acquire)) {
        condition_.wait_for(lock, std::chrono::nanoseconds{at_most.count_ns()});
    }
    has_rung_.store(false, std::memory_order_release);
}

Service::Service(Engine& engine, const ports::Clock& clock, const Options& options,
                 std::function<void(ShardId)> wake_shard)
    : clock_{clock},
      committer_{engine, options.committer, wake_shard, [this] { commit_bell_.ring(); }},
      reader_{engine, &committer_, Reader::Options{options.committer.shards, options.requests_max},
              wake_shard, [this] { read_bell_.ring(); }},
      housekeeping_{engine, committer_, options.housekeeping} {}

Service::~Service() { stop(); }

void Service::start() {
    commit_thread_ = std::thread{[this] { commit_for_ever(); }};  // tidy-allow(threads): the disk
    read_thread_ = std::thread{[this] { read_for_ever(); }};      // tidy-allow(threads): the disk
}

void Service::stop() {
    if (!commit_thread_.joinable()) return;
    is_stopping_.store(true);
    commit_bell_.ring();
    read_bell_.ring();
    commit_thread_.join();
    read_thread_.join();
    committer_.finish(clock_.now(), clock_.wall());
}

Instant Service::commit_step(Instant now, WallTime wall) {
    const Committer::Step step = committer_.step(now, wall);
    read_bell_.ring();  // someone may wait for what was just written
    if (step.has_more) return now;
    Instant deadline = step.deadline;
    if (now >= keep_house_at_) {
        const auto kept = housekeeping_.step(now, wall);
        if (!kept) {
            keep_house_at_ = now + housekeeping_retry;
        } else {
            keep_house_at_ = kept->has_more ? now : kept->deadline;
        }
    }
    return std::min(deadline, keep_house_at_);
}

void Service::commit_for_ever() {
    while (!is_stopping_.load()) {
        const Instant deadline = commit_step(clock_.now(), clock_.wall());
        const Instant now = clock_.now();
        if (deadline > now) commit_bell_.wait(std::min(deadline - now, wait_max));
    }
}

void Service::read_for_ever() {
    while (!is_stopping_.load()) {
        if (!reader_.step(clock_.wall())) read_bell_.wait(wait_max);
    }
}

Instant Service::step(Instant now, WallTime wall) {
    const Instant deadline = commit_step(now, wall);
    while (reader_.step(wall)) {
    }
    return deadline;
}

}  // namespace mitu::store
