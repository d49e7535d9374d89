#include "bench/options.hpp"

#include <CLI/CLI.hpp>
#include <map>

#include "bench/pattern.hpp"

namespace mitu::bench {
namespace {

const std::map<std::string, Scenario> scenarios{{"connect", Scenario::connect},
                                                {"fan-in", Scenario::fan_in},
                                                {"fan-out", Scenario::fan_out},
                                                {"pairs", Scenario::pairs},
                                                {"heartbeat", Scenario::heartbeat},
                                                {"shared", Scenario::shared},
                                                {"slow", Scenario::slow},
                                                {"filters", Scenario::filters},
                                                {"retained", Scenario::retained},
                                                {"handshake", Scenario::handshake},
                                                {"storm", Scenario::storm},
                                                {"queued", Scenario::queued},
                                                {"set-retained", Scenario::set_retained},
                                                {"offline", Scenario::offline},
                                                {"comeback", Scenario::comeback}};

const std::map<std::string, mqtt::ProtocolVersion> versions{{"4", mqtt::ProtocolVersion::v3_1_1},
                                                            {"5", mqtt::ProtocolVersion::v5}};

const std::map<std::string, Phase> phases{{"fill", Phase::fill}, {"back", Phase::back}};

const std::map<std::string, Tls> tls_versions{{"1.2", Tls::v1_2}, {"1.3", Tls::v1_3}};

}  // namespace

const char* to_text(Scenario scenario) noexcept {
    switch (scenario) {
        case Scenario::connect:
            return "connect";
        case Scenario::fan_in:
            return "fan-in";
        case Scenario::fan_out:
            return "fan-out";
        case Scenario::pairs:
            return "pairs";
        case Scenario::heartbeat:
            return "heartbeat";
        case Scenario::shared:
            return "shared";
        case Scenario::slow:
            return "slow";
        case Scenario::filters:
            return "filters";
        case Scenario::retained:
            return "retained";
        case Scenario::handshake:
            return "handshake";
        case Scenario::storm:
            return "storm";
        case Scenario::queued:
            return "queued";
        case Scenario::set_retained:
            return "set-retained";
        case Scenario::offline:
            return "offline";
        case Scenario::comeback:
            return "comeback";
    }
    return "unknown";
}

Result<Options, int> parse_options(int argc, char** argv) {
    Options options;
    std::string scenario;
    std::string version = "4";
    std::string tls;
    std::string phase = "fill";
    double reconnect_s = options.reconnect.as_seconds();
    unsigned qos = 0;
    double warmup_s = options.warmup.as_seconds();
    double measure_s = options.measure.as_seconds();
    double patience_s = options.patience.as_seconds();

    CLI::App app{"mitu-bench: loads an MQTT broker and prints what it saw as one line of JSON."};
    app.add_option("scenario", scenario,
                   "connect, fan-in, fan-out, pairs, heartbeat, shared, slow, filters, "
                   "retained, handshake, storm, queued, set-retained, offline or comeback")
        ->required()
        ->check(CLI::IsMember(scenarios));
    app.add_option("--host", options.host, "address of the broker, in 127.0.0.0/8")
        ->capture_default_str();
    app.add_option("--port", options.port, "port of the broker")->required();
    app.add_option("--broker-pid", options.broker_pid,
                   "process whose CPU time and memory are measured");
    app.add_option("--clients", options.clients,
                   "publishers of fan-in, subscribers of fan-out and slow, pairs, connections, "
                   "devices, members of shared")
        ->capture_default_str()
        ->check(CLI::Range(1u, 1'000'000u));
    app.add_option("--publishers", options.publishers, "publishers of shared and filters")
        ->capture_default_str()
        ->check(CLI::Range(1u, 10'000u));
    app.add_option("--count", options.count, "filters of filters, messages of retained")
        ->capture_default_str()
        ->check(CLI::Range(2u, 10'000'000u));
    app.add_flag("--misses", options.misses, "filters: publish what no filter matches");
    app.add_option("--slow-clients", options.slow_clients, "slow: subscribers that are slow")
        ->capture_default_str()
        ->check(CLI::Range(1u, 10'000u));
    app.add_option("--slow-bytes", options.slow_bytes_per_s,
                   "slow: bytes that each slow subscriber reads per second; 0: none")
        ->capture_default_str();
    app.add_option("--qos", qos, "0, 1 or 2")->capture_default_str()->check(CLI::Range(0u, 2u));
    app.add_option("--payload", options.payload_bytes, "bytes of each payload")
        ->capture_default_str()
        ->check(CLI::Range(static_cast<std::uint32_t>(sizeof(Stamp)), 60'000u));
    app.add_option("--mqtt", version, "4 (MQTT 3.1.1) or 5")
        ->capture_default_str()
        ->check(CLI::IsMember(versions));
    app.add_option("--window", options.window,
                   "messages in flight per publisher; 1: one message at a time")
        ->capture_default_str()
        ->check(CLI::Range(1u, 65'535u));
    app.add_option("--batch", options.batch,
                   "a publisher sends when this many messages fit into its window")
        ->capture_default_str()
        ->check(CLI::Range(1u, 65'535u));
    app.add_option("--rate", options.rate_hz,
                   "publishes per second in all, whether the broker keeps up or not; 0: by window")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 100e6));
    app.add_option("--warmup", warmup_s, "seconds before measuring")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 3600.0));
    app.add_option("--seconds", measure_s, "seconds measured")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 3600.0));
    app.add_option("--patience", patience_s, "seconds without any progress before giving up")
        ->capture_default_str()
        ->check(CLI::Range(0.1, 600.0));
    app.add_option("--connect-burst", options.connect_burst,
                   "connections being set up at the same time")
        ->capture_default_str()
        ->check(CLI::Range(1u, 4096u));
    app.add_option("--tls", tls, "speak TLS of this version: 1.2 or 1.3")
        ->check(CLI::IsMember(tls_versions));
    app.add_flag("--websocket", options.websocket, "speak WebSocket, at /mqtt");
    app.add_flag("--resume", options.resume, "resume TLS sessions");
    app.add_option("--ca", options.ca_file, "PEM: who signed the broker's certificate")
        ->check(CLI::ExistingFile);
    auto* const certificate =
        app.add_option("--certificate", options.certificate_file, "PEM: of every client")
            ->check(CLI::ExistingFile);
    auto* const key = app.add_option("--key", options.key_file, "PEM: of that certificate")
                          ->check(CLI::ExistingFile);
    certificate->needs(key);
    key->needs(certificate);
    app.add_option("--keep-alive", options.keep_alive_s, "seconds that CONNECT asks for")
        ->capture_default_str();
    app.add_flag("--keep-sessions", options.keep_sessions,
                 "sessions outlive connections, for ever, and are resumed");
    app.add_option("--backlog", options.backlog, "offline, comeback: messages that wait for each")
        ->capture_default_str()
        ->check(CLI::Range(0u, 1'000u));
    app.add_option("--probes", options.probes,
                   "offline: devices that come back in the end; comeback: devices that ping")
        ->capture_default_str()
        ->check(CLI::Range(1u, 1'000'000u));
    app.add_option("--phase", phase, "offline: fill, or back: the server has been started again")
        ->check(CLI::IsMember(phases));
    app.add_option("--begin-ns", options.begin_ns,
                   "offline: when it was started, on CLOCK_MONOTONIC");
    app.add_option("--kill", options.kill_pid, "comeback: who gets SIGKILL; 0: cut connections");
    app.add_option("--reconnect", reconnect_s, "comeback: seconds within which devices come back")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 3600.0));
    app.add_option("--sync-counts", options.sync_counts_file,
                   "file of a broker that has mitu-count-syncs.so loaded (MITU_SYNC_COUNTS)");
    app.add_option("--disk", options.disk_folder,
                   "measure a bare fsync in this folder, before and after the load")
        ->check(CLI::ExistingDirectory);
    app.add_flag("--spin", options.spin, "poll without sleeping");
    app.add_flag("--quiet", options.quiet, "no progress on stderr");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return std::unexpected(code == 0 ? 0 : 2);
    }
    options.scenario = scenarios.at(scenario);
    options.version = versions.at(version);
    if (!tls.empty()) options.tls = tls_versions.at(tls);
    options.qos = static_cast<mqtt::QoS>(qos);
    options.phase = phases.at(phase);
    options.reconnect = Duration::from_seconds(reconnect_s);
    if (options.scenario == Scenario::offline || options.scenario == Scenario::comeback) {
        options.qos = mqtt::QoS::at_least_once;  // nothing else is kept, or makes them differ
        options.keep_sessions = true;
    }
    options.warmup = Duration::from_seconds(warmup_s);
    options.measure = Duration::from_seconds(measure_s);
    options.patience = Duration::from_seconds(patience_s);
    if (options.scenario == Scenario::heartbeat && !options.open_loop()) {
        std::fputs("mitu-bench: heartbeat needs --rate, the heartbeats per second in all\n",
                   stderr);
        return std::unexpected(2);
    }
    // Their windows are closed by messages and answers; there is nothing to be late for.
    const bool by_window_only = options.scenario == Scenario::shared ||
                                options.scenario == Scenario::filters ||
                                options.scenario == Scenario::retained;
    if (by_window_only && options.open_loop()) {
        std::fprintf(stderr, "mitu-bench: %s goes by --window; leave out --rate\n",
                     scenario.c_str());
        return std::unexpected(2);
    }
    if ((options.scenario == Scenario::filters || options.scenario == Scenario::retained) &&
        options.qos != mqtt::QoS::at_most_once) {
        std::fprintf(stderr, "mitu-bench: %s is of QoS 0; leave out --qos\n", scenario.c_str());
        return std::unexpected(2);
    }
    if (options.scenario == Scenario::queued || options.scenario == Scenario::set_retained) {
        if (options.qos == mqtt::QoS::at_most_once || options.open_loop()) {
            std::fprintf(stderr, "mitu-bench: %s needs --qos 1 or 2 and goes by --window\n",
                         scenario.c_str());
            return std::unexpected(2);
        }
        if (options.scenario == Scenario::queued) options.keep_sessions = true;
    }
    if (options.tls == Tls::none &&
        (options.resume || !options.ca_file.empty() || !options.certificate_file.empty())) {
        std::fputs("mitu-bench: --resume, --ca and --certificate need --tls\n", stderr);
        return std::unexpected(2);
    }
    if (options.scenario == Scenario::slow && options.has_wire()) {
        std::fputs("mitu-bench: slow reads from sockets; leave out --tls and --websocket\n",
                   stderr);
        return std::unexpected(2);
    }
    return options;
}

}  // namespace mitu::bench
