#pragma once
// Fault points that live in the code: `if (faults.fire(Fault::outbox_full))`. In production the
// answer is always no; in a simulated run each point is on or off by seed.

#include <cstdint>

namespace mitu::ports {

enum class Fault : std::uint8_t {
    outbox_full,         // a session's queue says that it is full
    message_store_full,  // the shard has no memory for one more message
    lane_full,           // a lane to another shard says that it has no room
    write_short,         // the network takes only the first byte of what it is given
    admission_slow,      // an authentication answer comes one turn later
};

/// Threading  shard-local.
class Faults {
public:
    virtual ~Faults() = default;
    [[nodiscard]] virtual bool fire(Fault fault) noexcept = 0;
};

/// Production: nothing ever fires.
class NoFaults final : public Faults {
public:
    [[nodiscard]] bool fire(Fault /*fault*/) noexcept override { return false; }
};

}  // namespace mitu::ports
