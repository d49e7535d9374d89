#include "bench/traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>

#include "bench/encoded.hpp"
#include "bench/process_sample.hpp"
#include "bench/progress.hpp"
#include "bench/use.hpp"

namespace mitu::bench {
namespace {

using mqtt::QoS;

/// A publisher with more than this waiting to be written is not given more.
constexpr std::size_t unwritten_bytes_max = 1'048'576;

constexpr Duration poll_while_draining = Duration::milliseconds(10);

/// How long nothing must come for slow subscribers until they have all that they will get; long
/// enough for a broker to give memory back at its next tick.
constexpr Duration slow_quiet = Duration::seconds(1);

}  // namespace

Traffic::Traffic(const Options& options)
    : options_{options}, swarm_{options}, slow_{options, swarm_} {
    latency_wanted_ = options.open_loop() || options.window == 1;
    plan();
}

Report Traffic::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (done) done = go();
    if (!done) report_.failure = done.error();
    report_.wires = swarm_.wire_counts();
    sum_up();
    return std::move(report_);
}

Result<void, Failure> Traffic::go() {
    for (std::uint32_t k = 0; k < publishers_.size(); ++k) {
        Publisher& publisher = publishers_[k];
        publisher.link = &swarm_[subscribers_.size() + k];
        const bool acknowledged = options_.qos != QoS::at_most_once;
        const std::uint32_t broker_max =
            acknowledged ? publisher.link->receive_maximum : std::numeric_limits<uint32_t>::max();
        publisher.in_flight_max =
            options_.open_loop() ? broker_max : std::min(options_.window, broker_max);
        list(k);
    }
    slow_.begin();
    if (auto done = probe(options_, report_); !done) return done;

    Instant now = monotonic_now();
    progress_at_ = now;
    start_schedule(now);
    const Instant measure_begin = now + options_.warmup;
    const Instant measure_end = measure_begin + options_.measure;
    measure_begin_ns_ = measure_begin.since_start_ns();
    measure_end_ns_ = measure_end.since_start_ns();
    Progress progress{options_, now, measure_end};

    for (; now < measure_begin; now = monotonic_now()) {
        if (auto done = turn(pause(now)); !done) return done;
        if (auto done = see_progress(now); !done) return done;
        progress.show(now, copies_);
    }

    const RunSample before = sample(options_);
    const Instant window_begin = monotonic_now();
    const std::uint64_t copies_begin = copies_;
    const std::uint64_t bytes_begin = bytes_;
    for (now = window_begin; now < measure_end && !is_end_requested(); now = monotonic_now()) {
        if (auto done = turn(pause(now)); !done) return done;
        if (auto done = see_progress(now); !done) return done;
        progress.show(now, copies_);
    }
    note_use(options_, before, report_);
    report_.measured_s = (monotonic_now() - window_begin).as_seconds();
    report_.delivered = copies_ - copies_begin;
    report_.bytes_delivered = bytes_ - bytes_begin;

    for (const Publisher& publisher : publishers_) {
        if (publisher.due > publisher.sent) report_.backlog += publisher.due - publisher.sent;
    }
    if (auto done = drain(); !done) return done;
    return probe(options_, report_);
}

Result<void, Failure> Traffic::turn(Duration timeout) {
    if (!slow_.empty()) slow_.before_turn(monotonic_now());
    if (auto done = swarm_.turn(timeout, *this); !done) return done;
    slow_.after_turn();
    if (options_.open_loop() && sending_) make_due(monotonic_now());
    send_waiting();
    return swarm_.flush();
}

Result<void, Failure> Traffic::drain() {
    sending_ = false;
    progress_at_ = monotonic_now();
    while (!all_arrived()) {
        if (auto done = turn(poll_while_draining); !done) return done;
        if (auto done = see_progress(monotonic_now()); !done) return done;
    }
    // What comes now, a duplicate perhaps, comes soon.
    const Instant quiet = monotonic_now() + poll_while_draining * 2;
    while (monotonic_now() < quiet) {
        if (auto done = turn(poll_while_draining); !done) return done;
    }
    return let_slow_ones_catch_up();
}

Result<void, Failure> Traffic::let_slow_ones_catch_up() {
    if (slow_.empty()) return {};
    // Not longer than a broker that sends on and on deserves.
    const Instant limit = monotonic_now() + options_.patience * 3;
    slow_.release();
    std::uint64_t seen = slow_.received();
    Instant quiet_since = monotonic_now();
    for (Instant now = quiet_since; now < limit && now - quiet_since < slow_quiet;
         now = monotonic_now()) {
        if (auto done = turn(poll_while_draining); !done) return done;
        if (slow_.received() != seen) quiet_since = now;
        seen = slow_.received();
    }
    slow_.end(report_);
    return {};
}

Duration Traffic::pause(Instant now) const noexcept {
    if (options_.spin) return {};
    constexpr Duration pause_max = Duration::milliseconds(50);
    if (!options_.open_loop()) return pause_max;
    const auto due = static_cast<std::int64_t>(static_cast<double>(due_total_) * period_ns_);
    const Duration until_due = schedule_begin_ + Duration::nanoseconds(due) - now;
    return std::clamp(until_due, Duration{}, pause_max);
}

