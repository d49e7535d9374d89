#include "mitu/broker/level_tree.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/names.hpp"

namespace mitu::broker {
namespace {

struct Number {
    int value = 0;
    [[nodiscard]] bool empty() const noexcept { return value == 0; }
};
using Filters = LevelTree<Number, TreeOf::filters>;
using Topics = LevelTree<Number, TreeOf::topics>;

TEST(levels, split_a_topic_and_know_what_is_too_deep) {
    const Levels levels{"a//b/"};
    ASSERT_EQ(levels.count(), 4u);
    EXPECT_EQ(levels.at(0), "a");
    EXPECT_EQ(levels.at(1), "");
    EXPECT_EQ(levels.at(2), "b");
    EXPECT_EQ(levels.at(3), "");
    EXPECT_EQ(Levels{""}.count(), 1u);
    EXPECT_FALSE(Levels::is_too_deep(std::string(topic_levels_max - 1, '/')));
    EXPECT_TRUE(Levels::is_too_deep(std::string(topic_levels_max, '/')));
    EXPECT_FALSE(Levels::is_too_deep(std::string(1'000, 'x')));
    EXPECT_EQ(Levels{std::string(1'000, '/')}.count(), topic_levels_max);
}

TEST(level_tree, finds_what_was_inserted_and_nothing_else) {
    Filters tree;
    const auto index = tree.insert(tenant_default, Levels{"a/b"});
    EXPECT_EQ(tree.find(tenant_default, Levels{"a/b"}), index);
    EXPECT_NE(tree.find(tenant_default, Levels{"a"}), Filters::none);
    EXPECT_EQ(tree.find(tenant_default, Levels{"b"}), Filters::none);
    EXPECT_EQ(tree.find(tenant_default, Levels{"a/b/"}), Filters::none);
    EXPECT_EQ(tree.find(TenantId{1}, Levels{"a/b"}), Filters::none);
}

TEST(level_tree, prunes_as_far_as_nothing_needs_a_node) {
    Filters tree;
    const auto deep = tree.insert(tenant_default, Levels{"a/b/c/d"});
    const auto middle = tree.insert(tenant_default, Levels{"a/b"});
    tree.node(deep).payload.value = 1;
    tree.node(middle).payload.value = 2;
    EXPECT_EQ(tree.node_count(), 5u);
    tree.node(deep).payload.value = 0;
    tree.prune(deep);
    EXPECT_EQ(tree.node_count(), 3u);
    tree.node(middle).payload.value = 0;
    tree.prune(middle);
    EXPECT_EQ(tree.node_count(), 1u) << "a tenant's root stays";
}

TEST(level_tree, matches_as_the_specification_says_whatever_came_and_went) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Prng prng{seed};
        Filters filters;
        Topics topics;
        std::map<std::pair<TenantId, std::string>, int> filter_model;
        std::map<std::pair<TenantId, std::string>, int> topic_model;
        int next = 1;
        const auto change = [&](auto& tree, auto& model, const std::string& name) {
            const TenantId tenant{static_cast<std::uint16_t>(prng.below(2))};
            const auto it = model.find({tenant, name});
            if (it == model.end()) {
                tree.node(tree.insert(tenant, Levels{name})).payload.value = next;
                model.emplace(std::pair{tenant, name}, next++);
                return;
            }
            const auto index = tree.find(tenant, Levels{name});
            ASSERT_NE(index, IndexTable::none);
            ASSERT_EQ(tree.node(index).payload.value, it->second);
            tree.node(index).payload.value = 0;
            tree.prune(index);
            model.erase(it);
        };
        for (int i = 0; i < 1'500; ++i) {
            change(filters, filter_model, testing::draw_filter(prng));
            change(topics, topic_model, testing::draw_topic(prng));
            if (i % 10 != 0) continue;
            const TenantId tenant{static_cast<std::uint16_t>(prng.below(2))};
            const std::string topic = testing::draw_topic(prng);
            std::multiset<int> found;
            std::multiset<int> expected;
            filters.match_topic(tenant, Levels{topic}, [&](const Number& n) {
                if (n.value != 0) found.insert(n.value);
            });
            for (const auto& [key, value] : filter_model) {
                if (key.first == tenant && mqtt::matches(key.second, topic)) expected.insert(value);
            }
            ASSERT_EQ(found, expected) << "seed " << seed << " topic " << topic;

            const std::string filter = testing::draw_filter(prng);
            found.clear();
            expected.clear();
            topics.match_filter(tenant, Levels{filter},
                                [&](const Number& n) { found.insert(n.value); });
            for (const auto& [key, value] : topic_model) {
                if (key.first == tenant && mqtt::matches(filter, key.second)) {
                    expected.insert(value);
                }
            }
            ASSERT_EQ(found, expected) << "seed " << seed << " filter " << filter;
        }
        ASSERT_TRUE(filters.is_sound());
        ASSERT_TRUE(topics.is_sound());
        while (!filter_model.empty())
            change(filters, filter_model, filter_model.begin()->first.second);
        while (!topic_model.empty()) change(topics, topic_model, topic_model.begin()->first.second);
        EXPECT_LE(filters.node_count(), 2u);
        EXPECT_LE(topics.node_count(), 2u);
        ASSERT_TRUE(filters.is_sound());
    }
}

TEST(level_tree, has_each_node_in_its_table_once_while_it_grows_and_shrinks) {
    Filters tree;
    for (int i = 0; i < 5'000; ++i) {
        const auto index = tree.insert(tenant_default, Levels{"x/" + std::to_string(i)});
        tree.node(index).payload.value = 1;
        if (i % 500 == 0) {
            ASSERT_TRUE(tree.is_sound()) << i;
        }
    }
    for (int i = 0; i < 5'000; i += 2) {
        const auto index = tree.find(tenant_default, Levels{"x/" + std::to_string(i)});
        tree.node(index).payload.value = 0;
        tree.prune(index);
    }
    ASSERT_TRUE(tree.is_sound());
    for (int i = 1; i < 5'000; i += 2) {
        ASSERT_NE(tree.find(tenant_default, Levels{"x/" + std::to_string(i)}), Filters::none);
    }
}

}  // namespace
}  // namespace mitu::broker
