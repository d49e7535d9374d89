#pragma once
// A mutex that the compiler can follow: what it guards says MITU_GUARDED_BY(mutex_).

#include <condition_variable>
#include <mutex>

#include "mitu/base/thread_annotations.hpp"

namespace mitu {

/// Threading  any thread.
class MITU_CAPABILITY("mutex") Mutex {
public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock() MITU_ACQUIRE() { mutex_.lock(); }
    void unlock() MITU_RELEASE() { mutex_.unlock(); }

private:
    friend class Condition;
    std::mutex mutex_;
};

/// Holds a Mutex for the length of a block.
class MITU_SCOPED_CAPABILITY MutexLock {
public:
    explicit MutexLock(Mutex& mutex) MITU_ACQUIRE(mutex) : mutex_{mutex} { mutex_.lock(); }
    ~MutexLock() MITU_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

/// A condition variable for a Mutex. Wakes without reason too, so wait() belongs in a loop.
class Condition {
public:
    void wait(Mutex& mutex) MITU_REQUIRES(mutex) {
        std::unique_lock<std::mutex> lock{mutex.mutex_, std::adopt_lock};
        condition_.wait(lock);
        lock.release();  // the caller's MutexLock unlocks
    }
    void notify_one() noexcept { condition_.notify_one(); }
    void notify_all() noexcept { condition_.notify_all(); }

private:
    std::condition_variable condition_;
};

}  // namespace mitu
