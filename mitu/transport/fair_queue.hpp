#pragma once
// A bounded queue that many groups share: each takes its turn, and none can fill it alone.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

namespace mitu::transport {

/// Order      within a group as pushed; between groups round robin.
/// Threading  shard-local.
template <class T>
class FairQueue {
public:
    explicit FairQueue(std::size_t capacity) : capacity_{capacity} {}

    struct Pushed {
        bool accepted = true;
        std::optional<T> shed;  // it made room: the newest of the group that had most
    };
    /// Full: a group that has its fair share already is refused; else the largest one gives up
    /// its newest. Newest, because the oldest has waited longest and is next.
    [[nodiscard]] Pushed push(std::uint32_t group, T value) {
        Pushed result;
        if (size_ >= capacity_) {
            const auto own = groups_.find(group);
            const std::size_t own_size = own == groups_.end() ? 0 : own->second.size();
            const auto largest = std::ranges::max_element(
                turns_, {}, [this](std::uint32_t g) { return groups_.at(g).size(); });
            if (largest == turns_.end() || own_size + 1 >= groups_.at(*largest).size()) {
                result.accepted = false;
                return result;
            }
            const std::uint32_t victim = *largest;
            result.shed = groups_.at(victim).back();
            groups_.at(victim).pop_back();
            --size_;
            drop_if_empty(victim);
        }
        std::deque<T>& queue = groups_[group];
        if (queue.empty()) turns_.push_back(group);
        queue.push_back(value);
        ++size_;
        return result;
    }

    [[nodiscard]] std::optional<T> pop() {
        if (turns_.empty()) return std::nullopt;
        const std::uint32_t group = turns_.front();
        turns_.pop_front();
        std::deque<T>& queue = groups_.at(group);
        const T value = queue.front();
        queue.pop_front();
        --size_;
        if (queue.empty()) {
            groups_.erase(group);
        } else {
            turns_.push_back(group);
        }
        return value;
    }

    /// Cost  linear in the group's queue; those that have waited longest are found first.
    void erase(std::uint32_t group, const T& value) {
        const auto found = groups_.find(group);
        if (found == groups_.end()) return;
        const auto at = std::find(found->second.begin(), found->second.end(), value);
        if (at == found->second.end()) return;
        found->second.erase(at);
        --size_;
        drop_if_empty(group);
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

private:
    void drop_if_empty(std::uint32_t group) {
        if (!groups_.at(group).empty()) return;
        groups_.erase(group);
        turns_.erase(std::find(turns_.begin(), turns_.end(), group));
    }

    const std::size_t capacity_;
    std::size_t size_ = 0;
    std::unordered_map<std::uint32_t, std::deque<T>> groups_;  // none is empty
    std::deque<std::uint32_t> turns_;                          // each group once
};

}  // namespace mitu::transport
