#pragma once
// Inbox: how any thread hands values to the one thread that owns something (a shard, a client).
// The push is not enough to be noticed by a sleeping owner: follow it with Network::wake().

#include <atomic>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "mitu/base/mutex.hpp"

namespace mitu::ports {

/// Values on their way to an owner, in the order in which they were pushed.
/// Threading  try_push() and is_empty(): any thread; drain(): the owner.
/// Cost       an owner with an empty inbox pays one relaxed load; drain() swaps vectors, so that
///            a steady flow allocates nothing.
template <class T>
class Inbox {
public:
    explicit Inbox(std::size_t capacity = std::numeric_limits<std::size_t>::max())
        : capacity_{capacity} {}

    /// false: full, and nothing changed (`value` is left as it was).
    [[nodiscard]] bool try_push(T&& value) MITU_EXCLUDES(mutex_) {
        const MutexLock lock{mutex_};
        if (values_.size() >= capacity_) return false;
        values_.push_back(std::move(value));
        has_values_.store(true, std::memory_order_relaxed);
        return true;
    }
    [[nodiscard]] bool try_push(const T& value) MITU_EXCLUDES(mutex_) { return try_push(T{value}); }

    /// Replaces what `values` holds by everything that was pushed, oldest first.
    void drain(std::vector<T>& values) MITU_EXCLUDES(mutex_) {
        values.clear();
        if (is_empty()) return;
        const MutexLock lock{mutex_};
        values_.swap(values);
        has_values_.store(false, std::memory_order_relaxed);
    }

    /// May lag behind a push of another thread until that thread's wake() is seen.
    [[nodiscard]] bool is_empty() const noexcept {
        return !has_values_.load(std::memory_order_relaxed);
    }

private:
    const std::size_t capacity_;
    std::atomic<bool> has_values_{false};
    Mutex mutex_;
    std::vector<T> values_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::ports
