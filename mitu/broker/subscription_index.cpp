#include "mitu/broker/subscription_index.hpp"

#include <algorithm>
#include <tuple>

namespace mitu::broker {
namespace {

auto order_of(const SessionRef& s) noexcept { return std::tuple{s.shard, s.index, s.generation}; }

template <class List>
auto lower_bound(List& list, const SessionRef& session) {
    return std::lower_bound(
        list.begin(), list.end(), session,
        [](const Subscriber& a, const SessionRef& b) { return order_of(a.session) < order_of(b); });
}

}  // namespace

bool SubscriptionIndex::add(TenantId tenant, std::string_view filter, std::string_view group_name,
                            const Subscriber& subscriber) {
    Entry& entry = tree_.node(tree_.insert(tenant, Levels{filter})).payload;
    if (group_name.empty()) {
        const auto at = lower_bound(entry.subscribers, subscriber.session);
        if (at != entry.subscribers.end() && at->session == subscriber.session) {
            *at = subscriber;
            return false;
        }
        entry.subscribers.insert(at, subscriber);
        ++subscription_count_;
        return true;
    }
    const auto group = std::find_if(entry.groups.begin(), entry.groups.end(),
                                    [&](const auto& g) { return g->name == group_name; });
    Group* found = nullptr;
    if (group == entry.groups.end()) {
        entry.groups.push_back(std::make_unique<Group>());
        found = entry.groups.back().get();
        found->name = group_name;
        found->serial = next_serial_++;
        if (next_serial_ == 0) next_serial_ = 1;  // 0 means that a message is not shared
        groups_by_serial_.emplace(found->serial, found);
    } else {
        found = group->get();
    }
    for (Subscriber& member : found->members) {
        if (member.session != subscriber.session) continue;
        member = subscriber;
        return false;
    }
    found->members.push_back(subscriber);
    ++subscription_count_;
    return true;
}

bool SubscriptionIndex::remove(TenantId tenant, std::string_view filter,
                               std::string_view group_name, const SessionRef& session) {
    const auto index = tree_.find(tenant, Levels{filter});
    if (index == LevelTree<Entry>::none) return false;
    Entry& entry = tree_.node(index).payload;
    if (group_name.empty()) {
        const auto at = lower_bound(entry.subscribers, session);
        if (at == entry.subscribers.end() || at->session != session) return false;
        entry.subscribers.erase(at);
    } else {
        const auto group = std::find_if(entry.groups.begin(), entry.groups.end(),
                                        [&](const auto& g) { return g->name == group_name; });
        if (group == entry.groups.end()) return false;
        auto& members = (*group)->members;
        const auto at = std::find_if(members.begin(), members.end(),
                                     [&](const Subscriber& m) { return m.session == session; });
        if (at == members.end()) return false;
        members.erase(at);
        if (members.empty()) {
            groups_by_serial_.erase((*group)->serial);
            entry.groups.erase(group);
        }
    }
    --subscription_count_;
    tree_.prune(index);
    return true;
}

Recipient SubscriptionIndex::recipient(const Subscriber& subscriber, Matches& matches) {
    Recipient r;
    r.session = subscriber.session;
    r.qos = subscriber.qos;
    r.retain_as_published = subscriber.retain_as_published;
    r.identifier_begin = static_cast<std::uint32_t>(matches.identifiers.size());
    if (subscriber.subscription_identifier != 0) {
        matches.identifiers.push_back(subscriber.subscription_identifier);
        r.identifier_count = 1;
    }
    return r;
}

void SubscriptionIndex::match(TenantId tenant, std::string_view topic, const SessionRef& publisher,
                              Matches& matches) {
    matches.clear();
    const Levels levels{topic};
    int lists = 0;
    tree_.match_topic(tenant, levels, [&](const Entry& entry) {
        if (entry.subscribers.empty()) return;
        ++lists;
        for (const Subscriber& subscriber : entry.subscribers) {
            if (subscriber.no_local && subscriber.session == publisher) continue;
            matches.recipients.push_back(recipient(subscriber, matches));
        }
    });
    if (lists > 1) merge(matches);
    if (groups_by_serial_.empty()) return;
    tree_.match_topic(tenant, levels, [&](const Entry& entry) {
        for (const auto& group : entry.groups) {
            if (auto member = next_member(group->serial, 0, SessionRef{}, matches)) {
                matches.recipients.push_back(*member);
            }
        }
    });
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
        const auto at =
            std::find_if(group.members.begin(), group.members.end(),
                         [&](const Subscriber& member) { return member.session == refused; });
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
