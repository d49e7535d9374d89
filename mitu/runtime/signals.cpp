#include "mitu/runtime/signals.hpp"

#include <pthread.h>

#include <algorithm>
#include <ctime>

#include "mitu/base/check.hpp"

namespace mitu::runtime {

SignalWaiter::SignalWaiter() {
    sigemptyset(&waited_for_);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&waited_for_, number);
    MITU_CHECK(pthread_sigmask(SIG_BLOCK, &waited_for_, &mask_before_) == 0);
    // Sockets are written with MSG_NOSIGNAL; this is for a log whose reader went away.
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    MITU_CHECK(sigaction(SIGPIPE, &ignore, nullptr) == 0);
}

SignalWaiter::~SignalWaiter() { pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr); }

std::optional<Signal> SignalWaiter::wait(Duration timeout) const {
    const std::int64_t ns = std::max<std::int64_t>(timeout.count_ns(), 0);
    timespec limit{};
    limit.tv_sec = ns / 1'000'000'000;
    limit.tv_nsec = ns % 1'000'000'000;
    switch (sigtimedwait(&waited_for_, nullptr, &limit)) {
        case SIGTERM:
            return Signal::terminate;
        case SIGINT:
            return Signal::interrupt;
        case SIGHUP:
            return Signal::hangup;
        case SIGUSR2:
            return Signal::upgrade;
        default:
            return std::nullopt;  // the time is over, or a debugger interrupted
    }
}

Signal SignalWaiter::wait() const {
    for (;;) {
        if (const auto signal = wait(Duration::seconds(3'600))) return *signal;
    }
}

}  // namespace mitu::runtime
