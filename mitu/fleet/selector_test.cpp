#include "mitu/fleet/selector.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mitu::fleet {
namespace {

using Labels = std::vector<Label>;

TEST(selector, selects_when_every_named_field_and_label_is_there) {
    const Labels labels{{"floor", "3"}, {"zone", "lab"}};
    EXPECT_TRUE(selects({}, "acme", "x", labels));
    EXPECT_TRUE(selects({"acme", "", {}}, "acme", "x", labels));
    EXPECT_FALSE(selects({"acme", "", {}}, "zeta", "x", labels));
    EXPECT_FALSE(selects({"", "y", {}}, "acme", "x", labels));
    EXPECT_TRUE(selects({"acme", "x", {{"zone", "lab"}}}, "acme", "x", labels));
    EXPECT_FALSE(selects({"acme", "x", {{"zone", "hall"}}}, "acme", "x", labels));
    EXPECT_FALSE(selects({"", "", {{"floor", "3"}, {"wing", "a"}}}, "acme", "x", labels));
}

TEST(selector, cannot_meet_another_that_wants_another_value) {
    EXPECT_FALSE(may_meet({"a", "", {}}, {"b", "", {}}));
    EXPECT_FALSE(may_meet({"", "x", {}}, {"", "y", {}}));
    EXPECT_FALSE(may_meet({"", "", {{"k", "1"}}}, {"", "", {{"k", "2"}}}));
    EXPECT_TRUE(may_meet({"a", "", {}}, {"", "y", {}}));
    EXPECT_TRUE(may_meet({"", "", {{"k", "1"}}}, {"", "", {{"l", "2"}}}));
}

TEST(selector, ties_are_found_unless_a_more_specific_one_settles_them) {
    const Selector by_tenant{"a", "", {}};
    const Selector by_class{"", "x", {}};
    const Selector other_class{"", "y", {}};
    const Selector both{"a", "x", {}};
    const Selector both_y{"a", "y", {}};
    using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;
    const auto ties = [](std::vector<const Selector*> list) { return find_ties(list); };
    EXPECT_EQ(ties({&by_class, &other_class}), Pairs{});
    EXPECT_EQ(ties({&by_tenant, &by_class}), (Pairs{{0, 1}}));
    EXPECT_EQ(ties({&by_tenant, &by_class, &both}), Pairs{});
    EXPECT_EQ(ties({&by_tenant, &by_class, &both, &other_class}), (Pairs{{0, 3}}));
    EXPECT_EQ(ties({&by_tenant, &by_class, &both, &other_class, &both_y}), Pairs{});
    EXPECT_EQ(ties({&both, &both}), (Pairs{{0, 1}}));
}

}  // namespace
}  // namespace mitu::fleet
