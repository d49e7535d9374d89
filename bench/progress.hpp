#pragma once
// A line on stderr each second, so that nobody wonders whether a run is alive.

#include <cstdint>

#include "bench/options.hpp"

namespace mitu::bench {

class Progress {
public:
    Progress(const Options& options, Instant begin, Instant end) noexcept
        : quiet_{options.quiet}, end_{end}, shown_at_{begin} {}

    /// Prints at most once a second. Cost: one comparison otherwise.
    void show(Instant now, std::uint64_t messages) {
        if (now - shown_at_ >= Duration::seconds(1)) print(now, messages);
    }

private:
    void print(Instant now, std::uint64_t messages);

    bool quiet_;
    Instant end_;
    Instant shown_at_;
    std::uint64_t shown_messages_ = 0;
};

}  // namespace mitu::bench
