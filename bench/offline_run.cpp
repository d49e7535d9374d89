#include "bench/offline_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

#include "bench/command_topic.hpp"
#include "bench/encoded.hpp"
#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;
using mqtt::QoS;

constexpr Duration retry_pause = Duration::milliseconds(1);
constexpr Duration show_period = Duration::seconds(2);

}  // namespace

OfflineRun::OfflineRun(const Options& options)
    : options_{options},
      swarm_{options},
      pattern_{CommandTopic::any, QoS::at_least_once, options.payload_bytes, options.version},
      visits_(options.clients) {
    publishers_.resize(fills() ? options.publishers : 0);
    for (std::uint32_t k = 0; k < publishers_.size(); ++k)
        swarm_.plan(fmt::format("p{:05}", k), "");
}

Report OfflineRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    progress_at_ = shown_at_ = begin;
    auto done = swarm_.connect_all();
    for (std::uint32_t k = 0; k < options_.clients; ++k) swarm_.plan("", "");
    if (done) done = fills() ? fill() : come_back();
    report_.measured_s = (monotonic_now() - begin).as_seconds();
    if (!done) report_.failure = done.error();
    return std::move(report_);
}

Result<void, Failure> OfflineRun::fill() {
    report_.pss_before_bytes = pss_bytes_of(options_.broker_pid);
    const Instant begin = monotonic_now();
    if (auto done = visit_all(options_.count); !done) return done;
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (auto done = settle(); !done) return done;
    if (const auto pss = pss_bytes_of(options_.broker_pid)) {
        const auto growth =
            static_cast<double>(*pss) - static_cast<double>(report_.pss_before_bytes.value_or(0));
        report_.figures["bytes_per_session_without_messages"] = growth / options_.count;
    }
    if (auto done = publish_all(); !done) return done;
    if (auto done = settle(); !done) return done;
    report_.pss_after_bytes = pss_bytes_of(options_.broker_pid);
    return {};
}

Result<void, Failure> OfflineRun::publish_all() {
    const auto count = static_cast<std::uint32_t>(publishers_.size());
    for (std::uint32_t k = 0; k < count; ++k) {
        Publisher& publisher = publishers_[k];
        publisher.in_flight_max =
            std::min<std::uint32_t>(options_.window, swarm_[k].receive_maximum);
        const std::uint64_t devices = (options_.count - k + count - 1) / count;
        publisher.owed = devices * options_.backlog;
        free_.push_back(k);
    }
    const auto begun = monotonic_now();
    while (report_.delivered < std::uint64_t{options_.count} * options_.backlog) {
        for (const std::uint32_t number : std::exchange(free_, {})) send(number);
        if (auto done = turn(); !done) return done;
        show("messages are acknowledged", report_.delivered,
             std::uint64_t{options_.count} * options_.backlog);
    }
    report_.store_s = (monotonic_now() - begun).as_seconds();
    report_.published = report_.delivered;
    return {};
}

/// A round of messages goes to all devices, then the next.
void OfflineRun::send(std::uint32_t number) {
    Publisher& publisher = publishers_[number];
    const std::uint64_t free = publisher.in_flight_max - (publisher.sent - publisher.acked);
    const std::uint64_t count = std::min(free, publisher.owed - publisher.sent);
    if (count == 0) return;
    const std::uint64_t devices = publisher.owed / options_.backlog;
    const std::size_t size = pattern_.size_bytes();
    std::uint8_t* out = swarm_.append(swarm_[number], size * count);
    for (std::uint64_t i = 0; i < count; ++i, ++publisher.sent, out += size) {
        const auto device =
            static_cast<std::uint32_t>(number + publisher.sent % devices * publishers_.size());
        // The packet id is that of `sequence`; who reads it back knows its round by the time.
        pattern_.write(out, {.publisher = device,
                             .sequence = publisher.sent,
                             .due_ns = static_cast<std::int64_t>(publisher.sent / devices)});
        write_digits(out + pattern_.topic_offset() + CommandTopic::number_at, device,
                     CommandTopic::digits);
    }
}

Result<void, Failure> OfflineRun::come_back() {
    if (auto done = serve_first(); !done) return done;
    if (auto done = settle(); !done) return done;
    report_.pss_after_bytes = pss_bytes_of(options_.broker_pid);
    const std::uint32_t probes = std::min(options_.probes, options_.count);
    report_.received_expected = std::uint64_t{probes} * options_.backlog;
    return visit_all(probes);
}

/// Tries again until there is somebody; then device 0 has its messages.
Result<void, Failure> OfflineRun::serve_first() {
    visits_wanted_ = visits_begun_ = 1;
    Link& link = swarm_[first_visitor()];
    link.may_end = true;
    link.client_id = CommandTopic::client_id(0);
    visits_[0] = {};
    while (finished_.empty()) {
        if (link.fd < 0) {
            if (auto done = swarm_.reopen(link); !done) return done;
        }
        if (auto done = turn(); !done) return done;
        if (!swarm_.take_ended().empty()) {
            visits_[0].received = 0;
            std::this_thread::sleep_for(std::chrono::nanoseconds{retry_pause.count_ns()});
        }
    }
    const auto since_start_s = [&](Instant at) {
        return (at - Instant::from_ns(options_.begin_ns)).as_seconds();
    };
    report_.figures["first_served_s"] = since_start_s(first_connack_);
    report_.figures["first_message_s"] = since_start_s(first_message_);
    report_.figures["first_has_all_s"] = since_start_s(monotonic_now());
    report_.received = 0;  // the probes count
    link.may_end = false;
    swarm_.append(link, disconnect_packet);
    if (auto done = swarm_.flush(); !done) return done;
    swarm_.cut(link);
    finished_.clear();
    return {};
}

