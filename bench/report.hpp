#pragma once
// What one run measured, and how it is printed.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "bench/histogram.hpp"
#include "bench/options.hpp"
#include "bench/sequence_check.hpp"
#include "bench/wire.hpp"

namespace mitu::bench {

/// Every figure is of the measured window unless it says otherwise.
struct Report {
    std::string failure;  // empty: the run went through

    double setup_s = 0;  // connecting, logging in and subscribing
    double measured_s = 0;
    std::uint64_t delivered = 0;  // messages that reached a subscriber; connections; heartbeats
    std::uint64_t bytes_delivered = 0;
    std::optional<Duration> broker_cpu;
    Duration generator_cpu;

    /// From when a message was due until it was read, of messages that were due in the window.
    /// Empty where the window is full by design and latency says nothing.
    LatencyHistogram latency;
    /// From when a message was due until PUBACK or PUBREC, of the same messages; in queued and
    /// set_retained from when it was sent.
    LatencyHistogram ack_latency;
    /// A bare write and fdatasync, before and after the load; empty: not asked for.
    LatencyHistogram disk_latency;
    std::optional<std::uint64_t> syncs;  // that the broker asked for

    /// Over the whole run, warm-up and drain included.
    std::uint64_t published = 0;
    std::uint64_t received_expected = 0;
    std::uint64_t received = 0;
    SequenceFaults faults;
    std::uint64_t pings = 0;
    std::uint64_t pings_unanswered = 0;
    /// Open loop: messages that were due but not yet sent when the window ended.
    std::uint64_t backlog = 0;

    /// connect: of the connections; filters, retained, offline: of as many of those; slow: of the
    /// run.
    std::optional<std::uint64_t> pss_before_bytes;
    std::optional<std::uint64_t> pss_after_bytes;
    /// filters: to subscribe to all; retained: to set all.
    std::optional<Duration> store_cpu;
    double store_s = 0;

    /// slow.
    std::uint64_t pss_peak_bytes = 0;
    std::uint64_t slow_received = 0;
    std::uint64_t slow_closed = 0;  // links that the broker ended

    /// connect.
    std::optional<Duration> idle_cpu;
    double idle_s = 0;

    /// offline, comeback: by name, with the unit last.
    std::map<std::string, double> figures;

    /// storm, comeback: why those that came back had to come again, and how often.
    std::map<std::string, std::uint64_t> turned_away;

    WireCounts wires;
    std::uint64_t open_files_max = 0;

    [[nodiscard]] bool sound() const noexcept {
        return failure.empty() && faults.none() && pings_unanswered == 0 &&
               received == received_expected;
    }
};

/// One line of JSON.
[[nodiscard]] std::string to_json(const Options& options, const Report& report);

}  // namespace mitu::bench
