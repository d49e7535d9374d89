// `mitu fleet simulate`: devices that nobody has to buy.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <memory>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/csv.hpp"
#include "apps/mitu/simulation/fleet.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::cli {

namespace {

constexpr std::uint32_t devices_default = 100;
// Longer than any reconnect takes, so that what was under way is resumed and not lost.
constexpr std::uint32_t session_expiry_s = 300;

struct SimulateFlags {
    ConnectionFlags connection;
    std::optional<std::uint32_t> devices;
    std::string credentials;
    std::string prefix = "sim-";
    std::string classes = "thermostat:4,occupancy_sensor:3,tracker:2,gateway:1";

    int qos = 0;
    std::string replay;
    double rate_per_s = 0;
    double speedup = 0;
    Duration telemetry_interval = Duration::seconds(10);
    Duration heartbeat_interval = Duration::seconds(10);
    std::size_t payload_bytes = 0;
    double jitter_pct = 10;
    std::string telemetry_topic = "t/{id}/telemetry";
    std::string heartbeat_topic = "t/{id}/heartbeat";

    bool no_policy = false;
    bool ignore_settings = false;
    Duration apply_time;

    double ramp_per_s = 1'000;
    Duration reconnect_first = Duration::seconds(1);
    Duration reconnect_most = Duration::seconds(30);
    Duration duration;
    bool keep_running = false;
    Duration stall_timeout = Duration::seconds(60);
    std::optional<std::uint64_t> seed;

