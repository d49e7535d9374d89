#include "mitu/yaml/document.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mitu::yaml {
namespace {

std::string problems_of(std::string_view text) {
    Problems problems;
    (void)parse({"f.yaml", text}, problems);
    return to_text(problems);
}

TEST(yaml_document, values_keep_their_lines) {
    Problems problems;
    const auto documents =
        parse({"f.yaml", "a:\n  b: 1\n  c:\n    - x\n    - {d: 2.5}\n"}, problems);
    ASSERT_EQ(documents.size(), 1u);
    EXPECT_TRUE(problems.empty());
    EXPECT_EQ(documents[0].value["a"]["c"][1]["d"], 2.5);
    EXPECT_EQ(documents[0].lines.line_of("a.b"), 2u);
    EXPECT_EQ(documents[0].lines.line_of("a.c[1].d"), 5u);
    EXPECT_EQ(documents[0].lines.line_of("a.c[1].missing"), 5u) << "the nearest thing around it";
}

TEST(yaml_document, only_what_json_calls_a_number_is_one) {
    Problems problems;
    const auto documents =
        parse({"f.yaml", "[7, -1, 1e3, 18446744073709551615, 007, 1_000, 0x10, no, ~, 'true']"},
              problems);
    ASSERT_EQ(documents.size(), 1u);
    EXPECT_EQ(documents[0].value.dump(),
              R"([7,-1,1000.0,18446744073709551615,"007","1_000","0x10","no",null,"true"])");
}

TEST(yaml_document, all_problems_are_told_at_once_with_their_lines) {
    EXPECT_EQ(problems_of("a: 1\na: 2\nb: &x 1\nc: *x\nd: !!int 1\n[k]: 1\n"),
              "f.yaml:2: a is there twice; remove one\n"
              "f.yaml:3: an anchor (&name) cannot be used here; remove it\n"
              "f.yaml:4: an alias (*name) cannot be used here; write the value out\n"
              "f.yaml:5: the tag tag:yaml.org,2002:int cannot be used here; remove it\n"
              "f.yaml:6: a key that is a map or list cannot be used here; use text\n");
    EXPECT_EQ(problems_of("a: \xff"), "f.yaml: not UTF-8; save the file in that encoding\n");
    EXPECT_EQ(problems_of(std::string_view{"a: 1\n\0", 6}),
              "f.yaml:2: a control character; remove it\n");
    EXPECT_NE(problems_of("a: [1"), "");
    EXPECT_NE(problems_of(std::string(40, '[')).find("nested deeper than 32"), std::string::npos);
}

TEST(yaml_document, a_long_list_comes_item_by_item_and_is_not_kept) {
    Problems problems;
    std::vector<std::string> seen;
    const Document rest =
        parse_list({"f.yaml", "name: n\nitems:\n  - {a: 1}\n  - {a: 2}\n"}, "items", problems,
                   [&](nlohmann::json& item, std::string_view path, const LineMap& lines) {
                       seen.push_back(item.dump() + "@" + std::to_string(lines.line_of(path)));
                   });
    EXPECT_TRUE(problems.empty());
    EXPECT_EQ(seen, (std::vector<std::string>{R"({"a":1}@3)", R"({"a":2}@4)"}));
    EXPECT_EQ(rest.value["name"], "n");
    EXPECT_TRUE(rest.value["items"].empty());
}

TEST(yaml_document, long_values_are_shown_short_and_whole_characters) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "\xc3\xa9";
    const std::string shown = show(nlohmann::json(text));
    EXPECT_LE(shown.size(), 60u);
    EXPECT_TRUE(shown.ends_with("\xc3\xa9..."));
}

TEST(yaml_problem, names_the_nearest_candidate_or_none) {
    const std::vector<std::string_view> words{"heartbeat", "limits"};
    EXPECT_EQ(did_you_mean("heartbeet", words), "heartbeat");
    EXPECT_EQ(did_you_mean("limist", words), "limits");
    EXPECT_EQ(did_you_mean("settings", words), "");
}

}  // namespace
}  // namespace mitu::yaml
