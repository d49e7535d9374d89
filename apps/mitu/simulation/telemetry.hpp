#pragma once
// Telemetry that nobody measured, plausible for a device's class.

#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/base/random.hpp"

namespace mitu::cli {

enum class TelemetryKind : std::uint8_t {
    climate,   // thermostat: temperature, humidity, setpoint
    air,       // co2: ppm, temperature
    presence,  // occupancy: occupied, light
    cold,      // cold box: temperature far below, door
    position,  // tracker: latitude, longitude, speed
    power,     // charger, meter: watts, energy
    gateway,   // children, load
    generic,
};
/// By what the name of the class contains.
[[nodiscard]] TelemetryKind telemetry_kind(std::string_view class_name) noexcept;

/// Values wander slowly, as real ones do. Deterministic: the same seed gives the same readings.
class TelemetryGenerator {
public:
    TelemetryGenerator(TelemetryKind kind, std::uint64_t seed) noexcept;
    /// A JSON object; padded with a text to at least `bytes_min`.
    [[nodiscard]] std::string next(std::size_t bytes_min);

private:
    double wander(double value, double step, double low, double high) noexcept;

    Prng prng_;
    TelemetryKind kind_;
    std::uint32_t count_ = 0;
    double a_ = 0;
    double b_ = 0;
};

}  // namespace mitu::cli
