#include "mitu/http/target.hpp"

#include <gtest/gtest.h>

namespace mitu::http {

TEST(target, is_taken_apart_and_decoded) {
    const struct {
        const char* text;
        const char* path;
        std::vector<std::pair<std::string, std::string>> query;
    } rows[] = {
        {"/", "/", {}},
        {"/a/b.css", "/a/b.css", {}},
        {"/a%20b+c", "/a b+c", {}},
        {"/a?", "/a", {}},
        {"/a?x=1&y=2&x=3", "/a", {{"x", "1"}, {"y", "2"}, {"x", "3"}}},
        {"/a?flag&&x=", "/a", {{"flag", ""}, {"x", ""}}},
        {"/a?q=a+b%2Bc%26d=e", "/a", {{"q", "a b+c&d=e"}}},
        {"/a?next=/b?c", "/a", {{"next", "/b?c"}}},
        {"/...", "/...", {}},
        {"/a..b", "/a..b", {}},
        {"http://host:80/x?y=z", "/x", {{"y", "z"}}},
        {"http://host", "/", {}},
    };
    for (const auto& row : rows) {
        const auto target = parse_target(row.text);
        ASSERT_TRUE(target.has_value()) << row.text;
        EXPECT_EQ(target->path, row.path);
        EXPECT_EQ(target->query, row.query) << row.text;
    }
}

TEST(target, is_split_before_it_is_decoded) {
    EXPECT_EQ(parse_target("/a%2Fb/c%20d//?x=/y")->segments,
              (std::vector<std::string>{"a/b", "c d", "", ""}));
    EXPECT_EQ(parse_target("/")->segments, std::vector<std::string>{""});
}

TEST(target, refuses_what_could_surprise_a_handler) {
    for (const char* const text : {"", "a", "*", "host:443", "/%", "/%4", "/%4g", "/a?x=%", "/%00",
                                   "/a/../b", "/a/.", "/%2e%2E/b", "/..", "https://host/x"}) {
        EXPECT_FALSE(parse_target(text).has_value()) << text;
    }
}

}  // namespace mitu::http
