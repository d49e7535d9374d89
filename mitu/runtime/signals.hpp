#pragma once
// Signals as values that one thread waits for, never as handlers.

#include <csignal>
#include <optional>

#include "mitu/base/time.hpp"

namespace mitu::runtime {

enum class Signal { terminate, interrupt, hangup, upgrade };  // SIGTERM, SIGINT, SIGHUP, SIGUSR2

/// Holds back SIGTERM, SIGINT, SIGHUP and SIGUSR2 in the creating thread and in every thread that
/// it starts afterwards, and ignores SIGPIPE in the process: create it in main() before any thread.
/// The destructor lets the signals act in its thread as before.
/// Threading  wait(): the creating thread.
class SignalWaiter {
public:
    SignalWaiter();
    ~SignalWaiter();
    SignalWaiter(const SignalWaiter&) = delete;
    SignalWaiter& operator=(const SignalWaiter&) = delete;

    /// Waits for the next of them, for at most `timeout`. nullopt: none came.
    [[nodiscard]] std::optional<Signal> wait(Duration timeout) const;
    [[nodiscard]] Signal wait() const;

private:
    sigset_t waited_for_{};
    sigset_t mask_before_{};
};

}  // namespace mitu::runtime
