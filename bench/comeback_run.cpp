#include "bench/comeback_run.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "bench/command_topic.hpp"
#include "bench/encoded.hpp"
#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;
using mqtt::QoS;

constexpr Duration turn_at_most = Duration::milliseconds(5);
constexpr Duration ping_period = Duration::milliseconds(100);
constexpr Duration show_each = Duration::seconds(1);
constexpr Duration first_back_off = Duration::seconds(1);
constexpr std::uint8_t doublings_at_most = 3;
constexpr std::uint64_t stride = 7'919;  // neighbours do not come one after the other

double seconds_at(const LatencyHistogram& latency, double fraction) {
    return static_cast<double>(latency.percentile_ns(fraction)) / 1e9;
}

}  // namespace

ComebackRun::ComebackRun(const Options& options)
    : options_{options},
      swarm_{options},
      pattern_{CommandTopic::any, QoS::at_least_once, options.payload_bytes, options.version},
      devices_(options.clients) {
    for (std::uint32_t k = 0; k < options.clients; ++k) {
        swarm_.plan(CommandTopic::client_id(k), CommandTopic::of(k));
    }
    swarm_.plan("publisher", "");
}

Report ComebackRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    progress_at_ = shown_at_ = monotonic_now();
    if (done) done = go();
    if (!done) report_.failure = done.error();
    sum_up();
    return std::move(report_);
}

Result<void, Failure> ComebackRun::go() {
    if (auto done = publish_all(); !done) return done;
    for (std::size_t k = 0; k < swarm_.size(); ++k) swarm_[k].may_end = true;
    is_cut_ = true;
    cut_at_ = progress_at_ = monotonic_now();
    if (options_.kill_pid == 0) {
        for (std::uint32_t k = 0; k < devices_.size(); ++k) {
            swarm_.cut(swarm_[k]);
            back_off(k, "", cut_at_);
        }
    } else if (::kill(options_.kill_pid, SIGKILL) != 0) {
        return std::unexpected(fmt::format("process {} cannot be killed", options_.kill_pid));
    }
    return come_back();
}

Result<void, Failure> ComebackRun::publish_all() {
    const std::uint64_t devices = devices_.size();
    const std::uint64_t all = devices * options_.backlog;
    Link& publisher = swarm_[devices_.size()];
    const std::uint64_t window =
        std::min<std::uint64_t>(options_.window, publisher.receive_maximum);
    while (acked_ < all || came_ < all) {
        for (; sent_ < all && sent_ - acked_ < window; ++sent_) {
            const auto device = static_cast<std::uint32_t>(sent_ % devices);
            std::uint8_t* const out = swarm_.append(publisher, pattern_.size_bytes());
            pattern_.write(out, {.publisher = device,
                                 .sequence = sent_,
                                 .due_ns = static_cast<std::int64_t>(sent_ / devices)});
            write_digits(out + pattern_.topic_offset() + CommandTopic::number_at, device,
                         CommandTopic::digits);
        }
        if (auto done = turn(); !done) return done;
    }
    report_.published = all;
    report_.received_expected = all;
    return {};
}

Result<void, Failure> ComebackRun::come_back() {
    Instant end = Instant::never();
    for (Instant now = cut_at_; now < end; now = monotonic_now()) {
        if (auto done = turn(); !done) return done;
        now = monotonic_now();
        take_ended(now);
        if (auto done = open_those_due(now); !done) return done;
        ping_probes(now);
        if (all_done() && end == Instant::never()) end = now + options_.measure;
    }
    report_.measured_s = (monotonic_now() - cut_at_).as_seconds();
    report_.delivered = in_;
    return {};
}

