#pragma once
// WorkerProcess: one worker as its supervisor sees it.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/supervisor/channel.hpp"

namespace mitu::supervisor {

/// A child. Nothing is waited for or killed when it goes out of scope: the kernel does that when
/// the supervisor ends.
struct WorkerProcess {
    pid_t pid = 0;
    Channel channel;
    Instant started_at;
    bool is_ready = false;

    /// Runs `program` with `arguments`; the worker's end of the channel goes with it.
    /// Errors  a sentence. That the program cannot be run shows in its end: exit code 127.
    [[nodiscard]] static Result<WorkerProcess, std::string> start(
        const std::string& program, const std::vector<std::string>& arguments, Instant now);

    void send(int signal) const noexcept;
};

/// "signal 11 (Segmentation fault), core dumped", "exit code 1".
[[nodiscard]] std::string describe_end(int wait_status);

}  // namespace mitu::supervisor
