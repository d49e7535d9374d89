// What every Engine promises.

#include <gtest/gtest.h>

#include <map>

#include "mitu/base/random.hpp"
#include "mitu/store/codec.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/testing/engines.hpp"

namespace mitu::store {
namespace {

using testing::EngineKind;

class EngineContract : public ::testing::TestWithParam<EngineKind> {
protected:
    Engine& engine() { return world_->engine(); }

    void write(const Batch& batch, bool sync = false) {
        const auto written = engine().write(batch.bytes(), sync);
        ASSERT_TRUE(written) << written.error().detail;
    }
    std::optional<std::string> get(Family family, std::string_view key) {
        const auto value = engine().get(family, as_bytes(key));
        EXPECT_TRUE(value);
        if (!value || !*value) return std::nullopt;
        return mitu::to_text(**value);
    }
    std::string scan(Family family, std::string_view from = {}, std::string_view to = {}) {
        std::string all;
        const auto rows = engine().scan(family, as_bytes(from), as_bytes(to));
        while (rows->next()) {
            all += mitu::to_text(rows->key());
            all += '=';
            all += mitu::to_text(rows->value());
            all += ' ';
        }
        EXPECT_FALSE(rows->error());
        return all;
    }
    std::int64_t count(Family family, std::string_view key) {
        const auto value = engine().get(family, as_bytes(key));
        return value && *value ? decode_count(**value).value_or(-1) : 0;
    }

    static Batch putting(std::initializer_list<std::pair<std::string_view, std::string_view>> rows,
                         Family family = Family::values) {
        Batch batch;
        for (const auto& [key, value] : rows) batch.put(family, as_bytes(key), as_bytes(value));
        return batch;
    }

    std::unique_ptr<testing::EngineWorld> world_ = GetParam().make();
};

TEST_P(EngineContract, what_was_put_is_read_until_it_is_erased) {
    write(putting({{"a", "1"}, {"b", ""}}));
    EXPECT_EQ(get(Family::values, "a"), "1");
    EXPECT_EQ(get(Family::values, "b"), "");
    EXPECT_EQ(get(Family::values, "c"), std::nullopt);
    Batch batch = putting({{"a", "2"}});
    batch.erase(Family::values, as_bytes("b"));
    batch.erase(Family::values, as_bytes("never there"));
    write(batch);
    EXPECT_EQ(get(Family::values, "a"), "2");
    EXPECT_EQ(get(Family::values, "b"), std::nullopt);
}

TEST_P(EngineContract, families_are_apart) {
    for (std::size_t i = 0; i < family_count; ++i) {
        write(putting({{"12345678", std::to_string(i)}}, family_at(i)));
    }
    for (std::size_t i = 0; i < family_count; ++i) {
        if (family_at(i) == Family::references) continue;  // counts, not text
        EXPECT_EQ(get(family_at(i), "12345678"), std::to_string(i)) << family_names[i];
    }
}

TEST_P(EngineContract, ranges_are_read_in_the_order_of_bytes_and_end_before_their_end) {
    write(putting({{"b", "2"}, {"a", "1"}, {"ab", "12"}, {"\xFF", "last"}, {"c", "3"}}));
    EXPECT_EQ(scan(Family::values), "a=1 ab=12 b=2 c=3 \xFF=last ");
    EXPECT_EQ(scan(Family::values, "ab", "c"), "ab=12 b=2 ");
    EXPECT_EQ(scan(Family::values, "d", "e"), "");
    EXPECT_EQ(scan(Family::values, "c"), "c=3 \xFF=last ");
}

TEST_P(EngineContract, the_last_row_of_a_range_is_found_without_reading_it) {
    write(putting({{"a1", ""}, {"a2", ""}, {"b1", ""}}));
    const auto last = [&](std::string_view from, std::string_view to) {
        const auto key = engine().last(Family::values, as_bytes(from), as_bytes(to));
        EXPECT_TRUE(key);
        return key && *key ? mitu::to_text(**key) : std::string{"none"};
    };
    EXPECT_EQ(last("a", "b"), "a2");
    EXPECT_EQ(last("a", "a2"), "a1");
    EXPECT_EQ(last("", ""), "b1");
    EXPECT_EQ(last("b2", ""), "none");
    EXPECT_EQ(last("0", "a"), "none");
    EXPECT_EQ(last("a11", "a2"), "none");
}

TEST_P(EngineContract, a_range_is_erased_without_its_end) {
    write(putting({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}));
    Batch batch;
    batch.erase_range(Family::values, as_bytes("b"), as_bytes("d"));
    batch.put(Family::values, as_bytes("c"), as_bytes("again"));
    write(batch);
    EXPECT_EQ(scan(Family::values), "a=1 c=again d=4 ");
}

TEST_P(EngineContract, counts_add_up_without_being_read) {
    Batch batch;
    batch.add(Family::references, as_bytes("m"), 3);
    write(batch);
    for (int i = 0; i < 5; ++i) {
        Batch more;
        more.add(Family::references, as_bytes("m"), -1);
        write(more);
    }
    EXPECT_EQ(count(Family::references, "m"), -2);
    Batch anew;
    anew.erase(Family::references, as_bytes("m"));
    anew.add(Family::references, as_bytes("m"), 7);
    write(anew);
    EXPECT_EQ(count(Family::references, "m"), 7);
}

TEST_P(EngineContract, a_row_that_stays_is_met_though_others_come_and_go) {
    for (int i = 0; i < 100; ++i) {
        write(putting({{"k" + std::to_string(1000 + i), "stays"}}));
    }
    const auto rows = engine().scan(Family::values, {}, {});
    int met = 0;
    for (int i = 0; rows->next(); ++i) {
        if (as_text(rows->value()) == "stays") ++met;
        Batch batch = putting({{"k" + std::to_string(1000 + i) + "x", "new"}});
        batch.erase(Family::values, as_bytes("k" + std::to_string(1000 + i) + "w"));
        write(batch);
    }
    EXPECT_EQ(met, 100);
}

TEST_P(EngineContract, a_full_disk_refuses_the_whole_batch_and_goes_on_when_there_is_room) {
    if (!world_->can_fill()) GTEST_SKIP() << "a real disk is not filled here";
    write(putting({{"before", "1"}}), true);
    world_->set_room(0);
    Batch batch = putting({{"small", "1"}});
    const Bytes large(4'000'000, 'x');
    batch.put(Family::values, as_bytes("large"), large);
    const auto refused = engine().write(batch.bytes(), true);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::disk_full) << refused.error().detail;
    EXPECT_EQ(get(Family::values, "small"), std::nullopt);
    EXPECT_EQ(get(Family::values, "before"), "1");

