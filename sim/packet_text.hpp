#pragma once
// A packet in one line, for people.

#include <string>

#include "mitu/mqtt/packet.hpp"

namespace mitu::sim {

/// "PUBLISH id=3 qos=1 dup t/1 \"m12|\"", "CONNACK success session_present".
[[nodiscard]] std::string packet_text(const mqtt::Packet& packet);

}  // namespace mitu::sim
