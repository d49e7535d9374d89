#include "mitu/broker/subscription_index.hpp"

#include <algorithm>
#include <tuple>

namespace mitu::broker {
namespace {

auto order_of(const SessionRef& s) noexcept { return std::tuple{s.shard, s.index, s.generation}; }

/// Where a session stands, or would stand, in a list ordered by session.
template <class List>
auto place_of(List& list, const SessionRef& session) {
    return std::lower_bound(
        list.begin(), list.end(), session,
        [](const auto& a, const SessionRef& b) { return order_of(a.session()) < order_of(b); });
}

template <class List>
auto group_named(List& groups, std::string_view name) {
    return std::find_if(groups.begin(), groups.end(),
                        [&](const auto& g) { return g->name == name; });
}

template <class List>
auto member_of(List& members, const SessionRef& session) {
    return std::find_if(members.begin(), members.end(),
                        [&](const auto& member) { return member.session() == session; });
}

}  // namespace

SubscriptionIndex::~SubscriptionIndex() {
    for (Entry& entry : entries_) delete entry.crowd;
}

SubscriptionIndex::Packed::Packed(const Subscriber& s) noexcept
    : index{s.session.index},
      generation{s.session.generation},
      identifier{s.subscription_identifier},
      shard{s.session.shard.value},
      qos{static_cast<std::uint8_t>(static_cast<std::uint8_t>(s.qos) & 3)},
      no_local{s.no_local},
      retain_as_published{s.retain_as_published},
      kept{s.kept} {}

std::span<const SubscriptionIndex::Packed> SubscriptionIndex::Entry::subscribers() const noexcept {
    if (crowd != nullptr) return crowd->subscribers;
    return {&only, only.generation != 0 ? std::size_t{1} : 0};
}

std::uint32_t SubscriptionIndex::take_entry() {
    const std::uint32_t index = free_entry_;
    if (index == no_entry) {
        entries_.push_back(Entry{});
        return static_cast<std::uint32_t>(entries_.size() - 1);
    }
    free_entry_ = entries_[index].only.index;
    entries_[index] = Entry{};
    return index;
}

void SubscriptionIndex::free_entry(std::uint32_t index) noexcept {
    Entry& entry = entries_[index];
    delete entry.crowd;
    entry = Entry{};
    entry.only.index = free_entry_;
    free_entry_ = index;
}

SubscriptionIndex::Crowd& SubscriptionIndex::crowd_of(Entry& entry) {
    if (entry.crowd == nullptr) {
        auto crowd = std::make_unique<Crowd>();
        if (entry.only.generation != 0) crowd->subscribers.push_back(entry.only);
        entry.only = Packed{};
        entry.crowd = crowd.release();
    }
    return *entry.crowd;
}

bool SubscriptionIndex::add(TenantId tenant, std::string_view filter, std::string_view group_name,
                            const Subscriber& subscriber) {
    MITU_CHECK(subscriber.session.generation != 0);
    ++version_;
    Payload& payload = tree_.node(tree_.insert(tenant, Levels{filter})).payload;
    if (payload.empty()) payload.entry = take_entry();
    Entry& entry = entries_[payload.entry];
    const bool is_new = group_name.empty() ? add_plain(entry, Packed{subscriber})
                                           : add_member(entry, group_name, Packed{subscriber});
    if (is_new) ++subscription_count_;
    return is_new;
}

bool SubscriptionIndex::add_plain(Entry& entry, const Packed& subscriber) {
    if (entry.crowd == nullptr) {
        const bool is_first = entry.only.generation == 0;
        if (is_first || entry.only.session() == subscriber.session()) {
            entry.only = subscriber;
            return is_first;
        }
    }
    auto& subscribers = crowd_of(entry).subscribers;
    const auto at = place_of(subscribers, subscriber.session());
    if (at != subscribers.end() && at->session() == subscriber.session()) {
        *at = subscriber;
        return false;
    }
    subscribers.insert(at, subscriber);
    return true;
}

bool SubscriptionIndex::add_member(Entry& entry, std::string_view group_name,
                                   const Packed& subscriber) {
    auto& groups = crowd_of(entry).groups;
    const auto group = group_named(groups, group_name);
    Group* found = nullptr;
    if (group == groups.end()) {
        groups.push_back(std::make_unique<Group>());
        found = groups.back().get();
        found->name = group_name;
        found->serial = next_serial_++;
        if (next_serial_ == 0) next_serial_ = 1;  // 0 means that a message is not shared
        groups_by_serial_.emplace(found->serial, found);
    } else {
        found = group->get();
    }
    const auto member = member_of(found->members, subscriber.session());
    if (member != found->members.end()) {
        *member = subscriber;
        return false;
    }
    found->members.push_back(subscriber);
    return true;
}

bool SubscriptionIndex::remove(TenantId tenant, std::string_view filter,
                               std::string_view group_name, const SessionRef& session) {
    ++version_;
    const auto node = tree_.find(tenant, Levels{filter});
    if (node == Tree::none) return false;
    Payload& payload = tree_.node(node).payload;
    if (payload.empty()) return false;
    Entry& entry = entries_[payload.entry];
    const bool was_there = group_name.empty() ? remove_plain(entry, session)
                                              : remove_member(entry, group_name, session);
    if (!was_there) return false;
    --subscription_count_;
    forget_if_empty(node);
    return true;
}

void SubscriptionIndex::forget_if_empty(Tree::NodeIndex node) {
    Payload& payload = tree_.node(node).payload;
    const Entry& entry = entries_[payload.entry];
    if (!entry.subscribers().empty()) return;
    if (entry.crowd != nullptr && !entry.crowd->groups.empty()) return;
    free_entry(payload.entry);
    payload.entry = no_entry;
    tree_.prune(node);
}

std::size_t SubscriptionIndex::remove_sessions(std::span<const SessionRef> sessions) {
    ++version_;
    std::vector<SessionRef> gone(sessions.begin(), sessions.end());
    std::sort(gone.begin(), gone.end());
    const auto is_gone = [&](const Packed& subscriber) {
        return std::binary_search(gone.begin(), gone.end(), subscriber.session());
    };
    const std::size_t before = subscription_count_;
    std::vector<SessionRef> found;
    for (Tree::NodeIndex node = 0; node < tree_.node_end(); ++node) {
        const Payload payload = tree_.node(node).payload;
        if (payload.empty()) continue;
        Entry& entry = entries_[payload.entry];
        found.clear();
        const auto keep = [&](const Packed& subscriber) {
            if (is_gone(subscriber)) found.push_back(subscriber.session());
        };
        for (const Packed& subscriber : entry.subscribers()) keep(subscriber);
        for (const SessionRef& session : found) {
            if (remove_plain(entry, session)) --subscription_count_;
        }
        const std::size_t groups = entry.crowd != nullptr ? entry.crowd->groups.size() : 0;
        for (std::size_t i = groups; i-- > 0;) {  // from behind: a group without members goes
            const std::string name = entry.crowd->groups[i]->name;
            found.clear();
            for (const Packed& member : entry.crowd->groups[i]->members) keep(member);
            for (const SessionRef& session : found) {
                if (remove_member(entry, name, session)) --subscription_count_;
            }
        }
        forget_if_empty(node);
    }
    return before - subscription_count_;
}

bool SubscriptionIndex::remove_plain(Entry& entry, const SessionRef& session) {
    if (entry.crowd == nullptr) {
        if (entry.only.generation == 0 || entry.only.session() != session) return false;
        entry.only = Packed{};
        return true;
    }
    auto& subscribers = entry.crowd->subscribers;
    const auto at = place_of(subscribers, session);
    if (at == subscribers.end() || at->session() != session) return false;
    subscribers.erase(at);
    return true;
}

bool SubscriptionIndex::remove_member(Entry& entry, std::string_view group_name,
                                      const SessionRef& session) {
    if (entry.crowd == nullptr) return false;
    auto& groups = entry.crowd->groups;
    const auto group = group_named(groups, group_name);
    if (group == groups.end()) return false;
    auto& members = (*group)->members;
    const auto at = member_of(members, session);
    if (at == members.end()) return false;
    members.erase(at);
    if (members.empty()) {
        groups_by_serial_.erase((*group)->serial);
        groups.erase(group);
    }
    return true;
}

Recipient SubscriptionIndex::recipient(const Packed& subscriber, Matches& matches) {
    Recipient r;
    r.session = subscriber.session();
    r.qos = static_cast<mqtt::QoS>(subscriber.qos);
    r.retain_as_published = subscriber.retain_as_published != 0;
    r.kept = subscriber.kept;
    r.identifier_begin = static_cast<std::uint32_t>(matches.identifiers.size());
    if (subscriber.identifier != 0) {
        matches.identifiers.push_back(subscriber.identifier);
        r.identifier_count = 1;
    }
    return r;
}

void SubscriptionIndex::match(TenantId tenant, std::string_view topic, const SessionRef& publisher,
                              Matches& matches) {
    if (matches.version == version_ && matches.publisher == publisher && matches.tenant == tenant &&
        matches.topic == topic) {
        return;
    }
    matches.clear();
    const Levels levels{topic};
    int lists = 0;
    tree_.match_topic(tenant, levels, [&](const Payload& payload) {
        const auto subscribers = entries_[payload.entry].subscribers();
        if (subscribers.empty()) return;
        ++lists;
        for (const Packed& subscriber : subscribers) {
            if (subscriber.no_local != 0 && subscriber.session() == publisher) continue;
            matches.recipients.push_back(recipient(subscriber, matches));
        }
    });
    if (lists > 1) merge(matches);
    bool is_shared = false;
    const auto remember = [&] {
        if (is_shared) return;  // the next message is the next member's
        matches.version = version_;
        matches.tenant = tenant;
        matches.publisher = publisher;
        matches.topic = topic;
    };
    if (groups_by_serial_.empty()) return remember();
    tree_.match_topic(tenant, levels, [&](const Payload& payload) {
        const Crowd* const crowd = entries_[payload.entry].crowd;
        if (crowd == nullptr) return;
        for (const auto& group : crowd->groups) {
            is_shared = true;
            if (auto member = next_member(group->serial, 0, SessionRef{}, matches)) {
                matches.recipients.push_back(*member);
            }
        }
    });
    remember();
}

void SubscriptionIndex::merge(Matches& matches) {
    // One copy per session, with its highest QoS and every identifier [MQTT-3.3.4-2, 3.3.4-3].
    auto& list = matches.recipients;
    const auto key = [](const Recipient& r) {
        return std::tuple{order_of(r.session), r.identifier_begin};
    };
    std::sort(list.begin(), list.end(),
              [&](const Recipient& a, const Recipient& b) { return key(a) < key(b); });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < list.size();) {
        Recipient merged = list[i];
        std::size_t next = i + 1;
        while (next < list.size() && list[next].session == merged.session) ++next;
        if (next - i > 1) {
            merged.identifier_begin = static_cast<std::uint32_t>(matches.identifiers.size());
            merged.identifier_count = 0;
            for (std::size_t k = i; k < next; ++k) {
                merged.qos = std::max(merged.qos, list[k].qos);
                merged.retain_as_published |= list[k].retain_as_published;
                for (std::uint32_t id = 0; id < list[k].identifier_count; ++id) {
                    if (merged.identifier_count == identifiers_per_recipient_max) break;
                    const auto identifier = matches.identifiers[list[k].identifier_begin + id];
                    matches.identifiers.push_back(identifier);
                    ++merged.identifier_count;
                }
            }
        }
        list[kept++] = merged;
        i = next;
    }
    list.resize(kept);
}

std::optional<Recipient> SubscriptionIndex::next_member(std::uint32_t share_serial,
                                                        std::uint32_t attempts,
                                                        const SessionRef& refused,
                                                        Matches& matches) {
    const auto it = groups_by_serial_.find(share_serial);
    if (it == groups_by_serial_.end()) return std::nullopt;
    Group& group = *it->second;
    if (attempts >= std::min<std::size_t>(group.members.size(), share_attempts_max)) {
        return std::nullopt;
    }
    if (refused.generation != 0) {
        const auto at = member_of(group.members, refused);
        if (at != group.members.end()) {
            group.next = static_cast<std::uint32_t>(at - group.members.begin()) + 1;
        }
    }
    group.next = group.next < group.members.size() ? group.next : 0;
    Recipient r = recipient(group.members[group.next++], matches);
    r.share_serial = share_serial;
    return r;
}

}  // namespace mitu::broker
