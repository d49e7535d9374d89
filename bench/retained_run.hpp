#pragma once
// The scenario retained: very many retained messages, set one after the other, then subscribed to.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// One client sets options.count retained messages, options.window at a time with a PINGREQ behind
/// them; then clients subscribe to all of them, one after the other, until the measured time is
/// over, at least one. CPU per message: of those that they get; of setting them: Report::store_cpu.
///
/// Threading one thread.
class RetainedRun {
public:
    explicit RetainedRun(const Options& options);

    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    [[nodiscard]] Result<void, Failure> set_all();
    [[nodiscard]] Result<void, Failure> get_all();
    [[nodiscard]] Result<void, Failure> subscribe_once(Link& link);
    [[nodiscard]] Result<void, Failure> turn();
    void send_batch();
    [[nodiscard]] bool on_publish(Link& link, const Frame& frame);
    [[nodiscard]] bool wrong(const char* what);

    const Options& options_;
    Swarm swarm_;
    PublishPattern pattern_;
    Report report_;
    std::string fault_;
    std::uint32_t sent_ = 0;
    std::uint64_t pings_ = 0;
    std::uint64_t pings_answered_ = 0;
    std::uint32_t subscriber_ = 0;  // link that is being served
    std::vector<bool> seen_;        // by that one
    std::uint32_t seen_count_ = 0;
    bool granted_ = false;
    std::uint64_t progress_ = 0;
    Instant progress_at_;
};

}  // namespace mitu::bench
