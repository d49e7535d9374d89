#pragma once
// LevelTree: topics and filters, one node per level, one root per tenant.

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <string_view>
#include <vector>

#include "mitu/base/hash.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/broker/chunked_list.hpp"
#include "mitu/broker/index_table.hpp"
#include "mitu/broker/short_text.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {

/// Deeper names and filters are refused, so that walks may recurse.
inline constexpr std::uint32_t topic_levels_max = 128;

/// The levels of one topic, split once.
class Levels {
public:
    /// Shape  of a topic that is_too_deep() only the first topic_levels_max.
    explicit Levels(std::string_view topic) noexcept {
        mqtt::TopicLevels walk{topic};
        while (const auto level = walk.next()) {
            if (count_ == topic_levels_max) return;
            new (&levels_[count_++]) Text{level->data(), level->size()};
        }
    }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::string_view at(std::uint32_t i) const noexcept {
        return {levels_[i].data, levels_[i].size};
    }

    [[nodiscard]] static bool is_too_deep(std::string_view topic) noexcept {
        return topic.size() >= topic_levels_max &&
               std::count(topic.begin(), topic.end(), '/') >= std::ptrdiff_t{topic_levels_max};
    }

private:
    /// Not a string_view, which would be cleared 128 times for every message.
    struct Text {
        const char* data;
        std::size_t size;
    };
    std::array<Text, topic_levels_max> levels_;
    std::uint32_t count_ = 0;
};

/// What a tree holds, and so what it is asked: filters that match a topic, or topics that a filter
/// matches. The one never lists a node's children, the other has no wildcards to find quickly.
enum class TreeOf : std::uint8_t { filters, topics };

/// How a node knows its children: 12 bytes either way. An only child is reached without hashing;
/// when a second literal one comes, both go into the tree's table, and so do all after them.
template <TreeOf kind>
struct NodeLinks;

template <>
struct NodeLinks<TreeOf::filters> {
    std::uint32_t literal = 0xFFFF'FFFF;  // the only child; in the table: how many there are
    std::uint32_t plus = 0xFFFF'FFFF;     // the child `+`
    std::uint32_t hash = 0xFFFF'FFFF;     // the child `#`
};

template <>
struct NodeLinks<TreeOf::topics> {
    std::uint32_t first_child = 0xFFFF'FFFF;  // the youngest
    std::uint32_t next_sibling = 0xFFFF'FFFF;
    std::uint32_t previous_sibling = 0xFFFF'FFFF;
};

/// The text of one level: 12 bytes where it is as short as most are.
struct LevelText : ShortText<10> {
    bool flag = false;  // the node's; there is room for it here
};
static_assert(sizeof(LevelText) == 12);

/// Nodes with a payload. A node exists while it has children or its payload is not empty().
/// Threading  shard-local.
/// Cost       at most one hash look-up per level, whatever else is in the tree. A node takes 28
///            bytes and its payload; those with brothers or sisters 10 to 13 in the table as well.
template <class Payload, TreeOf kind>
class LevelTree {
public:
    using NodeIndex = std::uint32_t;
    static constexpr NodeIndex none = 0xFFFF'FFFF;

    struct Node {
        LevelText level;          // its flag: the literal children are in the table
        NodeIndex parent = none;  // none: free, or a root
        NodeLinks<kind> links;
        Payload payload;
    };

    LevelTree() = default;
    ~LevelTree() {
        for (Node& n : nodes_) n.level.clear();
    }
    LevelTree(const LevelTree&) = delete;
    LevelTree& operator=(const LevelTree&) = delete;

    [[nodiscard]] Node& node(NodeIndex index) noexcept { return nodes_[index]; }
    [[nodiscard]] const Node& node(NodeIndex index) const noexcept { return nodes_[index]; }
    [[nodiscard]] std::size_t node_count() const noexcept { return nodes_.size() - free_count_; }

    [[nodiscard]] NodeIndex root(TenantId tenant) const noexcept {
        return tenant.value < roots_.size() ? roots_[tenant.value] : none;
    }

    [[nodiscard]] NodeIndex child(NodeIndex parent, std::string_view level) const noexcept {
        const Node& p = nodes_[parent];
        if constexpr (kind == TreeOf::filters) {
            if (level == "+") return p.links.plus;
            if (level == "#") return p.links.hash;
        }
        return literal_child(parent, level);
    }

    [[nodiscard]] NodeIndex find(TenantId tenant, const Levels& levels) const noexcept {
        NodeIndex at = root(tenant);
        for (std::uint32_t i = 0; i < levels.count() && at != none; ++i) {
            at = child(at, levels.at(i));
        }
        return at;
    }

