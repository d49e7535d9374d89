#include "mitu/identity/acl_file.hpp"

#include <gtest/gtest.h>

namespace mitu::identity {
namespace {

using Filters = std::vector<std::string>;

AclFile parsed(std::string_view text) {
    auto file = AclFile::parse(text);
    EXPECT_TRUE(file) << (file ? "" : to_text("acl", file.error()));
    return file ? *std::move(file) : AclFile{};
}

std::string problems_of(std::string_view text) {
    const auto file = AclFile::parse(text);
    return file ? "" : to_text("acl", file.error());
}

TEST(acl_file, read_is_to_subscribe_and_write_is_to_publish) {
    const AclFile file = parsed(
        "# plant\n"
        "topic read public/#\n"
        "\n"
        "user ann\r\n"
        "topic write a/out\n"
        "topic read a/in/+\n"
        "topic readwrite a/both\n"
        "topic deny a/both/secret\n");
    const auto ann = file.access_of("ann");
    EXPECT_EQ(ann->publish.allow, (Filters{"a/out", "a/both"}));
    EXPECT_EQ(ann->subscribe.allow, (Filters{"a/in/+", "a/both"}));
}

TEST(acl_file, a_lone_word_is_a_filter) {
    const auto access = parsed("topic read\ntopic write\n").access_of(std::nullopt);
    EXPECT_EQ(access->publish.allow, (Filters{"read", "write"}));
    EXPECT_EQ(access->subscribe.allow, (Filters{"read", "write"}));
}

TEST(acl_file, sections_belong_to_their_user_and_patterns_to_all) {
    const AclFile file = parsed(
        "topic read public/#\n"
        "user ann b\n"
        "topic write a b/c\n"
        "topic deny a/secret\n"
        "pattern write up/%u/%c\n"
        "user bob\n"
        "pattern read down/%c/#\n"
        "user ann b\n"
        "topic read more\n");
    EXPECT_EQ(file.access_of(std::nullopt)->subscribe.allow,
              (Filters{"public/#", "down/${client_id}/#"}));
    const auto ann = file.access_of("ann b");
    EXPECT_EQ(ann->publish.allow, (Filters{"a b/c", "up/${user}/${client_id}"}));
    EXPECT_EQ(ann->publish.deny, (Filters{"a/secret"}));
    EXPECT_EQ(ann->subscribe.allow, (Filters{"more", "down/${client_id}/#"}));
    EXPECT_EQ(ann->subscribe.deny, (Filters{"a/secret"}));
    EXPECT_EQ(file.access_of("bob")->publish.allow, (Filters{"up/${user}/${client_id}"}));
    EXPECT_EQ(*file.access_of("eve"), *file.access_of("bob"));
    EXPECT_EQ(file.user_count(), 2u);
}

TEST(acl_file, a_lone_hash_leaves_out_topics_with_a_dollar) {
    const auto access = parsed("topic readwrite #\ntopic read $SYS/#\n").access_of(std::nullopt);
    EXPECT_EQ(access->publish.allow, (Filters{"+/#"}));
    EXPECT_EQ(access->subscribe.allow, (Filters{"+/#", "$SYS/#"}));
}

TEST(acl_file, percent_signs_are_variables_in_patterns_only) {
    const auto access = parsed("topic write a/%c\npattern write b/%x/x%c\n").access_of({});
    EXPECT_EQ(access->publish.allow, (Filters{"a/%c", "b/%x/x${client_id}"}));
}

TEST(acl_file, an_empty_file_allows_nothing) {
    const AclFile file = parsed("");
    EXPECT_EQ(*file.access_of("ann"), Access{});
    EXPECT_EQ(*file.access_of(std::nullopt), Access{});
    EXPECT_EQ(*AclFile{}.access_of("ann"), Access{});
}

TEST(acl_file, names_line_value_and_remedy) {
    EXPECT_EQ(problems_of("topic\n\ntopics a\nuser \ntopic reed a\ntopic a/#/b\npattern write "
                          "a/${device}\n"),
              "acl:1: no topic filter; use topic [read|write|readwrite|deny] FILTER\n"
              "acl:3: \"topics\" is not known; begin the line with user, topic, pattern or #\n"
              "acl:4: no user name; use user NAME\n"
              "acl:5: \"reed\" is no right; use read, write, readwrite or deny\n"
              "acl:6: the filter is \"a/#/b\"; use + and # as whole levels, and # last\n"
              "acl:7: the filter is \"a/${device}\"; ${ means a variable to the broker and cannot "
              "stand in a filter here; use a pattern with %c or %u\n");
    EXPECT_NE(problems_of("topic a\xFF"), "");
    EXPECT_NE(problems_of("topic $share/g/a"), "");
    EXPECT_NE(problems_of("topic " + std::string(2'000, 'a')), "");
    EXPECT_NE(problems_of(std::string_view{"\0\0\0", 3}), "");
}

}  // namespace
}  // namespace mitu::identity
