#include "apps/mitu/text.hpp"

#include <gtest/gtest.h>

namespace mitu::cli {
namespace {

TEST(text, reads_durations_as_people_write_them) {
    EXPECT_EQ(parse_duration("250ms"), Duration::milliseconds(250));
    EXPECT_EQ(parse_duration("0.3ms"), Duration::microseconds(300));
    EXPECT_EQ(parse_duration("30s"), Duration::seconds(30));
    EXPECT_EQ(parse_duration("30"), Duration::seconds(30));
    EXPECT_EQ(parse_duration("1.5m"), Duration::seconds(90));
    EXPECT_EQ(parse_duration("2h"), Duration::seconds(7'200));
    EXPECT_EQ(parse_duration("0"), Duration{});
    for (const char* text : {"", "s", "-1s", "1x", "1 s", "nan", "inf", "1e300", "1s2"}) {
        EXPECT_FALSE(parse_duration(text)) << text;
    }
}

TEST(text, reads_urls_with_everything_in_them) {
    const auto url = parse_url("mqtt://d1%40acme:p%3Aw@broker.example:8883/x");
    ASSERT_TRUE(url) << url.error();
    EXPECT_EQ(url->scheme, "mqtt");
    EXPECT_EQ(url->user, "d1@acme");
    EXPECT_EQ(url->password, "p:w");
    EXPECT_EQ(url->host, "broker.example");
    EXPECT_EQ(url->port, 8883);
    EXPECT_EQ(url->path, "/x");
    const auto ipv6 = parse_url("mqtt://[::1]");
    ASSERT_TRUE(ipv6);
    EXPECT_EQ(ipv6->host, "::1");
    EXPECT_FALSE(ipv6->port);
    EXPECT_FALSE(ipv6->user);
}

TEST(text, refuses_urls_that_lead_nowhere) {
    for (const char* text : {"127.0.0.1:1883", "mqtt://", "mqtt://host:0", "mqtt://host:70000",
                             "mqtt://host:x", "mqtt://a%4:b@host", "mqtt://[::1"}) {
        EXPECT_FALSE(parse_url(text)) << text;
    }
}

TEST(text, hex_goes_both_ways) {
    const Bytes bytes{0x00, 0x7F, 0xFF};
    EXPECT_EQ(to_hex(bytes), "007fff");
    EXPECT_EQ(to_hex(bytes, true), "007FFF");
    EXPECT_EQ(parse_hex("007FfF"), bytes);
    EXPECT_FALSE(parse_hex("0"));
    EXPECT_FALSE(parse_hex("0g"));
}

TEST(text, numbers_are_short_enough_for_a_line) {
    EXPECT_EQ(short_count(0), "0");
    EXPECT_EQ(short_count(2.5), "2.5");
    EXPECT_EQ(short_count(9'999), "9999");
    EXPECT_EQ(short_count(12'345), "12.3k");
    EXPECT_EQ(short_count(999'999), "1.00M");
    EXPECT_EQ(short_bytes(1'536), "1.5 KiB");
    EXPECT_EQ(short_duration(Duration::microseconds(412)), "412us");
    EXPECT_EQ(short_duration(Duration::microseconds(12'500)), "12.5ms");
    EXPECT_EQ(short_duration(Duration::seconds(75)), "1m15s");
    EXPECT_EQ(short_duration(Duration::seconds(90'000)), "1d01h");
}

TEST(text, a_name_does_nothing_to_the_terminal) {
    EXPECT_EQ(visible("caf\xC3\xA9 \xE2\x82\xAC"), "caf\xC3\xA9 \xE2\x82\xAC");
    EXPECT_EQ(visible("\x1b]0;root\x07\n"), "\\x1b]0;root\\x07\\x0a");
    EXPECT_EQ(visible("\xC2\x9b"
                      "31m\x7f"),
              "\\x9b31m\\x7f");
    EXPECT_EQ(visible("\xC2"), "\xC2");
    TextTable table{{"CLIENT"}};
    table.add({"d1\x1b[2J"});
    EXPECT_EQ(table.print(), "CLIENT\nd1\\x1b[2J\n");
}

TEST(text, tables_align_numbers_to_the_right) {
    TextTable table{{"CLASS", "N"}};
    table.add({"a", "5"});
    table.add({"longer", "12"});
    EXPECT_EQ(table.print(), "CLASS    N\na        5\nlonger  12\n");
}

}  // namespace
}  // namespace mitu::cli
