#pragma once
// What one run of the load generator is asked to do.

#include <cstdint>
#include <string>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::bench {

enum class Scenario : std::uint8_t {
    connect,       // N connections are set up, then idle
    fan_in,        // many publishers, one subscriber to all
    fan_out,       // one publisher, many subscribers
    pairs,         // publisher k to subscriber k
    heartbeat,     // N devices, each a PINGREQ and a PUBLISH now and then; one subscriber to all
    shared,        // many publishers, one shared subscription with many members
    slow,          // fan_out beside subscribers that read slowly or not at all
    filters,       // publishes past very many wildcard filters
    retained,      // very many retained messages, set and then subscribed to
    handshake,     // connections that log in and are cut, one after the other
    storm,         // N connections that are cut and come back at once
    queued,        // publishes to sessions whose clients are away
    set_retained,  // publishes that replace retained messages
    offline,       // very many sessions whose clients are away, with messages
    comeback,      // a fleet whose server is killed
};

/// Of offline: before the server is started again, and after.
enum class Phase : std::uint8_t { fill, back };

enum class Tls : std::uint8_t { none, v1_2, v1_3 };

[[nodiscard]] const char* to_text(Scenario scenario) noexcept;

struct Options {
    Scenario scenario = Scenario::fan_in;
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    /// Whose CPU time and memory are measured; 0: nobody's.
    int broker_pid = 0;

    /// fan_in: publishers; fan_out: subscribers; pairs: pairs; connect: connections; heartbeat:
    /// devices; shared: members; slow: subscribers that are not.
    std::uint32_t clients = 100;
    /// Of shared and filters.
    std::uint32_t publishers = 10;
    /// Filters of filters, messages of retained.
    std::uint32_t count = 100'000;
    /// filters: topics that no filter matches, instead of topics that two match.
    bool misses = false;
    /// slow: subscribers that are, and what each of them reads per second; 0: nothing.
    std::uint32_t slow_clients = 1;
    std::uint32_t slow_bytes_per_s = 0;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    std::uint32_t payload_bytes = 64;
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v3_1_1;

    /// Messages in flight per publisher while `rate_hz` is 0. 1: one message at a time.
    std::uint32_t window = 100;
    /// A publisher waits until this many fit into its window, then sends all that fit.
    std::uint32_t batch = 1;
    /// Offered publishes (heartbeats) per second over all publishers; 0: as fast as the window
    /// lets.
    double rate_hz = 0;

    Duration warmup = Duration::seconds(1);
    Duration measure = Duration::seconds(4);
    /// How long an answer, a delivery or the drain at the end may fail to come.
    Duration patience = Duration::seconds(10);

    /// What stands between socket and MQTT.
    Tls tls = Tls::none;
    bool websocket = false;
    bool resume = false;           // TLS sessions, with what the broker gave last
    std::string ca_file;           // who signed the broker's certificate; empty: it is not checked
    std::string certificate_file;  // of the clients; empty: they show none
    std::string key_file;
    std::uint16_t keep_alive_s = 3'600;  // of those that do not subscribe

    /// Clients ask for their sessions to be kept (for ever) and to be resumed.
    bool keep_sessions = false;
    /// Where the broker's syncs are counted (mitu-count-syncs.so); empty: nowhere.
    std::string sync_counts_file;
    /// Where a bare fsync is measured, beside what the broker does; empty: it is not.
    std::string disk_folder;

    /// offline, comeback: messages that wait for each.
    std::uint32_t backlog = 10;
    /// offline: devices that come back in the end; comeback: devices that ping when they are back.
    std::uint32_t probes = 100;
    Phase phase = Phase::fill;
    /// offline, Phase::back: when the server was started, on the monotonic clock.
    std::int64_t begin_ns = 0;
    /// comeback: who gets SIGKILL; 0: nobody, and the connections are cut.
    int kill_pid = 0;
    /// comeback: devices come back within this time, each at its own moment.
    Duration reconnect = Duration::seconds(1);

    /// Connections being set up at the same time.
    std::uint32_t connect_burst = 32;
    /// Polls without sleeping, so that nobody pays for waking the generator.
    bool spin = false;
    bool quiet = false;

    [[nodiscard]] bool has_wire() const noexcept { return tls != Tls::none || websocket; }
    [[nodiscard]] bool open_loop() const noexcept { return rate_hz > 0; }
};

/// Shape   the options, or the exit code when there is nothing to run (--help, a mistake that was
///         reported on stderr).
[[nodiscard]] Result<Options, int> parse_options(int argc, char** argv);

}  // namespace mitu::bench
