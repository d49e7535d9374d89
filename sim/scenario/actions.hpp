#pragma once
// Internal: the words of one action to an Action.

#include <span>
#include <string>

#include "mitu/base/result.hpp"
#include "sim/scenario/scenario.hpp"

namespace mitu::sim::scenario {

/// `words` begins with the verb and ends before `->`.
/// Errors  a sentence: what is wrong and what to use.
[[nodiscard]] Result<Action, std::string> parse_action(std::span<const Word> words);

/// What stands behind `->`.
[[nodiscard]] Result<Answer, std::string> parse_answer(std::span<const Word> words);

}  // namespace mitu::sim::scenario
