#include "mitu/memory/reservation.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "mitu/memory/batch_pool.hpp"

namespace mitu::memory {

TEST(reservation, is_memory_only_as_far_as_it_is_open) {
    auto reservation = Reservation::make(10 * page_bytes);
    ASSERT_TRUE(reservation.has_value());
    ASSERT_TRUE(reservation->open(2 * page_bytes));
    reservation->data()[2 * page_bytes - 1] = 7;
    EXPECT_EQ(reservation->open_bytes(), 2 * page_bytes);
    EXPECT_DEATH({ reservation->data()[2 * page_bytes] = 7; }, "");
    EXPECT_FALSE(reservation->open(11 * page_bytes));
    EXPECT_EQ(reservation->data()[2 * page_bytes - 1], 7);
}

TEST(reservation, faults_before_and_behind) {
    for (const auto pages : {Reservation::Pages::usual, Reservation::Pages::huge}) {
        auto reservation = Reservation::make(page_bytes, pages);
        ASSERT_TRUE(reservation.has_value());
        ASSERT_TRUE(reservation->open(page_bytes));
        EXPECT_DEATH({ *(reservation->data() - 1) = 7; }, "");
        EXPECT_DEATH({ reservation->data()[page_bytes] = 7; }, "");
    }
}

TEST(reservation, what_is_given_back_reads_as_zero) {
    auto reservation = Reservation::make(2 * page_bytes);
    ASSERT_TRUE(reservation.has_value() && reservation->open(2 * page_bytes));
    reservation->data()[0] = reservation->data()[page_bytes] = 7;
    reservation->give_back(0, page_bytes);
    EXPECT_EQ(reservation->data()[0], 0);
    EXPECT_EQ(reservation->data()[page_bytes], 7);
}

TEST(reservation, begins_at_a_huge_page_where_those_are_asked_for) {
    auto reservation = Reservation::make(3 * huge_page_bytes, Reservation::Pages::huge);
    ASSERT_TRUE(reservation.has_value());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(reservation->data()) % huge_page_bytes, 0u);
    ASSERT_TRUE(reservation->open(3 * huge_page_bytes));  // all that was promised is there
    reservation->data()[3 * huge_page_bytes - 1] = 7;
    const Reservation moved = std::move(*reservation);
    EXPECT_EQ(moved.data()[3 * huge_page_bytes - 1], 7);
}

TEST(batch_pool, tells_whether_it_has_huge_pages_only_once_it_has_memory) {
    BatchPoolOptions options;
    options.batches_max = 64;
    BatchPool without{options};
    options.huge_pages = true;
    BatchPool with{options};
    EXPECT_FALSE(with.uses_huge_pages());
    const auto batch = with.take();
    ASSERT_TRUE(batch.has_value());
    EXPECT_EQ(with.uses_huge_pages(),
              Reservation::make(page_bytes, Reservation::Pages::huge)->uses_huge_pages());
    with.give_back(*batch);
    const auto other = without.take();
    ASSERT_TRUE(other.has_value());
    EXPECT_FALSE(without.uses_huge_pages());
    without.give_back(*other);
}

}  // namespace mitu::memory
