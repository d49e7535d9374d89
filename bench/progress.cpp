#include "bench/progress.hpp"

#include <cstdio>

namespace mitu::bench {

void Progress::print(Instant now, std::uint64_t messages) {
    const double rate =
        static_cast<double>(messages - shown_messages_) / (now - shown_at_).as_seconds();
    shown_at_ = now;
    shown_messages_ = messages;
    if (quiet_) return;
    std::fprintf(stderr, "mitu-bench: %.0f messages/s, %.0f s to go\n", rate,
                 (end_ - now).as_seconds());
}

}  // namespace mitu::bench
