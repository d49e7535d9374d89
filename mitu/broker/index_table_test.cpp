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

/// The memory of one session, as its shard gives it.
struct OneSession {
    explicit OneSession(std::uint64_t bytes_max = 64u << 20)
        : pool{{.holding_bytes_max = bytes_max}}, memory{pool, holding, nullptr} {}
    memory::SlabPool pool;
    memory::SlabHolding holding;
    memory::Arena scratch;
    SessionMemory memory;
};

TEST(filter_set, holds_what_a_set_holds_whatever_comes_and_goes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Prng prng{seed};
        OneSession session;
        FilterSet filters;
        std::set<std::string, std::less<>> model;
        const std::uint64_t names = seed % 3 == 0 ? 8 : seed % 3 == 1 ? 20 : 3'000;
        for (int i = 0; i < 6'000; ++i) {
            const std::string filter =
                "a/" + std::string(prng.below(30), 'x') + std::to_string(prng.below(names));
            if (prng.chance(i < 3'000 ? 0.7 : 0.3)) {
                const auto added = filters.add(session.memory, filter);
                ASSERT_EQ(added, model.insert(filter).second ? FilterSet::Added::yes
                                                             : FilterSet::Added::was_there);
            } else {
                ASSERT_EQ(filters.remove(session.memory, filter), model.erase(filter) == 1);
            }
            ASSERT_EQ(filters.contains(filter), model.contains(filter));
            ASSERT_EQ(filters.size(), model.size());
            if (i % 500 != 0) continue;
            const memory::ArenaScope scope{session.scratch};
            const auto sorted = filters.sorted(session.scratch);
            ASSERT_TRUE(std::equal(sorted.begin(), sorted.end(), model.begin(), model.end()));
        }
        for (const auto& filter : model) ASSERT_TRUE(filters.remove(session.memory, filter));
        EXPECT_EQ(filters.size(), 0u);
        EXPECT_EQ(session.holding.held_bytes, 0u) << "an empty set holds nothing";
        EXPECT_EQ(filters.add(session.memory, std::string(65'535, 'y')), FilterSet::Added::yes);
        EXPECT_TRUE(filters.contains(std::string(65'535, 'y')));
    }
}

TEST(filter_set, is_as_it_was_when_there_is_no_room) {
    for (std::uint64_t bytes_max = 0; bytes_max < 3'000; bytes_max += 40) {
        OneSession session{bytes_max};
        FilterSet filters;
        std::set<std::string, std::less<>> model;
        for (int i = 0; i < 200; ++i) {
            const std::string filter = "some/filter/" + std::to_string(i);
            const auto added = filters.add(session.memory, filter);
            ASSERT_NE(added, FilterSet::Added::was_there);
            if (added == FilterSet::Added::yes) model.insert(filter);
            ASSERT_EQ(filters.contains(filter), added == FilterSet::Added::yes);
            ASSERT_EQ(filters.size(), model.size());
        }
        ASSERT_LT(model.size(), 200u);
        const auto sorted = filters.sorted(session.scratch);
        ASSERT_TRUE(std::equal(sorted.begin(), sorted.end(), model.begin(), model.end()));
        for (const auto& filter : model) ASSERT_TRUE(filters.remove(session.memory, filter));
        ASSERT_EQ(session.holding.held_bytes, 0u);
    }
}

}  // namespace
}  // namespace mitu::broker
