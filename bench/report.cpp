#include "bench/report.hpp"

#include <nlohmann/json.hpp>

namespace mitu::bench {
namespace {

using Json = nlohmann::ordered_json;

double microseconds(Duration duration) { return static_cast<double>(duration.count_ns()) / 1e3; }

Json latency_json(const LatencyHistogram& latency) {
    const auto at = [&](double fraction) {
        return static_cast<double>(latency.percentile_ns(fraction)) / 1e3;
    };
    return {{"count", latency.count()}, {"p50", at(0.5)},
            {"p90", at(0.9)},           {"p99", at(0.99)},
            {"p999", at(0.999)},        {"max", static_cast<double>(latency.max_ns()) / 1e3}};
}

/// How many bare fsyncs an acknowledgement took, by percentile.
Json ack_ratios_json(const Report& report) {
    const auto at = [&](double fraction) {
        return static_cast<double>(report.ack_latency.percentile_ns(fraction)) /
               static_cast<double>(report.disk_latency.percentile_ns(fraction));
    };
    return {{"p50", at(0.5)}, {"p99", at(0.99)}};
}

/// What the growth of memory is divided by.
struct Stored {
    const char* name = nullptr;
    double count = 1;
};

Stored stored_of(const Options& options) noexcept {
    switch (options.scenario) {
        case Scenario::connect:
            return {.name = "connection", .count = static_cast<double>(options.clients)};
        case Scenario::filters:
            return {.name = "filter", .count = static_cast<double>(options.count)};
        case Scenario::offline:
            return {.name = "session", .count = static_cast<double>(options.count)};
        case Scenario::retained:
            return {.name = "retained", .count = static_cast<double>(options.count)};
        default:
            return {};
    }
}

Json memory_json(const Options& options, const Report& report) {
    const auto before = static_cast<double>(report.pss_before_bytes.value_or(0));
    const auto after = static_cast<double>(report.pss_after_bytes.value_or(0));
    Json json{{"pss_before_bytes", before}, {"pss_after_bytes", after}};
    if (options.scenario == Scenario::slow) {
        json["pss_peak_bytes"] = report.pss_peak_bytes;
        json["peak_growth_bytes"] = static_cast<double>(report.pss_peak_bytes) - before;
        json["left_bytes"] = after - before;
    } else if (const Stored stored = stored_of(options); stored.name != nullptr) {
        json[std::string{"bytes_per_"} + stored.name] = (after - before) / stored.count;
    }
    return json;
}

Json store_json(const Options& options, const Report& report) {
    return {{"cpu_us_each", microseconds(*report.store_cpu) / stored_of(options).count},
            {"s", report.store_s}};
}

Json slow_json(const Report& report) {
    return {{"received", report.slow_received}, {"closed_by_broker", report.slow_closed}};
}

Json wires_json(const WireCounts& wires) {
    return {{"handshakes", wires.handshakes}, {"resumed", wires.resumed}, {"cipher", wires.cipher}};
}

Json storm_json(const Report& report) {
    std::uint64_t count = 0;
    for (const auto& [why, times] : report.turned_away) count += times;
    return {{"turned_away", count}, {"reasons", report.turned_away}};
}

const char* to_text(Tls tls) noexcept {
    switch (tls) {
        case Tls::none:
            return "none";
        case Tls::v1_2:
            return "1.2";
        case Tls::v1_3:
            return "1.3";
    }
    return "unknown";
}

Json parameters_json(const Options& options) {
    return {{"clients", options.clients},
            {"publishers", options.publishers},
            {"count", options.count},
            {"misses", options.misses},
            {"slow_clients", options.slow_clients},
            {"slow_bytes_per_s", options.slow_bytes_per_s},
            {"qos", static_cast<unsigned>(options.qos)},
            {"payload_bytes", options.payload_bytes},
            {"mqtt", options.version == mqtt::ProtocolVersion::v5 ? 5 : 4},
            {"window", options.window},
            {"rate_hz", options.rate_hz},
            {"tls", to_text(options.tls)},
            {"client_certificate", !options.certificate_file.empty()},
            {"resume", options.resume},
            {"websocket", options.websocket},
            {"keep_alive_s", options.keep_alive_s},
            {"warmup_s", options.warmup.as_seconds()},
            {"keep_sessions", options.keep_sessions},
            {"backlog", options.backlog},
            {"probes", options.probes},
            {"reconnect_s", options.reconnect.as_seconds()},
            {"spin", options.spin}};
}

}  // namespace

std::string to_json(const Options& options, const Report& report) {
    Json json;
    json["scenario"] = to_text(options.scenario);
    json["parameters"] = parameters_json(options);
    json["ok"] = report.sound();
    if (!report.failure.empty()) json["failure"] = report.failure;
    json["open_files_max"] = report.open_files_max;
    json["setup_s"] = report.setup_s;
    json["measured_s"] = report.measured_s;
    json["delivered"] = report.delivered;
    if (report.measured_s > 0) {
        json["delivered_per_s"] = static_cast<double>(report.delivered) / report.measured_s;
        json["delivered_mb_per_s"] =
            static_cast<double>(report.bytes_delivered) / report.measured_s / 1e6;
        json["generator_cpu_share"] = report.generator_cpu.as_seconds() / report.measured_s;
    }
    if (report.broker_cpu && report.measured_s > 0) {
        json["broker_cpu_share"] = report.broker_cpu->as_seconds() / report.measured_s;
        if (report.delivered > 0) {
            json["broker_cpu_us_per_message"] =
                microseconds(*report.broker_cpu) / static_cast<double>(report.delivered);
        }
    }
    if (report.latency.count() > 0) json["latency_us"] = latency_json(report.latency);
    if (report.ack_latency.count() > 0) json["ack_latency_us"] = latency_json(report.ack_latency);
    if (report.disk_latency.count() > 0) json["fsync_us"] = latency_json(report.disk_latency);
    if (report.syncs) {
        json["syncs"] = *report.syncs;
        if (report.delivered > 0) {
            json["syncs_per_message"] =
                static_cast<double>(*report.syncs) / static_cast<double>(report.delivered);
        }
    }
    if (report.ack_latency.count() > 0 && report.disk_latency.count() > 0) {
        json["acks_per_fsync"] = ack_ratios_json(report);
    }
    if (report.pss_after_bytes && (report.pss_before_bytes || options.phase == Phase::back)) {
        json["memory"] = memory_json(options, report);
    }
    if (options.tls != Tls::none) json["tls"] = wires_json(report.wires);
    if (options.scenario == Scenario::handshake && report.broker_cpu &&
        report.broker_cpu->as_seconds() > 0) {
        json["logins_per_core_s"] =
            static_cast<double>(report.delivered) / report.broker_cpu->as_seconds();
    }
    if (!report.figures.empty()) json["figures"] = report.figures;
    if (options.scenario == Scenario::storm || options.scenario == Scenario::comeback)
        json["storm"] = storm_json(report);
    if (report.store_cpu) json["store"] = store_json(options, report);
    if (options.scenario == Scenario::slow) json["slow"] = slow_json(report);
    if (report.idle_cpu && report.idle_s > 0) {
        json["idle_cpu_share"] = report.idle_cpu->as_seconds() / report.idle_s;
    }
    json["verification"] = {{"published", report.published},
                            {"received_expected", report.received_expected},
                            {"received", report.received},
                            {"lost", report.faults.lost},
                            {"duplicated", report.faults.duplicated},
                            {"reordered", report.faults.reordered},
                            {"pings", report.pings},
                            {"pings_unanswered", report.pings_unanswered},
                            {"backlog", report.backlog}};
    return json.dump();
}

}  // namespace mitu::bench
