#pragma once
// Traffic: publishers and subscribers on a Swarm, paced by a window or by the clock, with every
// message checked on arrival.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/sequence_check.hpp"
#include "bench/slow_readers.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// The scenarios fan_in, fan_out, pairs, heartbeat, shared and slow, from connecting to the
/// verdict.
///
/// Pace      by window: a publisher sends when at least half of its window is free, where a message
///           leaves the window when every subscriber has it and, above QoS 0, the broker has
///           acknowledged it; so no broker needs to queue, or drop, more than the window.
///           By rate: message k is due k periods after the start whatever the broker does,
///           publishers taking turns; latency counts from when it was due.
/// Threading one thread.
class Traffic {
public:
    explicit Traffic(const Options& options);

    /// Runs warm-up, window and drain. The report has a failure when it could not go through.
    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    struct Publisher {
        PublishPattern pattern;
        Link* link = nullptr;
        std::uint32_t slot = 0;  // its place in the round of the open loop
        std::uint32_t in_flight_max = 0;
        std::uint64_t sent = 0;
        std::uint64_t due = 0;        // open loop: how many should have been sent
        std::uint64_t received = 0;   // QoS 2: PUBREC
        std::uint64_t acked = 0;      // PUBACK, PUBCOMP
        std::int64_t sent_ns = 0;     // one at a time: the last one
        std::uint64_t delivered = 0;  // by every subscriber, without a gap before it
        bool listed = false;
        /// Where a message goes to several, or to whom is not known: how many copies of message
        /// `sequence % owed.size()` are still to come. Empty: its one subscriber's flow tells.
        std::vector<std::uint32_t> owed;
    };
    struct Subscriber {
        std::uint32_t publisher_first = 0;
        std::vector<SequenceCheck> flows;  // one per publisher from publisher_first on
        std::vector<OrderCheck> shares;    // instead, where it gets only some of the messages
    };

    void plan();
    void plan_round();
    [[nodiscard]] bool is_slow() const noexcept { return options_.scenario == Scenario::slow; }
    [[nodiscard]] Result<void, Failure> go();
    [[nodiscard]] Result<void, Failure> turn(Duration timeout);
    [[nodiscard]] Result<void, Failure> drain();
    [[nodiscard]] Result<void, Failure> let_slow_ones_catch_up();
    [[nodiscard]] Duration pause(Instant now) const noexcept;
    [[nodiscard]] Result<void, Failure> see_progress(Instant now);

    void start_schedule(Instant now);
    void make_due(Instant now);
    void send_waiting();
    void send(Publisher& publisher, std::uint64_t count, Instant now);
    [[nodiscard]] std::uint64_t sendable(const Publisher& publisher) const noexcept;
    void list(std::uint32_t publisher);

    [[nodiscard]] bool on_publish(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] bool is_first_share(OrderCheck& order, const Stamp& stamp);
    void acknowledge(Link& link, const Frame& frame, const Delivery& delivery);
    void on_first_copy(std::uint32_t publisher, std::uint64_t sequence);
    [[nodiscard]] bool on_ack(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] bool wrong(const char* what);
    void note_first_ack(const Publisher& publisher, std::uint64_t sequence, Instant now);
    void send_ack(Link& link, std::uint8_t first, std::uint16_t packet_id);

    [[nodiscard]] bool all_arrived() const noexcept;
    void sum_up();
    [[nodiscard]] std::int64_t due_ns(const Publisher& publisher,
                                      std::uint64_t sequence) const noexcept;

    const Options& options_;
    Swarm swarm_;
    Report report_;
    std::string fault_;

    std::vector<Subscriber> subscribers_;  // links 0 ..
    std::vector<Publisher> publishers_;    // links after them
    SlowReaders slow_;                     // links after those
    std::uint32_t copies_per_message_ = 1;
    std::vector<std::uint32_t> waiting_;  // publishers that may be able to send
    std::vector<std::uint32_t> round_;    // open loop: publishers in the order of their turns

    bool sending_ = true;
    bool latency_wanted_ = false;
    std::int64_t measure_begin_ns_ = 0;
    std::int64_t measure_end_ns_ = 0;

    Instant schedule_begin_;
    double period_ns_ = 0;
    std::uint64_t due_total_ = 0;
    std::uint64_t pings_due_ = 0;

    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;  // first copies
    std::uint64_t copies_ = 0;    // all copies
    std::uint64_t bytes_ = 0;
    std::uint64_t acked_ = 0;
    std::uint64_t pings_ = 0;
    std::uint64_t pings_answered_ = 0;

    std::uint64_t progress_seen_ = 0;
    Instant progress_at_;
};

}  // namespace mitu::bench
