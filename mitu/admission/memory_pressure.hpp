#pragma once
// MemoryPressure: how near the process is to its budget, and what is given up, in which order.

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mitu::admission {

/// Each with a threshold of its own; as given, what costs the clients least comes first.
enum class SheddingStep : std::uint8_t {
    refuse_retained,         // new retained messages: 0x97
    drop_qos0_to_slow,       // QoS 0 for a client that has something waiting already
    refuse_new_connections,  // 0x89, come back later; who is in stays
    disconnect_slowest,      // one of each shard at a time: whose queue is the longest
};
inline constexpr std::size_t shedding_step_count =
    static_cast<std::size_t>(SheddingStep::disconnect_slowest) + 1;
[[nodiscard]] std::string_view to_text(SheddingStep step) noexcept;

struct MemoryOptions {
    std::uint64_t budget_bytes = 0;  // 0: no budget
    /// Shape  ten-thousandths of the budget from which each step is on, in whatever order.
    std::array<std::uint32_t, shedding_step_count> enter_bp{8'500, 9'000, 9'300, 9'700};
    /// So far below its threshold a step is given up again.
    std::uint32_t hysteresis_bp = 300;
};

/// Threading  update() one thread; the rest any thread.
class MemoryPressure {
public:
    explicit MemoryPressure(const MemoryOptions& options = {}) : options_{options} {}

    /// Takes what was measured. Returns how many steps are on.
    std::uint32_t update(std::uint64_t used_bytes) noexcept;

    [[nodiscard]] std::uint32_t steps_on() const noexcept {
        return static_cast<std::uint32_t>(std::popcount(on_.load(std::memory_order_relaxed)));
    }
    [[nodiscard]] bool is_on(SheddingStep step) const noexcept {
        return ((on_.load(std::memory_order_relaxed) >> static_cast<std::uint32_t>(step)) & 1) != 0;
    }
    [[nodiscard]] std::uint64_t used_bytes() const noexcept {
        return used_bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] const MemoryOptions& options() const noexcept { return options_; }

private:
    MemoryOptions options_;
    std::atomic<std::uint32_t> on_{0};  // a bit for each step
    std::atomic<std::uint64_t> used_bytes_{0};
};

}  // namespace mitu::admission
