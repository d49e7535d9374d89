#include "sim/shrink.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace mitu::sim {
namespace {

class Shrinker {
public:
    Shrinker(RunOptions best, const StillFails& still_fails, std::uint32_t runs_max)
        : best_{std::move(best)}, still_fails_{still_fails}, runs_left_{runs_max} {}

    RunOptions shrink() {
        RunOptions candidate = best_;
        candidate.without_restarts = true;
        static_cast<void>(adopt(candidate));
        candidate = best_;
        candidate.without_faults = true;
        static_cast<void>(adopt(candidate));
        candidate = best_;
        candidate.without_orders = true;
        static_cast<void>(adopt(candidate));
        shorten();
        // Every removal may make another one possible.
        while (remove_actors() || remove_actions()) {
        }
        return best_;
    }

private:
    using Place = std::pair<std::uint32_t, std::uint32_t>;

    [[nodiscard]] bool adopt(const RunOptions& candidate) {
        if (runs_left_ == 0) return false;
        --runs_left_;
        if (!still_fails_(candidate)) return false;
        best_ = candidate;
        return true;
    }

    /// The end first: what comes after the fault is not needed.
    void shorten() {
        const Plan plan = draw_plan(best_.seed);
        std::vector<Duration> times;
        for (const auto& [actor, actions] : *best_.only) {
            for (const std::uint32_t k : actions) times.push_back(plan.actors[actor].actions[k].at);
        }
        std::sort(times.begin(), times.end());
        std::size_t low = 0;
        std::size_t high = times.size();
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            RunOptions candidate = best_;
            for (auto& [actor, actions] : *candidate.only) {
                std::erase_if(actions, [&, i = actor](std::uint32_t k) {
                    return plan.actors[i].actions[k].at > times[middle];
                });
            }
            candidate.until = times[middle];
            if (adopt(candidate)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }

    bool remove_actors() {
        bool removed = false;
        std::vector<std::uint32_t> actors;
        for (const auto& [actor, actions] : *best_.only) actors.push_back(actor);
        for (const std::uint32_t actor : actors) {
            RunOptions candidate = best_;
            candidate.only->erase(actor);
            if (adopt(candidate)) removed = true;
        }
        return removed;
    }

    /// Halves, then quarters, and so on down to single actions.
    bool remove_actions() {
        bool removed = false;
        for (std::size_t size = std::max<std::size_t>(places().size() / 2, 1);; size /= 2) {
            for (std::size_t from = 0;;) {
                const auto all = places();
                if (from >= all.size()) break;
                RunOptions candidate = best_;
                const std::size_t end = std::min(from + size, all.size());
                for (std::size_t i = from; i < end; ++i) {
                    (*candidate.only)[all[i].first].erase(all[i].second);
                }
                if (adopt(candidate)) {
                    removed = true;  // what followed stands here now
                } else {
                    from = end;
                }
                if (runs_left_ == 0) return false;
            }
            if (size <= 1) break;
        }
        return removed;
    }

    [[nodiscard]] std::vector<Place> places() const {
        std::vector<Place> all;
        for (const auto& [actor, actions] : *best_.only) {
            for (const std::uint32_t k : actions) all.emplace_back(actor, k);
        }
        return all;
    }

    RunOptions best_;
    const StillFails& still_fails_;
    std::uint32_t runs_left_;
};

}  // namespace

RunOptions shrink(const RunOptions& failing, const StillFails& still_fails,
                  std::uint32_t runs_max) {
    RunOptions start = failing;
    if (!start.only) start.only = select_all(draw_plan(failing.seed));
    return Shrinker{std::move(start), still_fails, runs_max}.shrink();
}

}  // namespace mitu::sim
