#include "bench/use.hpp"

#include <algorithm>

#include "bench/disk_probe.hpp"
#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

constexpr Duration probe_max = Duration::milliseconds(500);

}  // namespace

RunSample sample(const Options& options) {
    RunSample now{.broker_cpu = cpu_of(options.broker_pid), .own_cpu = own_cpu()};
    if (!options.sync_counts_file.empty()) now.syncs = syncs_in(options.sync_counts_file);
    return now;
}

void note_use(const Options& options, const RunSample& before, Report& report) {
    const RunSample now = sample(options);
    if (before.broker_cpu && now.broker_cpu) {
        report.broker_cpu = *now.broker_cpu - *before.broker_cpu;
    }
    report.generator_cpu = now.own_cpu - before.own_cpu;
    if (!options.sync_counts_file.empty()) report.syncs = now.syncs - before.syncs;
}

Result<void, Failure> probe(const Options& options, Report& report) {
    if (options.disk_folder.empty()) return {};
    return probe_disk(options.disk_folder, std::min(options.measure, probe_max),
                      report.disk_latency);
}

}  // namespace mitu::bench
