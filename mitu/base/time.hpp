#pragma once
// Duration and Instant: time as the core sees it. Never a bare integer, never a system clock;
// the clock is a port (mitu/ports/clock.hpp) and is read once per turn.

#include <compare>
#include <cstdint>
#include <limits>

namespace mitu {

/// A span of time. Units: nanoseconds, signed.
class Duration {
public:
    constexpr Duration() noexcept = default;
    static constexpr Duration nanoseconds(std::int64_t n) noexcept { return Duration{n}; }
    static constexpr Duration microseconds(std::int64_t n) noexcept { return Duration{n * 1'000}; }
    static constexpr Duration milliseconds(std::int64_t n) noexcept {
        return Duration{n * 1'000'000};
    }
    static constexpr Duration seconds(std::int64_t n) noexcept {
        return Duration{n * 1'000'000'000};
    }
    /// From fractional seconds; rounds toward zero.
    static constexpr Duration from_seconds(double s) noexcept {
        return Duration{static_cast<std::int64_t>(s * 1e9)};
    }

    [[nodiscard]] constexpr std::int64_t count_ns() const noexcept { return ns_; }
    [[nodiscard]] constexpr std::int64_t count_ms() const noexcept { return ns_ / 1'000'000; }
    [[nodiscard]] constexpr std::int64_t count_s() const noexcept { return ns_ / 1'000'000'000; }
    [[nodiscard]] constexpr double as_seconds() const noexcept {
        return static_cast<double>(ns_) / 1e9;
    }

    constexpr auto operator<=>(const Duration&) const noexcept = default;
    constexpr Duration operator+(Duration other) const noexcept {
        return Duration{ns_ + other.ns_};
    }
    constexpr Duration operator-(Duration other) const noexcept {
        return Duration{ns_ - other.ns_};
    }
    constexpr Duration operator*(std::int64_t k) const noexcept { return Duration{ns_ * k}; }
    constexpr Duration operator/(std::int64_t k) const noexcept { return Duration{ns_ / k}; }

private:
    constexpr explicit Duration(std::int64_t ns) noexcept : ns_{ns} {}
    std::int64_t ns_ = 0;
};

/// A point on the monotonic clock of one process (or of one simulated world).
class Instant {
public:
    constexpr Instant() noexcept = default;
    static constexpr Instant from_ns(std::int64_t ns) noexcept { return Instant{ns}; }
    /// Nothing scheduled; later than every other instant.
    static constexpr Instant never() noexcept {
        return Instant{std::numeric_limits<std::int64_t>::max()};
    }

    [[nodiscard]] constexpr std::int64_t since_start_ns() const noexcept { return ns_; }
    [[nodiscard]] constexpr bool is_never() const noexcept { return *this == never(); }

    constexpr auto operator<=>(const Instant&) const noexcept = default;
    /// Saturates at never(). Instants before the start are as good as any.
    constexpr Instant operator+(Duration d) const noexcept {
        const bool is_past_the_end =
            ns_ > 0 && d.count_ns() > std::numeric_limits<std::int64_t>::max() - ns_;
        if (is_never() || is_past_the_end) return never();
        return Instant{ns_ + d.count_ns()};
    }
    /// Saturates at the longest duration.
    constexpr Duration operator-(Instant other) const noexcept {
        const bool is_past_the_end =
            other.ns_ < 0 && ns_ > std::numeric_limits<std::int64_t>::max() + other.ns_;
        if (is_past_the_end) {
            return Duration::nanoseconds(std::numeric_limits<std::int64_t>::max());
        }
        return Duration::nanoseconds(ns_ - other.ns_);
    }

private:
    constexpr explicit Instant(std::int64_t ns) noexcept : ns_{ns} {}
    std::int64_t ns_ = 0;
};

/// Wall-clock time for people and logs. Units: milliseconds since the Unix epoch, UTC.
struct WallTime {
    std::int64_t unix_ms = 0;
    constexpr auto operator<=>(const WallTime&) const noexcept = default;
};

}  // namespace mitu
