#pragma once
// What the broker and the generator use in the measured window, and the disk on its own.

#include <cstdint>
#include <optional>

#include "bench/options.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

struct RunSample {
    std::optional<Duration> broker_cpu;
    Duration own_cpu;
    std::uint64_t syncs = 0;
};

[[nodiscard]] RunSample sample(const Options& options);

/// CPU and syncs since `before`, into the report.
void note_use(const Options& options, const RunSample& before, Report& report);

/// Half a second of bare fsyncs where options.disk_folder says so. For moments when the broker has
/// nothing to do.
[[nodiscard]] Result<void, Failure> probe(const Options& options, Report& report);

}  // namespace mitu::bench