    NodeIndex insert(TenantId tenant, const Levels& levels) {
        NodeIndex at = root(tenant);
        if (at == none) {
            at = new_node({}, none);
            if (tenant.value >= roots_.size()) roots_.resize(tenant.value + std::size_t{1}, none);
            roots_[tenant.value] = at;
        }
        for (std::uint32_t i = 0; i < levels.count(); ++i) {
            NodeIndex next = child(at, levels.at(i));
            if (next == none) next = add_child(at, levels.at(i));
            at = next;
        }
        return at;
    }

    /// Takes away `index` and its ancestors as far as nothing needs them.
    void prune(NodeIndex index) {
        while (index != none) {
            Node& n = nodes_[index];
            if (n.parent == none || has_children(n) || !n.payload.empty()) return;
            const NodeIndex parent = n.parent;
            remove_child(parent, index);
            index = parent;
        }
    }

    /// Calls visit(payload) for every filter in the tree that matches the topic `levels`.
    template <class Visit>
    void match_topic(TenantId tenant, const Levels& levels, Visit&& visit) const
        requires(kind == TreeOf::filters)
    {
        const NodeIndex start = root(tenant);
        if (start != none) match_topic_at(start, levels, 0, visit);
    }

    /// Calls visit(payload) for every topic in the tree that the filter `levels` matches.
    /// Order  below each node the youngest first.
    template <class Visit>
    void match_filter(TenantId tenant, const Levels& levels, Visit&& visit) const
        requires(kind == TreeOf::topics)
    {
        const NodeIndex start = root(tenant);
        if (start != none) match_filter_at(start, levels, 0, visit);
    }

    /// Calls visit(payload) for every node that holds something.
    template <class Visit>
    void for_each(Visit visit) const {
        for (NodeIndex i = 0; i < nodes_.size(); ++i) visit_if_held(i, visit);
    }
    /// Nodes have numbers below this one; some are free, and hold nothing.
    [[nodiscard]] NodeIndex node_end() const noexcept {
        return static_cast<NodeIndex>(nodes_.size());
    }

    /// Tenants have numbers below this one; some have no root.
    [[nodiscard]] std::size_t tenant_end() const noexcept { return roots_.size(); }

    /// For audits: each node is found from its parent, and the table holds nothing else.
    [[nodiscard]] bool is_sound() const noexcept {
        std::size_t in_table = 0;
        for (NodeIndex i = 0; i < nodes_.size(); ++i) {
            const Node& n = nodes_[i];
            if (n.parent == none) continue;  // free, or a root
            if (child(n.parent, n.level.view()) != i) return false;
            if (nodes_[n.parent].level.flag && !is_wildcard(n.level.view())) ++in_table;
        }
        return table_.count() == in_table && table_.size() == in_table;
    }

private:
    [[nodiscard]] static std::uint64_t hash_of(NodeIndex parent, std::string_view level) noexcept {
        return hash_bytes(level, parent);
    }
    /// Whether a child of that name has a link of its own.
    [[nodiscard]] static bool is_wildcard(std::string_view level) noexcept {
        return kind == TreeOf::filters && (level == "+" || level == "#");
    }
    [[nodiscard]] static bool has_children(const Node& n) noexcept {
        if constexpr (kind == TreeOf::filters) {
            return n.links.literal != none || n.links.plus != none || n.links.hash != none;
        } else {
            return n.links.first_child != none;
        }
    }

    [[nodiscard]] NodeIndex only_child(const Node& n) const noexcept {
        if constexpr (kind == TreeOf::filters) {
            return n.links.literal;
        } else {
            return n.links.first_child;
        }
    }

    [[nodiscard]] NodeIndex literal_child(NodeIndex parent, std::string_view level) const noexcept {
        const Node& p = nodes_[parent];
        if (!p.level.flag) {
            const NodeIndex only = only_child(p);
            return only != none && nodes_[only].level.view() == level ? only : none;
        }
        return table_.find(hash_of(parent, level), [&](NodeIndex candidate) {
            const Node& n = nodes_[candidate];
            return n.parent == parent && n.level.view() == level;
        });
    }

    template <class Visit>
    void visit_if_held(NodeIndex at, Visit& visit) const {
        const Payload& payload = nodes_[at].payload;
        if (!payload.empty()) visit(payload);
    }

    template <class Visit>
    void match_topic_at(NodeIndex at, const Levels& levels, std::uint32_t depth,
                        Visit& visit) const {
        const Node& n = nodes_[at];
        // Wildcards in the first level do not match `$` names [MQTT-4.7.2-1].
        const bool wildcards = depth != 0 || !levels.at(0).starts_with('$');
        if (wildcards && n.links.hash != none) visit_if_held(n.links.hash, visit);
        if (depth == levels.count()) {
            visit_if_held(at, visit);
            return;
        }
        if (wildcards && n.links.plus != none)
            match_topic_at(n.links.plus, levels, depth + 1, visit);
        const NodeIndex literal = literal_child(at, levels.at(depth));
        if (literal != none) match_topic_at(literal, levels, depth + 1, visit);
    }

