#include "mitu/broker/subscription_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "mitu/broker/testing/names.hpp"

namespace mitu::broker {
namespace {

using mqtt::QoS;

SessionRef session(std::uint32_t index, std::uint16_t shard = 0) {
    return {index, 1, ShardId{shard}};
}

Subscriber subscriber(std::uint32_t index, QoS qos = QoS::at_least_once,
                      std::uint32_t identifier = 0) {
    Subscriber s;
    s.session = session(index);
    s.qos = qos;
    s.subscription_identifier = identifier;
    return s;
}

TEST(subscription_index, tells_new_subscriptions_from_replaced_ones) {
    SubscriptionIndex index;
    EXPECT_TRUE(index.add(tenant_default, "a/+", "", subscriber(1)));
    EXPECT_FALSE(index.add(tenant_default, "a/+", "", subscriber(1, QoS::exactly_once)));
    EXPECT_TRUE(index.add(tenant_default, "a/+", "g", subscriber(1)));
    EXPECT_FALSE(index.add(tenant_default, "a/+", "g", subscriber(1)));
    EXPECT_EQ(index.subscription_count(), 2u);
    EXPECT_TRUE(index.remove(tenant_default, "a/+", "g", session(1)));
    EXPECT_FALSE(index.remove(tenant_default, "a/+", "g", session(1)));
    EXPECT_FALSE(index.remove(tenant_default, "a/+", "", session(2)));
    EXPECT_FALSE(index.remove(tenant_default, "other", "", session(1)));
    EXPECT_TRUE(index.remove(tenant_default, "a/+", "", session(1)));
    EXPECT_EQ(index.subscription_count(), 0u);
    Matches matches;
    index.match(tenant_default, "a/b", {}, matches);
    EXPECT_TRUE(matches.recipients.empty());
}

TEST(subscription_index, merges_what_one_session_has_subscribed) {
    SubscriptionIndex index;
    auto with_flags = subscriber(1, QoS::at_most_once, 7);
    with_flags.retain_as_published = true;
    static_cast<void>(index.add(tenant_default, "a/+", "", with_flags));
    static_cast<void>(index.add(tenant_default, "a/b", "", subscriber(1, QoS::exactly_once)));
    static_cast<void>(index.add(tenant_default, "#", "", subscriber(1, QoS::at_least_once, 9)));
    static_cast<void>(index.add(tenant_default, "#", "", subscriber(0)));
    Matches matches;
    index.match(tenant_default, "a/b", {}, matches);
    ASSERT_EQ(matches.recipients.size(), 2u);
    const Recipient& r = matches.recipients[1];
    EXPECT_EQ(r.session, session(1));
    EXPECT_EQ(r.qos, QoS::exactly_once);
    EXPECT_TRUE(r.retain_as_published);
    std::set<std::uint32_t> identifiers;
    for (std::uint32_t i = 0; i < r.identifier_count; ++i) {
        identifiers.insert(matches.identifiers[r.identifier_begin + i]);
    }
    EXPECT_EQ(identifiers, (std::set<std::uint32_t>{7, 9}));
}

TEST(subscription_index, asks_the_members_behind_the_one_that_refused) {
    SubscriptionIndex index;
    for (std::uint32_t i = 0; i < 4; ++i) {
        static_cast<void>(index.add(tenant_default, "x", "g", subscriber(i)));
    }
    Matches matches;
    index.match(tenant_default, "x", {}, matches);
    ASSERT_EQ(matches.recipients.size(), 1u);
    const std::uint32_t serial = matches.recipients[0].share_serial;
    EXPECT_NE(serial, 0u);
    const auto behind = [&](std::uint32_t refused, std::uint32_t attempts) {
        // Other messages take their turn in between.
        index.match(tenant_default, "x", {}, matches);
        const auto next = index.next_member(serial, attempts, session(refused), matches);
        return next ? static_cast<int>(next->session.index) : -1;
    };
    EXPECT_EQ(behind(2, 1), 3);
    EXPECT_EQ(behind(3, 2), 0);
    EXPECT_EQ(behind(0, 3), 1);
    EXPECT_EQ(behind(1, 4), -1) << "all were asked";
    EXPECT_NE(behind(99, 1), -1) << "one that has left: whoever's turn it is";
    EXPECT_FALSE(index.next_member(serial + 1, 0, {}, matches));
}

TEST(subscription_index, starts_a_group_anew_when_all_have_left) {
    SubscriptionIndex index;
    Matches matches;
    static_cast<void>(index.add(tenant_default, "x", "g", subscriber(1)));
    index.match(tenant_default, "x", {}, matches);
    const std::uint32_t serial = matches.recipients.at(0).share_serial;
    EXPECT_TRUE(index.remove(tenant_default, "x", "g", session(1)));
    EXPECT_FALSE(index.next_member(serial, 0, {}, matches));
    static_cast<void>(index.add(tenant_default, "x", "g", subscriber(2)));
    EXPECT_FALSE(index.next_member(serial, 0, {}, matches));
    index.match(tenant_default, "x", {}, matches);
    EXPECT_NE(matches.recipients.at(0).share_serial, serial);
}

/// All subscriptions in a list, matched one by one.
struct Model {
    struct Entry {
        std::string filter;
        std::string group;
        Subscriber subscriber;
    };
    std::vector<Entry> entries;

