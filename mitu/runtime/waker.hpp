#pragma once
// How another thread ends the wait of a network's poll(), whichever kernel interface it waits with.

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {

/// An eventfd behind an atomic: a busy shard is told by the atomic alone, and only one that waits
/// costs its waker a system call.
/// Threading  wake() any thread; the rest shard-local.
class Waker {
public:
    /// A closed fd(): the kernel refused, see errno.
    Waker() noexcept : event_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {}

    /// Watch it for edges: every write is one, so that nobody needs to read it.
    [[nodiscard]] int fd() const noexcept { return event_.get(); }
    [[nodiscard]] bool is_open() const noexcept { return event_.is_open(); }

    /// From here on wake() writes to fd(). False: it was called before, so there is no wait.
    [[nodiscard]] bool begin_wait() noexcept {
        std::uint32_t expected = running;
        return state_.compare_exchange_strong(expected, waiting);
    }
    /// Whether wake() was called since the last end_wait(). Call it after each poll.
    [[nodiscard]] bool end_wait() noexcept { return state_.exchange(running) == woken; }

    void wake() noexcept {
        if (state_.exchange(woken) != waiting) return;
        const std::uint64_t one = 1;
        // Fails only when the counter is full: then the edge has long been there.
        [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
    }

private:
    enum State : std::uint32_t { running, waiting, woken };

    UniqueFd event_;
    std::atomic<std::uint32_t> state_{running};
};

}  // namespace mitu::runtime
