#pragma once
// Supervisor: the small process beside the one that serves. It holds the listening sockets and
// starts the worker again.

#include <memory>
#include <string>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/supervisor/restart_policy.hpp"

namespace mitu::supervisor {

/// How `mitud` ends.
inline constexpr int exit_cannot_start = 2;  // configuration, permission: the message says it
inline constexpr int exit_given_up = 3;      // the worker died too often; nobody started it again

struct SupervisorOptions {
    std::string program;                 // where an upgrade finds the new one
    std::vector<std::string> arguments;  // without the program's name
    std::string version{};
    RestartLimits restarts{};
    Duration standby_time_max = Duration::seconds(30);  // for a new worker to check everything
    Duration drain_time_max = Duration::seconds(30);    // then the old one is killed
};

/// Reads no byte of a client and no file: a worker opens what it listens on, hands copies over
/// before it serves, and gets them back when it has died and is started again. One thread.
class Supervisor {
public:
    explicit Supervisor(SupervisorOptions options);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Starts a worker, or takes over that of the program that this process was before, and stays
    /// until the end. Returns  the exit code.
    [[nodiscard]] int run();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::supervisor
