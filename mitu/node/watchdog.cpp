#include "mitu/node/watchdog.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "mitu/node/shard_host.hpp"
#include "mitu/runtime/process.hpp"
#include "mitu/runtime/thread_trace.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {

using trace::Level;
using trace::log;

namespace {

constexpr Duration trace_patience = Duration::milliseconds(200);

std::string frames_of(const ShardHost& host) {
    const auto frames = runtime::trace_thread(host.pulse().thread(), trace_patience);
    if (frames.empty()) return "none: the thread does not answer, as in the kernel or a debugger";
    return fmt::format("{}", fmt::join(frames, " "));
}

}  // namespace

Watchdog::Watchdog(std::vector<ShardHost*> hosts, const ports::Clock& clock,
                   const StallLimits& limits)
    : hosts_{std::move(hosts)},
      clock_{clock},
      limits_{limits},
      watches_(hosts_.size(), StallWatch{limits}) {
    thread_ = std::thread{[this] { run(); }};  // tidy-allow(threads): see thread_
}

Watchdog::~Watchdog() {
    {
        const std::lock_guard lock{mutex_};
        ends_ = true;
    }
    wakes_.notify_all();
    thread_.join();
}

void Watchdog::run() {
    runtime::name_thread("watchdog");
    const std::chrono::nanoseconds period{limits_.period.count_ns()};
    std::unique_lock lock{mutex_};
    while (!wakes_.wait_for(lock, period, [this] { return ends_; })) {
        for (std::size_t i = 0; i < hosts_.size(); ++i) look(i);
    }
}

void Watchdog::look(std::size_t shard) {
    ShardHost& host = *hosts_[shard];
    StallWatch& watch = watches_[shard];
    const auto verdict = watch.look(host.pulse().turns(), clock_.now());
    host.ask_for_turn(clock_.now());
    using Verdict = StallWatch::Verdict;
    if (verdict == Verdict::turns) return;
    if (verdict == Verdict::recovered) {
        log(Level::warn, "shard_turns_again",
            {{"shard", shard}, {"delay_ms", host.pulse().delays().last_ns.read() / 1'000'000}});
        return;
    }
    if (verdict == Verdict::stalls) host.count_stall();
    const bool is_debugged = runtime::is_debugged();
    const bool ends = verdict == Verdict::hangs && !is_debugged;
    if (verdict == Verdict::hangs && is_debugged) return;
    log(Level::error, ends ? "shard_hangs" : "shard_stalls",
        {{"shard", shard},
         {"stalled_ms", watch.stalled_for().count_ms()},
         {"effect", ends ? "the process stops, to be started again"
                         : "its clients wait; after 10 s the process is started again"},
         {"frames", frames_of(host)}});
    if (!ends) return;
    trace::flush_log();
    std::abort();
}

}  // namespace mitu::node
