#pragma once
// LevelTree: topics and filters, one node per level, one root per tenant.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {

/// Deeper names and filters are refused, so that walks may recurse.
inline constexpr std::uint32_t topic_levels_max = 128;

/// The levels of one topic, split once.
struct Levels {
    std::array<std::string_view, topic_levels_max> at;
    std::uint32_t count = 0;

    /// Errors  nullopt-like: valid() is false for more than topic_levels_max levels.
    explicit Levels(std::string_view topic) noexcept {
        mqtt::TopicLevels walk{topic};
        while (const auto level = walk.next()) {
            if (count == topic_levels_max) {
                too_deep_ = true;
                return;
            }
            at[count++] = *level;
        }
    }
    [[nodiscard]] bool valid() const noexcept { return !too_deep_; }

private:
    bool too_deep_ = false;
};

/// Nodes with a payload. A node exists while it has children or its payload is not empty().
/// Threading  shard-local.
/// Cost       one hash look-up per level, whatever else is in the tree.
template <class Payload>
class LevelTree {
public:
    using NodeIndex = std::uint32_t;
    static constexpr NodeIndex none = 0xFFFF'FFFF;

    struct Node {
        std::string level;
        NodeIndex parent = none;
        NodeIndex first_child = none;
        NodeIndex next_sibling = none;
        NodeIndex previous_sibling = none;
        NodeIndex plus_child = none;  // the child `+`, looked up without hashing
        NodeIndex hash_child = none;  // the child `#`
        Payload payload;
    };

    [[nodiscard]] Node& node(NodeIndex index) noexcept { return nodes_[index]; }
    [[nodiscard]] const Node& node(NodeIndex index) const noexcept { return nodes_[index]; }
    [[nodiscard]] std::size_t node_count() const noexcept { return nodes_.size() - free_.size(); }

    [[nodiscard]] NodeIndex root(TenantId tenant) const noexcept {
        const auto it = roots_.find(tenant);
        return it == roots_.end() ? none : it->second;
    }

    [[nodiscard]] NodeIndex child(NodeIndex parent, std::string_view level) const noexcept {
        if (table_.empty()) return none;
        for (std::size_t i = hash_of(parent, level) & table_mask();; i = (i + 1) & table_mask()) {
            const NodeIndex candidate = table_[i];
            if (candidate == none) return none;
            const Node& n = nodes_[candidate];
            if (n.parent == parent && n.level == level) return candidate;
        }
    }

    [[nodiscard]] NodeIndex find(TenantId tenant, const Levels& levels) const noexcept {
        NodeIndex at = root(tenant);
        for (std::uint32_t i = 0; i < levels.count && at != none; ++i) {
            at = child(at, levels.at[i]);
        }
        return at;
    }

    NodeIndex insert(TenantId tenant, const Levels& levels) {
        NodeIndex at = root(tenant);
        if (at == none) {
            at = new_node({}, none);
            roots_.emplace(tenant, at);
        }
        for (std::uint32_t i = 0; i < levels.count; ++i) {
            NodeIndex next = child(at, levels.at[i]);
            if (next == none) next = add_child(at, levels.at[i]);
            at = next;
        }
        return at;
    }

    /// Takes away `index` and its ancestors as far as nothing needs them.
    void prune(NodeIndex index) {
        while (index != none) {
            Node& n = nodes_[index];
            if (n.parent == none || n.first_child != none || !n.payload.empty()) return;
            const NodeIndex parent = n.parent;
            remove_child(parent, index);
            index = parent;
        }
    }

    /// Calls visit(payload) for every filter in the tree that matches the topic `levels`.
    template <class Visit>
    void match_topic(TenantId tenant, const Levels& levels, Visit&& visit) const {
        const NodeIndex start = root(tenant);
        if (start != none) match_topic_at(start, levels, 0, visit);
    }

    /// Calls visit(payload) for every topic in the tree that the filter `levels` matches.
    template <class Visit>
    void match_filter(TenantId tenant, const Levels& levels, Visit&& visit) const {
        const NodeIndex start = root(tenant);
        if (start != none) match_filter_at(start, levels, 0, visit);
    }

    /// For audits: the table holds each node once, where a look-up finds it, and nothing else.
    [[nodiscard]] bool is_sound() const noexcept {
        std::size_t held = 0;
        for (const NodeIndex index : table_) held += index != none ? 1 : 0;
        std::size_t live = 0;
        for (NodeIndex i = 0; i < nodes_.size(); ++i) {
            const Node& n = nodes_[i];
            if (n.parent == none) continue;  // free, or a root
            ++live;
            if (child(n.parent, n.level) != i) return false;
        }
        return held == live && live == table_used_;
    }

private:
    [[nodiscard]] static std::uint64_t hash_of(NodeIndex parent, std::string_view level) noexcept {
        return hash_bytes(level, parent);
    }
    [[nodiscard]] std::size_t table_mask() const noexcept { return table_.size() - 1; }

