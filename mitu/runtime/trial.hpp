#pragma once
// A trial of this process by a script: which point strikes, when, and how.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/ports/trial.hpp"

namespace mitu::runtime {

/// Shape  rules with commas between them, each `WHAT:POINT:NUMBER`:
///        kill:POINT:N    kill -9 at the N-th pass, from 1
///        tear:POINT:N    half of that write, then the same
///        power:POINT:N   what was not synced is cut off, then the same
///        fail:POINT:N    that call fails, once
///        slow:POINT:MS   every pass takes so long, at most trial_delay_max
/// Threading  any thread.
class ScriptedTrial final : public ports::Trial {
public:
    using Sleep = std::function<void(Duration)>;

    /// Errors  which rule is wrong, and what it may be.
    [[nodiscard]] static Result<std::unique_ptr<ScriptedTrial>, std::string> parse(
        std::string_view script, Sleep sleep);

    [[nodiscard]] ports::Strike pass(ports::TrialPoint point) noexcept override;
    /// Says which point it was, on stderr. A failure does too.
    [[noreturn]] void die(ports::TrialPoint point) noexcept override;

private:
    struct Rule {
        ports::TrialPoint point{};
        ports::Strike strike = ports::Strike::none;
        bool kills = false;
        std::uint64_t at = 0;  // the pass
        Duration delay{};      // of every pass
    };
    explicit ScriptedTrial(Sleep sleep) : sleep_{std::move(sleep)} {}
    [[nodiscard]] static Result<Rule, std::string> parse_rule(std::string_view text);

    Sleep sleep_;
    std::vector<Rule> rules_;
    std::array<std::atomic<std::uint64_t>, ports::trial_point_count> passes_{};
};

inline constexpr Duration trial_delay_max = Duration::seconds(10);

/// For Sleep: the calling thread waits.
void sleep_on_trial(Duration duration);

/// Every point, a line each: its name, a tab, what may strike there.
[[nodiscard]] std::string list_of_trial_points();

}  // namespace mitu::runtime
