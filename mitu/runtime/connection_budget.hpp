#pragma once
// How many connections the whole process may hold: shards share one number, because the kernel
// does not spread connections over them evenly.

#include <atomic>
#include <cstdint>

namespace mitu::runtime {

/// Threading  any thread.
class ConnectionBudget {
public:
    explicit ConnectionBudget(std::uint32_t connections_max) noexcept
        : connections_max_{connections_max} {}

    /// false: spent; the connection must be refused.
    [[nodiscard]] bool try_take() noexcept {
        if (used_.fetch_add(1, std::memory_order_relaxed) < connections_max_) return true;
        give_back();
        return false;
    }
    /// For a connection that was counted before and only moves between shards.
    void take() noexcept { used_.fetch_add(1, std::memory_order_relaxed); }
    void give_back() noexcept { used_.fetch_sub(1, std::memory_order_relaxed); }

    [[nodiscard]] std::uint32_t used() const noexcept {
        return used_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t connections_max() const noexcept { return connections_max_; }

private:
    const std::uint32_t connections_max_;
    std::atomic<std::uint32_t> used_{0};
};

}  // namespace mitu::runtime
