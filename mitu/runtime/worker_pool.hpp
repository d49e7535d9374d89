#pragma once
// Threads for work that would hold up a shard: argon2id, reading files.

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "mitu/base/mutex.hpp"

namespace mitu::runtime {

/// A fixed number of threads and a bounded queue. A job hands its result back itself, through the
/// inbox of whoever wants it.
/// Threading  any thread.
/// Order      jobs start in the order in which they were taken.
class WorkerPool {
public:
    using Job = std::function<void()>;  // must not throw

    WorkerPool(std::size_t threads, std::size_t jobs_waiting_max);
    /// Ends as stop() does.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// false: the queue is full or the pool has stopped; the job was not taken.
    [[nodiscard]] bool try_submit(Job job) MITU_EXCLUDES(mutex_);

    /// Waits for jobs that run, drops those that wait. Not from inside a job.
    void stop() MITU_EXCLUDES(mutex_);

    [[nodiscard]] std::size_t jobs_waiting() MITU_EXCLUDES(mutex_);

private:
    void run() MITU_EXCLUDES(mutex_);

    const std::size_t jobs_waiting_max_;
    Mutex mutex_;
    Condition has_work_;
    bool stopped_ MITU_GUARDED_BY(mutex_) = false;
    std::deque<Job> jobs_ MITU_GUARDED_BY(mutex_);
    std::vector<std::thread> threads_;
};

}  // namespace mitu::runtime
