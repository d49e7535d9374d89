#pragma once
// Limits of tenants, listeners and the server, bans and flapping: from the configuration to what
// the shards ask.

#include <memory>
#include <optional>
#include <string>

#include "mitu/admission/control.hpp"
#include "mitu/config/config.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

[[nodiscard]] std::unique_ptr<admission::Control> make_admission(const config::Config& config);

/// Sets what holds from now on; bans that an earlier configuration has set and this one has not are
/// lifted, others stay.
/// Errors  a sentence; what stands before it in the configuration holds already.
[[nodiscard]] std::optional<std::string> apply_quotas(admission::Control& admission,
                                                      const config::Config& config,
                                                      const fleet::Catalog& catalog,
                                                      const ports::Clock& clock);

}  // namespace mitu::node
