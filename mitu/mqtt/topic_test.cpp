#include "mitu/mqtt/topic.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mitu/mqtt/testing/plain_match.hpp"
#include "mitu/mqtt/text.hpp"

namespace mitu::mqtt {
namespace {

struct Validity {
    const char* rule;
    std::string text;
    bool valid;
};

}  // namespace

TEST(topic, names_are_valid_or_not) {
    using namespace std::string_literals;
    const std::vector<Validity> rows{
        {"MQTT-4.7.3-1", "", false},
        {"MQTT-4.7.3-1", "a", true},
        {"section 4.7.3", "/", true},
        {"section 4.7.3", "a//b/", true},
        {"section 4.7.3", "a topic with spaces", true},
        {"MQTT-4.7.0-1", "a/+", false},
        {"MQTT-4.7.0-1", "a/b#c", false},
        {"MQTT-4.7.0-1", "a/long/topic/name/with/+/late", false},
        {"MQTT-4.7.3-2", "a\0b"s, false},
        {"MQTT-4.7.3-3", std::string(65'535, 'a'), true},
        {"MQTT-4.7.3-3", std::string(65'536, 'a'), false},
        {"MQTT-1.5.4-1", "a\xFF", false},
        {"section 4.7.2", "$SYS/x", true},
        {"section 4.8.2", "$share/g/a", true},  // as a name it is just a name
        {"section 1.5.4", "米兔/温度", true},
    };
    for (const Validity& row : rows) {
        EXPECT_EQ(is_valid_topic_name(row.text), row.valid)
            << row.rule << ": " << row.text.substr(0, 40);
    }
}

TEST(topic, filters_are_valid_or_not) {
    using namespace std::string_literals;
    const std::vector<Validity> rows{
        {"MQTT-4.7.3-1", "", false},
        {"MQTT-4.7.1-1", "#", true},
        {"MQTT-4.7.1-1", "sport/tennis/#", true},
        {"MQTT-4.7.1-1", "/#", true},
        {"MQTT-4.7.1-1", "sport/tennis#", false},
        {"MQTT-4.7.1-1", "sport/tennis/#/ranking", false},
        {"MQTT-4.7.1-1", "##", false},
        {"MQTT-4.7.1-1", "#/", false},
        {"MQTT-4.7.1-2", "+", true},
        {"MQTT-4.7.1-2", "+/tennis/#", true},
        {"MQTT-4.7.1-2", "sport+", false},
        {"MQTT-4.7.1-2", "sport/+/player1", true},
        {"MQTT-4.7.1-2", "+sport", false},
        {"MQTT-4.7.1-2", "a/+b/c", false},
        {"MQTT-4.7.1-2", "++", false},
        {"MQTT-4.7.1-2", "+#", false},
        {"MQTT-4.7.1-2", "+/+/+", true},
        {"MQTT-4.7.3-2", "a\0b"s, false},
        {"MQTT-4.7.3-3", std::string(65'535, 'a'), true},
        {"MQTT-4.7.3-3", std::string(65'536, 'a'), false},
        {"MQTT-1.5.4-1", "a\xC3/+", false},
        {"MQTT-4.8.2-1", "$share/group/a/+", true},
        {"MQTT-4.8.2-1", "$share//a", false},
        {"MQTT-4.8.2-1", "$share/", false},
        {"MQTT-4.8.2-2", "$share/group", false},
        {"MQTT-4.8.2-2", "$share/group/", false},
        {"MQTT-4.8.2-2", "$share/gr+up/a", false},
        {"MQTT-4.8.2-2", "$share/gr#up/a", false},
        {"MQTT-4.8.2-2", "$share/#", false},
        {"MQTT-4.8.2-2", "$share/g//a", true},
        {"MQTT-4.8.2-2", "$share/g\xFF/a", false},
        {"MQTT-4.7.1-1", "$share/group/a#", false},
        {"section 4.8.2", "$share", true},  // without the slash it is an ordinary filter
        {"section 4.8.2", "$shared/x", true},
    };
    for (const Validity& row : rows) {
        EXPECT_EQ(is_valid_topic_filter(row.text), row.valid)
            << row.rule << ": " << row.text.substr(0, 40);
    }
}

TEST(topic, shared_filters_have_two_parts) {
    const auto shared = parse_shared("$share/group/a/+/#");
    ASSERT_TRUE(shared.has_value());
    EXPECT_EQ(shared->group, "group");
    EXPECT_EQ(shared->filter, "a/+/#");
    EXPECT_EQ(parse_shared("$share/g//a")->filter, "/a");
    for (const char* const text : {"", "a", "$share", "$share/", "$share/g", "$share/g/",
                                   "$share//a", "$SHARE/g/a", "x/$share/g/a"}) {
        EXPECT_FALSE(parse_shared(text).has_value()) << text;
    }
}

TEST(topic, wildcards_are_found) {
    EXPECT_TRUE(has_wildcard("#"));
    EXPECT_TRUE(has_wildcard("a/+/b"));
    EXPECT_FALSE(has_wildcard("a/b"));
    EXPECT_FALSE(has_wildcard(""));
}

TEST(topic, levels_may_be_empty) {
    const auto levels = [](std::string_view topic) {
        std::string all;
        TopicLevels walk{topic};
        while (const auto level = walk.next()) all.append("[").append(*level).append("]");
        return all;
    };
    EXPECT_EQ(levels("a//b"), "[a][][b]");
    EXPECT_EQ(levels("/"), "[][]");
    EXPECT_EQ(levels("a"), "[a]");
    EXPECT_EQ(levels("a/"), "[a][]");
}

TEST(topic, filters_match_as_the_specification_shows) {
    struct Row {
        const char* rule;
        const char* filter;
        const char* topic;
        bool matches;
    };
    const std::vector<Row> rows{
        {"section 4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player1", true},
        {"section 4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"section 4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"section 4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player10", false},
        {"section 4.7.1.2", "sport/#", "sport", true},
        {"section 4.7.1.2", "sport/#", "sports", false},
        {"section 4.7.1.2", "sport/#", "spor", false},
        {"section 4.7.1.2", "#", "a/b/c", true},
        {"section 4.7.1.2", "#", "/", true},
        {"section 4.7.1.3", "sport/tennis/+", "sport/tennis/player1", true},
        {"section 4.7.1.3", "sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"section 4.7.1.3", "sport/+", "sport", false},
        {"section 4.7.1.3", "sport/+", "sport/", true},
        {"section 4.7.1.3", "+/+", "/finance", true},
        {"section 4.7.1.3", "/+", "/finance", true},
        {"section 4.7.1.3", "+", "/finance", false},
        {"section 4.7.1.3", "+/tennis/#", "x/tennis", true},
        {"section 4.7.1.3", "sport/+/player1", "sport//player1", true},
        {"section 4.7.1.3", "+/a", "b/a", true},
        {"section 4.7.1.3", "a/+/c", "a/b/d", false},
        {"MQTT-4.7.2-1", "#", "$SYS/a", false},
        {"MQTT-4.7.2-1", "+/a", "$SYS/a", false},
        {"MQTT-4.7.2-1", "$SYS/#", "$SYS/a", true},
        {"MQTT-4.7.2-1", "$SYS/+", "$SYS/a", true},
        {"MQTT-4.7.2-1", "+/#", "$SYS", false},
        {"MQTT-4.7.2-1", "a/+", "a/$b", true},
        {"section 4.7.3", "ACCOUNTS", "Accounts", false},
        {"section 4.7.3", "/finance", "finance", false},
        {"section 4.7.3", "a", "a/", false},
        {"section 4.7.3", "a/", "a", false},
        {"section 4.7.3", "a//b", "a//b", true},
        {"section 4.7.3", "a/b", "a//b", false},
        {"section 4.7.3", "abc", "ab", false},
        {"section 4.7.3", "ab", "abc", false},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(matches(row.filter, row.topic), row.matches)
            << row.rule << ": " << row.filter << " on " << row.topic;
    }
}

namespace {

/// All texts of 1 to `levels_max` levels out of `alphabet`, but not the empty one.
std::vector<std::string> all_texts(const std::vector<std::string>& alphabet, int levels_max) {
    std::vector<std::string> all;
    std::vector<std::string> longest{alphabet};
    for (int levels = 1; levels <= levels_max; ++levels) {
        for (const std::string& text : longest) {
            if (!text.empty()) all.push_back(text);
        }
        std::vector<std::string> longer;
        for (const std::string& text : longest) {
            for (const std::string& level : alphabet) longer.push_back(text + "/" + level);
        }
        longest = longer;
    }
    return all;
}

std::vector<std::string> all_filters() {
    std::vector<std::string> filters;
    for (const std::string& text : all_texts({"", "a", "$b", "+", "#"}, 3)) {
        if (is_valid_topic_filter(text)) filters.push_back(text);
    }
    return filters;
}

/// One letter ("x") that no filter has, so that "any level" can be told from "one of those".
/// Filters have up to 3 levels, so a fourth shows what an open end does.
std::vector<std::string> all_topics() { return all_texts({"", "a", "$b", "x", "$x"}, 4); }

}  // namespace

TEST(topic, matching_agrees_with_the_plain_definition) {
    const auto topics = all_topics();
    for (const std::string& filter : all_filters()) {
        for (const std::string& topic : topics) {
            ASSERT_EQ(matches(filter, topic), testing::matches_plainly(filter, topic))
                << filter << " on " << topic;
        }
    }
}

TEST(topic, covering_and_intersecting_agree_with_matching) {
    const auto topics = all_topics();
    const auto filters = all_filters();
    std::vector<std::vector<bool>> matched;
    for (const std::string& filter : filters) {
        auto& row = matched.emplace_back();
        for (const std::string& topic : topics) row.push_back(matches(filter, topic));
    }
    for (std::size_t a = 0; a < filters.size(); ++a) {
        for (std::size_t b = 0; b < filters.size(); ++b) {
            bool covered = true;
            bool shared = false;
            for (std::size_t t = 0; t < topics.size(); ++t) {
                covered = covered && (matched[a][t] || !matched[b][t]);
                shared = shared || (matched[a][t] && matched[b][t]);
            }
            ASSERT_EQ(covers(filters[a], filters[b]), covered)
                << filters[a] << " over " << filters[b];
            ASSERT_EQ(intersects(filters[a], filters[b]), shared)
                << filters[a] << " and " << filters[b];
        }
    }
}

TEST(topic, covering_knows_that_no_topic_is_empty) {
    EXPECT_TRUE(covers("+/#", "#"));
    EXPECT_TRUE(covers("/+/#", "/#"));
    EXPECT_FALSE(intersects("/#", "+"));
    EXPECT_FALSE(covers("a/+/#", "a/#"));
    EXPECT_FALSE(covers("#", "$SYS/#"));
}

namespace {

/// Whether four bytes or fewer are one well-formed sequence, from what UTF-8 encodes.
bool is_one_character(const std::string& bytes) {
    std::uint32_t point = 0;
    const auto lead = static_cast<unsigned char>(bytes[0]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (bytes.size() != size || (lead >= 0x80 && lead < 0xC0) || lead >= 0xF8) return false;
    point = size == 1 ? lead : lead & (0x3FU >> (size - 1));
    for (std::size_t i = 1; i < size; ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        if ((byte & 0xC0) != 0x80) return false;
        point = point << 6 | (byte & 0x3FU);
    }
    constexpr std::uint32_t smallest[] = {1, 0x80, 0x800, 0x10000};
    return point >= smallest[size - 1] && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
}

}  // namespace

TEST(utf8, is_judged_as_unicode_defines_it) {
    // Every one-, two- and three-byte string; those of four bytes around each boundary.
    for (unsigned a = 0; a < 256; ++a) {
        const std::string one(1, static_cast<char>(a));
        ASSERT_EQ(is_valid_utf8(one), is_one_character(one)) << a;
        if (a < 0x80) continue;
        for (unsigned b = 0; b < 256; ++b) {
            const std::string two = one + static_cast<char>(b);
            ASSERT_EQ(is_valid_utf8(two), is_one_character(two)) << a << ' ' << b;
            for (const unsigned c :
                 {0x00U, 0x41U, 0x7FU, 0x80U, 0x8FU, 0x9FU, 0xA0U, 0xBFU, 0xC0U}) {
                const std::string three = two + static_cast<char>(c);
                const bool ends_with_ascii = c != 0 && c < 0x80 && is_one_character(two);
                ASSERT_EQ(is_valid_utf8(three), is_one_character(three) || ends_with_ascii)
                    << a << ' ' << b << ' ' << c;
                if (c < 0x80) continue;
                for (const unsigned d : {0x7FU, 0x80U, 0xBFU, 0xC0U}) {
                    const std::string four = three + static_cast<char>(d);
                    const bool two_pairs =
                        is_one_character(two) && is_one_character(four.substr(2));
                    const bool then_ascii = d < 0x80 && is_one_character(three);
                    ASSERT_EQ(is_valid_utf8(four),
                              is_one_character(four) || two_pairs || then_ascii)
                        << a << ' ' << b << ' ' << c << ' ' << d;
                }
            }
        }
    }
}

TEST(utf8, is_judged_alike_at_every_place_in_a_word) {
    const std::vector<std::string> bad{std::string(1, '\0'), "\x80", "\xC3", "\xED\xA0\x80",
                                       "\xF4\x90\x80\x80"};
    for (std::size_t before = 0; before < 20; ++before) {
        for (std::size_t after = 0; after < 20; ++after) {
            const std::string head(before, 'a');
            const std::string tail(after, 'z');
            EXPECT_TRUE(is_valid_utf8(head + "é米" + tail));
            for (const std::string& fault : bad) {
                const TextScan scan = scan_text(head + fault + tail);
                EXPECT_EQ(scan.valid_bytes, before);
            }
            for (const char wildcard : {'+', '#'}) {
                const TextScan scan = scan_text(head + wildcard + tail + "+#");
                EXPECT_EQ(scan.valid_bytes, before + after + 3);
                EXPECT_EQ(scan.wildcard_at, before);
            }
        }
    }
}

}  // namespace mitu::mqtt