Result<void, Failure> OfflineRun::visit_all(std::uint32_t count) {
    visits_begun_ = visits_done_ = 0;
    visits_wanted_ = count;
    for (std::uint32_t k = 0; k < options_.clients && visits_begun_ < count; ++k) {
        if (auto done = begin_visit(swarm_[first_visitor() + k]); !done) return done;
    }
    while (visits_done_ < count) {
        if (auto done = turn(); !done) return done;
        if (finished_.empty()) continue;
        for (const std::uint32_t index : finished_) {
            swarm_.append(swarm_[index], disconnect_packet);
        }
        if (auto done = swarm_.flush(); !done) return done;
        for (const std::uint32_t index : std::exchange(finished_, {})) {
            swarm_.cut(swarm_[index]);
            ++visits_done_;
            if (visits_begun_ == count) continue;
            if (auto done = begin_visit(swarm_[index]); !done) return done;
        }
        show("devices have been there", visits_done_, count);
    }
    return {};
}

Result<void, Failure> OfflineRun::begin_visit(Link& link) {
    // Device 0 has had its messages, so that probes begin with the next.
    const std::uint64_t number = visits_begun_++;
    const std::uint64_t device =
        fills() ? number : 1 + number * (options_.count - 1) / std::max(visits_wanted_, 1U);
    visit_of(link) = {.device = static_cast<std::uint32_t>(device)};
    link.client_id = CommandTopic::client_id(visit_of(link).device);
    return swarm_.reopen(link);
}

Result<void, Failure> OfflineRun::settle() {
    for (const Instant end = monotonic_now() + options_.warmup; monotonic_now() < end;) {
        if (auto done = turn(); !done) return done;
        progress_at_ = monotonic_now();
    }
    return {};
}

Result<void, Failure> OfflineRun::turn() {
    const std::uint64_t before = progress_;
    if (auto done = swarm_.flush(); !done) return done;
    if (auto done = swarm_.turn(Duration::milliseconds(10), *this); !done) return done;
    const Instant now = monotonic_now();
    if (progress_ != before) progress_at_ = now;
    if (now - progress_at_ < options_.patience) return {};
    return std::unexpected(fmt::format(
        "stalled: nothing came for {:.1f} s; {} of {} devices were there, {} messages acknowledged",
        options_.patience.as_seconds(), visits_done_, visits_wanted_, report_.delivered));
}

void OfflineRun::show(const char* what, std::uint64_t done, std::uint64_t all) {
    const Instant now = monotonic_now();
    if (options_.quiet || now - shown_at_ < show_period) return;
    shown_at_ = now;
    std::fprintf(stderr, "mitu-bench: %llu of %llu %s\n", static_cast<unsigned long long>(done),
                 static_cast<unsigned long long>(all), what);
}

bool OfflineRun::wrong(const char* what) {
    fault_ = what;
    return false;
}

bool OfflineRun::on_frame(Link& link, const Frame& frame, Instant now) {
    ++progress_;
    switch (frame.type()) {
        case PacketType::connack: {
            if (frame.body_bytes < 2 || frame.body[1] != 0) return wrong("refused a device");
            link.state = Link::State::ready;
            if (fills()) {
                const std::string filter = CommandTopic::of(visit_of(link).device);
                swarm_.append(
                    link, subscribe_packet(1, {&filter, 1}, QoS::at_least_once, options_.version));
                return true;
            }
            if ((frame.body[0] & 1) == 0) return wrong("has forgotten a session");
            if (first_connack_ == Instant{}) first_connack_ = now;
            if (options_.backlog == 0) finished_.push_back(link.index);
            return true;
        }
        case PacketType::suback:
            if (frame.body[frame.body_bytes - 1] != 1) return wrong("did not grant QoS 1");
            finished_.push_back(link.index);
            return true;
        case PacketType::publish:
            if (first_message_ == Instant{}) first_message_ = now;
            return on_publish(link, frame);
        case PacketType::puback:
            return on_ack(link, frame);
        default:
            return wrong("sent a packet that nobody asked for");
    }
}

bool OfflineRun::on_ack(Link& link, const Frame& frame) {
    const std::uint32_t number = link.index;
    if (number >= first_visitor()) return wrong("acknowledged what was never sent");
    Publisher& publisher = publishers_[number];
    if (frame.body_bytes < 2 || read_u16(frame.body) != packet_id_of(publisher.acked) ||
        (frame.body_bytes > 2 && frame.body[2] >= 0x80)) {
        return wrong("sent an acknowledgement out of order, or refused a message");
    }
    ++publisher.acked;
    ++report_.delivered;
    if (free_.empty() || free_.back() != number) free_.push_back(number);
    return true;
}

bool OfflineRun::on_publish(Link& link, const Frame& frame) {
    Delivery delivery;
    Stamp stamp;
    if (!read_delivery(frame, options_.version, delivery) ||
        delivery.payload_bytes < sizeof stamp) {
        return wrong("sent a PUBLISH whose lengths are wrong");
    }
    std::memcpy(&stamp, delivery.payload, sizeof stamp);
    Visit& visit = visit_of(link);
    if (fills() || stamp.magic != Stamp::magic_value || stamp.publisher != visit.device) {
        return wrong("delivered a message that was not for this device");
    }
    const auto round = static_cast<std::uint32_t>(stamp.due_ns);
    // At least once: one that is sent again, after an end before its PUBACK, is not a new one.
    if (round > visit.received) return wrong("left out a message, or changed the order");
    write_ack(swarm_.append(link, ack_bytes), puback_first, delivery.packet_id);
    if (round < visit.received) return true;
    ++report_.received;
    report_.bytes_delivered += frame.size_bytes;
    if (++visit.received == options_.backlog) finished_.push_back(link.index);
    return true;
}

}  // namespace mitu::bench