    auto find(const std::string& filter, const std::string& group, const SessionRef& who) {
        return std::find_if(entries.begin(), entries.end(), [&](const Entry& e) {
            return e.filter == filter && e.group == group && e.subscriber.session == who;
        });
    }
};

TEST(subscription_index, answers_the_same_question_again_only_while_nothing_has_changed) {
    SubscriptionIndex index;
    Matches matches;
    const auto count = [&](TenantId tenant, std::string_view topic, const SessionRef& publisher) {
        index.match(tenant, topic, publisher, matches);
        return matches.recipients.size();
    };
    auto not_to_itself = subscriber(1);
    not_to_itself.no_local = true;
    static_cast<void>(index.add(tenant_default, "a/+", "", not_to_itself));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(count(tenant_default, "a/b", session(9)), 1u);
    EXPECT_EQ(count(tenant_default, "a/b", session(1)), 0u) << "No Local";
    EXPECT_EQ(count(TenantId{1}, "a/b", session(9)), 0u);
    EXPECT_EQ(count(tenant_default, "a/c", session(9)), 1u);
    static_cast<void>(index.add(tenant_default, "a/c", "", subscriber(2)));
    EXPECT_EQ(count(tenant_default, "a/c", session(9)), 2u);
    static_cast<void>(index.add(tenant_default, "a/c", "", subscriber(2, QoS::exactly_once)));
    EXPECT_EQ(count(tenant_default, "a/c", session(9)), 2u);
    EXPECT_EQ(matches.recipients[1].qos, QoS::exactly_once) << "a subscription that was replaced";
    static_cast<void>(index.remove(tenant_default, "a/+", "", session(1)));
    EXPECT_EQ(count(tenant_default, "a/c", session(9)), 1u);

    static_cast<void>(index.add(tenant_default, "a/c", "g", subscriber(3)));
    static_cast<void>(index.add(tenant_default, "a/c", "g", subscriber(4)));
    std::set<std::uint32_t> members;
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(count(tenant_default, "a/c", session(9)), 2u);
        members.insert(matches.recipients.back().session.index);
    }
    EXPECT_EQ(members, (std::set<std::uint32_t>{3, 4})) << "members take turns all the same";
}

TEST(subscription_index, matches_like_a_list_of_all_subscriptions) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        Prng prng{seed};
        SubscriptionIndex index;
        Model model;
        Matches matches;
        for (int step = 0; step < 800; ++step) {
            const std::string filter = testing::draw_filter(prng);
            const std::string group = prng.chance(0.3) ? (prng.chance(0.5) ? "g" : "h") : "";
            Subscriber who;
            who.session = session(static_cast<std::uint32_t>(prng.below(6)),
                                  static_cast<std::uint16_t>(prng.below(3)));
            const auto at = model.find(filter, group, who.session);
            if (prng.chance(0.4)) {
                EXPECT_EQ(index.remove(tenant_default, filter, group, who.session),
                          at != model.entries.end());
                if (at != model.entries.end()) model.entries.erase(at);
            } else {
                who.qos = QoS(prng.below(3));
                who.no_local = group.empty() && prng.chance(0.3);
                who.retain_as_published = prng.chance(0.5);
                who.subscription_identifier = static_cast<std::uint32_t>(prng.below(4));
                EXPECT_EQ(index.add(tenant_default, filter, group, who), at == model.entries.end());
                if (at != model.entries.end()) {
                    at->subscriber = who;
                } else {
                    model.entries.push_back({filter, group, who});
                }
            }
            ASSERT_EQ(index.subscription_count(), model.entries.size());

            const std::string topic = testing::draw_topic(prng);
            const SessionRef publisher = session(static_cast<std::uint32_t>(prng.below(6)));
            index.match(tenant_default, topic, publisher, matches);
            if (prng.chance(0.3)) index.match(tenant_default, topic, publisher, matches);

            struct Expected {
                QoS qos = QoS::at_most_once;
                bool retain = false;
                std::multiset<std::uint32_t> identifiers;
            };
            std::map<SessionRef, Expected> plain;
            std::map<std::pair<std::string, std::string>, std::set<SessionRef>> groups;
            for (const auto& e : model.entries) {
                if (!mqtt::matches(e.filter, topic)) continue;
                if (!e.group.empty()) {
                    groups[{e.filter, e.group}].insert(e.subscriber.session);
                    continue;
                }
                if (e.subscriber.no_local && e.subscriber.session == publisher) continue;
                Expected& x = plain[e.subscriber.session];
                x.qos = std::max(x.qos, e.subscriber.qos);
                x.retain |= e.subscriber.retain_as_published;
                if (e.subscriber.subscription_identifier != 0) {
                    x.identifiers.insert(e.subscriber.subscription_identifier);
                }
            }
            std::size_t shared = 0;
            for (const Recipient& r : matches.recipients) {
                if (r.share_serial != 0) {
                    ++shared;
                    continue;
                }
                ASSERT_EQ(shared, 0u) << "shared ones come last";
                ASSERT_TRUE(plain.contains(r.session)) << "seed " << seed;
                const Expected& x = plain[r.session];
                EXPECT_EQ(r.qos, x.qos);
                EXPECT_EQ(r.retain_as_published, x.retain);
                std::multiset<std::uint32_t> identifiers;
                for (std::uint32_t i = 0; i < r.identifier_count; ++i) {
                    identifiers.insert(matches.identifiers.at(r.identifier_begin + i));
                }
                EXPECT_EQ(identifiers, x.identifiers);
                plain.erase(r.session);
            }
            ASSERT_TRUE(plain.empty()) << "seed " << seed << " topic " << topic;
            ASSERT_EQ(shared, groups.size());
        }
    }
}

}  // namespace
}  // namespace mitu::broker
