#pragma once
// MITU_TRIAL, for crash tests: docs/reliability.md.

#include <optional>

namespace mitu::daemon {

/// Puts this process on trial if its environment says so. An exit status: there is nothing more to
/// do, because the points were to be listed, or the script is wrong.
/// Threading  before there are threads that pass a point.
[[nodiscard]] std::optional<int> begin_trial();

}  // namespace mitu::daemon
