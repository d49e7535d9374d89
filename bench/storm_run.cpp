#include "bench/storm_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

constexpr Duration turn_max = Duration::milliseconds(10);
constexpr Duration show_period = Duration::seconds(1);
constexpr Duration back_off_min = Duration::seconds(1);
constexpr std::uint8_t doublings_max = 3;
constexpr std::uint32_t spread = 997;  // so that those refused together do not come back together

/// A CONNACK: session present, and the reason after it.
constexpr std::uint32_t reason_at = 1;

}  // namespace

StormRun::StormRun(const Options& options)
    : options_{options}, swarm_{options}, attempts_(options.clients) {
    for (std::uint32_t k = 0; k < options.clients; ++k) {
        swarm_.plan(fmt::format("storm{:05}", k), "");
    }
}

Report StormRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (done) done = go();
    if (!done) report_.failure = done.error();
    report_.wires = swarm_.wire_counts();
    return std::move(report_);
}

Result<void, Failure> StormRun::go() {
    if (!options_.quiet) {
        std::fprintf(stderr, "mitu-bench: %zu clients are in after %.1f s\n", swarm_.size(),
                     report_.setup_s);
    }
    in_ = swarm_.size();
    for (const Instant end = monotonic_now() + options_.warmup; monotonic_now() < end;) {
        if (auto done = turn(); !done) return done;
    }
    const auto cpu_begin = cpu_of(options_.broker_pid);
    const Duration own_begin = own_cpu();
    if (auto done = come_back(); !done) return done;
    const auto cpu_end = cpu_of(options_.broker_pid);
    report_.generator_cpu = own_cpu() - own_begin;
    report_.measured_s = (monotonic_now() - cut_at_).as_seconds();
    report_.delivered = in_;
    if (cpu_begin && cpu_end) report_.broker_cpu = *cpu_end - *cpu_begin;
    return stay();
}

Result<void, Failure> StormRun::come_back() {
    in_ = 0;
    cut_at_ = shown_at_ = progress_at_ = monotonic_now();
    for (std::uint32_t k = 0; k < swarm_.size(); ++k) {
        swarm_[k].may_end = true;
        swarm_.cut(swarm_[k]);
    }
    for (std::uint32_t k = 0; k < swarm_.size(); ++k) {
        if (auto done = swarm_.reopen(swarm_[k]); !done) return done;
    }
    while (in_ < swarm_.size()) {
        if (auto done = turn(); !done) return done;
        const Instant now = monotonic_now();
        for (const Ended& ended : swarm_.take_ended()) back_off(ended.index, ended.why, now);
        if (auto done = try_again(now); !done) return done;
        show(now);
        if (now - progress_at_ > options_.patience) {
            return std::unexpected(fmt::format("{} of {} are in, then nobody for {:.1f} s", in_,
                                               swarm_.size(), options_.patience.as_seconds()));
        }
    }
    return {};
}

Result<void, Failure> StormRun::stay() {
    for (const Instant end = monotonic_now() + options_.measure; monotonic_now() < end;) {
        if (auto done = turn(); !done) return done;
        for (const Ended& ended : swarm_.take_ended()) {
            return std::unexpected(fmt::format("client {} was in, and then: {}",
                                               swarm_[ended.index].client_id, ended.why));
        }
    }
    return {};
}

Result<void, Failure> StormRun::turn() {
    if (auto done = swarm_.flush(); !done) return done;
    return swarm_.turn(turn_max, *this);
}

Result<void, Failure> StormRun::try_again(Instant now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
        const std::uint32_t index = waiting_.begin()->second;
        waiting_.erase(waiting_.begin());
        if (auto done = swarm_.reopen(swarm_[index]); !done) return done;
    }
    return {};
}

void StormRun::back_off(std::uint32_t index, const std::string& why, Instant now) {
    ++report_.turned_away[why];
    const std::uint8_t doublings = std::min(attempts_[index], doublings_max);
    ++attempts_[index];
    const Duration least = back_off_min * (std::int64_t{1} << doublings);
    const Duration more = Duration::milliseconds(index * 7 % spread);
    waiting_.emplace(now + least + more, index);
}

bool StormRun::on_frame(Link& link, const Frame& frame, Instant now) {
    if (frame.first >> 4 != static_cast<std::uint8_t>(mqtt::PacketType::connack)) {
        // A DISCONNECT says why; the end itself comes behind it.
        return true;
    }
    const std::uint8_t reason = frame.body_bytes > reason_at ? frame.body[reason_at] : 0xFF;
    if (reason != 0) {
        swarm_.cut(link);
        back_off(link.index, fmt::format("CONNACK 0x{:02X}", reason), now);
        return true;
    }
    link.state = Link::State::ready;
    ++in_;
    progress_at_ = now;
    report_.latency.record((now - cut_at_).count_ns());
    return true;
}

void StormRun::show(Instant now) {
    if (now - shown_at_ < show_period) return;
    shown_at_ = now;
    if (options_.quiet) return;
    std::fprintf(stderr, "mitu-bench: %.0f s: %llu of %zu are in, %zu wait to try again\n",
                 (now - cut_at_).as_seconds(), static_cast<unsigned long long>(in_), swarm_.size(),
                 waiting_.size());
}

}  // namespace mitu::bench
