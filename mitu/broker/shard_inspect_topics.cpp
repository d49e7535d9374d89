// What is subscribed to and what is retained, on the home shard of the topics.

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard_inspect.hpp"

namespace mitu::broker {

using NodeIndex = std::uint32_t;

template <class Tree>
std::string ShardInspector::name_of(const Tree& tree, NodeIndex node) {
    std::vector<std::string_view> levels;
    for (; tree.node(node).parent != Tree::none; node = tree.node(node).parent) {
        levels.push_back(tree.node(node).level.view());
    }
    std::string name;
    for (std::size_t i = levels.size(); i-- > 0;) {
        name.append(levels[i]);
        if (i != 0) name += '/';
    }
    return name;
}

template <class Tree>
NodeIndex ShardInspector::root_of(const Tree& tree, NodeIndex node) {
    while (tree.node(node).parent != Tree::none) node = tree.node(node).parent;
    return node;
}

/// Whose a node is: the roots of all tenants, or of the one that was asked for.
template <class Tree>
class ShardInspector::Tenants {
public:
    Tenants(const Tree& tree, std::optional<TenantId> only) : tree_{tree} {
        if (only) {
            add(*only);
            return;
        }
        for (std::size_t i = 0; i < tree.tenant_end(); ++i) {
            add(TenantId{static_cast<std::uint16_t>(i)});
        }
        std::sort(roots_.begin(), roots_.end());
    }
    /// nullopt: none of those.
    [[nodiscard]] std::optional<TenantId> of(NodeIndex node) const {
        const NodeIndex root = root_of(tree_, node);
        const auto at = std::lower_bound(roots_.begin(), roots_.end(), Root{root, TenantId{}});
        if (at == roots_.end() || at->node != root) return std::nullopt;
        return at->tenant;
    }

private:
    struct Root {
        NodeIndex node;
        TenantId tenant;
        auto operator<=>(const Root&) const noexcept = default;
    };
    void add(TenantId tenant) {
        if (const NodeIndex root = tree_.root(tenant); root != Tree::none) {
            roots_.push_back({root, tenant});
        }
    }
    const Tree& tree_;
    std::vector<Root> roots_;
};

bool ShardInspector::list_node(NodeIndex node, TenantId tenant, InspectPosition& at,
                               std::uint32_t items_max,
                               std::vector<SubscriptionFacts>& items) const {
    const auto& index = shard_.subscriptions_;
    const auto& entry = index.entries_[index.tree_.node(node).payload.entry];
    const std::string filter = name_of(index.tree_, node);
    std::size_t passed = 0;  // places in front of the list at hand; never more than the offset
    const auto list = [&](std::span<const SubscriptionIndex::Packed> subscribers,
                          const std::string& group) {
        for (std::size_t i = at.offset - passed; i < subscribers.size(); ++i) {
            if (items.size() >= items_max) return false;
            const auto& packed = subscribers[i];
            Subscriber subscriber;
            subscriber.session = packed.session();
            subscriber.qos = static_cast<mqtt::QoS>(packed.qos);
            subscriber.no_local = packed.no_local != 0;
            subscriber.retain_as_published = packed.retain_as_published != 0;
            subscriber.subscription_identifier = packed.identifier;
            items.push_back({tenant, filter, group, subscriber});
            ++at.offset;
        }
        passed += subscribers.size();
        return true;
    };
    if (!list(entry.subscribers(), {})) return false;
    if (entry.crowd == nullptr) return true;
    for (const auto& group : entry.crowd->groups) {
        if (!list(group->members, group->name)) return false;
    }
    return true;
}

Chunk<SubscriptionFacts> ShardInspector::subscriptions(const SubscriptionQuery& query,
                                                       InspectPosition from,
                                                       std::uint32_t items_max) const {
    const auto& tree = shard_.subscriptions_.tree_;
    const Tenants tenants{tree, query.tenant};
    const auto shards = shard_.ports_.mailroom.shard_count();
    Chunk<SubscriptionFacts> chunk;
    InspectPosition at = from;
    for (std::uint32_t steps = 0; at.index < tree.node_end(); ++steps) {
        if (steps == steps_max || chunk.items.size() >= items_max) {
            chunk.next = at;
            return chunk;
        }
        const bool is_held = !tree.node(at.index).payload.empty();
        const auto tenant = is_held ? tenants.of(at.index) : std::nullopt;
        if (tenant) {
            const std::string filter = name_of(tree, at.index);
            const bool is_listed_here =
                filter_home(*tenant, filter, shards) || shard_.id_ == ShardId{0};
            const bool is_wanted = query.filter.empty() || query.filter == filter;
            if (is_listed_here && is_wanted &&
                !list_node(at.index, *tenant, at, items_max, chunk.items)) {
                chunk.next = at;
                return chunk;
            }
        }
        at = {0, at.index + 1, 0};
    }
    return chunk;
}

/// As SubscriptionIndex::match() walks; wildcards in the first level do not match `$` names
/// [MQTT-4.7.2-1].
void ShardInspector::collect_matching(NodeIndex node, const Levels& levels, std::uint32_t depth,
                                      std::vector<NodeIndex>& found) const {
    const auto& tree = shard_.subscriptions_.tree_;
    constexpr auto none = SubscriptionIndex::Tree::none;
    const auto add = [&](NodeIndex at) {
        if (at != none && !tree.node(at).payload.empty()) found.push_back(at);
    };
    const bool wildcards = depth != 0 || !levels.at(0).starts_with('$');
    if (wildcards) add(tree.child(node, "#"));
    if (depth == levels.count()) return add(node);
    const auto go_down = [&](NodeIndex child) {
        if (child != none) collect_matching(child, levels, depth + 1, found);
    };
    if (wildcards) go_down(tree.child(node, "+"));
    go_down(tree.child(node, levels.at(depth)));
}

Chunk<SubscriptionFacts> ShardInspector::subscribers_of(TenantId tenant, std::string_view topic,
                                                        InspectPosition from,
                                                        std::uint32_t items_max) const {
    Chunk<SubscriptionFacts> chunk;
    const auto& tree = shard_.subscriptions_.tree_;
    const NodeIndex root = tree.root(tenant);
    if (root == SubscriptionIndex::Tree::none) return chunk;
    std::vector<NodeIndex> found;
    collect_matching(root, Levels{topic}, 0, found);
    for (InspectPosition at = from; at.index < found.size(); at = {0, at.index + 1, 0}) {
        const bool is_full = chunk.items.size() >= items_max;
        if (is_full || !list_node(found[at.index], tenant, at, items_max, chunk.items)) {
            chunk.next = at;
            return chunk;
        }
    }
    return chunk;
}

std::optional<Subscriber> ShardInspector::subscription(TenantId tenant, std::string_view filter,
                                                       std::string_view group,
                                                       const SessionRef& session) const {
    const auto& index = shard_.subscriptions_;
    const NodeIndex node = index.tree_.find(tenant, Levels{filter});
    if (node == SubscriptionIndex::Tree::none || index.tree_.node(node).payload.empty()) {
        return std::nullopt;
    }
    const auto& entry = index.entries_[index.tree_.node(node).payload.entry];
    std::span<const SubscriptionIndex::Packed> candidates = entry.subscribers();
    if (!group.empty()) {
        candidates = {};
        if (entry.crowd == nullptr) return std::nullopt;
        for (const auto& one : entry.crowd->groups) {
            if (one->name == group) candidates = one->members;
        }
    }
    for (const auto& packed : candidates) {
        if (packed.session() != session) continue;
        return Subscriber{session, static_cast<mqtt::QoS>(packed.qos), packed.no_local != 0,
                          packed.retain_as_published != 0, packed.identifier};
    }
    return std::nullopt;
}

std::uint32_t ShardInspector::subscription_count_at(NodeIndex node) const {
    const auto& index = shard_.subscriptions_;
    if (node == SubscriptionIndex::Tree::none || index.tree_.node(node).payload.empty()) return 0;
    const auto& entry = index.entries_[index.tree_.node(node).payload.entry];
    std::size_t count = entry.subscribers().size();
    if (entry.crowd != nullptr) {
        for (const auto& group : entry.crowd->groups) count += group->members.size();
    }
    return static_cast<std::uint32_t>(count);
}

RetainedFacts ShardInspector::retained_facts(const MessageView& view) const {
    RetainedFacts facts;
    facts.tenant = view.tenant;
    facts.topic = view.topic;
    facts.qos = view.qos;
    facts.payload_bytes = view.payload.size();
    if (!view.expires_at.is_never()) facts.expires_in = view.expires_at - now_;
    return facts;
}

namespace {

bool is_wanted(const TopicQuery& query, TenantId tenant, std::string_view topic) {
    if (query.tenant && tenant != *query.tenant) return false;
    return query.filter.empty() || mqtt::matches(query.filter, topic);
}

}  // namespace

Chunk<TopicFacts> ShardInspector::topics(const TopicQuery& query, InspectPosition from,
                                         std::uint32_t items_max) const {
    // First what is retained, then what is only subscribed to.
    const auto& retained = shard_.retained_.tree_;
    const auto& filters = shard_.subscriptions_.tree_;
    const Tenants tenants{filters, query.tenant};
    Chunk<TopicFacts> chunk;
    InspectPosition at = from;
    for (std::uint32_t steps = 0;; ++steps) {
        const bool is_first = at.phase == 0;
        if (at.index >= (is_first ? retained.node_end() : filters.node_end())) {
            if (!is_first) return chunk;
            at = {1, 0, 0};
            continue;
        }
        if (steps >= steps_max || chunk.items.size() >= items_max) {
            chunk.next = at;
            return chunk;
        }
        const NodeIndex node = at.index++;
        if (is_first) {
            const auto& entry = retained.node(node).payload;
            if (entry.empty()) continue;
            const MessageView view = shard_.messages_.view(entry.message);
            if (view.expires_at <= now_ || !is_wanted(query, view.tenant, view.topic)) continue;
            chunk.items.push_back(
                {view.tenant, std::string{view.topic}, true,
                 subscription_count_at(filters.find(view.tenant, Levels{view.topic}))});
            continue;
        }
        const std::uint32_t subscriptions = subscription_count_at(node);
        const auto tenant = subscriptions != 0 ? tenants.of(node) : std::nullopt;
        if (!tenant) continue;
        std::string topic = name_of(filters, node);
        if (mqtt::has_wildcard(topic) || !is_wanted(query, *tenant, topic)) continue;
        const NodeIndex same = retained.find(*tenant, Levels{topic});
        if (same != RetainedStore::Tree::none && !retained.node(same).payload.empty()) {
            const auto handle = retained.node(same).payload.message;
            if (shard_.messages_.view(handle).expires_at > now_) continue;  // was in the first part
        }
        chunk.items.push_back({*tenant, std::move(topic), false, subscriptions});
    }
}

Chunk<RetainedFacts> ShardInspector::retained(const TopicQuery& query, InspectPosition from,
                                              std::uint32_t items_max) const {
    const auto& tree = shard_.retained_.tree_;
    Chunk<RetainedFacts> chunk;
    NodeIndex node = from.index;
    for (std::uint32_t steps = 0; node < tree.node_end(); ++node, ++steps) {
        if (steps == steps_max || chunk.items.size() >= items_max) {
            chunk.next = InspectPosition{0, node, 0};
            return chunk;
        }
        const auto& entry = tree.node(node).payload;
        if (entry.empty()) continue;
        const MessageView view = shard_.messages_.view(entry.message);
        if (view.expires_at <= now_ || !is_wanted(query, view.tenant, view.topic)) continue;
        chunk.items.push_back(retained_facts(view));
    }
    return chunk;
}

std::optional<RetainedContent> ShardInspector::retained_message(TenantId tenant,
                                                                std::string_view topic) const {
    const auto& tree = shard_.retained_.tree_;
    const NodeIndex node = tree.find(tenant, Levels{topic});
    if (node == RetainedStore::Tree::none || tree.node(node).payload.empty()) return std::nullopt;
    const MessageView view = shard_.messages_.view(tree.node(node).payload.message);
    if (view.expires_at <= now_) return std::nullopt;
    return RetainedContent{retained_facts(view), to_bytes(view.properties), to_bytes(view.payload)};
}

bool ShardInspector::erase_retained(TenantId tenant, std::string_view topic) {
    if (!shard_.retained_.erase(tenant, topic)) return false;
    if (shard_.keeps(tenant)) shard_.journal_->erase_retained(tenant, topic);
    shard_.counters_.retained_messages.set(shard_.retained_.count());
    return true;
}

std::optional<PublishOutcome> ShardInspector::publish(const MessageView& message) {
    // Whoever calls may try again: what is held up does not grow by this.
    if (!shard_.peers_are_clear()) return std::nullopt;
    shard_.now_ = now_;
    PublishOutcome outcome;
    outcome.reason =
        shard_.route_at_home({message, nullptr}, Origin{}).value_or(mqtt::ReasonCode::success);
    outcome.recipients = static_cast<std::uint32_t>(shard_.matches_.recipients.size());
    return outcome;
}

}  // namespace mitu::broker
