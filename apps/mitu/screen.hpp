#pragma once
// Redrawing a terminal, for commands that keep showing something.

#include <functional>
#include <string>

#include "apps/mitu/commands.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

/// Calls `draw` now and then every `interval` until Ctrl-C, and shows what it returns: in place on
/// a terminal, one text after the other elsewhere. An error is shown in the same way and tried
/// again, unless it is the first one.
ExitCode watch(Duration interval, const std::function<Result<std::string, std::string>()>& draw);

}  // namespace mitu::cli
