#include "bench/retained_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bench/encoded.hpp"
#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;

/// How often all of them are asked for at most; each time by another client.
constexpr std::uint32_t subscribers_max = 20;
constexpr std::uint64_t batches_in_flight_max = 2;

constexpr std::string_view any_topic = "fleet/d0000000/state";
constexpr std::size_t device_at = 7;
constexpr std::size_t device_digits = 7;
constexpr const char* filter_of_all = "fleet/+/state";

}  // namespace

RetainedRun::RetainedRun(const Options& options)
    : options_{options},
      swarm_{options},
      pattern_{any_topic, mqtt::QoS::at_most_once, options.payload_bytes, options.version, true},
      seen_(options.count) {
    swarm_.plan("p00000", "");
    for (std::uint32_t k = 0; k < subscribers_max; ++k) swarm_.plan(fmt::format("s{:05}", k), "");
}

Report RetainedRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    progress_at_ = monotonic_now();
    if (done) done = set_all();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (done) done = get_all();
    if (!done) report_.failure = done.error();
    report_.faults.lost = report_.received_expected - report_.received;
    return std::move(report_);
}

Result<void, Failure> RetainedRun::set_all() {
    report_.pss_before_bytes = pss_bytes_of(options_.broker_pid);
    const auto cpu_begin = cpu_of(options_.broker_pid);
    const Instant begin = monotonic_now();
    while (sent_ < options_.count || pings_answered_ < pings_) {
        while (sent_ < options_.count && pings_ - pings_answered_ < batches_in_flight_max) {
            send_batch();
        }
        if (auto done = turn(); !done) return done;
    }
    const auto cpu_end = cpu_of(options_.broker_pid);
    if (cpu_begin && cpu_end) report_.store_cpu = *cpu_end - *cpu_begin;
    report_.store_s = (monotonic_now() - begin).as_seconds();
    report_.published = sent_;
    // What the broker set aside to read the packets is given back, or is kept for good.
    const Instant settled = monotonic_now() + options_.warmup;
    while (monotonic_now() < settled) {
        if (auto done = turn(); !done) return done;
        progress_at_ = monotonic_now();
    }
    report_.pss_after_bytes = pss_bytes_of(options_.broker_pid);
    return {};
}

void RetainedRun::send_batch() {
    const std::uint32_t count = std::min(options_.window, options_.count - sent_);
    const std::size_t size = pattern_.size_bytes();
    std::uint8_t* out = swarm_.append(swarm_[0], size * count);
    for (std::uint32_t i = 0; i < count; ++i, ++sent_, out += size) {
        pattern_.write(out, {.publisher = 0, .sequence = sent_, .due_ns = 0});
        write_digits(out + pattern_.topic_offset() + device_at, sent_, device_digits);
    }
    swarm_.append(swarm_[0], pingreq);
    ++pings_;
}

Result<void, Failure> RetainedRun::get_all() {
    const auto cpu_begin = cpu_of(options_.broker_pid);
    const Duration own_begin = own_cpu();
    const Instant begin = monotonic_now();
    const Instant end = begin + options_.measure;
    for (std::uint32_t k = 0; k < subscribers_max && (k == 0 || monotonic_now() < end); ++k) {
        if (auto done = subscribe_once(swarm_[1 + k]); !done) return done;
    }
    const auto cpu_end = cpu_of(options_.broker_pid);
    report_.generator_cpu = own_cpu() - own_begin;
    report_.measured_s = (monotonic_now() - begin).as_seconds();
    report_.delivered = report_.received;
    if (cpu_begin && cpu_end) report_.broker_cpu = *cpu_end - *cpu_begin;

    // What comes now, a copy too many perhaps, comes soon.
    const Instant quiet = monotonic_now() + Duration::milliseconds(20);
    while (monotonic_now() < quiet) {
        if (auto done = turn(); !done) return done;
    }
    return {};
}

Result<void, Failure> RetainedRun::subscribe_once(Link& link) {
    subscriber_ = link.index;
    seen_.assign(options_.count, false);
    seen_count_ = 0;
    granted_ = false;
    report_.received_expected += options_.count;
    const std::string filter = filter_of_all;
    swarm_.append(link,
                  subscribe_packet(1, {&filter, 1}, mqtt::QoS::at_most_once, options_.version));
    while (!granted_ || seen_count_ < options_.count) {
        if (auto done = turn(); !done) return done;
    }
    return {};
}

Result<void, Failure> RetainedRun::turn() {
    const std::uint64_t before = progress_;
    const Duration pause = options_.spin ? Duration{} : Duration::milliseconds(10);
    if (auto done = swarm_.flush(); !done) return done;
    if (auto done = swarm_.turn(pause, *this); !done) return done;
    const Instant now = monotonic_now();
    if (progress_ != before) progress_at_ = now;
    if (now - progress_at_ < options_.patience) return {};
    return std::unexpected(fmt::format(
        "stalled: nothing came for {:.1f} s; {} messages set, {} of "
        "{} received by client {}",
        options_.patience.as_seconds(), sent_, seen_count_, options_.count, subscriber_));
}

bool RetainedRun::wrong(const char* what) {
    fault_ = what;
    return false;
}

bool RetainedRun::on_frame(Link& link, const Frame& frame, Instant) {
    ++progress_;
    switch (frame.type()) {
        case PacketType::publish:
            return on_publish(link, frame);
        case PacketType::pingresp:
            if (pings_answered_ == pings_) return wrong("sent a PINGRESP that nobody asked for");
            ++pings_answered_;
            return true;
        case PacketType::suback:
            if (frame.body[frame.body_bytes - 1] != 0) return wrong("did not grant QoS 0");
            granted_ = true;
            return true;
        default:
            return wrong("sent a packet that nobody asked for");
    }
}

bool RetainedRun::on_publish(Link& link, const Frame& frame) {
    Delivery delivery;
    if (!read_delivery(frame, options_.version, delivery) ||
        delivery.payload_bytes != options_.payload_bytes) {
        return wrong("sent a PUBLISH whose lengths are wrong");
    }
    Stamp stamp;
    std::memcpy(&stamp, delivery.payload, sizeof stamp);
    if (link.index != subscriber_ || stamp.magic != Stamp::magic_value ||
        stamp.sequence >= seen_.size() || (frame.first & 1) == 0) {
        return wrong("delivered what is not a retained message for this client");
    }
    report_.bytes_delivered += frame.size_bytes;
    if (seen_[stamp.sequence]) {
        ++report_.faults.duplicated;
        return true;
    }
    seen_[stamp.sequence] = true;
    ++seen_count_;
    ++report_.received;
    return true;
}

}  // namespace mitu::bench
