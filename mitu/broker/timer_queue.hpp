#pragma once
// TimerQueue: what is due when, cheap to re-arm because it is lazy.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>

#include "mitu/base/check.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/chunked_list.hpp"

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
        std::uint32_t index = 0;  // below 2^31
        std::uint32_t generation = 0;
        auto operator<=>(const Note&) const noexcept = default;
    };

    void add(const Note& note) {
        if (note.at.is_never()) return;
        heap_.push_back(Packed{note});
        std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
    }
    [[nodiscard]] Instant next() const noexcept {
        return heap_.empty() ? Instant::never() : heap_.front().at;
    }
    [[nodiscard]] std::optional<Note> take_due(Instant now) {
        if (heap_.empty() || heap_.front().at > now) return std::nullopt;
        std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
        const Note note = heap_.back().note();
        heap_.pop_back();
        return note;
    }

    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    /// Throws away what `is_wanted(note)` does not hold for, and repetitions. Whoever comes and
    /// goes quickly would otherwise leave notes behind for as long as its timers are.
    template <class IsWanted>
    void prune(IsWanted is_wanted) {
        const auto kept = std::remove_if(heap_.begin(), heap_.end(), [&](const Packed& packed) {
            return !is_wanted(packed.note());
        });
        std::sort(heap_.begin(), kept);  // an ordered list is a heap
        const auto end = std::unique(heap_.begin(), kept);
        heap_.resize_down(static_cast<std::size_t>(end - heap_.begin()));
    }

private:
    /// A note in 16 bytes: every session has one.
    struct Packed {
        Packed() = default;
        explicit Packed(const Note& n) noexcept
            : at{n.at},
              what{(n.kind == Kind::connection ? is_connection : 0) | n.index},
              generation{n.generation} {
            MITU_CHECK(n.index < is_connection);
        }
        [[nodiscard]] Note note() const noexcept {
            return {at, (what & is_connection) != 0 ? Kind::connection : Kind::session,
                    what & ~is_connection, generation};
        }
        static constexpr std::uint32_t is_connection = 0x8000'0000;
        Instant at;
        std::uint32_t what = 0;  // the kind in front of the number, so that it orders as a Note
        std::uint32_t generation = 0;
        auto operator<=>(const Packed&) const noexcept = default;
    };
    static_assert(sizeof(Packed) == 16);

    ChunkedList<Packed> heap_;  // the earliest first
};

}  // namespace mitu::broker
