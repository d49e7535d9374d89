#include "mitu/admission/memory_pressure.hpp"

#include <algorithm>

namespace mitu::admission {

std::string_view to_text(SheddingStep step) noexcept {
    switch (step) {
        case SheddingStep::refuse_retained:
            return "refuse_retained";
        case SheddingStep::drop_qos0_to_slow:
            return "drop_qos0_to_slow";
        case SheddingStep::refuse_new_connections:
            return "refuse_new_connections";
        case SheddingStep::disconnect_slowest:
            return "disconnect_slowest";
    }
    return "unknown";
}

std::uint32_t MemoryPressure::update(std::uint64_t used_bytes) noexcept {
    used_bytes_.store(used_bytes, std::memory_order_relaxed);
    std::uint32_t on = on_.load(std::memory_order_relaxed);
    if (options_.budget_bytes == 0) {
        on = 0;
    } else {
        // Parts of 64 KiB: ten thousand times as many bytes need not fit.
        const std::uint64_t budget = std::max<std::uint64_t>(options_.budget_bytes >> 16, 1);
        const std::uint64_t used_bp = (used_bytes >> 16) * 10'000 / budget;
        for (std::uint32_t step = 0; step < shedding_step_count; ++step) {
            const std::uint32_t enter_bp = options_.enter_bp[step];
            const std::uint32_t bit = 1u << step;
            if (used_bp >= enter_bp) {
                on |= bit;
            } else if (used_bp + options_.hysteresis_bp < enter_bp) {
                on &= ~bit;
            }
        }
    }
    on_.store(on, std::memory_order_relaxed);
    return steps_on();
}

}  // namespace mitu::admission
