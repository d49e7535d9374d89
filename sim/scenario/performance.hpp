#pragma once
// Internal: one performance of a scenario, from the first step to the one that fails or the last.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scenario/cast_member.hpp"
#include "sim/scenario/runner.hpp"

namespace mitu::sim::scenario {

/// What is wrong; nullopt: nothing.
using Verdict = std::optional<std::string>;

/// `{n}` in `text` is the number of the repetition.
[[nodiscard]] std::string with_number(std::string text, std::uint32_t n);

/// Owns the actors. Its parts: performance.cpp (steps, time), performance_actions.cpp (actions and
/// their answers), performance_expectations.cpp.
class Performance {
public:
    Performance(const Scenario& scenario, Stage& stage) : scenario_{scenario}, stage_{stage} {
        for (const Actor& actor : scenario.actors) {
            cast_.push_back(std::make_unique<CastMember>(
                actor, stage,
                [this](const CastMember& who, std::string_view what) { note(who.name(), what); }));
        }
    }
    Outcome run();

private:
    Verdict take(const ActStep& step);
    Verdict take(const ExpectStep& step);
    Verdict take(const NetworkStep& step);
    Verdict take(const ServerStep& step);
    Verdict take(const WaitStep& step);

    Verdict perform(CastMember& who, const act::Connect& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Open& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Close& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Publish& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Subscribe& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Unsubscribe& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Disconnect& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Ping& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Auth& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Raw& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Acknowledge& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::HoldAcks& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::ReleaseAcks& action, const Answer& answer);

    /// Waits for the answer of that type and id, and judges it. No type: only a DISCONNECT (before
    /// CONNACK: that) would be one.
    Verdict await(CastMember& who, const Answer& answer, std::optional<mqtt::PacketType> type,
                  std::uint16_t packet_id);
    static Verdict judge(const Arrival& arrival, const Answer& answer);
    Verdict await_end(CastMember& who);
    Verdict expect_once(const ExpectStep& step, std::uint32_t n, Instant deadline);
    Verdict expect_nothing(const ExpectStep& step);
    Verdict mismatch(const CastMember& who, const Arrival& arrival, const ExpectStep& step,
                     std::uint32_t n) const;
    bool fetch(CastMember& who, const ExpectStep& step, std::uint32_t n);
    std::string never_came(const ExpectStep& step, std::uint32_t n) const;

    /// Lets everybody take what came; a rule that the server broke is a verdict.
    Verdict pump();
    /// Waits until `done()`. Returns false at `deadline`, or when a rule was broken.
    template <class Done>
    bool wait_until(Instant deadline, Done done);
    /// How long the server may take for any answer.
    static constexpr Duration answer_time_max = Duration::seconds(5);
    Instant answer_deadline() { return stage_.now() + answer_time_max + stage_.patience(); }

    void note(std::string_view who, std::string_view what);

    const Scenario& scenario_;
    Stage& stage_;
    std::vector<std::unique_ptr<CastMember>> cast_;
    Instant start_;
    Trace trace_;
    Verdict broken_rule_;

    static constexpr std::uint32_t waits_max = 10'000'000;
};

template <class Done>
bool Performance::wait_until(Instant deadline, Done done) {
    for (std::uint32_t waits = 0; waits < waits_max; ++waits) {
        if (pump()) return false;
        if (done()) return true;
        if (stage_.now() >= deadline) return false;
        stage_.wait(deadline);
    }
    return false;
}

}  // namespace mitu::sim::scenario
