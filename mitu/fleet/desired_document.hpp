#pragma once
// The parsed desired state, for shadow.cpp. Inside mitu/fleet only.

#include <nlohmann/json.hpp>

#include "mitu/fleet/desired.hpp"

namespace mitu::fleet {

struct DesiredState::Document {
    nlohmann::json value;
};

}  // namespace mitu::fleet
