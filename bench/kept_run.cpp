#include "bench/kept_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bench/encoded.hpp"
#include "bench/process_sample.hpp"
#include "bench/use.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;
using mqtt::QoS;

std::string kept_topic(Scenario scenario, std::uint32_t k) {
    return fmt::format("{}/d{:05}/telemetry", scenario == Scenario::queued ? "pair" : "all", k);
}

}  // namespace

KeptRun::KeptRun(const Options& options) : options_{options}, swarm_{options} {
    for (std::uint32_t k = 0; k < readers(); ++k) {
        swarm_.plan(fmt::format("s{:05}", k), is_queued() ? kept_topic(options.scenario, k) : "");
    }
    received_.resize(readers());
    seen_.resize(options.clients);
    for (std::uint32_t k = 0; k < options.clients; ++k) {
        swarm_.plan(fmt::format("d{:05}", k), "");
        publishers_.push_back({.pattern = {kept_topic(options.scenario, k), options.qos,
                                           options.payload_bytes, options.version, !is_queued()},
                               .sent_ns = std::vector<std::int64_t>(options.window)});
        free_.push_back(k);
    }
}

Report KeptRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    progress_at_ = monotonic_now();
    if (done && is_queued()) done = let_go();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (done) done = go();
    if (!done) report_.failure = done.error();
    sum_up();
    return std::move(report_);
}

Result<void, Failure> KeptRun::let_go() {
    for (std::uint32_t k = 0; k < readers(); ++k) {
        swarm_[k].may_end = true;
        swarm_.append(swarm_[k], disconnect_packet);
    }
    if (auto done = swarm_.flush(); !done) return done;
    const auto is_in = [&](std::uint32_t k) { return swarm_[k].fd >= 0; };
    for (std::uint32_t k = 0; k < readers(); ++k) {
        while (is_in(k)) {
            if (auto done = turn(); !done) return done;
        }
    }
    return {};
}

Result<void, Failure> KeptRun::go() {
    for (std::uint32_t k = 0; k < publishers_.size(); ++k) {
        publishers_[k].in_flight_max =
            std::min<std::uint32_t>(options_.window, swarm_[readers() + k].receive_maximum);
    }
    if (auto done = probe(options_, report_); !done) return done;
    sending_ = true;
    if (auto done = publish_until(monotonic_now() + options_.warmup); !done) return done;

    measuring_ = true;
    const RunSample before = sample(options_);
    const std::uint64_t acked = acked_;
    const Instant begin = monotonic_now();
    if (auto done = publish_until(begin + options_.measure); !done) return done;
    report_.measured_s = (monotonic_now() - begin).as_seconds();
    note_use(options_, before, report_);
    report_.delivered = acked_ - acked;
    measuring_ = false;

    if (auto done = drain(); !done) return done;
    if (auto done = probe(options_, report_); !done) return done;
    return read_back();
}

Result<void, Failure> KeptRun::publish_until(Instant end) {
    while (monotonic_now() < end) {
        for (const std::uint32_t number : std::exchange(free_, {})) send(number);
        if (auto done = turn(); !done) return done;
    }
    return {};
}

void KeptRun::send(std::uint32_t number) {
    Publisher& publisher = publishers_[number];
    const std::uint64_t count = publisher.in_flight_max - (publisher.sent - publisher.acked);
    if (count == 0) return;
    const std::size_t size = publisher.pattern.size_bytes();
    std::uint8_t* out = swarm_.append(swarm_[readers() + number], size * count);
    const std::int64_t now_ns = monotonic_now().since_start_ns();
    for (std::uint64_t i = 0; i < count; ++i, ++publisher.sent, out += size) {
        publisher.sent_ns[publisher.sent % publisher.sent_ns.size()] = now_ns;
        publisher.pattern.write(
            out, {.publisher = number, .sequence = publisher.sent, .due_ns = now_ns});
    }
}

Result<void, Failure> KeptRun::drain() {
    sending_ = false;
    const auto is_done = [](const Publisher& one) { return one.acked == one.sent; };
    while (!std::ranges::all_of(publishers_, is_done)) {
        if (auto done = turn(); !done) return done;
    }
    return {};
}

Result<void, Failure> KeptRun::read_back() {
    for (const Publisher& publisher : publishers_) {
        report_.published += publisher.sent;
        report_.received_expected += is_queued() ? publisher.sent : publisher.sent > 0;
    }
    if (!is_queued()) {
        const std::string all = "all/+/telemetry";
        swarm_.append(swarm_[0], subscribe_packet(1, {&all, 1}, options_.qos, options_.version));
    }
    for (std::uint32_t k = 0; is_queued() && k < readers(); ++k) {
        if (auto done = swarm_.reopen(swarm_[k]); !done) return done;
    }
    while (report_.received < report_.received_expected) {
        if (auto done = turn(); !done) return done;
    }
    // The last acknowledgements leave too.
    const Instant quiet = monotonic_now() + Duration::milliseconds(20);
    while (monotonic_now() < quiet) {
        if (auto done = turn(); !done) return done;
    }
    return {};
}

