#pragma once
// The scenario offline: very many sessions whose clients are away, with messages that wait for
// them.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// options.count devices, each with a session that is kept and one filter of its own, come and go,
/// options.clients at a time.
///
/// Phase::fill  they subscribe and leave; then options.publishers publish options.backlog messages
/// to
///              each, QoS 1. Memory: PSS before, with the sessions, and with their messages.
/// Phase::back  the server has just been started, or is about to be: how long until the first
/// device
///              is served, and has its messages; PSS then; and whether options.probes devices,
///              spread over all, find what waits for them.
///
/// Threading one thread.
class OfflineRun {
public:
    explicit OfflineRun(const Options& options);

    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    struct Visit {
        std::uint32_t device = 0;
        std::uint32_t received = 0;
    };
    struct Publisher {
        std::uint32_t in_flight_max = 0;
        std::uint64_t sent = 0;
        std::uint64_t acked = 0;
        std::uint64_t owed = 0;  // in all
    };

    [[nodiscard]] Result<void, Failure> fill();
    [[nodiscard]] Result<void, Failure> publish_all();
    [[nodiscard]] Result<void, Failure> come_back();
    [[nodiscard]] Result<void, Failure> serve_first();
    [[nodiscard]] Result<void, Failure> visit_all(std::uint32_t count);
    [[nodiscard]] Result<void, Failure> begin_visit(Link& link);
    [[nodiscard]] Result<void, Failure> settle();
    [[nodiscard]] Result<void, Failure> turn();
    [[nodiscard]] bool on_publish(Link& link, const Frame& frame);
    [[nodiscard]] bool on_ack(Link& link, const Frame& frame);
    void send(std::uint32_t number);
    void show(const char* what, std::uint64_t done, std::uint64_t all);
    /// Links before it are the publishers'.
    [[nodiscard]] std::uint32_t first_visitor() const noexcept {
        return static_cast<std::uint32_t>(publishers_.size());
    }
    [[nodiscard]] Visit& visit_of(const Link& link) noexcept {
        return visits_[link.index - first_visitor()];
    }
    [[nodiscard]] bool fills() const noexcept { return options_.phase == Phase::fill; }
    [[nodiscard]] bool wrong(const char* what);

    const Options& options_;
    Swarm swarm_;
    PublishPattern pattern_;
    Report report_;
    std::string fault_;
    std::vector<Publisher> publishers_;    // of links 0 ..
    std::vector<Visit> visits_;            // of links behind them
    std::vector<std::uint32_t> finished_;  // links whose visit is over
    std::vector<std::uint32_t> free_;      // publishers with room
    std::uint32_t visits_begun_ = 0;
    std::uint32_t visits_done_ = 0;
    std::uint32_t visits_wanted_ = 0;
    Instant first_connack_;
    Instant first_message_;
    std::uint64_t progress_ = 0;
    Instant progress_at_;
    Instant shown_at_;
};

}  // namespace mitu::bench
