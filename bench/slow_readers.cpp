#include "bench/slow_readers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

constexpr Duration read_period = Duration::milliseconds(10);
constexpr std::uint32_t reads_per_second = 100;

/// The kernel walks the broker's pages for a sample, in our time; at this distance it is little.
constexpr Duration sample_period = Duration::milliseconds(100);

}  // namespace

void SlowReaders::plan(const std::string& filter) {
    first_ = swarm_.size();
    orders_.resize(options_.slow_clients);
    for (std::uint32_t k = 0; k < options_.slow_clients; ++k) {
        swarm_.plan(fmt::format("slow{:05}", k), filter, true);
    }
}

void SlowReaders::hold_all(bool held) {
    for (std::size_t k = 0; k < orders_.size(); ++k) swarm_.hold(swarm_[first_ + k], held);
}

void SlowReaders::begin() {
    if (empty()) return;
    slow_ = true;
    for (std::size_t k = 0; k < orders_.size(); ++k) {
        swarm_[first_ + k].read_bytes_max =
            std::max(options_.slow_bytes_per_s / reads_per_second, 1u);
    }
    hold_all(true);
    read_at_ = sample_at_ = monotonic_now();
    pss_before_bytes_ = pss_bytes_of(options_.broker_pid).value_or(0);
}

void SlowReaders::before_turn(Instant now) {
    if (!slow_) return;
    if (now >= sample_at_) {
        sample_at_ = now + sample_period;
        pss_peak_bytes_ = std::max(pss_peak_bytes_, pss_bytes_of(options_.broker_pid).value_or(0));
    }
    if (options_.slow_bytes_per_s == 0 || now < read_at_) return;
    read_at_ = now + read_period;
    reading_ = true;
    hold_all(false);
}

void SlowReaders::after_turn() {
    // A turn reads each link once at most, so one turn is one sip.
    if (!slow_ || !reading_) return;
    reading_ = false;
    hold_all(true);
}

void SlowReaders::on_message(const Link& link, const Stamp& stamp) {
    ++received_;
    orders_[link.index - first_].on_received(stamp.sequence);
}

void SlowReaders::release() {
    slow_ = false;
    for (std::size_t k = 0; k < orders_.size(); ++k) swarm_[first_ + k].read_bytes_max = 0;
    hold_all(false);
}

void SlowReaders::end(Report& report) const {
    report.pss_before_bytes = pss_before_bytes_;
    report.pss_peak_bytes = pss_peak_bytes_;
    report.pss_after_bytes = pss_bytes_of(options_.broker_pid).value_or(0);
    report.slow_received = received_;
    for (std::size_t k = 0; k < orders_.size(); ++k) {
        report.slow_closed += swarm_[first_ + k].fd < 0;
    }
}

SequenceFaults SlowReaders::faults() const noexcept {
    SequenceFaults sum;
    for (const OrderCheck& order : orders_) sum += order.faults();
    return sum;
}

}  // namespace mitu::bench
