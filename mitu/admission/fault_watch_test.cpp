#include "mitu/admission/fault_watch.hpp"

#include <gtest/gtest.h>

namespace mitu::admission {
namespace {

constexpr Instant start = Instant::from_ns(1'000'000'000);

FaultWatch watch(std::uint32_t faults_max) {
    return FaultWatch{{.faults_max = faults_max,
                       .window = Duration::seconds(60),
                       .ban = Duration::seconds(300),
                       .clients_max = 64}};
}

TEST(fault_watch, bears_so_many_faults_within_the_window_and_no_more) {
    FaultWatch faults = watch(2);
    EXPECT_FALSE(faults.is_one_too_many(1, start));
    EXPECT_FALSE(faults.is_one_too_many(1, start));
    EXPECT_FALSE(faults.is_one_too_many(2, start));
    EXPECT_TRUE(faults.is_one_too_many(1, start));
    for (int i = 0; i < 100; ++i) {  // seldom enough
        EXPECT_FALSE(faults.is_one_too_many(3, start + Duration::seconds(31 * i)));
    }
}

TEST(fault_watch, watches_nobody_unless_told) {
    FaultWatch faults = watch(0);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(faults.is_one_too_many(1, start));
}

TEST(fault_watch, remembers_whom_nobody_could_name_until_they_come) {
    FaultWatch faults = watch(1);
    faults.note_due(7);
    faults.note_due(7);
    EXPECT_FALSE(faults.take_due(8));
    EXPECT_TRUE(faults.take_due(7));
    EXPECT_FALSE(faults.take_due(7));
    for (std::uint64_t name = 0; name < 1'000; ++name) faults.note_due(name);
    EXPECT_FALSE(faults.take_due(0)) << "the oldest has made room";
    EXPECT_TRUE(faults.take_due(999));
}

}  // namespace
}  // namespace mitu::admission