    Duration progress_interval;
    bool quiet = false;
    bool json = false;
};

Result<std::vector<SimulatedDevice>, std::string> make_devices(const SimulateFlags& flags) {
    if (flags.credentials.empty()) {
        const auto shares = parse_class_shares(flags.classes);
        if (!shares) {
            return std::unexpected(fmt::format("--classes {}: {}", flags.classes, shares.error()));
        }
        return anonymous_devices(flags.prefix, flags.devices.value_or(devices_default), *shares);
    }
    const auto text = read_file(flags.credentials);
    if (!text) {
        return std::unexpected(
            fmt::format("--credentials {}: {}", flags.credentials, text.error()));
    }
    auto devices =
        read_credentials(*text, flags.devices.value_or(std::numeric_limits<std::uint32_t>::max()));
    if (!devices) {
        return std::unexpected(fmt::format("{}: {}", flags.credentials, devices.error()));
    }
    if (flags.devices && devices->size() < *flags.devices) {
        return std::unexpected(fmt::format("--devices {}: {} names only {}", *flags.devices,
                                           flags.credentials, devices->size()));
    }
    return devices;
}

Result<std::shared_ptr<const client::AgentOptions>, std::string> make_agent(
    const SimulateFlags& flags) {
    auto agent = std::make_shared<client::AgentOptions>();
    for (const std::string* topic : {&flags.telemetry_topic, &flags.heartbeat_topic}) {
        if (!mqtt::is_valid_topic_name(*topic)) {
            return std::unexpected(fmt::format(
                "{}: that is not a topic name; it must not be empty, nor have + or #", *topic));
        }
    }
    agent->telemetry_topic = flags.telemetry_topic;
    agent->heartbeat_topic = flags.heartbeat_topic;
    agent->heartbeat_interval = flags.heartbeat_interval;
    // With --replay and --rate the fleet has a pace of its own.
    const bool is_paced = !flags.replay.empty() || flags.rate_per_s > 0;
    agent->telemetry_interval = is_paced ? Duration{} : flags.telemetry_interval;
    agent->settings_set_intervals = !is_paced && !flags.ignore_settings;
    agent->jitter_bp = static_cast<std::uint32_t>(flags.jitter_pct * 100);
    agent->holds_policy = !flags.no_policy;
    agent->apply_time = flags.apply_time;
    return agent;
}

ExitCode run_simulate(SimulateFlags& flags) {
    if (flags.speedup > 0 && flags.replay.empty()) {
        return complain(ExitCode::usage,
                        "--speedup needs --replay: there are no times to speed up");
    }
    if (flags.speedup > 0 && flags.rate_per_s > 0) {
        return complain(ExitCode::usage, "--speedup and --rate do not go together; drop one");
    }
    auto devices = make_devices(flags);
    if (!devices) return complain(ExitCode::usage, devices.error());
    auto connection = make_connection(flags.connection);
    if (!connection) return complain(ExitCode::usage, connection.error());
    if (connection->options.version == mqtt::ProtocolVersion::v5) {
        connection->options.session_expiry_interval_s = session_expiry_s;
        connection->options.topic_alias_maximum = 0;  // devices receive little
    }
    auto agent = make_agent(flags);
    if (!agent) return complain(ExitCode::usage, agent.error());

    std::optional<Replay> replay;
    if (!flags.replay.empty()) {
        auto text = read_file(flags.replay);
        if (!text) {
            return complain(ExitCode::usage,
                            fmt::format("--replay {}: {}", flags.replay, text.error()));
        }
        auto created = Replay::create(std::move(*text));
        if (!created) {
            return complain(ExitCode::usage, fmt::format("{}: {}", flags.replay, created.error()));
        }
        replay = std::move(*created);
    }

    SimulationOptions options;
    options.connection = std::move(*connection);
    options.agent = std::move(*agent);
    options.qos = static_cast<mqtt::QoS>(flags.qos);
    options.ramp_per_s = flags.ramp_per_s;
    options.rate_per_s = flags.rate_per_s;
    options.speedup = flags.speedup;
    options.duration = flags.duration;
    options.keep_running = flags.keep_running;
    options.reconnect_first = flags.reconnect_first;
    options.reconnect_most = flags.reconnect_most;
    options.stall_timeout = flags.stall_timeout;
    options.payload_bytes_min = flags.payload_bytes;
    options.seed = flags.seed.value_or(entropy());
    options.is_quiet = flags.quiet;
    options.progress_interval = flags.progress_interval;
    if (options.progress_interval <= Duration{}) {
        options.progress_interval =
            is_terminal(2) ? Duration::milliseconds(500) : Duration::seconds(5);
    }

    FleetSimulation simulation{std::move(options), std::move(*devices), std::move(replay)};
    const ExitCode code = simulation.run();
    if (code != ExitCode::usage) {
        const std::string summary = flags.json ? summary_json(simulation.statistics(), flags.qos)
                                               : summary_text(simulation.statistics(), flags.qos);
        std::fputs(summary.c_str(), stdout);
        std::fflush(stdout);
    }
    return code;
}

void add_fleet_options(CLI::App& command, SimulateFlags& flags) {
    const std::string group = "Fleet";
    command
        .add_option("-n,--devices", flags.devices,
                    "how many devices (100, or all that --credentials names)")
        ->group(group)
        ->check(CLI::Range(1U, 10'000'000U));
    auto* credentials =
        command
            .add_option("--credentials", flags.credentials,
                        "CSV with the columns device, tenant, class, password, as `mitu device "
                        "import` writes it; devices log in as device@tenant")
            ->group(group);
    command
        .add_option("--prefix", flags.prefix,
                    "without --credentials: devices are PREFIX0, PREFIX1, ... (sim-)")
        ->group(group)
        ->excludes(credentials);
    command
        .add_option("--classes", flags.classes,
                    "without --credentials: the mix, CLASS:WEIGHT,... "
                    "(thermostat:4,occupancy_sensor:3,tracker:2,gateway:1)")
        ->group(group)
        ->excludes(credentials);
    command.add_option("--ramp", flags.ramp_per_s, "connections begun in a second (1000)")
        ->group(group)
        ->check(CLI::Range(0.01, 1e6));
    add_duration_option(command, "--reconnect-min", flags.reconnect_first,
                        "wait before the first attempt to connect again (1s)")
        ->group(group);
    add_duration_option(command, "--reconnect-max", flags.reconnect_most,
                        "longest wait; it doubles until then (30s)")
        ->group(group);
}

void add_traffic_options(CLI::App& command, SimulateFlags& flags) {
    const std::string group = "Traffic";
    command.add_option("-q,--qos", flags.qos, "QoS of telemetry (0)")
        ->group(group)
        ->check(CLI::Range(0, 2));
    command
        .add_option("--replay", flags.replay,
                    "telemetry is this CSV file with a header: row R goes to device R modulo N")
        ->group(group);
    command
        .add_option("--rate", flags.rate_per_s,
                    "telemetry messages a second, of all devices together (a replay without it: "
                    "as fast as --inflight allows)")
        ->group(group)
        ->check(CLI::Range(0.001, 1e7));
    command
        .add_option("--speedup", flags.speedup,
                    "replay by the times in the file, this many times as fast")
        ->group(group)
        ->check(CLI::Range(1e-3, 1e9));
    add_duration_option(command, "--telemetry-interval", flags.telemetry_interval,
                        "between two readings of one device, unless its policy names another (10s)")
        ->group(group);
    add_duration_option(command, "--heartbeat-interval", flags.heartbeat_interval,
                        "between two heartbeats of one device; 0: none (10s)")
        ->group(group);
    command
        .add_option("--payload-bytes", flags.payload_bytes,
                    "pad generated payloads to this size (0)")
        ->group(group)
        ->check(CLI::Range(std::size_t{0}, std::size_t{64} << 20));
    command
        .add_option("--jitter", flags.jitter_pct, "each interval is drawn +- this percentage (10)")
        ->group(group)
        ->check(CLI::Range(0.0, 100.0));
    command
        .add_option("--telemetry-topic", flags.telemetry_topic,
                    "{id} is the device (t/{id}/telemetry)")
        ->group(group);
    command.add_option("--heartbeat-topic", flags.heartbeat_topic, "(t/{id}/heartbeat)")
        ->group(group);
}

void add_policy_options(CLI::App& command, SimulateFlags& flags) {
    const std::string group = "Policy";
    command
        .add_flag("--no-policy", flags.no_policy,
                  "devices do not ask for their policy (for servers that are not mitud)")
        ->group(group);
    command
        .add_flag("--ignore-settings", flags.ignore_settings,
                  "intervals that a policy names do not change those of the devices")
        ->group(group);
    add_duration_option(command, "--apply-time", flags.apply_time,
                        "how long a device takes to apply new settings (0)")
        ->group(group);
}

void add_running_options(CLI::App& command, SimulateFlags& flags) {
    const std::string group = "Running";
    add_duration_option(command, "--duration,--seconds", flags.duration,
                        "end after this time (until Ctrl-C, or the replay is through)")
        ->group(group);
    command.add_flag("--keep-running", flags.keep_running, "stay connected after the replay")
        ->group(group);
    add_duration_option(command, "--stall-timeout", flags.stall_timeout,
                        "give up when a replay stands still for this long (60s)")
        ->group(group);
    command.add_option("--seed", flags.seed, "the same seed draws the same readings and jitter")
        ->group(group);
    add_duration_option(command, "--progress-interval", flags.progress_interval,
                        "between two progress lines (0.5s on a terminal, else 5s)")
        ->group(group);
    command.add_flag("--quiet", flags.quiet, "no progress lines")->group(group);
    command.add_flag("--json", flags.json, "print the summary as a JSON object")->group(group);
}

}  // namespace

void add_fleet_simulate_command(CLI::App& fleet, Outcome& outcome) {
    auto flags = std::make_shared<SimulateFlags>();
    CLI::App* command = fleet.add_subcommand(
        "simulate", "many devices: heartbeats, telemetry, and agents that hold their policy");
    add_fleet_options(*command, *flags);
    add_traffic_options(*command, *flags);
    add_policy_options(*command, *flags);
    add_running_options(*command, *flags);
    add_server_options(*command, flags->connection);
    command->footer(R"(
Examples:
  mitu fleet simulate --devices 500
  mitu fleet simulate --credentials credentials.csv --replay readings.csv --qos 1
  mitu fleet simulate --devices 5000 --ramp 500 --rate 2000 --qos 1 --duration 60s --json

Progress goes to stderr, the summary to stdout. Latency counts from the moment a message is
published, with --rate and --speedup from the moment it was due, to its last acknowledgement. It
fails (exit code 1) if a device may not connect, or a message was refused, lost or never
acknowledged.
)");
    command->callback([flags, &outcome] { outcome.exit_code = run_simulate(*flags); });
}

}  // namespace mitu::cli
