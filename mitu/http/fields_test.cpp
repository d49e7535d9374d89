// Header fields and the URLs of services: the pure half of the client.

#include "mitu/http/fields.hpp"

#include <gtest/gtest.h>

#include "mitu/http/url.hpp"

namespace mitu::http {

TEST(fields, are_found_whatever_their_case) {
    const Fields fields{{"ETag", "\"a\""}, {"etag", "\"b\""}};
    EXPECT_EQ(find_field(fields, "eTAG"), "\"a\"");
    EXPECT_EQ(find_field(fields, "etags"), std::nullopt);
}

TEST(fields, names_and_values_that_could_split_a_header_are_told_apart) {
    EXPECT_TRUE(is_token("X-Api-Key"));
    for (const char* name : {"", "a b", "a:", "a\r\n", "caf\xC3\xA9"}) {
        EXPECT_FALSE(is_token(name)) << name;
    }
    EXPECT_FALSE(is_token(std::string(257, 'a')));
    EXPECT_TRUE(is_field_value("Bearer a.b.c\t\xC3\xA9"));
    EXPECT_TRUE(is_field_value(""));
    for (const char* value : {"a\r\nb: c", "a\nb", "\x01", "\x7F"}) {
        EXPECT_FALSE(is_field_value(value));
    }
    EXPECT_FALSE(is_field_value(std::string(16'385, 'a')));
}

TEST(fields, max_age_is_read_as_rfc_9111_has_it) {
    struct Row {
        Fields fields;
        std::optional<std::int64_t> seconds;
    };
    const Row rows[] = {
        {{}, std::nullopt},
        {{{"Cache-Control", ""}}, std::nullopt},
        {{{"Cache-Control", "public"}}, std::nullopt},
        {{{"Cache-Control", "max-age"}}, std::nullopt},
        {{{"Cache-Control", "max-age="}}, std::nullopt},
        {{{"Cache-Control", "max-age=-5"}}, std::nullopt},
        {{{"Cache-Control", "max-age=1h"}}, std::nullopt},
        {{{"Cache-Control", "s-maxage=7"}}, std::nullopt},
        {{{"Cache-Control", "max-age=0"}}, 0},
        {{{"cache-control", "public, MAX-AGE=300 ,"}}, 300},
        {{{"Cache-Control", "max-age=\"60\""}}, 60},
        {{{"Cache-Control", "public"}, {"Cache-Control", "max-age=8"}}, 8},
        {{{"Cache-Control", "max-age=300"}, {"Age", "100"}}, 200},
        {{{"Cache-Control", "max-age=300"}, {"Age", "400"}}, 0},
        {{{"Cache-Control", "max-age=300"}, {"Age", "old"}}, 300},
        {{{"Cache-Control", "max-age=300, no-cache"}}, 0},
        {{{"Cache-Control", "no-store"}}, 0},
        {{{"Cache-Control", "max-age=99999999999999999999"}}, 10LL * 365 * 24 * 3'600},
    };
    for (const Row& row : rows) {
        const auto age = read_max_age(row.fields);
        const std::string shown = row.fields.empty() ? "" : row.fields.front().second;
        ASSERT_EQ(age.has_value(), row.seconds.has_value()) << shown;
        if (age) {
            EXPECT_EQ(age->count_s(), *row.seconds) << shown;
        }
    }
}

TEST(url, is_taken_apart) {
    const auto url = parse_url("HTTPS://Auth.Example.com:8443/mqtt/login?realm=a");
    ASSERT_TRUE(url.has_value()) << url.error();
    EXPECT_TRUE(url->is_https);
    EXPECT_EQ(url->host, "auth.example.com");
    EXPECT_EQ(url->port, 8443);
    EXPECT_EQ(url->path, "/mqtt/login");
    EXPECT_EQ(url->query, "realm=a");
    EXPECT_EQ(url->authority(), "auth.example.com:8443");
    EXPECT_FALSE(url->is_ip_literal());

    const auto v6 = parse_url("http://[2001:db8::7]");
    ASSERT_TRUE(v6.has_value()) << v6.error();
    EXPECT_EQ(v6->host, "2001:db8::7");
    EXPECT_EQ(v6->port, 80);
    EXPECT_EQ(v6->authority(), "[2001:db8::7]");
    EXPECT_TRUE(v6->is_ip_literal());
    EXPECT_EQ(parse_url("https://127.0.0.1?a")->port, 443);
    EXPECT_TRUE(parse_url("https://127.0.0.1?a")->is_ip_literal());
    EXPECT_EQ(parse_url("https://h:443/")->authority(), "h");
    EXPECT_EQ(parse_url("https://h:80/")->authority(), "h:80");
}

TEST(url, joins_what_lies_below_it) {
    const auto join = [](const char* base, const char* more) {
        return parse_url(std::string{"http://h"} + base).value().join(more);
    };
    EXPECT_EQ(join("", ""), "/");
    EXPECT_EQ(join("", "/a?x=1"), "/a?x=1");
    EXPECT_EQ(join("/base", ""), "/base");
    EXPECT_EQ(join("/base/", "/a"), "/base/a");
    EXPECT_EQ(join("/base?k=v", "/a?x=1"), "/base/a?k=v&x=1");
    EXPECT_EQ(join("?k=v", ""), "/?k=v");
}

TEST(url, what_cannot_be_called_is_refused_with_a_reason) {
    struct Row {
        const char* text;
        const char* reason;
    };
    const Row rows[] = {
        {"", "http://"},
        {"ftp://h/", "http://"},
        {"//h/", "http://"},
        {"http:/h", "http://"},
        {"http://", "host is missing"},
        {"http:///path", "host is missing"},
        {"http://:80/", "host is missing"},
        {"http://user:geheim@h/", "Authorization"},
        {"http://h/a#b", "fragment"},
        {"http://h/a b", "escape"},
        {"http://h/a\r\nX: y", "escape"},
        {"http://h/\xC3\xA9", "escape"},
        {"http://a..b/", "host name"},
        {"http://-a/", "host name"},
        {"http://a%20b/", "host name"},
        {"http://2001:db8::7/", "port"},
        {"http://[::1/", "closed"},
        {"http://[::g]/", "IPv6"},
        {"http://[::1]8080/", "after the host"},
        {"http://h:/", "port"},
        {"http://h:0/", "port"},
        {"http://h:65536/", "port"},
        {"http://h:8a/", "port"},
    };
    for (const Row& row : rows) {
        const auto url = parse_url(row.text);
        ASSERT_FALSE(url.has_value()) << row.text;
        EXPECT_NE(url.error().find(row.reason), std::string::npos)
            << row.text << ": " << url.error();
        EXPECT_EQ(url.error().find("geheim"), std::string::npos);
    }
    EXPECT_FALSE(parse_url("http://" + std::string(254, 'a')).has_value());
    EXPECT_FALSE(parse_url("http://h/" + std::string(9'000, 'a')).has_value());
}

}  // namespace mitu::http
