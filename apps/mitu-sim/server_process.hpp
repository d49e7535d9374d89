#pragma once
// One mitud in a folder of its own, which goes with it.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sim/scenario/scenario.hpp"

namespace mitu::sim_app {

/// Lifetime   the thread that starts it outlives it: the kernel kills the server with that thread.
/// Threading  one thread.
class ServerProcess {
public:
    explicit ServerProcess(std::string mitud) : mitud_{std::move(mitud)} {}
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    /// Returns once it takes connections. Errors: a sentence, with the end of its log.
    [[nodiscard]] std::optional<std::string> start(const sim::scenario::ServerOptions& options);
    /// SIGTERM, then `meanwhile` every now and then. Errors: it did not end, or not with status 0.
    [[nodiscard]] std::optional<std::string> stop(const std::function<void()>& meanwhile);
    /// SIGKILL.
    void kill();
    [[nodiscard]] bool is_running() const noexcept { return pid_ > 0; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    [[nodiscard]] std::optional<std::string> prepare(const sim::scenario::ServerOptions& options);
    [[nodiscard]] std::optional<std::string> await_port();
    /// Collects the process; what was wrong with its end. nullopt: it runs still.
    [[nodiscard]] std::optional<std::string> collect();
    [[nodiscard]] std::string log_tail() const;

    std::string mitud_;
    std::string folder_;
    pid_t pid_ = 0;  // 0: none runs
    std::uint16_t port_ = 0;
};

}  // namespace mitu::sim_app
