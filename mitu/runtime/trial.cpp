#include "mitu/runtime/trial.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

namespace mitu::runtime {

using ports::Strike;
using ports::TrialPoint;

namespace {

struct What {
    std::string_view name;
    Strike strike;
};

/// Without memory of its own: any thread may be about to end.
void say(std::string_view what, TrialPoint point) noexcept {
    char line[80];
    std::size_t size = 0;
    for (const std::string_view part :
         {std::string_view{"trial: "}, what, ports::to_text(point), std::string_view{"\n"}}) {
        size += part.copy(line + size, sizeof line - size);
    }
    (void)!::write(STDERR_FILENO, line, size);
}

constexpr What strikes[] = {
    {"fail", Strike::fail}, {"tear", Strike::tear}, {"power", Strike::power}};

}  // namespace

Result<ScriptedTrial::Rule, std::string> ScriptedTrial::parse_rule(std::string_view text) {
    const auto wrong = [text](std::string_view why) {
        return std::unexpected(
            fmt::format("MITU_TRIAL: '{}': {}; a rule is WHAT:POINT:NUMBER, as in "
                        "kill:disk.log_sync:3, and MITU_TRIAL=list lists the points",
                        text, why));
    };
    const std::size_t first = text.find(':');
    const std::size_t second = first == text.npos ? first : text.find(':', first + 1);
    if (second == text.npos) return wrong("there are not two colons");
    const std::string_view what = text.substr(0, first);
    const std::string_view number = text.substr(second + 1);
    const auto point = ports::parse_trial_point(text.substr(first + 1, second - first - 1));
    if (!point) return wrong("there is no such point");
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(number.begin(), number.end(), value);
    if (error != std::errc{} || end != number.end() || value == 0) {
        return wrong("the number is none from 1 on");
    }
    Rule rule;
    rule.point = *point;
    if (what == "slow") {
        if (value > static_cast<std::uint64_t>(trial_delay_max.count_ms())) {
            return wrong(fmt::format("a delay is at most {} ms", trial_delay_max.count_ms()));
        }
        rule.delay = Duration::milliseconds(static_cast<std::int64_t>(value));
        return rule;
    }
    rule.at = value;
    rule.kills = what == "kill";
    if (rule.kills) return rule;
    for (const auto& [name, strike] : strikes) {
        if (what != name) continue;
        if (!ports::may_strike(*point, strike)) return wrong("that cannot happen at this point");
        rule.strike = strike;
        return rule;
    }
    return wrong("it is none of kill, tear, power, fail, slow");
}

Result<std::unique_ptr<ScriptedTrial>, std::string> ScriptedTrial::parse(std::string_view script,
                                                                         Sleep sleep) {
    std::unique_ptr<ScriptedTrial> trial{new ScriptedTrial{std::move(sleep)}};
    for (;;) {
        const std::size_t comma = script.find(',');
        auto rule = parse_rule(script.substr(0, comma));
        if (!rule) return std::unexpected(std::move(rule.error()));
        trial->rules_.push_back(*rule);
        if (comma == script.npos) return trial;
        script.remove_prefix(comma + 1);
    }
}

Strike ScriptedTrial::pass(TrialPoint point) noexcept {
    const std::uint64_t pass =
        passes_[static_cast<std::size_t>(point)].fetch_add(1, std::memory_order_relaxed) + 1;
    Strike strike = Strike::none;
    for (const Rule& rule : rules_) {
        if (rule.point != point) continue;
        if (rule.delay > Duration{}) sleep_(rule.delay);
        if (rule.at != pass) continue;
        if (rule.kills) die(point);
        strike = rule.strike;
    }
    if (strike == Strike::fail) say("failed ", point);
    return strike;
}

void ScriptedTrial::die(TrialPoint point) noexcept {
    say("killed at ", point);
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();  // until it has come
}

void sleep_on_trial(Duration duration) {
    std::this_thread::sleep_for(std::chrono::nanoseconds{duration.count_ns()});
}

std::string list_of_trial_points() {
    std::string list;
    for (std::size_t i = 0; i < ports::trial_point_count; ++i) {
        const auto point = static_cast<TrialPoint>(i);
        list += fmt::format("{}\tkill,slow", ports::to_text(point));
        for (const auto& [name, strike] : strikes) {
            if (ports::may_strike(point, strike)) list += fmt::format(",{}", name);
        }
        list += '\n';
    }
    return list;
}

}  // namespace mitu::runtime
