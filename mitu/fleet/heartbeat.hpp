#pragma once
// Whether a device keeps the promise to be heard.

#include <cstdint>

#include "mitu/base/time.hpp"

namespace mitu::fleet {

/// One device's heartbeat. It is missed when nothing was heard for `timeout` and it did not say
/// goodbye (a clean DISCONNECT); it recovers when heard again.
/// Shape      16 bytes. A timeout of zero (no heartbeat section) never misses.
/// Threading  shard-local.
class Heartbeat {
public:
    enum class Change : std::uint8_t { none, missed, recovered };

    /// Anything heard: CONNECT, a packet, a ping. Cheap enough for each of them.
    Change on_heard(Instant now) noexcept {
        heard_at_ = now;
        const bool was_missed = state_ == State::missed;
        state_ = State::expected;
        return was_missed ? Change::recovered : Change::none;
    }
    /// The connection ended. Clean: silence is expected from here. Not clean: the time runs on.
    /// A device already missed stays missed either way: it was silent before it left.
    void on_goodbye(bool clean) noexcept {
        if (clean && state_ == State::expected) state_ = State::silent;
    }
    /// Early or repeated calls do nothing. `timeout` comes from the device's policy of now.
    Change on_deadline(Instant now, Duration timeout) noexcept {
        if (now < next_deadline(timeout)) return Change::none;
        state_ = State::missed;
        return Change::missed;
    }
    /// never(): not expected to be heard, or missed already.
    [[nodiscard]] Instant next_deadline(Duration timeout) const noexcept {
        if (state_ != State::expected || timeout <= Duration{}) return Instant::never();
        return heard_at_ + timeout;
    }
    [[nodiscard]] bool missed() const noexcept { return state_ == State::missed; }
    [[nodiscard]] Instant heard_at() const noexcept { return heard_at_; }

private:
    enum class State : std::uint8_t { silent, expected, missed };
    Instant heard_at_;
    State state_ = State::silent;
};

}  // namespace mitu::fleet
