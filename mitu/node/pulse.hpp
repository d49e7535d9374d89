#pragma once
// Pulse: what a shard's thread shows of itself while it turns, and how late it is.

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "mitu/base/time.hpp"
#include "mitu/trace/counter.hpp"

namespace mitu::node {

/// How long a question waited for the next turn of a shard, which is how long a client's packet
/// waits. Asked four times a second, whatever the shard is doing, so that its figures are those of
/// a packet that comes at any time.
struct DelayHistogram {
    /// Upper bounds, in milliseconds; the last bucket has none.
    static constexpr std::array<std::uint32_t, 10> bounds_ms{1,   2,   5,     10,    50,
                                                             100, 500, 1'000, 5'000, 10'000};
    std::array<trace::Counter, bounds_ms.size() + 1> counts;
    trace::Counter sum_ns;
    trace::Counter last_ns;
    trace::Counter max_ns;  // since the start

    void add(Duration delay) noexcept {
        const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(delay.count_ns(), 0));
        std::size_t bucket = 0;
        while (bucket < bounds_ms.size() && ns > bounds_ms[bucket] * std::uint64_t{1'000'000}) {
            ++bucket;
        }
        counts[bucket].add();
        sum_ns.add(ns);
        last_ns.set(ns);
        if (ns > max_ns.read()) max_ns.set(ns);
    }
};

/// Threading  begin(), beat(): the shard's thread. ask(): one thread. The rest: any thread.
class Pulse {
public:
    void begin(pid_t thread) noexcept { thread_.store(thread, std::memory_order_relaxed); }
    /// At every turn.
    void beat(Instant now) noexcept {
        turns_.add();
        last_turn_.set(static_cast<std::uint64_t>(now.since_start_ns()));
        const std::int64_t asked = asked_ns_.load(std::memory_order_relaxed);
        if (asked == no_question) [[likely]]
            return;
        delays_.add(now - Instant::from_ns(asked));
        asked_ns_.store(no_question, std::memory_order_relaxed);
    }
    /// The next turn answers. An earlier question that is open stays: it is the older one. Whoever
    /// asks also wakes the shard.
    void ask(Instant now) noexcept {
        if (asked_ns_.load(std::memory_order_relaxed) == no_question) {
            asked_ns_.store(now.since_start_ns(), std::memory_order_relaxed);
        }
    }

    [[nodiscard]] std::uint64_t turns() const noexcept { return turns_.read(); }
    [[nodiscard]] Instant last_turn() const noexcept {
        return Instant::from_ns(static_cast<std::int64_t>(last_turn_.read()));
    }
    [[nodiscard]] const DelayHistogram& delays() const noexcept { return delays_; }
    /// 0: it does not run yet.
    [[nodiscard]] pid_t thread() const noexcept { return thread_.load(std::memory_order_relaxed); }

private:
    static constexpr std::int64_t no_question = -1;
    trace::Counter turns_;
    trace::Counter last_turn_;
    std::atomic<std::int64_t> asked_ns_{no_question};
    std::atomic<pid_t> thread_{0};
    DelayHistogram delays_;
};

}  // namespace mitu::node
