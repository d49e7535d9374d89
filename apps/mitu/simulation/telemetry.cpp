#include "apps/mitu/simulation/telemetry.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mitu::cli {

TelemetryKind telemetry_kind(std::string_view class_name) noexcept {
    struct Word {
        std::string_view word;
        TelemetryKind kind;
    };
    static constexpr Word words[] = {{"thermostat", TelemetryKind::climate},
                                     {"climate", TelemetryKind::climate},
                                     {"co2", TelemetryKind::air},
                                     {"air", TelemetryKind::air},
                                     {"occupancy", TelemetryKind::presence},
                                     {"presence", TelemetryKind::presence},
                                     {"cold", TelemetryKind::cold},
                                     {"track", TelemetryKind::position},
                                     {"vehicle", TelemetryKind::position},
                                     {"charger", TelemetryKind::power},
                                     {"meter", TelemetryKind::power},
                                     {"gateway", TelemetryKind::gateway},
                                     {"sensor", TelemetryKind::climate}};
    for (const Word& entry : words) {
        if (class_name.find(entry.word) != std::string_view::npos) return entry.kind;
    }
    return TelemetryKind::generic;
}

TelemetryGenerator::TelemetryGenerator(TelemetryKind kind, std::uint64_t seed) noexcept
    : prng_{seed}, kind_{kind} {
    const auto between = [&](double low, double high) { return low + (high - low) * prng_.unit(); };
    switch (kind_) {
        case TelemetryKind::climate:
            a_ = between(18, 24), b_ = between(30, 60);
            break;
        case TelemetryKind::air:
            a_ = between(420, 900), b_ = between(18, 24);
            break;
        case TelemetryKind::presence:
            a_ = between(0, 1), b_ = between(0, 500);
            break;
        case TelemetryKind::cold:
            a_ = between(2, 8), b_ = 0;
            break;
        case TelemetryKind::position:
            a_ = between(47, 55), b_ = between(6, 15);
            break;
        case TelemetryKind::power:
            a_ = between(0, 7'000), b_ = between(0, 100);
            break;
        case TelemetryKind::gateway:
            a_ = between(1, 40), b_ = between(0.05, 0.4);
            break;
        case TelemetryKind::generic:
            a_ = between(0, 100);
            break;
    }
}

double TelemetryGenerator::wander(double value, double step, double low, double high) noexcept {
    return std::clamp(value + (prng_.unit() * 2 - 1) * step, low, high);
}

std::string TelemetryGenerator::next(std::size_t bytes_min) {
    ++count_;
    std::string json;
    switch (kind_) {
        case TelemetryKind::climate:
            a_ = wander(a_, 0.1, 5, 35);
            b_ = wander(b_, 0.5, 10, 95);
            json = fmt::format(R"({{"seq":{},"temperature_c":{:.2f},"humidity_pct":{:.1f})", count_,
                               a_, b_);
            break;
        case TelemetryKind::air:
            a_ = wander(a_, 15, 400, 2'500);
            b_ = wander(b_, 0.1, 10, 30);
            json = fmt::format(R"({{"seq":{},"co2_ppm":{:.0f},"temperature_c":{:.2f})", count_, a_,
                               b_);
            break;
        case TelemetryKind::presence:
            a_ = wander(a_, 0.1, 0, 1);
            b_ = wander(b_, 20, 0, 1'000);
            json =
                fmt::format(R"({{"seq":{},"occupied":{},"light_lux":{:.0f})", count_, a_ > 0.5, b_);
            break;
        case TelemetryKind::cold:
            a_ = wander(a_, 0.05, -80, 12);
            json = fmt::format(R"({{"seq":{},"temperature_c":{:.2f},"door_open":{})", count_, a_,
                               prng_.chance(0.02));
            break;
        case TelemetryKind::position:
            a_ = wander(a_, 0.001, -89, 89);
            b_ = wander(b_, 0.001, -179, 179);
            json =
                fmt::format(R"({{"seq":{},"latitude":{:.5f},"longitude":{:.5f},"speed_kmh":{:.1f})",
                            count_, a_, b_, prng_.unit() * 90);
            break;
        case TelemetryKind::power:
            a_ = wander(a_, 200, 0, 11'000);
            b_ += a_ / 3'600'000 * 10;  // ten seconds at that power, in kWh
            json =
                fmt::format(R"({{"seq":{},"power_w":{:.0f},"energy_kwh":{:.3f})", count_, a_, b_);
            break;
        case TelemetryKind::gateway:
            b_ = wander(b_, 0.05, 0, 1);
            json = fmt::format(R"({{"seq":{},"children":{:.0f},"load":{:.2f},"queue":{})", count_,
                               a_, b_, prng_.below(20));
            break;
        case TelemetryKind::generic:
            a_ = wander(a_, 1, 0, 100);
            json = fmt::format(R"({{"seq":{},"value":{:.2f})", count_, a_);
            break;
    }
    constexpr std::string_view pad = R"(,"pad":")";
    if (json.size() + 1 < bytes_min) {
        const std::size_t framed = json.size() + pad.size() + 2;
        json += pad;
        json.append(bytes_min > framed ? bytes_min - framed : 0, 'x');
        json += '"';
    }
    json += '}';
    return json;
}

}  // namespace mitu::cli
