#pragma once
// FairQueue: who waits to be let in. Bounded, with deadlines, one turn for each group.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "mitu/base/time.hpp"

namespace mitu::admission {

/// A FIFO for each group (a tenant, a listener); pop() takes from them in turn, so that one with a
/// thousand waiting delays another by one. A group may have places of its own that nobody else
/// gets; the rest is for all.
///
/// Threading  shard-local.
/// Cost       O(log groups). A group without anything waiting and without places costs nothing.
template <class Group, class Item>
class FairQueue {
public:
    struct Options {
        std::size_t items_max = 4'096;
        std::size_t group_items_max = 4'096;  // of one group, its own places among them
    };
    struct Waiting {
        Group group;
        Item item;
        Instant deadline;  // then it is no use any more
    };

    explicit FairQueue(const Options& options) : options_{options} {}

    /// Errors  false: more is reserved than there is; nothing changed.
    [[nodiscard]] bool reserve(const Group& group, std::size_t places) {
        const auto it = groups_.find(group);
        const std::size_t before = it != groups_.end() ? it->second.reserved : 0;
        if (places > options_.items_max - (reserved_ - before)) return false;
        Queue& queue = groups_[group];
        common_used_ -= queue.common();
        reserved_ = reserved_ - before + places;
        queue.reserved = places;
        common_used_ += queue.common();
        forget_if_idle(groups_.find(group));
        return true;
    }

    /// Errors  the item: no place. The caller tells its owner.
    [[nodiscard]] std::optional<Item> push(const Group& group, Item item, Instant deadline) {
        const auto it = groups_.find(group);
        const std::size_t waiting = it != groups_.end() ? it->second.items.size() : 0;
        const std::size_t reserved = it != groups_.end() ? it->second.reserved : 0;
        if (waiting >= options_.group_items_max) return item;
        if (waiting >= reserved) {
            if (common_used_ >= options_.items_max - reserved_) return item;
            ++common_used_;
        }
        Queue& queue = it != groups_.end() ? it->second : groups_[group];
        queue.items.push_back({std::move(item), deadline});
        ++size_;
        return std::nullopt;
    }

    /// The oldest of the group whose turn it is; nullopt: nobody waits. What is past its deadline
    /// comes too, out of turn and before the others of its group: look at `deadline`.
    [[nodiscard]] std::optional<Waiting> pop(Instant now) {
        if (size_ == 0) return std::nullopt;
        auto it = turn_ ? groups_.upper_bound(*turn_) : groups_.begin();
        for (;;) {
            if (it == groups_.end()) it = groups_.begin();
            if (!it->second.items.empty()) break;
            ++it;
        }
        if (it->second.items.front().deadline > now) turn_ = it->first;  // the dead take no turn
        return take_from(it);
    }

    /// One that is past its deadline, for as long as nobody can be let in; nullopt: none is.
    /// Shape  deadlines grow along each group: later ones wait behind earlier ones.
    /// Cost   O(groups).
    [[nodiscard]] std::optional<Waiting> pop_expired(Instant now) {
        for (auto it = groups_.begin(); it != groups_.end(); ++it) {
            const auto& items = it->second.items;
            if (!items.empty() && items.front().deadline <= now) return take_from(it);
        }
        return std::nullopt;
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t waiting(const Group& group) const {
        const auto it = groups_.find(group);
        return it != groups_.end() ? it->second.items.size() : 0;
    }
    [[nodiscard]] std::size_t group_count() const noexcept { return groups_.size(); }

private:
    struct Entry {
        Item item;
        Instant deadline;
    };
    struct Queue {
        std::deque<Entry> items;
        std::size_t reserved = 0;
        /// How many of them stand in places that are for all.
        [[nodiscard]] std::size_t common() const noexcept {
            return items.size() > reserved ? items.size() - reserved : 0;
        }
    };
    using Groups = std::map<Group, Queue>;

    [[nodiscard]] Waiting take_from(typename Groups::iterator it) {
        Queue& queue = it->second;
        Waiting next{it->first, std::move(queue.items.front().item), queue.items.front().deadline};
        common_used_ -= queue.common();
        queue.items.pop_front();
        common_used_ += queue.common();
        --size_;
        forget_if_idle(it);
        return next;
    }
    void forget_if_idle(typename Groups::iterator it) {
        if (it->second.items.empty() && it->second.reserved == 0) groups_.erase(it);
    }

    Options options_;
    Groups groups_;
    std::optional<Group> turn_;  // who had the last one
    std::size_t size_ = 0;
    std::size_t reserved_ = 0;
    std::size_t common_used_ = 0;
};

}  // namespace mitu::admission
