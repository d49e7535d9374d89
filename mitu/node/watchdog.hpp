#pragma once
// Watchdog: a thread that looks whether the shards turn, and says where one hangs.

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "mitu/node/stall_watch.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

class ShardHost;

/// Asks every shard for a turn, four times a second, and measures how long that takes (Pulse). One
/// that stalls is logged with the frames of its thread; one that hangs stops the process with
/// SIGABRT, so that who supervises it starts another, unless a debugger is attached.
/// Lifetime  hosts, with threads that run, and clock outlive it.
class Watchdog {
public:
    Watchdog(std::vector<ShardHost*> hosts, const ports::Clock& clock,
             const StallLimits& limits = {});
    ~Watchdog();  // stops looking
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

private:
    void run();
    void look(std::size_t shard);

    const std::vector<ShardHost*> hosts_;
    const ports::Clock& clock_;
    const StallLimits limits_;
    std::vector<StallWatch> watches_;
    std::mutex mutex_;
    std::condition_variable wakes_;
    bool ends_ = false;
    std::thread thread_;  // tidy-allow(threads): looks at those of the shards
};

}  // namespace mitu::node
