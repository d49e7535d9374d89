#pragma once
// The answer of GET /api/v1/fleet/status as a table for people.

#include <string>
#include <string_view>

#include "mitu/base/result.hpp"

namespace mitu::cli {

/// One row for each tenant, class and policy that has devices, one with the sums.
/// Errors  a text for people: what is wrong with the answer.
[[nodiscard]] Result<std::string, std::string> fleet_status_table(std::string_view json);

}  // namespace mitu::cli
