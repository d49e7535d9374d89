#pragma once
// The configuration, as what a node is told at start.

#include "mitu/config/config.hpp"
#include "mitu/node/options.hpp"

namespace mitu::node {

/// What the node reads elsewhere (listeners, methods, tenants, the store) goes along whole, in
/// NodeOptions::config.
[[nodiscard]] NodeOptions options_from_config(const config::Config& config);

}  // namespace mitu::node
