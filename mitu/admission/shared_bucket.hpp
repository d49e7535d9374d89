#pragma once
// SharedBucket, LeasedTokens: one rate for all shards, of which each takes a batch at a time.

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "mitu/admission/token_bucket.hpp"
#include "mitu/base/time.hpp"

namespace mitu::admission {

/// A rate that several shards draw on: the generic cell rate algorithm over one atomic, which is
/// the time up to which tokens are spoken for. Being a time, it survives a change of the rate.
///
/// Threading  any thread; no lock.
/// Shape      each batch is rounded up to a nanosecond.
class SharedBucket {
public:
    SharedBucket() noexcept = default;
    SharedBucket(const SharedBucket&) = delete;
    SharedBucket& operator=(const SharedBucket&) = delete;

    void set_rate(const Rate& rate) noexcept {
        per_second_.store(rate.rate(), std::memory_order_relaxed);
        burst_.store(rate.capacity(), std::memory_order_relaxed);
    }
    [[nodiscard]] bool is_limited() const noexcept {
        return per_second_.load(std::memory_order_relaxed) != 0;
    }
    [[nodiscard]] std::uint64_t per_second() const noexcept {
        return static_cast<std::uint64_t>(per_second_.load(std::memory_order_relaxed));
    }
    [[nodiscard]] std::int64_t burst() const noexcept {
        return burst_.load(std::memory_order_relaxed);
    }

    /// Takes n tokens if they are there.
    [[nodiscard]] bool try_take(std::int64_t n, Instant now) noexcept {
        return take(n, now, false) <= now;
    }
    /// Takes n tokens, those that are still to come if need be.
    /// Returns when the last of them is there: whoever waits until then stands in a queue that is
    /// as fair as the order of these calls.
    Instant reserve(std::int64_t n, Instant now) noexcept { return take(n, now, true); }
    /// When one token will be there.
    [[nodiscard]] Instant ready_at(Instant now) const noexcept {
        const std::int64_t rate = per_second_.load(std::memory_order_relaxed);
        if (rate == 0) return now;
        const std::int64_t due =
            std::max(due_ns_.load(std::memory_order_relaxed), now.since_start_ns());
        return std::max(now, Instant::from_ns(due + span_ns(1, rate) - burst_ns(rate)));
    }

private:
    static constexpr std::int64_t second_ns = 1'000'000'000;

    /// Rounded up. Shape  n up to Rate::tokens_max: the product fits.
    [[nodiscard]] static std::int64_t span_ns(std::int64_t n, std::int64_t rate) noexcept {
        return (n * second_ns + rate - 1) / rate;
    }
    [[nodiscard]] std::int64_t burst_ns(std::int64_t rate) const noexcept {
        return span_ns(burst_.load(std::memory_order_relaxed), rate);
    }
    Instant take(std::int64_t n, Instant now, bool by_force) noexcept {
        const std::int64_t rate = per_second_.load(std::memory_order_relaxed);
        if (rate == 0) return now;
        const std::int64_t cost_ns = span_ns(n, rate);
        const std::int64_t slack_ns = burst_ns(rate);
        std::int64_t due = due_ns_.load(std::memory_order_relaxed);
        for (;;) {
            const std::int64_t next = std::max(due, now.since_start_ns()) + cost_ns;
            const Instant ready = Instant::from_ns(std::max(next - slack_ns, std::int64_t{0}));
            if (ready > now && !by_force) return ready;
            if (due_ns_.compare_exchange_weak(due, next, std::memory_order_relaxed)) return ready;
        }
    }

    std::atomic<std::int64_t> due_ns_{0};
    std::atomic<std::int64_t> per_second_{0};  // 0: no limit
    std::atomic<std::int64_t> burst_{0};
};

/// One shard's tokens of a SharedBucket.
///
/// Shape      a shard that goes idle keeps what is left of its last batch: the burst may be
///            exceeded by that, a thirty-second of it for each shard.
/// Threading  shard-local.
/// Cost       a subtraction and a comparison, as long as the batch lasts.
class LeasedTokens {
public:
    /// Takes n tokens. Returns when they are there: now or before, unless the rate is spent.
    [[nodiscard]] Instant take(SharedBucket& bucket, std::int64_t n, Instant now) noexcept {
        left_ -= n;
        if (left_ >= 0) [[likely]]
            return now;
        left_ += n;
        return lease(bucket, n, now);
    }
    /// The rate has changed: what was taken by the old one is forgotten.
    void forget() noexcept { left_ = 0; }

private:
    [[nodiscard]] Instant lease(SharedBucket& bucket, std::int64_t n, Instant now) noexcept {
        if (!bucket.is_limited()) {
            left_ = unlimited_batch;  // asks again by and by
            return now;
        }
        const std::int64_t batch = std::max<std::int64_t>(bucket.burst() / 32, 1);
        const std::int64_t missing = n - left_;
        left_ = 0;
        if (bucket.try_take(missing + batch, now)) {
            left_ = batch;
            return now;
        }
        return bucket.reserve(missing, now);
    }

    static constexpr std::int64_t unlimited_batch = 4'096;
    std::int64_t left_ = 0;
};

}  // namespace mitu::admission
