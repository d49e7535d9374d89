#pragma once
// Connections that are closed on our side and wait for the peer to close too.

#include <cstddef>
#include <deque>

#include "mitu/base/time.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::runtime {

/// Oldest first; may hold ids that have gone stale since, which `cut` must miss politely.
/// Threading  shard-local.
class LingerList {
public:
    void add(ports::ConnectionId id, Instant deadline) { entries_.push_back({id, deadline}); }
    /// Calls `cut` with the oldest ones, until no more than `count_max` are left.
    template <class Cut>
    void trim(std::size_t count_max, const Cut& cut) {
        while (entries_.size() > count_max) {
            const ports::ConnectionId oldest = entries_.front().connection;
            entries_.pop_front();
            cut(oldest);
        }
    }
    /// Calls `cut` for all whose time is up, and forgets what is not live any more.
    template <class IsLive, class Cut>
    void end_due(Instant now, const IsLive& is_live, const Cut& cut) {
        while (!entries_.empty()) {
            const Entry oldest = entries_.front();
            if (is_live(oldest.connection)) {
                if (oldest.deadline > now) return;
                cut(oldest.connection);
            }
            entries_.pop_front();
        }
    }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] Instant next_deadline() const noexcept {
        return entries_.empty() ? Instant::never() : entries_.front().deadline;
    }

private:
    struct Entry {
        ports::ConnectionId connection;
        Instant deadline;
    };
    std::deque<Entry> entries_;
};

}  // namespace mitu::runtime
