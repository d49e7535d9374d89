#include "bench/handshake_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

constexpr Duration turn_max = Duration::milliseconds(50);

/// A CONNACK: session present, and the reason after it.
constexpr std::uint32_t reason_at = 1;

}  // namespace

HandshakeRun::HandshakeRun(const Options& options) : options_{options}, swarm_{options} {
    for (std::uint32_t k = 0; k < options.clients; ++k) swarm_.plan(fmt::format("h{:05}", k), "");
    begun_.resize(options.clients);
}

Report HandshakeRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (done) done = go();
    if (!done) report_.failure = done.error();
    return std::move(report_);
}

Result<void, Failure> HandshakeRun::go() {
    // The first ones brought the session that the others resume.
    for (std::uint32_t k = 0; k < swarm_.size(); ++k) {
        swarm_.cut(swarm_[k]);
        free_.push_back(k);
    }
    const WireCounts first = swarm_.wire_counts();
    if (auto done = go_on(options_.warmup); !done) return done;

    const auto cpu_begin = cpu_of(options_.broker_pid);
    const Duration own_begin = own_cpu();
    const Instant window_begin = monotonic_now();
    const std::uint64_t done_begin = done_;
    is_measuring_ = true;
    if (auto done = go_on(options_.measure); !done) return done;
    const auto cpu_end = cpu_of(options_.broker_pid);
    report_.generator_cpu = own_cpu() - own_begin;
    report_.measured_s = (monotonic_now() - window_begin).as_seconds();
    report_.delivered = done_ - done_begin;
    if (cpu_begin && cpu_end) report_.broker_cpu = *cpu_end - *cpu_begin;

    report_.wires = swarm_.wire_counts();
    const std::uint64_t later = report_.wires.handshakes - first.handshakes;
    if (options_.resume && report_.wires.resumed < later) {
        return std::unexpected(
            fmt::format("the broker resumed {} of {} TLS sessions", report_.wires.resumed, later));
    }
    return {};
}

Result<void, Failure> HandshakeRun::begin(Link& link) {
    link.client_id = fmt::format("c{:08}", named_++);
    begun_[link.index] = monotonic_now();
    return swarm_.reopen(link);
}

Result<void, Failure> HandshakeRun::go_on(Duration duration) {
    const Instant begin_at = monotonic_now();
    const std::uint64_t done_before = done_;
    const auto is_over = [&] {
        const Duration gone = monotonic_now() - begin_at;
        return gone >= (done_ > done_before ? duration : std::max(duration, options_.patience));
    };
    while (!is_over()) {
        for (const std::uint32_t index : std::exchange(free_, {})) {
            if (auto done = begin(swarm_[index]); !done) return done;
        }
        if (auto done = swarm_.flush(); !done) return done;
        const Duration timeout = options_.spin ? Duration{} : turn_max;
        if (auto done = swarm_.turn(timeout, *this); !done) return done;
    }
    if (done_ == done_before) return std::unexpected(Failure{"nobody got in"});
    return {};
}

bool HandshakeRun::on_frame(Link& link, const Frame& frame, Instant now) {
    if (frame.body_bytes <= reason_at || frame.body[reason_at] != 0) {
        fault_ = "was refused";
        return false;
    }
    ++done_;
    if (is_measuring_) report_.latency.record((now - begun_[link.index]).count_ns());
    swarm_.cut(link);
    free_.push_back(link.index);
    return true;
}

}  // namespace mitu::bench
