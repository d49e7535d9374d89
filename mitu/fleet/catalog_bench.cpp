// The catalog of a large fleet: time to build, bytes a device, cost of a login look-up.

#include <benchmark/benchmark.h>

#include <string>

#include "mitu/base/check.hpp"
#include "mitu/base/random.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/shadow.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::fleet {
namespace {

std::string device_name(std::uint64_t i) { return "device-" + std::to_string(i); }

std::string registry_of(std::uint32_t count) {
    const std::string phc = identity::hash_password("x", identity::Salt{}, {1, 8});
    std::string csv = "device,tenant,class,labels,credential\n";
    for (std::uint32_t i = 0; i < count; ++i) {
        csv += device_name(i) + ",acme,thermostat,floor=" + std::to_string(i % 40) + ",\"" + phc +
               "\"\n";
    }
    return csv;
}

std::shared_ptr<const Catalog> build(const std::string& csv) {
    const SourceFile file{"fleet.csv", csv};
    const auto catalog = Catalog::build(*load_templates(embedded_templates()), &file);
    MITU_CHECK(catalog.has_value());
    return *catalog;
}

void build_catalog(benchmark::State& state) {
    const std::string csv = registry_of(static_cast<std::uint32_t>(state.range(0)));
    double bytes = 0;
    for ([[maybe_unused]] auto _ : state) bytes = static_cast<double>(build(csv)->device_bytes());
    state.counters["bytes_per_device"] = bytes / static_cast<double>(state.range(0));
}

void find_login(benchmark::State& state) {
    const auto count = static_cast<std::uint64_t>(state.range(0));
    const auto catalog = build(registry_of(static_cast<std::uint32_t>(count)));
    Prng random{1};
    for ([[maybe_unused]] auto _ : state) {
        const auto device = catalog->find_login(device_name(random.below(count)));
        benchmark::DoNotOptimize(device);
    }
}

void verify_random_secret(benchmark::State& state) {
    const std::string phc =
        identity::hash_password("secret", identity::Salt{}, identity::credential_cost_random);
    for ([[maybe_unused]] auto _ : state) MITU_CHECK(identity::verify_credential(phc, "secret"));
}

void verify_chosen_password(benchmark::State& state) {
    const std::string phc =
        identity::hash_password("secret", identity::Salt{}, identity::credential_cost_chosen);
    for ([[maybe_unused]] auto _ : state) MITU_CHECK(identity::verify_credential(phc, "secret"));
}

void report_to_shadow(benchmark::State& state) {
    const auto desired = DesiredState::create(1, R"({"telemetry_interval_s":10,"setpoint_c":21})");
    const std::string report = R"({"state":{"reported":)" + desired->json() + "}}";
    DeviceShadow shadow{desired, WallTime{}};
    for ([[maybe_unused]] auto _ : state) {
        const auto messages = shadow.on_request("update", report, WallTime{});
        benchmark::DoNotOptimize(messages.data());
    }
    MITU_CHECK(!shadow.drifted());
}

BENCHMARK(build_catalog)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(find_login)->Arg(1'000'000);
BENCHMARK(verify_random_secret)->Unit(benchmark::kMillisecond);
BENCHMARK(verify_chosen_password)->Unit(benchmark::kMillisecond);
BENCHMARK(report_to_shadow)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mitu::fleet
