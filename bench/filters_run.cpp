#include "bench/filters_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bench/encoded.hpp"
#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;

/// More in one client, and mosquitto takes minutes: it looks for a free place from the start.
constexpr std::uint32_t topics_per_holder = 10'000;
constexpr std::uint32_t filters_per_packet = 500;  // below every broker's packet size by default
constexpr std::uint32_t sites = 100;
constexpr std::uint64_t topic_stride = 7'919;

// What the pattern's topic is, and where its digits are.
constexpr std::string_view hit_topic = "fleet/s00/d0000000/telemetry";
constexpr std::string_view miss_topic = "fleet/s00/m0000000/telemetry";
constexpr std::size_t site_at = 7;
constexpr std::size_t site_digits = 2;
constexpr std::size_t device_at = 11;
constexpr std::size_t device_digits = 7;

}  // namespace

FiltersRun::FiltersRun(const Options& options)
    : options_{options},
      topics_{options.count / copies_per_hit},
      holders_per_group_{(topics_ + topics_per_holder - 1) / topics_per_holder},
      swarm_{options},
      pattern_{options.misses ? miss_topic : hit_topic, mqtt::QoS::at_most_once,
               options.payload_bytes, options.version} {
    for (std::uint32_t k = 0; k < copies_per_hit * holders_per_group_; ++k) {
        swarm_.plan(fmt::format("s{:05}", k), "");
        Holder& holder = holders_.emplace_back();
        holder.topic_begin = k % holders_per_group_ * topics_per_holder;
        holder.topic_end = std::min(holder.topic_begin + topics_per_holder, topics_);
    }
    for (std::uint32_t k = 0; k < options.publishers; ++k) {
        swarm_.plan(fmt::format("p{:05}", k), "");
        publishers_.emplace_back().owed.resize(options.window);
    }
}

Report FiltersRun::run() {
    const Instant begin = monotonic_now();
    report_.open_files_max = raise_open_files_max();
    auto done = swarm_.connect_all();
    progress_at_ = monotonic_now();
    if (done) done = subscribe_all();
    report_.setup_s = (monotonic_now() - begin).as_seconds();
    if (done) done = go();
    if (!done) report_.failure = done.error();
    sum_up();
    return std::move(report_);
}

Result<void, Failure> FiltersRun::subscribe_all() {
    report_.pss_before_bytes = pss_bytes_of(options_.broker_pid);
    const auto cpu_begin = cpu_of(options_.broker_pid);
    const Instant begin = monotonic_now();
    for (std::uint32_t k = 0; k < holders_.size(); ++k) subscribe_more(k);
    while (subscribed_ < std::uint64_t{copies_per_hit} * topics_) {
        if (auto done = turn(); !done) return done;
    }
    const auto cpu_end = cpu_of(options_.broker_pid);
    if (cpu_begin && cpu_end) report_.store_cpu = *cpu_end - *cpu_begin;
    report_.store_s = (monotonic_now() - begin).as_seconds();
    // What the broker set aside to read the packets is given back, or is kept for good.
    const Instant settled = monotonic_now() + options_.warmup;
    while (monotonic_now() < settled) {
        if (auto done = turn(); !done) return done;
        progress_at_ = monotonic_now();
    }
    report_.pss_after_bytes = pss_bytes_of(options_.broker_pid);
    return {};
}

std::string FiltersRun::filter_of(std::uint32_t group, std::uint32_t topic) const {
    const std::uint32_t site = topic % sites;
    if (topic / sites % 2 == 0) {
        return fmt::format("fleet/+/d{:07}/{}", topic, group == 0 ? "telemetry" : "#");
    }
    return group == 0 ? fmt::format("fleet/s{:02}/d{:07}/+", site, topic)
                      : fmt::format("+/s{:02}/d{:07}/#", site, topic);
}