Result<void, Failure> KeptRun::turn() {
    const std::uint64_t before = progress_;
    const Duration pause = options_.spin ? Duration{} : Duration::milliseconds(10);
    if (auto done = swarm_.flush(); !done) return done;
    if (auto done = swarm_.turn(pause, *this); !done) return done;
    const Instant now = monotonic_now();
    if (progress_ != before) progress_at_ = now;
    if (now - progress_at_ < options_.patience) return {};
    return std::unexpected(fmt::format(
        "stalled: nothing came for {:.1f} s; {} messages acknowledged, {} of {} read",
        options_.patience.as_seconds(), acked_, report_.received, report_.received_expected));
}

bool KeptRun::wrong(const char* what) {
    fault_ = what;
    return false;
}

bool KeptRun::on_frame(Link& link, const Frame& frame, Instant now) {
    ++progress_;
    switch (frame.type()) {
        case PacketType::connack:
            if (frame.body_bytes < 2 || frame.body[1] != 0) return wrong("refused who came back");
            if (frame.body[0] != 1) return wrong("has forgotten a session");
            link.state = Link::State::ready;
            return true;
        case PacketType::suback:
            return frame.body[frame.body_bytes - 1] < 0x80 || wrong("refused a subscription");
        case PacketType::publish:
            return on_publish(link, frame);
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubrel:
        case PacketType::pubcomp:
            if (frame.body_bytes < 2) return wrong("sent an acknowledgement without a packet id");
            if (frame.type() == PacketType::pubrel) {
                answer(link, pubcomp_first, read_u16(frame.body));
                return true;
            }
            if (link.index < readers()) return wrong("acknowledged what was never sent");
            return on_ack(link.index - readers(), link, frame, now);
        default:
            return wrong("sent a packet that nobody asked for");
    }
}

bool KeptRun::on_ack(std::uint32_t number, Link& link, const Frame& frame, Instant now) {
    Publisher& publisher = publishers_[number];
    if (frame.body_bytes > 2 && frame.body[2] >= 0x80) return wrong("refused a message");
    const std::uint16_t id = read_u16(frame.body);
    const bool is_first = frame.type() != PacketType::pubcomp;  // of this message
    std::uint64_t& count =
        frame.type() == PacketType::pubrec ? publisher.received : publisher.acked;
    if (count == publisher.sent || id != packet_id_of(count)) {
        return wrong("sent an acknowledgement out of order");
    }
    if (is_first && measuring_) {
        report_.ack_latency.record(now.since_start_ns() -
                                   publisher.sent_ns[count % publisher.sent_ns.size()]);
    }
    ++count;
    if (frame.type() == PacketType::pubrec) {
        answer(link, pubrel_first, id);
        return true;
    }
    ++acked_;
    if (sending_ && (free_.empty() || free_.back() != number)) free_.push_back(number);
    return true;
}

bool KeptRun::on_publish(Link& link, const Frame& frame) {
    Delivery delivery;
    if (!read_delivery(frame, options_.version, delivery) ||
        delivery.payload_bytes != options_.payload_bytes) {
        return wrong("sent a PUBLISH whose lengths are wrong");
    }
    Stamp stamp;
    std::memcpy(&stamp, delivery.payload, sizeof stamp);
    if (link.index >= readers() || stamp.magic != Stamp::magic_value ||
        stamp.publisher >= publishers_.size() || (is_queued() && stamp.publisher != link.index)) {
        return wrong("delivered a message that was not for this client");
    }
    if (frame.qos() == QoS::at_least_once) answer(link, puback_first, delivery.packet_id);
    if (frame.qos() == QoS::exactly_once) answer(link, pubrec_first, delivery.packet_id);
    report_.bytes_delivered += frame.size_bytes;
    if (is_queued()) {
        report_.received += received_[link.index].on_received(stamp.sequence);
        return true;
    }
    if (stamp.sequence + 1 != publishers_[stamp.publisher].sent) {
        return wrong("delivered a retained message that is not the last");
    }
    report_.faults.duplicated += seen_[stamp.publisher];
    seen_[stamp.publisher] = true;
    ++report_.received;
    return true;
}

void KeptRun::answer(Link& link, std::uint8_t first, std::uint16_t packet_id) {
    write_ack(swarm_.append(link, ack_bytes), first, packet_id);
}

void KeptRun::sum_up() {
    for (std::uint32_t k = 0; is_queued() && k < readers(); ++k) {
        report_.faults += received_[k].faults(publishers_[k].sent);
    }
    if (!is_queued()) report_.faults.lost = report_.received_expected - report_.received;
}

}  // namespace mitu::bench
