#pragma once
// The scenario handshake: what it costs a broker that somebody comes.

#include "bench/options.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// options.clients connections at a time; each connects, shakes hands where there is TLS, logs in,
/// and is cut when its CONNACK has come; then the next one begins, under a client id of its own.
/// Threading one thread.
class HandshakeRun {
public:
    explicit HandshakeRun(const Options& options);

    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    [[nodiscard]] Result<void, Failure> go();
    [[nodiscard]] Result<void, Failure> begin(Link& link);
    [[nodiscard]] Result<void, Failure> go_on(Duration duration);

    const Options& options_;
    Swarm swarm_;
    Report report_;
    std::string fault_;
    std::vector<std::uint32_t> free_;  // links whose turn it is
    std::vector<Instant> begun_;
    std::uint64_t named_ = 0;
    std::uint64_t done_ = 0;
    bool is_measuring_ = false;
};

}  // namespace mitu::bench
