#include "mitu/config/units.hpp"

#include <gtest/gtest.h>

namespace mitu::config {
namespace {

TEST(config_units, durations_are_a_whole_number_and_a_unit) {
    EXPECT_EQ(parse_duration("250ms")->count_ms(), 250);
    EXPECT_EQ(parse_duration("7d")->count_s(), 7 * 86'400);
    EXPECT_EQ(parse_duration("0s")->count_ns(), 0);
    for (const char* bad : {"", "s", "5", "-5s", "1.5s", "5 s", "5S", "5us",
                            "99999999999999999999d", "36601d", "5s "}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
    EXPECT_EQ(duration_text(*parse_duration("90s")), "90s");
    EXPECT_EQ(duration_text(*parse_duration("48h")), "2d");
    EXPECT_EQ(duration_text(Duration{}), "0s");
}

TEST(config_units, sizes_are_bytes_or_powers_of_1024) {
    EXPECT_EQ(parse_size("4096"), 4'096u);
    EXPECT_EQ(parse_size("64KiB"), 65'536u);
    EXPECT_EQ(parse_size("2TiB"), std::uint64_t{2} << 40);
    for (const char* bad : {"", "KiB", "64KB", "64k", "-1", "1.5MiB", "16777216TiB"}) {
        EXPECT_FALSE(parse_size(bad)) << bad;
    }
    EXPECT_EQ(size_text(65'536), "64KiB");
    EXPECT_EQ(size_text(1'500), "1500");
}

TEST(config_units, times_are_utc_and_exist) {
    EXPECT_EQ(parse_time("1970-01-02T00:00:01Z")->unix_ms, 86'401'000);
    EXPECT_EQ(time_text(*parse_time("2024-02-29T23:59:59Z")), "2024-02-29T23:59:59Z");
    for (const char* bad : {"", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z",
                            "2024-01-01T24:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00",
                            "2024-01-01T00:00:00+1", "-024-01-01T00:00:00Z"}) {
        EXPECT_FALSE(parse_time(bad)) << bad;
    }
}

TEST(config_units, binds_are_literal_addresses_with_a_port_or_unix_sockets) {
    EXPECT_TRUE(parse_bind("127.0.0.1:1883")->is_loopback());
    EXPECT_TRUE(parse_bind("127.9.9.9:1")->is_loopback());
    EXPECT_TRUE(parse_bind("[::1]:8883")->is_loopback());
    EXPECT_EQ(parse_bind("localhost:0")->host, "127.0.0.1");
    EXPECT_FALSE(parse_bind("*:1883")->is_loopback());
    EXPECT_FALSE(parse_bind("[::]:1883")->is_loopback());
    EXPECT_EQ(parse_bind("unix:/run/m.sock")->path, "/run/m.sock");
    for (const char* bad : {"", "1883", ":1883", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                            "::1:1883", "[127.0.0.1]:1", "tcp://127.0.0.1:1", "example.com:1883",
                            "unix:", "unix:relative", "127.0.0.1:+1", "[::1]1883", "[]:1"}) {
        EXPECT_FALSE(parse_bind(bad)) << bad;
    }
    EXPECT_FALSE(parse_bind("unix:/" + std::string(107, 'a')));
}

TEST(config_units, networks_have_no_bits_below_their_prefix) {
    for (const char* good : {"10.0.0.7", "10.1.0.0/16", "fd00::/8", "0.0.0.0/0", "::1/128"}) {
        EXPECT_TRUE(is_network(good)) << good;
    }
    for (const char* bad : {"", "10.1.0.1/16", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "fd00::1/8",
                            "::/129", "a/8", "10.0.0.0/-1"}) {
        EXPECT_FALSE(is_network(bad)) << bad;
    }
}

}  // namespace
}  // namespace mitu::config
