#include "apps/mitu/simulation/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/mitu/text.hpp"

namespace mitu::cli {

namespace {

using Json = nlohmann::ordered_json;

double per_second(std::uint64_t count, Duration elapsed) {
    return static_cast<double>(count) / std::max(elapsed.as_seconds(), 0.001);
}

Json latency_json(const LatencyHistogram& latency) {
    const auto ms = [](Duration duration) {
        return std::round(static_cast<double>(duration.count_ns()) / 1e3) / 1e3;
    };
    return {{"count", latency.count()},
            {"mean", ms(latency.mean())},
            {"p50", ms(latency.percentile(0.5))},
            {"p90", ms(latency.percentile(0.9))},
            {"p99", ms(latency.percentile(0.99))},
            {"p999", ms(latency.percentile(0.999))},
            {"max", ms(latency.max())}};
}

std::string latency_text(const LatencyHistogram& latency) {
    if (latency.count() == 0) return "-";
    return fmt::format(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  max {}", short_duration(latency.percentile(0.5)),
        short_duration(latency.percentile(0.9)), short_duration(latency.percentile(0.99)),
        short_duration(latency.percentile(0.999)), short_duration(latency.max()));
}

}  // namespace

std::uint64_t error_count(const FleetStatistics& statistics) noexcept {
    std::uint64_t count = 0;
    for (const auto& [what, times] : statistics.errors) count += times;
    return count;
}

std::string progress_line(const FleetStatistics& now, const FleetStatistics& before,
                          const LatencyHistogram& recent) {
    const Duration elapsed = now.elapsed - before.elapsed;
    std::string line =
        fmt::format("{:>6}  connected {}/{}  {} msg/s", short_duration(now.elapsed),
                    now.connected_now, now.devices,
                    short_count(per_second(now.published_total - before.published_total, elapsed)));
    if (now.rows_total > 0) line += fmt::format("  rows {}/{}", now.rows_done, now.rows_total);
    if (recent.count() > 0) {
        line += fmt::format("  ack p50 {} p99 {}", short_duration(recent.percentile(0.5)),
                            short_duration(recent.percentile(0.99)));
    }
    line += fmt::format("  policies {}  errors {}", now.devices_in_step, error_count(now));
    return line;
}

std::string summary_text(const FleetStatistics& s, int qos) {
    std::string text = fmt::format(
        "fleet       {} devices, {} connected at most, {}\n"
        "connects    {} tried, {} connected, {} refused, {} lost, {} reconnected ({} resumed)\n"
        "telemetry   {} published with QoS {}, {} acknowledged, {} failed, {} skipped; {} msg/s\n",
        s.devices, s.connected_peak, short_duration(s.elapsed), s.connects_tried, s.connected_total,
        s.refused_total, s.lost_total, s.reconnected_total, s.resumed_total, s.published_total, qos,
        s.acknowledged_total, s.failed_total, s.skipped_total,
        short_count(per_second(s.published_total, s.elapsed)));
    if (s.rows_total > 0)
        text += fmt::format("replay      {} of {} rows\n", s.rows_done, s.rows_total);
    text += fmt::format("latency     {} (publish to acknowledgement)\n", latency_text(s.latency));
    text += fmt::format("heartbeats  {}\n", s.heartbeats_total);
    text += fmt::format(
        "policies    {} applied, {} reported, {} failed, {} unanswered, {} devices without; {} in "
        "step\n",
        s.policies_applied_total, s.policies_reported_total, s.policies_failed_total,
        s.policies_unanswered_total, s.policies_none_total, s.devices_in_step);
    text += fmt::format("bytes       {} sent, {} received\n",
                        short_bytes(static_cast<double>(s.bytes_sent_total)),
                        short_bytes(static_cast<double>(s.bytes_received_total)));
    text += fmt::format("errors      {}\n", error_count(s));
    for (const auto& [what, times] : s.errors) text += fmt::format("  {:>8}  {}\n", times, what);
    return text;
}

std::string summary_json(const FleetStatistics& s, int qos) {
    Json object{{"devices", s.devices},
                {"elapsed_s", s.elapsed.as_seconds()},
                {"connected_peak", s.connected_peak},
                {"connects",
                 {{"tried", s.connects_tried},
                  {"connected", s.connected_total},
                  {"refused", s.refused_total},
                  {"lost", s.lost_total},
                  {"reconnected", s.reconnected_total},
                  {"resumed", s.resumed_total}}},
                {"telemetry",
                 {{"qos", qos},
                  {"published", s.published_total},
                  {"acknowledged", s.acknowledged_total},
                  {"failed", s.failed_total},
                  {"skipped", s.skipped_total},
                  {"messages_per_s", per_second(s.published_total, s.elapsed)}}}};
    if (s.rows_total > 0) object["replay"] = {{"rows", s.rows_total}, {"done", s.rows_done}};
    object["latency_ms"] = latency_json(s.latency);
    object["heartbeats"] = s.heartbeats_total;
    object["policies"] = {{"applied", s.policies_applied_total},
                          {"reported", s.policies_reported_total},
                          {"failed", s.policies_failed_total},
                          {"unanswered", s.policies_unanswered_total},
                          {"none", s.policies_none_total},
                          {"in_step", s.devices_in_step},
                          {"latency_ms", latency_json(s.policy_latency)}};
    object["messages_received"] = s.messages_received_total;
    object["bytes"] = {{"sent", s.bytes_sent_total}, {"received", s.bytes_received_total}};
    object["errors"] = s.errors;
    return object.dump() + "\n";
}

}  // namespace mitu::cli