Result<void, Failure> Traffic::see_progress(Instant now) {
    const std::uint64_t seen = copies_ + acked_ + pings_answered_;
    if (seen != progress_seen_ || all_arrived()) {
        progress_seen_ = seen;
        progress_at_ = now;
    }
    if (now - progress_at_ < options_.patience) return {};
    return std::unexpected(
        fmt::format("stalled: nothing came for {:.1f} s; {} messages sent, {} received",
                    options_.patience.as_seconds(), sent_, received_));
}

// ---- sending

void Traffic::start_schedule(Instant now) {
    schedule_begin_ = now;
    if (options_.open_loop()) period_ns_ = 1e9 / options_.rate_hz;
}

std::int64_t Traffic::due_ns(const Publisher& publisher, std::uint64_t sequence) const noexcept {
    const auto k = static_cast<double>(sequence * publishers_.size() + publisher.slot);
    return schedule_begin_.since_start_ns() + static_cast<std::int64_t>(k * period_ns_);
}

void Traffic::make_due(Instant now) {
    const auto elapsed = static_cast<double>((now - schedule_begin_).count_ns());
    const auto target = static_cast<std::uint64_t>(elapsed / period_ns_) + 1;
    for (; due_total_ < target; ++due_total_) {
        const std::uint32_t next = round_[due_total_ % round_.size()];
        ++publishers_[next].due;
        list(next);
    }
    if (options_.scenario != Scenario::heartbeat) return;
    // The ping of a device comes half a round after its message and half a period off the beat.
    const auto pings = static_cast<std::uint64_t>((2 * elapsed + period_ns_) / (2 * period_ns_));
    for (; pings_due_ < pings; ++pings_due_, ++pings_) {
        const std::uint32_t next = round_[(pings_due_ + round_.size() / 2) % round_.size()];
        swarm_.append(*publishers_[next].link, pingreq);
    }
}

void Traffic::list(std::uint32_t publisher) {
    if (publishers_[publisher].listed) return;
    publishers_[publisher].listed = true;
    waiting_.push_back(publisher);
}

std::uint64_t Traffic::sendable(const Publisher& publisher) const noexcept {
    if (publisher.link->out.waiting().size() > unwritten_bytes_max) return 0;
    const bool acknowledged = options_.qos != QoS::at_most_once;
    if (options_.open_loop()) {
        const std::uint64_t behind = publisher.due - publisher.sent;
        if (!acknowledged) return behind;
        const std::uint64_t in_flight = publisher.sent - publisher.acked;
        return std::min<std::uint64_t>(behind, publisher.in_flight_max - in_flight);
    }
    const std::uint64_t finished =
        acknowledged ? std::min(publisher.acked, publisher.delivered) : publisher.delivered;
    const std::uint64_t free = publisher.in_flight_max - (publisher.sent - finished);
    return free >= std::min(options_.batch, publisher.in_flight_max) ? free : 0;
}

void Traffic::send_waiting() {
    if (!sending_ || waiting_.empty()) return;
    const Instant now = monotonic_now();
    std::size_t kept = 0;
    for (const std::uint32_t number : waiting_) {
        Publisher& publisher = publishers_[number];
        const std::uint64_t count = sendable(publisher);
        if (count > 0) send(publisher, count, now);
        // By window, the event that frees some of it lists the publisher again; by rate, what is
        // due stays due.
        publisher.listed = options_.open_loop() && publisher.due > publisher.sent;
        if (publisher.listed) waiting_[kept++] = number;
    }
    waiting_.resize(kept);
}

void Traffic::send(Publisher& publisher, std::uint64_t count, Instant now) {
    const std::size_t size = publisher.pattern.size_bytes();
    std::uint8_t* out = swarm_.append(*publisher.link, size * count);
    Stamp stamp{.publisher = static_cast<std::uint32_t>(&publisher - publishers_.data()),
                .sequence = publisher.sent,
                .due_ns = now.since_start_ns()};
    for (std::uint64_t i = 0; i < count; ++i, ++stamp.sequence, out += size) {
        if (options_.open_loop()) stamp.due_ns = due_ns(publisher, stamp.sequence);
        publisher.pattern.write(out, stamp);
        if (!publisher.owed.empty()) {
            publisher.owed[stamp.sequence % publisher.owed.size()] = copies_per_message_;
        }
    }
    publisher.sent += count;
    publisher.sent_ns = now.since_start_ns();
    sent_ += count;
}

// ---- the verdict

bool Traffic::all_arrived() const noexcept {
    return received_ == sent_ * copies_per_message_ && pings_answered_ == pings_ &&
           (options_.qos == QoS::at_most_once || acked_ == sent_);
}

void Traffic::sum_up() {
    report_.published = sent_;
    report_.received = received_;
    report_.pings = pings_;
    report_.pings_unanswered = pings_ - pings_answered_;
    if (options_.scenario == Scenario::shared) {
        report_.received_expected = sent_;
        report_.faults.lost += sent_ - received_;
    }
    for (const Subscriber& subscriber : subscribers_) {
        for (const OrderCheck& share : subscriber.shares) {
            report_.faults.reordered += share.faults().reordered;
        }
        for (std::size_t i = 0; i < subscriber.flows.size(); ++i) {
            const std::uint64_t sent = publishers_[subscriber.publisher_first + i].sent;
            report_.received_expected += sent;
            report_.faults += subscriber.flows[i].faults(sent);
        }
    }
    report_.faults += slow_.faults();
}

}  // namespace mitu::bench
