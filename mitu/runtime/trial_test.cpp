#include "mitu/runtime/trial.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <string>

namespace mitu::runtime {
namespace {

using ports::Strike;
using ports::TrialPoint;

std::unique_ptr<ScriptedTrial> trial_of(
    std::string_view script, ScriptedTrial::Sleep sleep = [](Duration) {}) {
    auto trial = ScriptedTrial::parse(script, std::move(sleep));
    EXPECT_TRUE(trial) << (trial ? "" : trial.error());
    return trial ? *std::move(trial) : nullptr;
}

TEST(scripted_trial, strikes_once_at_the_pass_that_is_named) {
    const auto trial = trial_of("fail:disk.log_sync:3,tear:disk.log_append:1");
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_append), Strike::tear);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_append), Strike::none);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_sync), Strike::none);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_sync), Strike::none);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_sync), Strike::fail);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_sync), Strike::none);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_synced), Strike::none);
}

TEST(scripted_trial, a_slow_point_is_slow_at_every_pass) {
    Duration slept;
    const auto trial = trial_of("slow:disk.log_sync:500", [&](Duration d) { slept = slept + d; });
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_sync), Strike::none);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_sync), Strike::none);
    EXPECT_EQ(trial->pass(TrialPoint::disk_log_append), Strike::none);
    EXPECT_EQ(slept.count_ms(), 1'000);
}

TEST(scripted_trial, dies_as_kill_9_does_and_says_where) {
    const auto trial = trial_of("kill:shard.answered:2");
    EXPECT_EQ(trial->pass(TrialPoint::shard_answered), Strike::none);
    EXPECT_EXIT((void)trial->pass(TrialPoint::shard_answered), testing::KilledBySignal(SIGKILL),
                "trial: killed at shard.answered");
}

TEST(scripted_trial, a_rule_that_is_none_is_refused_with_what_it_may_be) {
    const std::pair<const char*, const char*> wrong[] = {
        {"", "two colons"},
        {"kill", "two colons"},
        {"kill:disk.log_sync", "two colons"},
        {"kill:disk.log_sync:3,", "two colons"},
        {"kill:disk.logs:3", "no such point"},
        {"kill:disk.log_sync:0", "from 1 on"},
        {"kill:disk.log_sync:-1", "from 1 on"},
        {"kill:disk.log_sync:3x", "from 1 on"},
        {"kill:disk.log_sync:99999999999999999999", "from 1 on"},
        {"slow:disk.log_sync:10001", "at most 10000 ms"},
        {"tear:disk.log_sync:1", "cannot happen at this point"},
        {"fail:shard.answered:1", "cannot happen at this point"},
        {"burn:disk.log_sync:1", "none of kill, tear, power, fail, slow"},
    };
    for (const auto& [script, why] : wrong) {
        const auto trial = ScriptedTrial::parse(script, [](Duration) {});
        ASSERT_FALSE(trial) << script;
        EXPECT_NE(trial.error().find(why), std::string::npos) << trial.error();
    }
}

TEST(scripted_trial, the_list_names_every_point_and_what_may_strike_there) {
    const std::string list = list_of_trial_points();
    EXPECT_NE(list.find("disk.log_append\tkill,slow,fail,tear,power\n"), std::string::npos);
    EXPECT_NE(list.find("shard.answered\tkill,slow\n"), std::string::npos);
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(list, '\n')), ports::trial_point_count);
}

}  // namespace
}  // namespace mitu::runtime
