#pragma once
// Who has to be woken when, for thousands who change their minds all the time.

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::cli {

/// One deadline for each index. Moving a deadline later costs nothing until the old one comes up.
/// Order  ties go to the lower index.
class TimerQueue {
public:
    explicit TimerQueue(std::size_t count) : due_(count, Instant::never()), queued_(due_) {}

    void set(std::uint32_t index, Instant due) {
        due_[index] = due;
        if (due >= queued_[index]) return;
        queued_[index] = due;
        heap_.emplace(due, index);
    }

    /// Takes one whose deadline has come; it has none afterwards.
    std::optional<std::uint32_t> pop(Instant now) {
        settle();
        if (heap_.empty() || heap_.top().first > now) return std::nullopt;
        const std::uint32_t index = heap_.top().second;
        heap_.pop();
        due_[index] = queued_[index] = Instant::never();
        return index;
    }

    [[nodiscard]] Instant next() {
        settle();
        return heap_.empty() ? Instant::never() : heap_.top().first;
    }

private:
    /// Until the top of the heap is a deadline that holds.
    void settle() {
        while (!heap_.empty()) {
            const auto [at, index] = heap_.top();
            if (at == queued_[index] && at == due_[index]) return;
            heap_.pop();
            if (at != queued_[index]) continue;  // an earlier one was queued since
            queued_[index] = due_[index];
            if (!due_[index].is_never()) heap_.emplace(due_[index], index);
        }
    }

    using Entry = std::pair<Instant, std::uint32_t>;
    std::vector<Instant> due_;     // what was set last
    std::vector<Instant> queued_;  // the entry of the heap that counts; never later than due_
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
};

}  // namespace mitu::cli