    template <class Visit>
    void match_filter_at(NodeIndex at, const Levels& levels, std::uint32_t depth,
                         Visit& visit) const {
        const Node& n = nodes_[at];
        if (depth == levels.count()) {
            visit_if_held(at, visit);
            return;
        }
        const std::string_view level = levels.at(depth);
        if (level == "#") {
            if (depth != 0) visit_if_held(at, visit);  // the parent level too
            visit_below(at, depth, visit);
        } else if (level == "+") {
            for (NodeIndex c = n.links.first_child; c != none; c = nodes_[c].links.next_sibling) {
                if (depth == 0 && nodes_[c].level.view().starts_with('$')) continue;
                match_filter_at(c, levels, depth + 1, visit);
            }
        } else if (const NodeIndex c = literal_child(at, level); c != none) {
            match_filter_at(c, levels, depth + 1, visit);
        }
    }

    template <class Visit>
    void visit_below(NodeIndex at, std::uint32_t depth, Visit& visit) const {
        for (NodeIndex c = nodes_[at].links.first_child; c != none;
             c = nodes_[c].links.next_sibling) {
            if (depth == 0 && nodes_[c].level.view().starts_with('$')) continue;
            visit_if_held(c, visit);
            visit_below(c, depth + 1, visit);
        }
    }

    /// Free nodes hang together by their first link.
    [[nodiscard]] static NodeIndex& free_link(Node& n) noexcept {
        if constexpr (kind == TreeOf::filters) {
            return n.links.literal;
        } else {
            return n.links.first_child;
        }
    }

    NodeIndex new_node(std::string_view level, NodeIndex parent) {
        NodeIndex index = free_;
        if (index == none) {
            index = static_cast<NodeIndex>(nodes_.size());
            nodes_.push_back(Node{});
        } else {
            free_ = free_link(nodes_[index]);
            --free_count_;
            nodes_[index] = Node{};
        }
        nodes_[index].level.set(level);
        nodes_[index].parent = parent;
        return index;
    }

    void free_node(NodeIndex index) noexcept {
        Node& n = nodes_[index];
        n.level.clear();
        n = Node{};
        free_link(n) = free_;
        free_ = index;
        ++free_count_;
    }

    NodeIndex add_child(NodeIndex parent, std::string_view level) {
        const NodeIndex index = new_node(level, parent);
        Node& p = nodes_[parent];
        if constexpr (kind == TreeOf::filters) {
            if (level == "+") {
                p.links.plus = index;
                return index;
            }
            if (level == "#") {
                p.links.hash = index;
                return index;
            }
        }
        const NodeIndex first = only_child(p);
        if (!p.level.flag && first != none) {
            p.level.flag = true;
            table_.insert(hash_of(parent, nodes_[first].level.view()), first);
            if constexpr (kind == TreeOf::filters) p.links.literal = 1;
        }
        if (p.level.flag) table_.insert(hash_of(parent, level), index);
        if constexpr (kind == TreeOf::filters) {
            p.links.literal = p.level.flag ? p.links.literal + 1 : index;
        } else {
            if (first != none) nodes_[first].links.previous_sibling = index;
            nodes_[index].links.next_sibling = first;
            p.links.first_child = index;
        }
        return index;
    }

    void remove_child(NodeIndex parent, NodeIndex index) {
        Node& p = nodes_[parent];
        const NodeLinks<kind> links = nodes_[index].links;
        const std::string_view level = nodes_[index].level.view();
        const bool is_in_table = p.level.flag && !is_wildcard(level);
        if (is_in_table) table_.erase(hash_of(parent, level), index);
        if constexpr (kind == TreeOf::filters) {
            if (p.links.plus == index) {
                p.links.plus = none;
            } else if (p.links.hash == index) {
                p.links.hash = none;
            } else if (!is_in_table || --p.links.literal == 0) {
                p.links.literal = none;
                p.level.flag = false;
            }
        } else {
            if (links.previous_sibling != none) {
                nodes_[links.previous_sibling].links.next_sibling = links.next_sibling;
            } else {
                p.links.first_child = links.next_sibling;
            }
            if (links.next_sibling != none) {
                nodes_[links.next_sibling].links.previous_sibling = links.previous_sibling;
            }
            if (p.links.first_child == none) p.level.flag = false;
        }
        free_node(index);
    }

    ChunkedList<Node> nodes_;
    NodeIndex free_ = none;
    std::size_t free_count_ = 0;
    IndexTable table_;              // of the literal children of those who have more than one
    std::vector<NodeIndex> roots_;  // by tenant
};

}  // namespace mitu::broker
