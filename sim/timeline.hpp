#pragma once
// What is to happen in the virtual world, and when.

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::sim {

/// Order  by time; what is due at the same time runs in the order in which it was asked for.
class Timeline {
public:
    using Happening = std::function<void()>;

    void at(Instant when, Happening happening) {
        entries_.push(Entry{when, next_serial_++, std::move(happening)});
    }
    [[nodiscard]] Instant next() const noexcept {
        return entries_.empty() ? Instant::never() : entries_.top().when;
    }
    /// Runs the first one that is due; false: none is.
    bool run_one(Instant now) {
        if (next() > now) return false;
        // The entry leaves first: what happens may ask for more.
        const Happening happening = std::move(const_cast<Entry&>(entries_.top()).happening);
        entries_.pop();
        happening();
        return true;
    }

private:
    struct Entry {
        Instant when;
        std::uint64_t serial = 0;
        Happening happening;
        bool operator<(const Entry& other) const noexcept {  // the queue's top is its largest
            return when != other.when ? when > other.when : serial > other.serial;
        }
    };
    std::priority_queue<Entry> entries_;
    std::uint64_t next_serial_ = 0;
};

}  // namespace mitu::sim
