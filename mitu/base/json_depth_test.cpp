#include "mitu/base/json_depth.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mitu {

TEST(json_depth, counts_what_is_open_and_no_text) {
    EXPECT_FALSE(is_json_deeper_than("", 0));
    EXPECT_FALSE(is_json_deeper_than("1", 0));
    EXPECT_TRUE(is_json_deeper_than("[]", 0));
    EXPECT_FALSE(is_json_deeper_than("[]", 1));
    EXPECT_TRUE(is_json_deeper_than(R"({"a":[1]})", 1));
    EXPECT_FALSE(is_json_deeper_than(R"({"a":[1],"b":[2]})", 2)) << "side by side is not deep";
    EXPECT_FALSE(is_json_deeper_than(R"(["[[[[", "\"[[["])", 1))
        << "a bracket in a text opens none";
    EXPECT_TRUE(is_json_deeper_than(R"(["\\", [])", 1)) << "an escaped backslash ends no quote";
    EXPECT_TRUE(is_json_deeper_than("]]]][[", 1)) << "what closes nothing buys no depth";
    EXPECT_FALSE(is_json_deeper_than("\"\\", 0));
    EXPECT_TRUE(is_json_deeper_than(std::string(1'000'000, '['), json_depth_max));
}

}  // namespace mitu
