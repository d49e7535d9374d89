#pragma once
// Limits of tenants, listeners and the server, bans and flapping: from the configuration to what
// the shards ask.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/admission/control.hpp"
#include "mitu/config/config.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

[[nodiscard]] std::unique_ptr<admission::Control> make_admission(const config::Config& config);

/// Ban::set_by of those that the configuration has.
inline constexpr std::string_view bans_set_by = "configuration";

/// The bans of the configuration, for the time that is left of each; others stay.
/// Errors  a sentence: there are too many.
[[nodiscard]] std::optional<std::string> apply_bans(admission::BanList& bans,
                                                    const config::Config& config,
                                                    const fleet::Catalog& catalog,
                                                    const ports::Clock& clock);

/// Sets what holds from now on; bans that an earlier configuration has set and this one has not are
/// lifted, others stay.
/// Errors  a sentence; what stands before it in the configuration holds already.
[[nodiscard]] std::optional<std::string> apply_quotas(admission::Control& admission,
                                                      const config::Config& config,
                                                      const fleet::Catalog& catalog,
                                                      const ports::Clock& clock);

}  // namespace mitu::node