void FiltersRun::subscribe_more(std::uint32_t number) {
    Holder& holder = holders_[number];
    const std::uint32_t end = std::min(holder.topic_begin + filters_per_packet, holder.topic_end);
    if (holder.topic_begin == end) return;
    std::vector<std::string> filters;
    for (; holder.topic_begin < end; ++holder.topic_begin) {
        filters.push_back(filter_of(number / holders_per_group_, holder.topic_begin));
    }
    swarm_.append(swarm_[number], subscribe_packet(++holder.packet_id, filters,
                                                   mqtt::QoS::at_most_once, options_.version));
}

Result<void, Failure> FiltersRun::go() {
    sending_ = true;
    for (std::uint32_t k = 0; k < publishers_.size(); ++k) send_batch(k);

    Instant now = monotonic_now();
    const Instant measure_begin = now + options_.warmup;
    for (; now < measure_begin; now = monotonic_now()) {
        if (auto done = turn(); !done) return done;
    }
    const auto cpu_begin = cpu_of(options_.broker_pid);
    const Duration own_begin = own_cpu();
    const std::uint64_t published_begin = published_;
    const Instant window_begin = monotonic_now();
    const Instant measure_end = window_begin + options_.measure;
    for (now = window_begin; now < measure_end; now = monotonic_now()) {
        if (auto done = turn(); !done) return done;
    }
    const auto cpu_end = cpu_of(options_.broker_pid);
    report_.generator_cpu = own_cpu() - own_begin;
    report_.measured_s = (monotonic_now() - window_begin).as_seconds();
    report_.delivered = published_ - published_begin;
    report_.bytes_delivered = report_.delivered * pattern_.size_bytes();
    if (cpu_begin && cpu_end) report_.broker_cpu = *cpu_end - *cpu_begin;

    sending_ = false;
    while (!std::ranges::all_of(publishers_, [&](const auto& one) { return is_done(one); })) {
        if (auto done = turn(); !done) return done;
    }
    // What comes now, a copy too many perhaps, comes soon.
    const Instant quiet = monotonic_now() + Duration::milliseconds(20);
    while (monotonic_now() < quiet) {
        if (auto done = turn(); !done) return done;
    }
    return {};
}

Result<void, Failure> FiltersRun::turn() {
    const std::uint64_t before = progress_;
    const Duration pause = options_.spin ? Duration{} : Duration::milliseconds(10);
    if (auto done = swarm_.turn(pause, *this); !done) return done;
    if (auto done = swarm_.flush(); !done) return done;
    const Instant now = monotonic_now();
    if (progress_ != before) progress_at_ = now;
    if (now - progress_at_ < options_.patience) return {};
    return std::unexpected(
        fmt::format("stalled: nothing came for {:.1f} s; {} filters subscribed to, {} messages "
                    "published",
                    options_.patience.as_seconds(), subscribed_, published_));
}

std::uint32_t FiltersRun::topic_of(std::uint32_t publisher, std::uint64_t sequence) const noexcept {
    const std::uint64_t turn = sequence * publishers_.size() + publisher;
    return static_cast<std::uint32_t>(turn * topic_stride % topics_);
}

bool FiltersRun::is_done(const Publisher& publisher) const noexcept {
    return publisher.ping_answered && publisher.copies == publisher.copies_expected;
}

void FiltersRun::send_batch(std::uint32_t number) {
    Publisher& publisher = publishers_[number];
    Link& link = swarm_[holders_.size() + number];
    const std::size_t size = pattern_.size_bytes();
    std::uint8_t* out = swarm_.append(link, size * options_.window);
    for (std::uint8_t& owed : publisher.owed) {
        pattern_.write(out, {.publisher = number, .sequence = publisher.sent, .due_ns = 0});
        const std::uint32_t topic = topic_of(number, publisher.sent);
        std::uint8_t* const name = out + pattern_.topic_offset();
        write_digits(name + site_at, topic % sites, site_digits);
        write_digits(name + device_at, topic, device_digits);
        owed = options_.misses ? 0 : (1u << copies_per_hit) - 1;
        ++publisher.sent;
        out += size;
    }
    publisher.copies_expected += options_.misses ? 0 : options_.window * copies_per_hit;
    swarm_.append(link, pingreq);
    publisher.ping_answered = false;
}

