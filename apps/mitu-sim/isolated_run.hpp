#pragma once
// Runs in processes of their own, so that a CHECK that stops one is a finding and not the end.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/run.hpp"

namespace mitu::sim_app {

/// What became of a run that may have crashed.
struct IsolatedResult {
    sim::RunResult result;  // of a crash: only its seed
    std::string crash;      // "stopped by signal 6: ..."; empty: it ended
    double took_s = 0;

    [[nodiscard]] bool failed() const { return !crash.empty() || !result.violations.empty(); }
    /// The first broken promise, or "no_crash".
    [[nodiscard]] std::string promise() const;
};

/// One run in a child process.
/// Errors  a crash of the child is a result; that no process can be had throws std::system_error.
[[nodiscard]] IsolatedResult run_isolated(const sim::RunOptions& options);

/// A child that runs seed after seed, as its parent hands them out, and answers with a line each.
/// Threading  one thread of the parent.
class Worker {
public:
    Worker();
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Hands over a run; the worker has none. `twice`: also compare the traces of two runs.
    void begin(std::uint64_t seed, bool twice);
    [[nodiscard]] bool is_busy() const noexcept { return is_busy_; }
    [[nodiscard]] int answers_fd() const noexcept { return answers_; }
    /// Call when answers_fd() is readable. nullopt: the answer is not whole yet.
    [[nodiscard]] std::optional<IsolatedResult> take_answer();

private:
    void start();
    void stop();

    pid_t pid_ = -1;
    int orders_ = -1;
    int answers_ = -1;
    int complaints_ = -1;  // a file: what the child said on stderr
    std::string input_;
    std::uint64_t seed_ = 0;
    bool is_busy_ = false;
};

}  // namespace mitu::sim_app
