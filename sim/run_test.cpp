// Runs as a whole: the same every time, smaller when asked, and without a finding.

#include "sim/run.hpp"

#include <gtest/gtest.h>

#include "sim/shrink.hpp"

namespace mitu::sim {
namespace {

TEST(run, is_the_same_every_time) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const RunResult first = run({.seed = seed});
        const RunResult second = run({.seed = seed});
        EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
        EXPECT_EQ(first.steps, second.steps) << "seed " << seed;
        EXPECT_NE(first.trace_hash, run({.seed = seed + 1}).trace_hash) << "seed " << seed;
    }
}

TEST(run, is_the_same_whether_somebody_watches_or_not) {
    std::uint64_t lines = 0;
    RunOptions watched{.seed = 7};
    watched.tell = [&](const std::string&) { ++lines; };
    EXPECT_EQ(run(watched).trace_hash, run({.seed = 7}).trace_hash);
    EXPECT_GT(lines, 100u);
}

// In the dev preset with sanitizers and audits; ./dev test runs thousands in a release build.
TEST(run, keeps_every_promise) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        for (const Violation& violation : run({.seed = seed}).violations) {
            ADD_FAILURE() << "seed " << seed << ": " << violation.promise << ": " << violation.what;
        }
    }
}

TEST(run, leaves_out_what_it_is_told_to) {
    const Plan plan = draw_plan(3);
    const auto all = run({.seed = 3, .without_restarts = true});
    EXPECT_EQ(all.actors, plan.actors.size());
    RunOptions some{.seed = 3, .without_restarts = true};
    some.only = Selection{{0, {0, 1}}};
    const auto few = run(some);
    EXPECT_EQ(few.actors, 1u);
    EXPECT_EQ(few.actions, 2u);
    some.until = Duration{};
    EXPECT_EQ(run(some).actions, 0u);
}

TEST(plan, is_the_same_every_time) {
    const Plan plan = draw_plan(11);
    const Plan again = draw_plan(11);
    ASSERT_EQ(plan.actors.size(), again.actors.size());
    for (std::size_t i = 0; i < plan.actors.size(); ++i) {
        ASSERT_EQ(plan.actors[i].actions.size(), again.actors[i].actions.size());
        for (std::size_t k = 0; k < plan.actors[i].actions.size(); ++k) {
            EXPECT_EQ(plan.actors[i].actions[k].at, again.actors[i].actions[k].at);
            EXPECT_EQ(plan.actors[i].actions[k].topic, again.actors[i].actions[k].topic);
        }
    }
}

TEST(shrink, finds_the_actions_that_matter) {
    // A failure that needs one action of each of two actors, and nothing else.
    std::uint32_t runs = 0;
    const auto needs_both = [&](const RunOptions& options) {
        ++runs;
        const auto has = [&](std::uint32_t actor, std::uint32_t action) {
            const auto it = options.only->find(actor);
            return it != options.only->end() && it->second.contains(action);
        };
        return has(1, 4) && has(2, 2);
    };
    RunOptions failing{.seed = 3};
    const Plan plan = draw_plan(3);
    ASSERT_GT(plan.actors.size(), 3u);
    failing.only = select_all(plan);
    const RunOptions small = shrink(failing, needs_both, 1'000);
    EXPECT_EQ(*small.only, (Selection{{1, {4}}, {2, {2}}}));
    EXPECT_TRUE(small.without_restarts);
    EXPECT_TRUE(small.without_faults);
    EXPECT_LT(runs, 300u);
}

TEST(shrink, keeps_to_the_runs_that_it_is_given) {
    std::uint32_t runs = 0;
    const auto always = [&](const RunOptions&) {
        ++runs;
        return true;
    };
    static_cast<void>(shrink({.seed = 3}, always, 10));
    EXPECT_LE(runs, 10u);
}

TEST(selection, is_read_as_it_is_written) {
    const Selection selection{{0, {0, 1, 2, 3, 7}}, {4, {}}, {6, {2}}};
    EXPECT_EQ(to_text(selection), "0.0-3+7,4,6.2");
    EXPECT_EQ(parse_selection("0.0-3+7,4,6.2"), selection);
    for (const char* bad :
         {"", "x", "1.", "1.2-", "1.3-2", "1,1", "1.2+,3", "1.2;3", "-1", "1.99999999999"}) {
        EXPECT_FALSE(parse_selection(bad)) << bad;
    }
}

}  // namespace
}  // namespace mitu::sim
