#pragma once
// TimerQueue: what is due when, cheap to re-arm because it is lazy.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::broker {

/// A heap of notes "look at this one at that time". Notes are never taken back: whoever is looked
/// at too early just makes a new note.
/// Threading  shard-local.
/// Order      by time, then by kind and number, so that runs repeat.
class TimerQueue {
public:
    enum class Kind : std::uint8_t { session, connection };
    struct Note {
        Instant at;
        Kind kind = Kind::session;
        std::uint32_t index = 0;
        std::uint32_t generation = 0;
        auto operator<=>(const Note&) const noexcept = default;
    };

    void add(const Note& note) {
        if (note.at.is_never()) return;
        heap_.push_back(note);
        std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
    }
    [[nodiscard]] Instant next() const noexcept {
        return heap_.empty() ? Instant::never() : heap_.front().at;
    }
    [[nodiscard]] std::optional<Note> take_due(Instant now) {
        if (heap_.empty() || heap_.front().at > now) return std::nullopt;
        std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
        const Note note = heap_.back();
        heap_.pop_back();
        return note;
    }

    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    /// Throws away what `is_wanted(note)` does not hold for, and repetitions. Whoever comes and
    /// goes quickly would otherwise leave notes behind for as long as its timers are.
    template <class IsWanted>
    void prune(IsWanted is_wanted) {
        std::erase_if(heap_, [&](const Note& note) { return !is_wanted(note); });
        std::sort(heap_.begin(), heap_.end());  // an ordered list is a heap
        heap_.erase(std::unique(heap_.begin(), heap_.end()), heap_.end());
    }

private:
    std::vector<Note> heap_;  // the earliest first
};

}  // namespace mitu::broker
