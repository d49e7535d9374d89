#include "mitu/runtime/worker_pool.hpp"

#include <string>
#include <utility>

#include "mitu/runtime/process.hpp"

namespace mitu::runtime {

WorkerPool::WorkerPool(std::size_t threads, std::size_t jobs_waiting_max)
    : jobs_waiting_max_{jobs_waiting_max} {
    for (std::size_t i = 0; i < threads; ++i) {
        threads_.emplace_back([this, i] {
            name_thread("mitu-work-" + std::to_string(i));
            run();
        });
    }
}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::try_submit(Job job) {
    {
        const MutexLock lock{mutex_};
        if (stopped_ || jobs_.size() >= jobs_waiting_max_) return false;
        jobs_.push_back(std::move(job));
    }
    has_work_.notify_one();
    return true;
}

void WorkerPool::stop() {
    std::deque<Job> dropped;  // what a job owns dies outside the lock
    {
        const MutexLock lock{mutex_};
        stopped_ = true;
        dropped.swap(jobs_);
    }
    has_work_.notify_all();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

std::size_t WorkerPool::jobs_waiting() {
    const MutexLock lock{mutex_};
    return jobs_.size();
}

void WorkerPool::run() {
    for (;;) {
        Job job;
        {
            const MutexLock lock{mutex_};
            while (!stopped_ && jobs_.empty()) has_work_.wait(mutex_);
            if (stopped_) return;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job();
    }
}

}  // namespace mitu::runtime
