#include "mitu/broker/index_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "mitu/base/random.hpp"
#include "mitu/broker/chunked_list.hpp"
#include "mitu/broker/filter_set.hpp"
#include "mitu/broker/short_text.hpp"

namespace mitu::broker {
namespace {

TEST(index_table, holds_what_a_map_holds_whatever_comes_and_goes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Prng prng{seed};
        // Few different hashes: many indexes share one, and every run of entries wraps around.
        const std::uint64_t hashes = seed % 2 == 0 ? 40 : 1'000'000;
        IndexTable table;
        std::map<std::uint32_t, std::uint64_t> model;
        const auto hash_of = [&] {
            return prng.below(hashes) * 0x9E37'79B9'7F4A'7C15 / (seed % 3 == 0 ? 64 : 1);
        };
        for (int i = 0; i < 5'000; ++i) {
            if (prng.chance(i < 2'500 ? 0.6 : 0.4) || model.empty()) {
                const auto index = static_cast<std::uint32_t>(i);
                const std::uint64_t hash = hash_of();
                table.insert(hash, index);
                model.emplace(index, hash);
            } else {
                auto it = model.lower_bound(static_cast<std::uint32_t>(prng.below(5'000)));
                if (it == model.end()) it = model.begin();
                table.erase(it->second, it->first);
                model.erase(it);
            }
            ASSERT_EQ(table.size(), model.size());
            if (i % 250 != 0) continue;
            ASSERT_EQ(table.count(), model.size());
            for (const auto& [index, hash] : model) {
                ASSERT_EQ(table.find(hash, [&](std::uint32_t at) { return at == index; }), index);
            }
        }
        for (const auto& [index, hash] : model) table.erase(hash, index);
        EXPECT_EQ(table.count(), 0u);
        EXPECT_EQ(table.find(1, [](std::uint32_t) { return true; }), IndexTable::none);
    }
}

TEST(chunked_list, keeps_its_elements_where_they_are) {
    ChunkedList<int, 2> list;
    list.push_back(0);
    const int* const first = &list[0];
    for (int i = 1; i < 1'000; ++i) list.push_back(i);
    EXPECT_EQ(&list[0], first);
    std::int64_t sum = 0;
    for (const int value : list) sum += value;
    EXPECT_EQ(sum, 499'500);
    while (list.size() > 3) list.pop_back();
    EXPECT_EQ(list.back(), 2);
    list.push_back(7);
    EXPECT_EQ(list[3], 7);
    list.resize_down(0);
    EXPECT_TRUE(list.empty());
}

TEST(short_text, keeps_short_and_long_texts) {
    ShortText<10> level;
    EXPECT_EQ(level.view(), "");
    for (const std::size_t size : {0u, 1u, 10u, 11u, 36u, 65'535u}) {
        const std::string text(size, 'x');
        level.set(text);
        EXPECT_EQ(level.view(), text);
        level.clear();
        EXPECT_EQ(level.view(), "");
    }
}

TEST(filter_set, holds_what_a_set_holds_whatever_comes_and_goes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Prng prng{seed};
        FilterSet filters;
        std::set<std::string, std::less<>> model;
        const std::uint64_t names = seed % 3 == 0 ? 8 : seed % 3 == 1 ? 20 : 3'000;
        for (int i = 0; i < 6'000; ++i) {
            const std::string filter =
                "a/" + std::string(prng.below(30), 'x') + std::to_string(prng.below(names));
            if (prng.chance(i < 3'000 ? 0.7 : 0.3)) {
                ASSERT_EQ(filters.add(filter), model.insert(filter).second);
            } else {
                ASSERT_EQ(filters.remove(filter), model.erase(filter) == 1);
            }
            ASSERT_EQ(filters.contains(filter), model.contains(filter));
            ASSERT_EQ(filters.size(), model.size());
            if (i % 500 != 0) continue;
            const auto sorted = filters.sorted();
            ASSERT_TRUE(std::equal(sorted.begin(), sorted.end(), model.begin(), model.end()));
        }
        for (const auto& filter : model) ASSERT_TRUE(filters.remove(filter));
        EXPECT_EQ(filters.size(), 0u);
        EXPECT_TRUE(filters.add(std::string(65'535, 'y')));
        EXPECT_TRUE(filters.contains(std::string(65'535, 'y')));
    }
}

}  // namespace
}  // namespace mitu::broker
