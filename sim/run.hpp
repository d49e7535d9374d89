#pragma once
// Run: one seed from its plan to its verdict.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/observer.hpp"
#include "sim/plan.hpp"
#include "sim/selection.hpp"

namespace mitu::sim {

/// Which parts of a plan take place.
struct RunOptions {
    std::uint64_t seed = 1;
    std::optional<Selection> only{};  // nullopt: all of it
    bool without_restarts = false;
    bool without_faults = false;
    bool without_orders = false;
    /// Actions after this do not take place; the healing follows at once.
    Duration until = Duration::seconds(1'000'000'000);
    /// Gets a line for everything that happens; null: nobody wants it.
    std::function<void(const std::string&)> tell{};
    bool stops_at_first_violation = false;
};

struct RunResult {
    std::uint64_t seed = 0;
    std::vector<Violation> violations;
    std::uint64_t trace_hash = 0;
    std::uint64_t steps = 0;
    Duration simulated;
    std::uint32_t actors = 0;
    std::uint32_t actions = 0;  // that took place
    std::uint64_t messages = 0;
    std::map<ports::Fault, std::uint64_t> faults_fired;
    std::map<std::string, std::uint64_t> reasons;  // "connack.success" -> how often it was sent
    std::map<std::string, std::uint64_t> drops;    // by reason, of the last server
    std::optional<MachineCounts> machine;          // of a run whose server keeps what it is given
};

/// Storm, heal, check.
[[nodiscard]] RunResult run(const RunOptions& options);

}  // namespace mitu::sim
