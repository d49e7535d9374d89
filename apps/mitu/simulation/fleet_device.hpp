#pragma once
// One device of FleetSimulation. Included by its .cpp files only.

#include <cstdint>
#include <utility>

#include "apps/mitu/simulation/fleet.hpp"

namespace mitu::cli {

struct FleetSimulation::Device {
    enum class Phase : std::uint8_t { offline, connecting, open };

    Device(client::DeviceAgent its_agent, client::Backoff its_backoff,
           TelemetryGenerator its_generator, Prng its_prng)
        : agent{std::move(its_agent)},
          backoff{its_backoff},
          generator{its_generator},
          prng{its_prng} {}

    client::DeviceAgent agent;
    client::Backoff backoff;
    TelemetryGenerator generator;
    Prng prng;
    FileDescriptor socket;
    Bytes pending;  // what the network has not taken
    std::size_t pending_offset = 0;
    Instant connect_at = Instant::never();  // connecting: when to give up
    std::uint64_t next_row = 0;
    std::uint32_t address = 0;  // which of the server's, in turn after a failure
    Phase phase = Phase::offline;
    bool is_connected = false;
    bool was_connected = false;
    bool wants_writable = false;
    bool close_when_written = false;
    bool has_failed = false;  // the server will not have it, ever
};

/// Whether trying again with the same credentials is pointless.
[[nodiscard]] constexpr bool is_final(mqtt::ReasonCode reason) noexcept {
    switch (reason) {
        case mqtt::ReasonCode::unsupported_protocol_version:
        case mqtt::ReasonCode::client_identifier_not_valid:
        case mqtt::ReasonCode::bad_user_name_or_password:
        case mqtt::ReasonCode::not_authorized:
        case mqtt::ReasonCode::bad_authentication_method:
        case mqtt::ReasonCode::banned:
            return true;
        default:
            return false;
    }
}

}  // namespace mitu::cli
