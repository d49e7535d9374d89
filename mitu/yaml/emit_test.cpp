#include "mitu/yaml/emit.hpp"

#include <gtest/gtest.h>

#include "mitu/yaml/document.hpp"

namespace mitu::yaml {
namespace {

using Json = nlohmann::ordered_json;

TEST(yaml_emit, is_what_a_person_would_write) {
    const Json value = Json::parse(
        R"({"node":{"data":"/var/lib/mitu","shards":2},"list":[{"name":"a","on":true},{"name":"b","more":[1,2]}],"none":[],"odd":"on","time":"30s"})");
    EXPECT_EQ(emit(value,
                   [](std::string_view path) {
                       return path == "node.shards" ? "a comment" : std::string{};
                   }),
              "node:\n"
              "  data: /var/lib/mitu\n"
              "  shards: 2  # a comment\n"
              "list:\n"
              "  - name: a\n"
              "    \"on\": true\n"
              "  - name: b\n"
              "    more:\n"
              "      - 1\n"
              "      - 2\n"
              "none: []\n"
              "odd: \"on\"\n"
              "time: \"30s\"\n");
}

TEST(yaml_emit, reads_back_as_it_was) {
    const char* const cases[] = {
        R"({"a":"","b":"~","c":"true","d":"1","e":"- x","f":"a: b","g":"a #b","h":"\u007f\t\n\\\"","i":"é"})",
        R"({"a":[[1,[2]],[],{}],"b":{"c":{"d":[{"e":[{"f":null}]}]}},"g":-1.5,"h":18446744073709551615})",
        R"([{"a":1,"b":[{"c":1,"d":{"e":1}},"x"]},[]])",
        R"({"a.b":"*x","c d":"&y","?":"!z","":"{","on":"[1]"})",
        R"("text")",
        R"({})",
    };
    for (const char* text : cases) {
        const Json value = Json::parse(text);
        const std::string yaml = emit(value);
        Problems problems;
        const auto documents = parse({"f.yaml", yaml}, problems);
        EXPECT_TRUE(problems.empty()) << to_text(problems) << yaml;
        ASSERT_EQ(documents.size(), 1u) << yaml;
        EXPECT_EQ(documents[0].value, nlohmann::json::parse(text)) << yaml;
    }
}

}  // namespace
}  // namespace mitu::yaml