bool FiltersRun::wrong(const char* what) {
    fault_ = what;
    return false;
}

bool FiltersRun::on_frame(Link& link, const Frame& frame, Instant) {
    ++progress_;
    switch (frame.type()) {
        case PacketType::publish:
            return on_publish(link, frame);
        case PacketType::pingresp:
            return on_pingresp(link);
        case PacketType::suback:
            return on_suback(link, frame);
        case PacketType::disconnect:
            return wrong("the broker sent DISCONNECT");
        default:
            return wrong("sent a packet that nobody asked for");
    }
}

bool FiltersRun::on_suback(Link& link, const Frame& frame) {
    if (link.index >= holders_.size()) return wrong("sent a SUBACK to a publisher");
    // Packet id, for version 5 an empty list of properties, then a byte for each filter.
    const std::uint32_t head = options_.version == mqtt::ProtocolVersion::v5 ? 3 : 2;
    if (frame.body_bytes <= head) return wrong("sent a SUBACK without an answer");
    for (std::uint32_t i = head; i < frame.body_bytes; ++i) {
        if (frame.body[i] != 0) return wrong("did not grant QoS 0 for a filter");
    }
    subscribed_ += frame.body_bytes - head;
    subscribe_more(link.index);
    return true;
}

bool FiltersRun::on_publish(Link& link, const Frame& frame) {
    Delivery delivery;
    if (!read_delivery(frame, options_.version, delivery) ||
        delivery.payload_bytes != options_.payload_bytes) {
        return wrong("sent a PUBLISH whose lengths are wrong");
    }
    Stamp stamp;
    std::memcpy(&stamp, delivery.payload, sizeof stamp);
    if (link.index >= holders_.size() || stamp.magic != Stamp::magic_value ||
        stamp.publisher >= publishers_.size() || options_.misses) {
        return wrong("delivered a message that was not for this client");
    }
    const std::uint32_t topic = topic_of(stamp.publisher, stamp.sequence);
    if (topic / topics_per_holder != link.index % holders_per_group_) {
        return wrong("delivered a message that no filter of this client matches");
    }

    Publisher& publisher = publishers_[stamp.publisher];
    const std::uint64_t batch_begin = publisher.sent - publisher.owed.size();
    const auto copy = static_cast<std::uint8_t>(1u << (link.index / holders_per_group_));
    const bool in_batch = stamp.sequence >= batch_begin && stamp.sequence < publisher.sent;
    if (!in_batch || (publisher.owed[stamp.sequence - batch_begin] & copy) == 0) {
        ++report_.faults.duplicated;
        return true;
    }
    publisher.owed[stamp.sequence - batch_begin] &= static_cast<std::uint8_t>(~copy);
    ++publisher.copies;
    if (!is_done(publisher)) return true;
    published_ += options_.window;
    if (sending_) send_batch(stamp.publisher);
    return true;
}

bool FiltersRun::on_pingresp(Link& link) {
    if (link.index < holders_.size()) return wrong("sent a PINGRESP that nobody asked for");
    const auto number = static_cast<std::uint32_t>(link.index - holders_.size());
    Publisher& publisher = publishers_[number];
    if (publisher.ping_answered) return wrong("sent a PINGRESP that nobody asked for");
    publisher.ping_answered = true;
    if (!is_done(publisher)) return true;
    published_ += options_.window;
    if (sending_) send_batch(number);
    return true;
}

void FiltersRun::sum_up() {
    for (const Publisher& publisher : publishers_) {
        report_.published += publisher.sent;
        report_.received_expected += publisher.copies_expected;
        report_.received += publisher.copies;
        report_.pings_unanswered += publisher.ping_answered ? 0 : 1;
    }
    report_.faults.lost = report_.received_expected - report_.received;
}

}  // namespace mitu::bench
