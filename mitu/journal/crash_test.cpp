// Real shards on the real engine over a virtual disk, through crashes of the process and of the
// machine, in histories drawn by seed.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "mitu/journal/testing/crash_run.hpp"

namespace mitu::journal {
namespace {

using testing::CrashOptions;
using testing::CrashRun;

int seeds_wanted(int otherwise) {
    const char* const wanted =
        std::getenv("MITU_CRASH_SEEDS");  // tidy-allow(environment): a longer run
    return wanted != nullptr ? std::atoi(wanted) : otherwise;
}

std::uint64_t first_seed() {
    const char* const wanted =
        std::getenv("MITU_CRASH_FIRST");  // tidy-allow(environment): to see one seed again
    return wanted != nullptr ? static_cast<std::uint64_t>(std::atoll(wanted)) : 1;
}

CrashRun::Counts run_seeds(CrashOptions options, int seeds) {
    CrashRun::Counts sum;
    for (int i = 0; i < seeds; ++i) {
        options.seed = first_seed() + static_cast<std::uint64_t>(i);
        CrashRun run{options};
        run.run();
        for (const std::string& failure : run.failures()) ADD_FAILURE() << failure;
        const auto& counts = run.counts();
        sum.starts += counts.starts;
        sum.power_losses += counts.power_losses;
        sum.inside_a_commit += counts.inside_a_commit;
        sum.published += counts.published;
        sum.confirmed += counts.confirmed;
        sum.owed += counts.owed;
        sum.delivered += counts.delivered;
        sum.resumed += counts.resumed;
        sum.wills_owed += counts.wills_owed;
        sum.broken += counts.broken;
        sum.rebuilt += counts.rebuilt;
        if (::testing::Test::HasFailure() && seeds <= 1'000) break;
    }
    std::printf(
        "%d seeds: %llu starts, %llu of them after a loss of power, %llu in the middle of a "
        "commit; %llu published, %llu acknowledged, %llu deliveries owed, %llu made, %llu sessions "
        "resumed, %llu wills, %llu sessions broke, %llu came back\n",
        seeds, static_cast<unsigned long long>(sum.starts),
        static_cast<unsigned long long>(sum.power_losses),
        static_cast<unsigned long long>(sum.inside_a_commit),
        static_cast<unsigned long long>(sum.published),
        static_cast<unsigned long long>(sum.confirmed), static_cast<unsigned long long>(sum.owed),
        static_cast<unsigned long long>(sum.delivered),
        static_cast<unsigned long long>(sum.resumed),
        static_cast<unsigned long long>(sum.wills_owed),
        static_cast<unsigned long long>(sum.broken), static_cast<unsigned long long>(sum.rebuilt));
    return sum;
}

TEST(crash, sync_loses_nothing_that_was_acknowledged) {
    const int seeds = seeds_wanted(30);
    const auto sum = run_seeds({.durability = broker::Durability::sync}, seeds);
    if (seeds < 30 || HasFailure()) return;
    const auto count = static_cast<std::uint64_t>(seeds);  // the seeds reach what they are for
    EXPECT_GT(sum.starts, count * 5);
    EXPECT_GT(sum.power_losses, count);
    EXPECT_GT(sum.inside_a_commit, count / 2);
    EXPECT_GT(sum.owed, count * 20);
    EXPECT_GT(sum.resumed, count * 5);
    EXPECT_GT(sum.wills_owed, count / 10);
    EXPECT_GT(sum.rebuilt, count);
}

TEST(crash, async_loses_nothing_but_with_the_machine) {
    static_cast<void>(run_seeds({.durability = broker::Durability::async, .loses_power = false},
                                seeds_wanted(12)));
}

TEST(crash, async_starts_and_empties_after_the_power_was_gone) {
    static_cast<void>(run_seeds({.durability = broker::Durability::async}, seeds_wanted(12)));
}

TEST(crash, a_seed_repeats_itself) {
    CrashOptions options;
    for (const std::uint64_t seed : {3U, 4U, 5U, 6U, 7U, 8U}) {
        options.seed = seed;
        CrashRun first{options};
        first.run();
        CrashRun second{options};
        second.run();
        EXPECT_EQ(first.counts().digest, second.counts().digest);
        EXPECT_NE(first.counts().digest, 0u);
    }
}

}  // namespace
}  // namespace mitu::journal