    world_->set_room(100'000'000);
    const auto recovered = engine().recover();
    ASSERT_TRUE(recovered) << recovered.error().detail;
    write(batch, true);
    EXPECT_EQ(get(Family::values, "small"), "1");
}

TEST_P(EngineContract, what_was_written_is_there_after_closing) {
    write(putting({{"a", "1"}}));
    if (!world_->reopen()) GTEST_SKIP() << "keeps nothing";
    EXPECT_EQ(get(Family::values, "a"), "1");
}

TEST_P(EngineContract, what_was_synced_is_there_after_a_loss_of_power) {
    write(putting({{"a", "1"}}));
    write(putting({{"b", "2"}}), true);
    write(putting({{"c", "3"}}));
    ASSERT_TRUE(engine().sync());
    write(putting({{"d", "4"}}));
    if (!world_->crash()) GTEST_SKIP() << "keeps nothing";
    const std::string rows = scan(Family::values);
    EXPECT_TRUE(rows == "a=1 b=2 c=3 " || rows == "a=1 b=2 c=3 d=4 ") << rows;
}

TEST_P(EngineContract, random_operations_leave_what_a_model_has) {
    Prng random{7};
    std::map<std::string, std::string> model;
    for (int round = 0; round < 300; ++round) {
        Batch batch;
        const std::uint64_t operations = 1 + random.below(8);
        for (std::uint64_t i = 0; i < operations; ++i) {
            const std::string key(1, static_cast<char>('a' + random.below(20)));
            switch (random.below(4)) {
                case 0:
                    batch.erase(Family::values, as_bytes(key));
                    model.erase(key);
                    break;
                case 1: {
                    const std::string to(1, static_cast<char>(key[0] + 2));
                    batch.erase_range(Family::values, as_bytes(key), as_bytes(to));
                    model.erase(model.lower_bound(key), model.lower_bound(to));
                    break;
                }
                default: {
                    const std::string value = std::to_string(random.below(1000));
                    batch.put(Family::values, as_bytes(key), as_bytes(value));
                    model[key] = value;
                }
            }
        }
        write(batch, random.chance(0.2));
        if (random.chance(0.05)) (void)world_->reopen();
        std::string expected;
        for (const auto& [key, value] : model) expected += key + "=" + value + " ";
        ASSERT_EQ(scan(Family::values), expected) << "round " << round;
    }
}

INSTANTIATE_TEST_SUITE_P(kinds, EngineContract, ::testing::ValuesIn(testing::engine_kinds()),
                         testing::name_of_kind);

}  // namespace
}  // namespace mitu::store