Result<void, Failure> ComebackRun::turn() {
    if (auto done = swarm_.flush(); !done) return done;
    if (auto done = swarm_.turn(turn_at_most, *this); !done) return done;
    const Instant now = monotonic_now();
    if (progress_ != progress_seen_ || all_done()) progress_at_ = now;
    progress_seen_ = progress_;
    if (!options_.quiet && is_cut_ && now - shown_at_ >= show_each) {
        shown_at_ = now;
        std::fprintf(stderr, "mitu-bench: %.0f s: %llu are in, %llu have all their messages\n",
                     (now - cut_at_).as_seconds(), static_cast<unsigned long long>(in_),
                     static_cast<unsigned long long>(drained_));
    }
    if (now - progress_at_ < options_.patience) return {};
    return std::unexpected(fmt::format(
        "stalled: nothing came for {:.1f} s; {} of {} are in, {} have all their messages, {} sent "
        "and {} acknowledged before",
        options_.patience.as_seconds(), in_, devices_.size(), drained_, sent_, acked_));
}

void ComebackRun::take_ended(Instant now) {
    for (const Ended& ended : swarm_.take_ended()) {
        if (ended.index < devices_.size()) back_off(ended.index, ended.why, now);
    }
}

void ComebackRun::back_off(std::uint32_t index, const std::string& why, Instant now) {
    Device& device = devices_[index];
    if (device.wanted_at == Instant{}) {  // the cut itself; it comes back when it likes
        const std::uint64_t place = index * stride % devices_.size();
        const Duration later = Duration::nanoseconds(static_cast<std::int64_t>(
            static_cast<double>(options_.reconnect.count_ns()) * static_cast<double>(place) /
            static_cast<double>(devices_.size())));
        device.wanted_at = std::max(now, cut_at_ + later);
        waiting_.emplace(device.wanted_at, index);
        return;
    }
    ++report_.turned_away[why];
    if (device.is_in) --in_;
    device.is_in = false;
    if (device.received == options_.backlog) --drained_;
    device.received = 0;
    const std::uint8_t doublings = std::min(device.failed_attempts, doublings_at_most);
    ++device.failed_attempts;
    const Duration least = first_back_off * (std::int64_t{1} << doublings);
    waiting_.emplace(now + least + Duration::milliseconds(index * 7 % 997), index);
}

Result<void, Failure> ComebackRun::open_those_due(Instant now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
        const std::uint32_t index = waiting_.begin()->second;
        waiting_.erase(waiting_.begin());
        if (auto done = swarm_.reopen(swarm_[index]); !done) return done;
    }
    return {};
}

void ComebackRun::ping_probes(Instant now) {
    if (now < ping_due_) return;
    ping_due_ = now + ping_period;
    for (std::size_t i = 0; i < probes_.size(); ++i) {
        Link& link = swarm_[probes_[i]];
        if (pinged_at_[i] != Instant::never() || link.fd < 0) continue;
        pinged_at_[i] = now;
        swarm_.append(link, pingreq);
    }
}

bool ComebackRun::wrong(const char* what) {
    fault_ = what;
    return false;
}

bool ComebackRun::on_frame(Link& link, const Frame& frame, Instant now) {
    ++progress_;
    switch (frame.type()) {
        case PacketType::connack:
            on_connack(link, frame, now);
            return true;
        case PacketType::publish:
            return on_publish(link, frame, now);
        case PacketType::puback:
            return on_puback(frame);
        case PacketType::pingresp: {
            const auto at = std::ranges::find(probes_, link.index);
            if (at == probes_.end()) return wrong("sent a PINGRESP that nobody asked for");
            Instant& pinged = pinged_at_[static_cast<std::size_t>(at - probes_.begin())];
            if (pinged != Instant::never()) pings_.record((now - pinged).count_ns());
            pinged = Instant::never();
            return true;
        }
        case PacketType::disconnect:
            return true;  // the end itself comes behind it
        default:
            return wrong("sent a packet that nobody asked for");
    }
}

