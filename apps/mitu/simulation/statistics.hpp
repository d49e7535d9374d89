#pragma once
// What happened to a simulated fleet, in numbers.

#include <cstdint>
#include <map>
#include <string>

#include "apps/mitu/latency_histogram.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

struct FleetStatistics {
    std::uint64_t devices = 0;
    std::uint64_t connects_tried = 0;
    std::uint64_t connected_total = 0;
    std::uint64_t connected_now = 0;
    std::uint64_t connected_peak = 0;
    std::uint64_t refused_total = 0;
    std::uint64_t lost_total = 0;  // connections that ended without being asked to
    std::uint64_t reconnected_total = 0;
    std::uint64_t resumed_total = 0;  // of these, with the session still there

    std::uint64_t published_total = 0;  // telemetry
    std::uint64_t acknowledged_total = 0;
    std::uint64_t failed_total = 0;   // refused, not sent, or lost with a session
    std::uint64_t skipped_total = 0;  // due while the device could not send
    std::uint64_t heartbeats_total = 0;
    std::uint64_t messages_received_total = 0;
    std::uint64_t bytes_sent_total = 0;
    std::uint64_t bytes_received_total = 0;

    std::uint64_t policies_applied_total = 0;
    std::uint64_t policies_reported_total = 0;
    std::uint64_t policies_none_total = 0;
    std::uint64_t policies_failed_total = 0;      // rejected, malformed, refused
    std::uint64_t policies_unanswered_total = 0;  // asked again
    std::uint64_t devices_in_step = 0;            // hold a policy and owe no report

    std::uint64_t rows_total = 0;  // of a replay
    std::uint64_t rows_done = 0;

    /// From publish (with --rate and --speedup: from when it was due) to the last acknowledgement.
    LatencyHistogram latency;
    LatencyHistogram policy_latency;              // from hearing of a policy to its accepted report
    std::map<std::string, std::uint64_t> errors;  // by what happened
    Duration elapsed;
};

[[nodiscard]] std::uint64_t error_count(const FleetStatistics& statistics) noexcept;

/// One line while it runs. `before` is what was when the last line was printed, `recent` the
/// latencies since then.
[[nodiscard]] std::string progress_line(const FleetStatistics& now, const FleetStatistics& before,
                                        const LatencyHistogram& recent);
/// Several lines at the end.
[[nodiscard]] std::string summary_text(const FleetStatistics& statistics, int qos);
[[nodiscard]] std::string summary_json(const FleetStatistics& statistics, int qos);

}  // namespace mitu::cli
