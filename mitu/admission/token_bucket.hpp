#pragma once
// TokenBucket: so much per second, so much at once.

#include <algorithm>
#include <cstdint>

#include "mitu/base/time.hpp"

namespace mitu::admission {

/// Units  tokens: packets, bytes, connects.
struct Rate {
    /// Shape  at most this; more is taken as this.
    static constexpr std::uint64_t tokens_max = 8'000'000'000;

    std::uint64_t per_second = 0;  // 0: no limit
    std::uint64_t burst = 0;       // 0: one second's worth

    [[nodiscard]] constexpr bool is_limited() const noexcept { return per_second != 0; }
    [[nodiscard]] constexpr std::int64_t rate() const noexcept {
        return static_cast<std::int64_t>(std::min(per_second, tokens_max));
    }
    [[nodiscard]] constexpr std::int64_t capacity() const noexcept {
        return static_cast<std::int64_t>(std::min(burst != 0 ? burst : per_second, tokens_max));
    }
    constexpr bool operator==(const Rate&) const noexcept = default;
};

/// Tokens of one rate, which is given with every call, so that a million buckets share one and a
/// change of it holds at once. Counts in billionths of a token: each nanosecond adds as many as the
/// rate has tokens, exactly, so that nothing drifts.
///
/// Shape      16 bytes; plain, so that a session may have one in its own memory.
/// Threading  shard-local.
class TokenBucket {
public:
    constexpr TokenBucket() noexcept = default;
    constexpr TokenBucket(const Rate& rate, Instant now) noexcept
        : level_{rate.capacity() * unit}, at_{now} {}

    /// Takes n tokens if they are there.
    [[nodiscard]] constexpr bool try_take(const Rate& rate, std::uint64_t n, Instant now) noexcept {
        fill(rate, now);
        const std::int64_t cost = cost_of(n);
        if (level_ < cost) return false;
        level_ -= cost;
        return true;
    }
    /// Takes n tokens that are spent already (bytes that were read); the level may fall below
    /// zero, and ready_at() is then when it is at zero again.
    constexpr void charge(const Rate& rate, std::uint64_t n, Instant now) noexcept {
        fill(rate, now);
        level_ = std::max(level_ - cost_of(n), -debt_max);
    }
    /// When n tokens will be there, if nobody takes any before. In the past or now: they are.
    [[nodiscard]] constexpr Instant ready_at(const Rate& rate, std::uint64_t n) const noexcept {
        const std::int64_t missing = std::min(cost_of(n), rate.capacity() * unit) - level_;
        if (missing <= 0) return at_;
        return at_ + Duration::nanoseconds((missing + rate.rate() - 1) / rate.rate());
    }
    /// Full again: whoever has it can forget it.
    [[nodiscard]] constexpr bool is_full(const Rate& rate, Instant now) const noexcept {
        TokenBucket later = *this;
        later.fill(rate, now);
        return later.level_ >= rate.capacity() * unit;
    }

private:
    static constexpr std::int64_t unit = 1'000'000'000;
    static constexpr std::int64_t debt_max = 1'000'000'000 * unit;

    [[nodiscard]] static constexpr std::int64_t cost_of(std::uint64_t n) noexcept {
        return static_cast<std::int64_t>(std::min(n, Rate::tokens_max)) * unit;
    }
    constexpr void fill(const Rate& rate, Instant now) noexcept {
        if (now <= at_) return;
        const std::int64_t missing = rate.capacity() * unit - level_;
        const std::int64_t passed_ns = (now - at_).count_ns();
        at_ = now;
        // Division first: the product may not fit.
        if (missing <= 0 || rate.rate() == 0 || passed_ns > missing / rate.rate()) {
            level_ = rate.capacity() * unit;
        } else {
            level_ += passed_ns * rate.rate();
        }
    }

    std::int64_t level_ = 0;
    Instant at_;
};

}  // namespace mitu::admission
