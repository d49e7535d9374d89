#include "mitu/ports/trial.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <vector>

namespace mitu::ports {
namespace {

class Notes final : public Trial {
public:
    Strike pass(TrialPoint point) noexcept override {
        passed.push_back(point);
        return Strike::fail;
    }
    [[noreturn]] void die(TrialPoint /*point*/) noexcept override { std::abort(); }
    std::vector<TrialPoint> passed;
};

TEST(trial, every_point_has_a_name_of_its_own_and_is_found_by_it) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < trial_point_count; ++i) {
        const auto point = static_cast<TrialPoint>(i);
        EXPECT_TRUE(names.insert(to_text(point)).second) << to_text(point);
        EXPECT_EQ(parse_trial_point(to_text(point)), point);
    }
    EXPECT_EQ(to_text(TrialPoint::disk_names_synced), "disk.names_synced");
    EXPECT_EQ(to_text(TrialPoint::shard_before_answer), "shard.before_answer");
}

TEST(trial, a_name_that_is_none_is_not_a_point) {
    EXPECT_EQ(parse_trial_point(""), std::nullopt);
    EXPECT_EQ(parse_trial_point("disk.log_syn"), std::nullopt);
    EXPECT_EQ(parse_trial_point("disk.log_sync "), std::nullopt);
}

TEST(trial, only_calls_of_the_disk_can_fail_or_tear) {
    EXPECT_TRUE(may_strike(TrialPoint::disk_log_sync, Strike::fail));
    EXPECT_FALSE(may_strike(TrialPoint::disk_log_synced, Strike::fail));
    EXPECT_FALSE(may_strike(TrialPoint::committer_before_sync, Strike::fail));
    EXPECT_TRUE(may_strike(TrialPoint::disk_log_append, Strike::tear));
    EXPECT_FALSE(may_strike(TrialPoint::disk_log_sync, Strike::tear));
    EXPECT_TRUE(may_strike(TrialPoint::disk_log_synced, Strike::power));
    EXPECT_FALSE(may_strike(TrialPoint::shard_answered, Strike::power));
}

TEST(trial, a_process_that_is_not_on_trial_passes_every_point) {
    ASSERT_EQ(trial(), nullptr);
    EXPECT_EQ(strike_at(TrialPoint::disk_log_sync), Strike::none);
    Notes notes;
    set_trial(&notes);
    EXPECT_EQ(strike_at(TrialPoint::disk_log_sync), Strike::fail);
    pass_trial(TrialPoint::shard_answered);
    set_trial(nullptr);
    pass_trial(TrialPoint::shard_sent);
    EXPECT_EQ(notes.passed, (std::vector{TrialPoint::disk_log_sync, TrialPoint::shard_answered}));
}

}  // namespace
}  // namespace mitu::ports
