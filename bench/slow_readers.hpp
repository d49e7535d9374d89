#pragma once
// SlowReaders: subscribers that read slowly or not at all, and what they cost the broker.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/sequence_check.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// Links of a Swarm that are read every so often and a little at a time. What a broker drops for
/// them, or closes, is counted and no fault; going back in order, or a second copy, is one.
///
/// Threading  one thread.
class SlowReaders {
public:
    SlowReaders(const Options& options, Swarm& swarm) noexcept : options_{options}, swarm_{swarm} {}

    /// Plans options.slow_clients links, after all others of the swarm.
    void plan(const std::string& filter);
    [[nodiscard]] bool empty() const noexcept { return orders_.empty(); }
    [[nodiscard]] bool owns(const Link& link) const noexcept {
        return !orders_.empty() && link.index >= first_;
    }

    /// They are connected: from here on they are slow, and the broker's memory is watched.
    void begin();
    /// Around each turn of the swarm: lets those read whose time has come; samples memory.
    void before_turn(Instant now);
    void after_turn();
    void on_message(const Link& link, const Stamp& stamp);
    /// From here on they read all they can get.
    void release();
    /// Nothing more comes: what is left of the broker's memory.
    void end(Report& report) const;

    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] SequenceFaults faults() const noexcept;

private:
    void hold_all(bool held);

    const Options& options_;
    Swarm& swarm_;
    std::size_t first_ = 0;           // link
    std::vector<OrderCheck> orders_;  // one per link from first_ on
    bool slow_ = false;
    bool reading_ = false;
    Instant read_at_;
    Instant sample_at_;
    std::uint64_t received_ = 0;
    std::uint64_t pss_before_bytes_ = 0;
    std::uint64_t pss_peak_bytes_ = 0;
};

}  // namespace mitu::bench
