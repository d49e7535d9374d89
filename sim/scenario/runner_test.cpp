#include "sim/scenario/runner.hpp"

#include <gtest/gtest.h>

#include "sim/scenario/virtual_stage.hpp"

namespace mitu::sim::scenario {
namespace {

Outcome play(std::string_view text, const VirtualStageOptions& options = {}) {
    const auto scenario = parse_scenario("x.scn", text);
    if (!scenario) {
        ADD_FAILURE() << fleet::to_text(scenario.error());
        return {};
    }
    VirtualStage stage{options};
    return run_scenario(*scenario, stage);
}

/// The line that fails and why; empty: none does.
std::string failure(std::string_view text) {
    const Outcome outcome = play(text);
    return outcome.passed ? "" : std::to_string(outcome.line) + ": " + outcome.problem;
}

constexpr std::string_view pair =
    "client a  connect; subscribe t qos=1\n"
    "client b  connect; publish t \"hello\" qos=1\n";

std::string after_pair(std::string_view line) {
    return failure(std::string{pair} + std::string{line});
}

}  // namespace

TEST(runner, a_promise_that_is_kept_passes) {
    EXPECT_EQ(after_pair("expect a publish t \"hello\" qos=1 retain=0 dup=0\nexpect a nothing\n"),
              "");
}

TEST(runner, a_field_that_differs_fails_and_says_which) {
    EXPECT_EQ(after_pair("expect a publish t \"hallo\"\n"),
              "3: expect a publish t \"hallo\"\n  what came is publish topic=\"t\" "
              "payload=\"hello\" qos=1 id=1: payload is \"hello\", not \"hallo\"");
    EXPECT_NE(after_pair("expect a publish t qos=2\n").find("qos is 1, not 2"), std::string::npos);
    EXPECT_NE(
        after_pair("expect a publish t message_expiry=5s\n").find("message_expiry is none, not 5s"),
        std::string::npos);
    EXPECT_NE(after_pair("expect a publish t user.k=v\n").find("without k=v"), std::string::npos);
    EXPECT_NE(after_pair("expect a publish t json.x=1\n").find("is no JSON"), std::string::npos);
}

TEST(runner, a_packet_that_never_comes_fails_after_the_time_that_it_had) {
    const Outcome outcome =
        play(std::string{pair} + "expect a publish t\nexpect a publish t within 3s\n");
    EXPECT_FALSE(outcome.passed);
    EXPECT_EQ(outcome.line, 4u);
    EXPECT_NE(outcome.problem.find("did not come within 3s"), std::string::npos);
    EXPECT_GE(outcome.took, Duration::seconds(3));
    EXPECT_LT(outcome.took, Duration::seconds(4));
}

TEST(runner, what_was_not_expected_is_not_nothing) {
    EXPECT_NE(after_pair("expect a nothing\n").find("came to a"), std::string::npos);
    EXPECT_EQ(after_pair("expect b nothing for 60s\n"), "");
}

TEST(runner, another_packet_than_the_one_expected_fails) {
    EXPECT_NE(after_pair("expect a pingresp\n").find("it is another packet"), std::string::npos);
    EXPECT_NE(after_pair("expect a closed\n").find("it is a packet"), std::string::npos);
}

TEST(runner, packets_are_expected_in_order_unless_told_otherwise) {
    const std::string two =
        "client a  connect; subscribe t\n"
        "a publish t \"1\"; publish t \"2\"\n";
    EXPECT_EQ(failure(two + "expect a publish t \"1\"\nexpect a publish t \"2\"\n"), "");
    EXPECT_NE(failure(two + "expect a publish t \"2\"\n"), "");
    EXPECT_EQ(failure(two + "expect a unordered publish t \"2\"\nexpect a publish t \"1\"\n"), "");
}

TEST(runner, one_of_several_may_get_it) {
    EXPECT_EQ(after_pair("expect a|b publish t \"hello\"\nexpect a|b nothing\n"), "");
    EXPECT_NE(after_pair("expect a|b publish t \"other\"\n"), "");
}

TEST(runner, an_answer_that_differs_fails) {
    EXPECT_NE(failure("client a  connect -> not_authorized\n").find("not not_authorized"),
              std::string::npos);
    EXPECT_NE(failure("client a  connect; publish t qos=1 -> success\n")
                  .find("reason=no_matching_subscribers"),
              std::string::npos);
    EXPECT_NE(failure("client a  connect -> success session_present=1\n")
                  .find("session_present is 0, not 1"),
              std::string::npos);
    EXPECT_NE(failure("client a  connect -> success sesion_present=1\n").find("did you mean"),
              std::string::npos);
    EXPECT_NE(failure("client a  connect; subscribe a//# # fine\na subscribe a/#/b\n"), "")
        << "an error in the usual answer";
}

TEST(runner, an_answer_may_be_looked_at_afterwards_or_passed_over) {
    EXPECT_EQ(failure("client a  connect\nexpect a connack session_present=0\nexpect a nothing\n"),
              "");
    EXPECT_EQ(failure("client a  connect; subscribe t\nexpect a suback reason=granted_qos_0\n"),
              "");
    EXPECT_NE(failure("client a  connect; ping -> later\nexpect a nothing\n"), "")
        << "but not one that was to come later";
}

TEST(runner, a_connection_that_ends_is_noticed) {
    const std::string open = "client a  open\n";
    EXPECT_EQ(failure(open + "a raw 00 -> closed\n"), "");
    EXPECT_NE(failure(open + "a raw 00\nexpect a nothing\n"), "");
    EXPECT_EQ(failure(open + "a raw 00\nexpect a closed\n"), "");
    EXPECT_NE(failure("client a  connect\nexpect a closed\n").find("did not come"),
              std::string::npos);
    EXPECT_NE(failure("client a  connect; disconnect; ping\n").find("a is not connected"),
              std::string::npos);
    EXPECT_NE(failure("client a  connect; connect\n").find("a is still connected"),
              std::string::npos);
}

TEST(runner, what_a_version_cannot_say_is_told_and_not_tried) {
    EXPECT_NE(failure("client a  connect v=3.1.1; auth\n").find("without AUTH"), std::string::npos);
    EXPECT_EQ(failure("client a  connect v=3.1.1 session_expiry=5s; subscribe t no_local=1\n"
                      "a disconnect session_expiry=3s\n"),
              "")
        << "properties are left out";
}

TEST(runner, names_stand_for_packet_ids) {
    EXPECT_EQ(failure("client a  connect; hold acks; subscribe t qos=1\n"
                      "a publish t \"x\" qos=1 -> later\n"
                      "expect a unordered publish t id=this\na puback this\n"),
              "");
    EXPECT_NE(failure("client a  connect; puback that\n").find("\"that\""), std::string::npos);
}

TEST(runner, a_cut_connection_is_silent_both_ways_until_it_heals) {
    EXPECT_EQ(failure("client a  connect; subscribe t qos=1\nclient b  connect; subscribe u\n"
                      "network cut a\n"
                      "a publish u \"from a\"\nb publish t \"to a\" qos=1\n"
                      "expect a|b nothing for 1s\n"
                      "network heal a\n"
                      "expect a publish t \"to a\"\nexpect b publish u \"from a\"\n"),
              "");
}

TEST(runner, the_server_comes_back_without_its_sessions) {
    EXPECT_EQ(failure("client a  connect session_expiry=never\n"
                      "server restart\nexpect a disconnect reason=server_shutting_down\n"
                      "a connect clean_start=0 -> success session_present=0\n"
                      "server kill\nexpect a closed\nserver start\na connect\n"),
              "");
    EXPECT_NE(failure("client a  connect\nserver stop\na connect\n"), "");
}

TEST(runner, a_server_that_cannot_start_says_why) {
    const std::string problem =
        failure("policy\n    kind: Tenat\n    name: north\nclient a connect\n");
    EXPECT_NE(problem.find("does not start"), std::string::npos) << problem;
    EXPECT_NE(problem.find(":2:"), std::string::npos) << "the line of the scenario: " << problem;
}

TEST(runner, a_failure_is_told_with_file_line_and_what_happened_last) {
    const auto scenario = parse_scenario("x.scn", std::string{pair} + "expect a publish u\n");
    ASSERT_TRUE(scenario);
    VirtualStage stage;
    const Outcome outcome = run_scenario(*scenario, stage);
    const std::string text = report(*scenario, outcome, 4);
    EXPECT_TRUE(text.starts_with("x.scn:3: expect a publish u\n")) << text;
    EXPECT_NE(text.find("lines before"), std::string::npos) << text;
    EXPECT_NE(text.find("a        <- publish topic=\"t\""), std::string::npos) << text;
}

TEST(runner, the_same_seed_gives_the_same_trace) {
    const std::string text = std::string{pair} + "expect a publish t\nnetwork reset a\nwait 3s\n";
    EXPECT_EQ(play(text, {7, true}).trace, play(text, {7, true}).trace);
    EXPECT_TRUE(play(text, {8, true}).passed);
}

}  // namespace mitu::sim::scenario
