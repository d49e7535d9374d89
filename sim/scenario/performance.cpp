// Steps in their order, and time.
#include "sim/scenario/performance.hpp"

#include <fmt/format.h>

#include <utility>

namespace mitu::sim::scenario {

std::string with_number(std::string text, std::uint32_t n) {
    const std::size_t at = text.find("{n}");
    if (at != std::string::npos) text.replace(at, 3, fmt::format("{}", n));
    return text;
}

// --- time passes ---

void Performance::note(std::string_view who, std::string_view what) {
    trace_.push_back(
        fmt::format("{:9.3f}s  {:<8} {}", (stage_.now() - start_).as_seconds(), who, what));
}

Verdict Performance::pump() {
    for (const auto& who : cast_) {
        who->pump();
        if (broken_rule_ || who->complaint().empty()) continue;
        broken_rule_ =
            fmt::format("the server broke a rule towards {}: {}", who->name(), who->complaint());
    }
    return broken_rule_;
}

// --- the rest ---

Verdict Performance::take(const NetworkStep& step) {
    using Kind = NetworkStep::Kind;
    for (const std::size_t actor : step.actors) {
        CastMember& who = *cast_[actor];
        if (!who.is_open()) return fmt::format("{} is not connected", who.name());
        if (step.kind == Kind::reset) {
            who.reset();
            continue;
        }
        const Flow flow = step.kind == Kind::cut    ? Flow::cut
                          : step.kind == Kind::slow ? Flow::slow
                                                    : Flow::open;
        note(who.name(), flow == Flow::cut    ? "-- is cut off"
                         : flow == Flow::slow ? "-- reads no more"
                                              : "-- is well again");
        who.set_flow(flow);
    }
    return std::nullopt;
}

Verdict Performance::take(const ServerStep& step) {
    using Kind = ServerStep::Kind;
    Verdict problem;
    if (step.kind == Kind::stop || step.kind == Kind::restart) {
        note("server", "-- stops");
        problem = stage_.stop_server();
    }
    if (step.kind == Kind::kill) {
        note("server", "-- is killed");
        stage_.kill_server();
    }
    if (step.kind == Kind::lose_power) {
        note("server", "-- loses its power");
        problem = stage_.lose_power();
    }
    if (step.kind == Kind::fill_disk || step.kind == Kind::mend_disk) {
        const bool is_full = step.kind == Kind::fill_disk;
        note("server", is_full ? "-- has a full disk" : "-- has room on its disk");
        problem = stage_.set_disk_full(is_full);
    }
    if (problem) return problem;
    if (auto broken = pump()) return broken;
    if (step.kind == Kind::start || step.kind == Kind::restart) {
        note("server", "-- starts");
        problem = stage_.start_server(scenario_.server);
    }
    return problem;
}

Verdict Performance::take(const WaitStep& step) {
    static_cast<void>(wait_until(stage_.now() + step.time, [] { return false; }));
    return broken_rule_;
}

Outcome Performance::run() {
    Outcome outcome;
    start_ = stage_.now();
    if (auto problem = stage_.start_server(scenario_.server)) {
        outcome.problem = "the server does not start: " + *problem;
        return outcome;
    }
    start_ = stage_.now();
    outcome.passed = true;
    for (const Step& step : scenario_.steps) {
        const auto verdict = std::visit([&](const auto& what) { return take(what); }, step.what);
        if (!verdict) continue;
        outcome.passed = false;
        outcome.line = step.line;
        outcome.problem = fmt::format("{}\n  {}", step.text, *verdict);
        break;
    }
    const auto ended = stage_.stop_server();
    if (ended && outcome.passed) {
        outcome.passed = false;
        outcome.problem = *ended;
    } else if (ended) {
        outcome.problem += "\n  and then: " + *ended;
    }
    outcome.took = stage_.now() - start_;
    outcome.trace = std::move(trace_);
    return outcome;
}

}  // namespace mitu::sim::scenario
