#pragma once
// The configuration, as what a node is told at start.

#include "mitu/base/result.hpp"
#include "mitu/config/load.hpp"
#include "mitu/node/options.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::node {

/// Errors  every key that is set and that the node does not serve, where it is set: what somebody
///         relies on (TLS, a limit) is refused, never left out.
[[nodiscard]] Result<NodeOptions, yaml::Problems> options_from_config(const config::Loaded& loaded);

}  // namespace mitu::node
