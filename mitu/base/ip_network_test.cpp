#include "mitu/base/ip_network.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mitu {

TEST(ip_address, reads_and_writes_the_usual_forms) {
    const struct {
        const char* text;
        const char* written;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:db8::7", "2001:db8::7"},
        {"2001:DB8:0:0:0:0:0:7", "2001:db8::7"},
        {"2001:0db8::0007", "2001:db8::7"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
        {"1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8"},  // one group of zeros is not shortened
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    };
    for (const auto& row : rows) {
        const auto ip = parse_ip(row.text);
        ASSERT_TRUE(ip.has_value()) << row.text;
        EXPECT_EQ(to_text(*ip), row.written);
        EXPECT_EQ(parse_ip(to_text(*ip)), ip);
    }
}

TEST(ip_address, refuses_what_is_none) {
    for (const char* text : {"",
                             "1",
                             "1.2.3",
                             "1.2.3.4.5",
                             "1.2.3.256",
                             "1.2.3.",
                             ".1.2.3",
                             "01.2.3.4",
                             "1.2.3.-4",
                             "1.2.3.4 ",
                             " 1.2.3.4",
                             "1.2.3.0x4",
                             ":",
                             ":::",
                             "1:2",
                             "1:2:3:4:5:6:7",
                             "::1::",
                             "1:",
                             ":1",
                             "1:2:3:4:5:6:7:8:9",
                             "1:2:3:4:5:6:7::8",
                             "12345::",
                             "g::",
                             "::-1",
                             "1::2:",
                             "::1.2.3",
                             "1.2.3.4::",
                             "::1.2.3.4:5",
                             "[::1]",
                             "fe80::1%eth0",
                             "localhost"}) {
        EXPECT_FALSE(parse_ip(text).has_value()) << text;
    }
}

TEST(ip_address, loopback_is_127_slash_8_and_one) {
    for (const char* text : {"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"}) {
        EXPECT_TRUE(is_loopback(parse_ip(text).value())) << text;
    }
    for (const char* text : {"128.0.0.1", "10.0.0.1", "::", "::2", "::7f00:1"}) {
        EXPECT_FALSE(is_loopback(parse_ip(text).value())) << text;
    }
}

TEST(ip_network, contains_what_shares_its_first_bits) {
    const struct {
        const char* network;
        const char* ip;
        bool inside;
    } rows[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"10.128.0.0/9", "10.128.0.0", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::ffff:10.0.0.0/104", "10.1.1.1", true},
    };
    for (const auto& row : rows) {
        const auto network = parse_ip_network(row.network);
        ASSERT_TRUE(network.has_value()) << network.error();
        EXPECT_EQ(network->contains(parse_ip(row.ip).value()), row.inside)
            << row.network << " " << row.ip;
        EXPECT_EQ(parse_ip_network(to_text(*network)), network) << to_text(*network);
    }
    const std::vector<IpNetwork> list{parse_ip_network("10.0.0.0/8").value(),
                                      parse_ip_network("2001:db8::/32").value()};
    EXPECT_TRUE(contains(list, parse_ip("2001:db8::1").value()));
    EXPECT_FALSE(contains(list, parse_ip("192.0.2.1").value()));
    EXPECT_FALSE(contains({}, parse_ip("192.0.2.1").value()));
}

TEST(ip_network, says_what_is_wrong_and_what_to_write) {
    const struct {
        const char* text;
        const char* says;
    } rows[] = {
        {"10.0.0.0/33", "`33`; use 0..32"},
        {"::/129", "`129`; use 0..128"},
        {"10.0.0.0/", "``; use 0..32"},
        {"10.0.0.0/-1", "`-1`; use 0..32"},
        {"10.0.0.0/8/8", "`8/8`; use 0..32"},
        {"10.0.0.0/08", "`08`; use 0..32"},
        {"10.1.2.3/8", "use 10.0.0.0/8 for the network, 10.1.2.3 for the one address"},
        {"example.org/8", "`example.org` is no IP address; write it as 10.0.0.0/8"},
        {"", "`` is no IP address"},
        {"/8", "`` is no IP address"},
    };
    for (const auto& row : rows) {
        const auto network = parse_ip_network(row.text);
        ASSERT_FALSE(network.has_value()) << row.text;
        EXPECT_NE(network.error().find(row.says), std::string::npos) << network.error();
    }
}

}  // namespace mitu
