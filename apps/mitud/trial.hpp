#pragma once
// MITU_TRIAL, for crash tests: docs/reliability.md.

#include <optional>
#include <string>

namespace mitu::daemon {

/// True: only the points were asked for, and they stand on stdout.
[[nodiscard]] bool lists_trial_points();

/// Puts this process, the one that serves, on trial if its environment says so.
/// Errors  a sentence: the script is wrong.
/// Threading  before there are threads that pass a point.
[[nodiscard]] std::optional<std::string> begin_trial();

}  // namespace mitu::daemon
