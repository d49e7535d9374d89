#pragma once
// Keeping: what outlives a server, and from when on what it did may be lost with it. The model and
// the checkers ask it what they have to excuse; it knows nothing of sessions and messages.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/broker/journal.hpp"

namespace mitu::sim {

/// Lifetime   the world owns it.
class Keeping {
public:
    enum class End : std::uint8_t { in_order, process, power };

    std::map<std::string, broker::Durability> durability;  // by tenant; not there: none
    Duration will_grace{};
    Duration commit_time_max{};  // the longest that a commit ever took

    /// Sessions, messages and wills of this tenant outlive a server.
    [[nodiscard]] bool keeps(const std::string& tenant) const {
        const auto it = durability.find(tenant);
        return it != durability.end() && it->second != broker::Durability::none;
    }

    // --- how the last server ended ---
    void note_end(End how, Instant at) {
        end_ = how;
        unkept_since_ = how == End::in_order
                            ? at
                            : Instant::from_ns(std::max<std::int64_t>(
                                  written_at_.since_start_ns() - slack.count_ns(), 0));
    }
    [[nodiscard]] End end() const noexcept { return end_; }
    /// What was answered may be lost all the same: the power went, and answers do not wait for it.
    [[nodiscard]] bool lost_answered(const std::string& tenant) const {
        const auto it = durability.find(tenant);
        return end_ == End::power && it != durability.end() &&
               it->second == broker::Durability::async;
    }
    /// What was done from here on, and waited for nothing, may be undone.
    [[nodiscard]] Instant unkept_since() const noexcept { return unkept_since_; }

    // --- the store, while a server runs ---
    void note_all_written(Instant now) noexcept { written_at_ = now; }
    void note_takes(bool takes, Instant now) {
        if (takes == takes_) return;
        takes_ = takes;
        if (takes) {
            short_.back().second = now;
        } else {
            short_.emplace_back(now, Instant::never());
        }
    }
    /// It took nothing new at some time between the two: its disk was full, or failed.
    [[nodiscard]] bool was_short_between(Instant from, Instant to) const {
        for (const auto& [begin, end] : short_) {
            if (begin <= to && from <= end) return true;
        }
        return false;
    }

private:
    // How long what a client does may take to be put down: shards that stall, mail between them, a
    // sync that nobody waits for.
    static constexpr Duration slack = Duration::seconds(2);

    End end_ = End::in_order;
    Instant unkept_since_;
    Instant written_at_;
    bool takes_ = true;
    std::vector<std::pair<Instant, Instant>> short_;
};

}  // namespace mitu::sim
