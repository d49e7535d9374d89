#pragma once
// TimerQueue: what is due when, cheap to re-arm because it is lazy.

#include <cstdint>
#include <optional>
#include <queue>
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
        if (!note.at.is_never()) heap_.push(note);
    }
    [[nodiscard]] Instant next() const noexcept {
        return heap_.empty() ? Instant::never() : heap_.top().at;
    }
    [[nodiscard]] std::optional<Note> take_due(Instant now) {
        if (heap_.empty() || heap_.top().at > now) return std::nullopt;
        const Note note = heap_.top();
        heap_.pop();
        return note;
    }

private:
    std::priority_queue<Note, std::vector<Note>, std::greater<>> heap_;
};

}  // namespace mitu::broker