void ComebackRun::on_connack(Link& link, const Frame& frame, Instant now) {
    const std::uint8_t reason = frame.body_bytes >= 2 ? frame.body[1] : 0xFF;
    Device& device = devices_[link.index];
    if (reason != 0) {
        swarm_.cut(link);
        return back_off(link.index, fmt::format("CONNACK 0x{:02X}", reason), now);
    }
    if ((frame.body[0] & 1) == 0) ++report_.faults.lost;  // its session
    link.state = Link::State::ready;
    device.is_in = true;
    device.in_at = now;
    ++in_;
    report_.latency.record((now - cut_at_).count_ns());
    late_.record((now - device.wanted_at).count_ns());
}

bool ComebackRun::on_puback(const Frame& frame) {
    if (frame.body_bytes < 2 || read_u16(frame.body) != packet_id_of(acked_) ||
        (frame.body_bytes > 2 && frame.body[2] >= 0x80)) {
        return wrong("sent an acknowledgement out of order, or refused a message");
    }
    ++acked_;
    return true;
}

bool ComebackRun::on_publish(Link& link, const Frame& frame, Instant now) {
    Delivery delivery;
    Stamp stamp;
    if (!read_delivery(frame, options_.version, delivery) ||
        delivery.payload_bytes < sizeof stamp) {
        return wrong("sent a PUBLISH whose lengths are wrong");
    }
    std::memcpy(&stamp, delivery.payload, sizeof stamp);
    if (stamp.magic != Stamp::magic_value || stamp.publisher != link.index) {
        return wrong("delivered a message that was not for this device");
    }
    if (!is_cut_) {
        ++came_;
        return true;  // it waits for its acknowledgement
    }
    Device& device = devices_[link.index];
    if (!device.is_in) return true;  // what the killed one had still sent
    write_ack(swarm_.append(link, ack_bytes), puback_first, delivery.packet_id);
    const auto round = static_cast<std::uint32_t>(stamp.due_ns);
    if (round > device.received) return wrong("left out a message, or changed the order");
    if (round < device.received) return true;
    report_.bytes_delivered += frame.size_bytes;
    if (++device.received < options_.backlog) return true;
    ++drained_;
    drained_at_ = now;
    drains_.record((now - device.in_at).count_ns());
    if (probes_.size() < options_.probes && device.failed_attempts == 0) {
        probes_.push_back(link.index);
        pinged_at_.push_back(Instant::never());
    }
    return true;
}

void ComebackRun::sum_up() {
    for (const Device& device : devices_) report_.received += device.received;
    report_.faults.lost += report_.received_expected - report_.received;
    auto& figures = report_.figures;
    if (report_.latency.count() == 0) return;
    const Instant now = monotonic_now();
    for (const Instant pinged : pinged_at_) {  // who waits still has waited so long at least
        if (pinged != Instant::never()) pings_.record((now - pinged).count_ns());
    }
    figures["first_served_s"] = seconds_at(report_.latency, 0);
    figures["half_back_s"] = seconds_at(report_.latency, 0.5);
    figures["last_back_s"] = seconds_at(report_.latency, 1);
    figures["late_p50_s"] = seconds_at(late_, 0.5);
    figures["late_p99_s"] = seconds_at(late_, 0.99);
    figures["late_max_s"] = seconds_at(late_, 1);
    if (drains_.count() > 0) {
        figures["backlog_drained_s"] = (drained_at_ - cut_at_).as_seconds();
        figures["device_drained_p50_s"] = seconds_at(drains_, 0.5);
        figures["device_drained_p99_s"] = seconds_at(drains_, 0.99);
        figures["device_drained_max_s"] = seconds_at(drains_, 1);
    }
    if (pings_.count() > 0) {
        figures["early_wait_p50_s"] = seconds_at(pings_, 0.5);
        figures["early_wait_p99_s"] = seconds_at(pings_, 0.99);
        figures["early_wait_max_s"] = seconds_at(pings_, 1);
    }
}

}  // namespace mitu::bench
