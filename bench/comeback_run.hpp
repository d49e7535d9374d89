#pragma once
// The scenario comeback: the server is killed with a fleet on it, and the fleet comes back to it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// options.clients devices with kept sessions get options.backlog messages each, QoS 1, and do not
/// acknowledge them. Then options.kill_pid gets SIGKILL (0: the connections are cut), and somebody
/// else starts the server again, on the same port. Each device comes back at a moment of its own
/// within options.reconnect, and after a back-off that doubles where it is turned away; it has to
/// find its session, and gets and acknowledges its messages. The first options.probes that have
/// theirs send PINGREQ ten times a second until the end: how long each waits says whether those
/// that are served starve beside the others.
///
/// It ends when all are back and have all, and options.measure has passed.
/// Threading one thread.
class ComebackRun {
public:
    explicit ComebackRun(const Options& options);

    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    struct Device {
        Instant wanted_at;  // when it first tries to come back
        Instant in_at;
        std::uint32_t received = 0;
        std::uint8_t failed_attempts = 0;
        bool is_in = false;
    };

    [[nodiscard]] Result<void, Failure> go();
    [[nodiscard]] Result<void, Failure> publish_all();
    [[nodiscard]] Result<void, Failure> come_back();
    [[nodiscard]] Result<void, Failure> turn();
    [[nodiscard]] Result<void, Failure> open_those_due(Instant now);
    void take_ended(Instant now);
    void ping_probes(Instant now);
    void on_connack(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] bool on_publish(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] bool on_puback(const Frame& frame);
    void back_off(std::uint32_t index, const std::string& why, Instant now);
    void sum_up();
    [[nodiscard]] bool wrong(const char* what);
    [[nodiscard]] bool all_done() const noexcept {
        return in_ == devices_.size() && drained_ == devices_.size();
    }

    const Options& options_;
    Swarm swarm_;
    PublishPattern pattern_;
    Report report_;
    std::string fault_;
    std::vector<Device> devices_;  // links 0 ..; behind them the publisher's
    std::uint64_t sent_ = 0;
    std::uint64_t acked_ = 0;
    bool is_cut_ = false;
    Instant cut_at_;
    std::uint64_t in_ = 0;
    std::uint64_t drained_ = 0;
    std::uint64_t came_ = 0;  // messages before the cut
    Instant drained_at_;      // the last
    LatencyHistogram late_;
    LatencyHistogram drains_;
    LatencyHistogram pings_;
    std::vector<std::uint32_t> probes_;
    std::vector<Instant> pinged_at_;  // of each probe; never: it has its answer
    Instant ping_due_;
    std::multimap<Instant, std::uint32_t> waiting_;  // links, by when they try (again)
    std::uint64_t progress_ = 0;
    std::uint64_t progress_seen_ = 0;
    Instant progress_at_;
    Instant shown_at_;
};

}  // namespace mitu::bench
