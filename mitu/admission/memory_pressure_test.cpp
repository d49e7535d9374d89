#include "mitu/admission/memory_pressure.hpp"

#include <gtest/gtest.h>

namespace mitu::admission {
namespace {

constexpr std::uint64_t gib = std::uint64_t{1} << 30;

TEST(memory_pressure, takes_its_steps_in_order_and_gives_them_up_in_reverse) {
    MemoryPressure pressure{{.budget_bytes = 10 * gib}};
    EXPECT_EQ(pressure.update(8 * gib), 0u);
    EXPECT_EQ(pressure.update(gib * 86 / 10), 1u);
    EXPECT_TRUE(pressure.is_on(SheddingStep::refuse_retained));
    EXPECT_FALSE(pressure.is_on(SheddingStep::drop_qos0_to_slow));
    EXPECT_EQ(pressure.update(10 * gib), 4u);
    EXPECT_TRUE(pressure.is_on(SheddingStep::disconnect_slowest));
    EXPECT_EQ(pressure.update(gib * 92 / 10), 3u);
    EXPECT_EQ(pressure.update(5 * gib), 0u);
}

TEST(memory_pressure, takes_its_steps_in_whatever_order_they_are_given) {
    MemoryPressure pressure{{.budget_bytes = 10 * gib, .enter_bp = {9'000, 8'500, 8'000, 9'500}}};
    EXPECT_EQ(pressure.update(gib * 81 / 10), 1u);
    EXPECT_TRUE(pressure.is_on(SheddingStep::refuse_new_connections));
    EXPECT_FALSE(pressure.is_on(SheddingStep::refuse_retained));
    EXPECT_EQ(pressure.update(gib * 91 / 10), 3u);
    EXPECT_FALSE(pressure.is_on(SheddingStep::disconnect_slowest));
}

TEST(memory_pressure, does_not_flutter_at_a_threshold) {
    MemoryPressure pressure{{.budget_bytes = 10 * gib}};
    int changes = 0;
    std::uint32_t before = pressure.update(gib * 84 / 10);
    for (int i = 0; i < 100; ++i) {
        const std::uint32_t on = pressure.update(i % 2 == 0 ? gib * 851 / 100 : gib * 849 / 100);
        changes += on != before ? 1 : 0;
        before = on;
    }
    EXPECT_EQ(changes, 1);
}

TEST(memory_pressure, does_nothing_without_a_budget_and_survives_absurd_numbers) {
    MemoryPressure none{};
    EXPECT_EQ(none.update(~0ull), 0u);
    MemoryPressure tiny{{.budget_bytes = 1}};
    EXPECT_EQ(tiny.update(~0ull), 4u);
    EXPECT_EQ(tiny.update(0), 0u);
}

}  // namespace
}  // namespace mitu::admission
