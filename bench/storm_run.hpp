#pragma once
// The scenario storm: a fleet that loses its connections and comes back at once.

#include <map>
#include <vector>

#include "bench/options.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// options.clients connections are set up in peace, then cut and opened again in one sweep. Who is
/// refused, or closed before its CONNACK, comes back after a back-off of its own that doubles, as a
/// device would. It ends when all are in, and have stayed so for options.measure; how long each
/// took, from the cut on, is its latency.
/// Threading one thread.
class StormRun {
public:
    explicit StormRun(const Options& options);

    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    [[nodiscard]] Result<void, Failure> go();
    [[nodiscard]] Result<void, Failure> come_back();
    [[nodiscard]] Result<void, Failure> stay();
    [[nodiscard]] Result<void, Failure> turn();
    [[nodiscard]] Result<void, Failure> try_again(Instant now);
    void back_off(std::uint32_t index, const std::string& why, Instant now);
    void show(Instant now);

    const Options& options_;
    Swarm swarm_;
    Report report_;
    std::string fault_;
    Instant cut_at_;
    std::uint64_t in_ = 0;
    std::vector<std::uint8_t> attempts_;             // that failed, of each
    std::multimap<Instant, std::uint32_t> waiting_;  // links, by when they try again
    Instant shown_at_;
    Instant progress_at_;
};

}  // namespace mitu::bench
