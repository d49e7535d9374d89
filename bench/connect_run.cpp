#include "bench/connect_run.hpp"

#include <fmt/format.h>

#include "bench/process_sample.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {
namespace {

constexpr std::uint32_t warm_connections = 200;

/// Nothing is expected from the broker while connections idle.
struct Silence {
    std::string text = "sent a packet to an idle connection";
    [[nodiscard]] const std::string& fault() const noexcept { return text; }
    [[nodiscard]] static bool on_frame(Link&, const Frame&, Instant) noexcept { return false; }
};

Result<void, Failure> idle(Swarm& swarm, Duration duration) {
    Silence silence;
    const Instant end = monotonic_now() + duration;
    for (Instant now = monotonic_now(); now < end; now = monotonic_now()) {
        if (auto done = swarm.turn(end - now, silence); !done) return done;
    }
    return {};
}

void plan(Swarm& swarm, std::uint32_t count) {
    for (std::uint32_t k = 0; k < count; ++k) swarm.plan(fmt::format("d{:05}", swarm.size()), "");
}

Result<void, Failure> measure(const Options& options, Report& report) {
    report.open_files_max = raise_open_files_max();
    Swarm swarm{options};
    plan(swarm, warm_connections);
    if (auto done = swarm.connect_all(); !done) return done;
    if (auto done = idle(swarm, options.warmup); !done) return done;
    report.pss_before_bytes = pss_bytes_of(options.broker_pid);

    const auto cpu_begin = cpu_of(options.broker_pid);
    const Duration own_begin = own_cpu();
    const Instant begin = monotonic_now();
    plan(swarm, options.clients);
    if (auto done = swarm.connect_all(); !done) return done;
    report.setup_s = report.measured_s = (monotonic_now() - begin).as_seconds();
    const auto cpu_end = cpu_of(options.broker_pid);
    report.generator_cpu = own_cpu() - own_begin;
    report.delivered = options.clients;
    if (cpu_begin && cpu_end) report.broker_cpu = *cpu_end - *cpu_begin;

    // Deferred work of accepting settles during the warm-up time; then idle means idle.
    report.wires = swarm.wire_counts();
    if (auto done = idle(swarm, options.warmup); !done) return done;
    const auto idle_cpu_begin = cpu_of(options.broker_pid);
    const Instant idle_begin = monotonic_now();
    if (auto done = idle(swarm, options.measure); !done) return done;
    const auto idle_cpu_end = cpu_of(options.broker_pid);
    report.idle_s = (monotonic_now() - idle_begin).as_seconds();
    if (idle_cpu_begin && idle_cpu_end) report.idle_cpu = *idle_cpu_end - *idle_cpu_begin;
    report.pss_after_bytes = pss_bytes_of(options.broker_pid);
    return {};
}

}  // namespace

Report run_connect(const Options& options) {
    Report report;
    if (auto done = measure(options, report); !done) report.failure = done.error();
    return report;
}

}  // namespace mitu::bench