    template <class Visit>
    void match_topic_at(NodeIndex at, const Levels& levels, std::uint32_t depth,
                        Visit& visit) const {
        const Node& n = nodes_[at];
        // Wildcards in the first level do not match `$` names [MQTT-4.7.2-1].
        const bool wildcards = depth != 0 || !levels.at[0].starts_with('$');
        if (wildcards && n.hash_child != none) visit(nodes_[n.hash_child].payload);
        if (depth == levels.count) {
            if (!n.payload.empty()) visit(n.payload);
            return;
        }
        if (wildcards && n.plus_child != none)
            match_topic_at(n.plus_child, levels, depth + 1, visit);
        const NodeIndex literal = child(at, levels.at[depth]);
        if (literal != none) match_topic_at(literal, levels, depth + 1, visit);
    }

    template <class Visit>
    void match_filter_at(NodeIndex at, const Levels& levels, std::uint32_t depth,
                         Visit& visit) const {
        const Node& n = nodes_[at];
        if (depth == levels.count) {
            if (!n.payload.empty()) visit(n.payload);
            return;
        }
        const std::string_view level = levels.at[depth];
        if (level == "#") {
            if (depth != 0 && !n.payload.empty()) visit(n.payload);  // the parent level too
            visit_below(at, depth, visit);
        } else if (level == "+") {
            for (NodeIndex c = n.first_child; c != none; c = nodes_[c].next_sibling) {
                if (depth == 0 && nodes_[c].level.starts_with('$')) continue;
                match_filter_at(c, levels, depth + 1, visit);
            }
        } else if (const NodeIndex c = child(at, level); c != none) {
            match_filter_at(c, levels, depth + 1, visit);
        }
    }

    template <class Visit>
    void visit_below(NodeIndex at, std::uint32_t depth, Visit& visit) const {
        for (NodeIndex c = nodes_[at].first_child; c != none; c = nodes_[c].next_sibling) {
            if (depth == 0 && nodes_[c].level.starts_with('$')) continue;
            if (!nodes_[c].payload.empty()) visit(nodes_[c].payload);
            visit_below(c, depth + 1, visit);
        }
    }

    NodeIndex new_node(std::string_view level, NodeIndex parent) {
        NodeIndex index = none;
        if (free_.empty()) {
            index = static_cast<NodeIndex>(nodes_.size());
            nodes_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
            nodes_[index] = Node{};
        }
        nodes_[index].level = level;
        nodes_[index].parent = parent;
        return index;
    }

    NodeIndex add_child(NodeIndex parent, std::string_view level) {
        if ((table_used_ + 1) * 4 > table_.size() * 3) grow_table();
        const NodeIndex index = new_node(level, parent);
        Node& p = nodes_[parent];
        if (p.first_child != none) nodes_[p.first_child].previous_sibling = index;
        nodes_[index].next_sibling = p.first_child;
        p.first_child = index;
        if (level == "+") p.plus_child = index;
        if (level == "#") p.hash_child = index;
        place(index);
        ++table_used_;
        return index;
    }

    void remove_child(NodeIndex parent, NodeIndex index) {
        unplace(index);
        --table_used_;
        Node& n = nodes_[index];
        Node& p = nodes_[parent];
        if (n.previous_sibling != none) {
            nodes_[n.previous_sibling].next_sibling = n.next_sibling;
        } else {
            p.first_child = n.next_sibling;
        }
        if (n.next_sibling != none) nodes_[n.next_sibling].previous_sibling = n.previous_sibling;
        if (p.plus_child == index) p.plus_child = none;
        if (p.hash_child == index) p.hash_child = none;
        n = Node{};
        free_.push_back(index);
    }

    void place(NodeIndex index) noexcept {
        const Node& n = nodes_[index];
        std::size_t i = hash_of(n.parent, n.level) & table_mask();
        while (table_[i] != none) i = (i + 1) & table_mask();
        table_[i] = index;
    }

    /// Linear probing without tombstones: what stands behind the gap moves up.
    void unplace(NodeIndex index) noexcept {
        std::size_t gap = hash_of(nodes_[index].parent, nodes_[index].level) & table_mask();
        while (table_[gap] != index) gap = (gap + 1) & table_mask();
        table_[gap] = none;
        for (std::size_t i = (gap + 1) & table_mask(); table_[i] != none;
             i = (i + 1) & table_mask()) {
            const Node& n = nodes_[table_[i]];
            const std::size_t ideal = hash_of(n.parent, n.level) & table_mask();
            // Moves if its ideal place is not between the gap (exclusive) and here (inclusive).
            if (((i - ideal) & table_mask()) >= ((i - gap) & table_mask())) {
                table_[gap] = table_[i];
                table_[i] = none;
                gap = i;
            }
        }
    }

    void grow_table() {
        table_.assign(table_.empty() ? 64 : table_.size() * 2, none);
        for (NodeIndex i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].parent != none) place(i);
        }
    }

    std::vector<Node> nodes_;
    std::vector<NodeIndex> free_;
    std::vector<NodeIndex> table_;
    std::size_t table_used_ = 0;
    std::unordered_map<TenantId, NodeIndex> roots_;
};

}  // namespace mitu::broker
