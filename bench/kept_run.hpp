#pragma once
// The scenarios queued and set-retained: messages that nobody gets now, and that must be kept.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/sequence_check.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// queued: options.clients sessions subscribe to a topic each and go; as many publishers publish to
/// them, QoS 1 or 2, options.window at a time. Then all come back, and get what was acknowledged.
/// set-retained: as many publishers set a retained message each, again and again. Then one client
/// subscribes to all, and gets the last of each.
/// A message counts as delivered when it is acknowledged; PUBACK latency is that of all messages.
///
/// Threading one thread.
class KeptRun {
public:
    explicit KeptRun(const Options& options);

    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    struct Publisher {
        PublishPattern pattern;
        std::uint32_t in_flight_max = 0;
        std::uint64_t sent = 0;
        std::uint64_t received = 0;  // QoS 2: PUBREC
        std::uint64_t acked = 0;
        std::vector<std::int64_t> sent_ns;  // of message `sequence % size`
    };

    [[nodiscard]] Result<void, Failure> go();
    [[nodiscard]] Result<void, Failure> let_go();
    [[nodiscard]] Result<void, Failure> publish_until(Instant end);
    [[nodiscard]] Result<void, Failure> drain();
    [[nodiscard]] Result<void, Failure> read_back();
    [[nodiscard]] Result<void, Failure> turn();
    [[nodiscard]] bool is_queued() const noexcept { return options_.scenario == Scenario::queued; }
    [[nodiscard]] std::uint32_t readers() const noexcept {
        return is_queued() ? options_.clients : 1;
    }
    [[nodiscard]] bool on_ack(std::uint32_t number, Link& link, const Frame& frame, Instant now);
    [[nodiscard]] bool on_publish(Link& link, const Frame& frame);
    void send(std::uint32_t number);
    void answer(Link& link, std::uint8_t first, std::uint16_t packet_id);
    [[nodiscard]] bool wrong(const char* what);
    void sum_up();

    const Options& options_;
    Swarm swarm_;
    Report report_;
    std::string fault_;
    std::vector<Publisher> publishers_;    // links behind those of the readers
    std::vector<SequenceCheck> received_;  // queued: of each reader
    std::vector<bool> seen_;               // set-retained: the last of each publisher
    std::vector<std::uint32_t> free_;      // publishers with room in their windows
    std::uint64_t acked_ = 0;
    std::uint64_t progress_ = 0;
    Instant progress_at_;
    bool sending_ = false;
    bool measuring_ = false;
};

}  // namespace mitu::bench
