#include "mitu/runtime/listener.hpp"

#include <gtest/gtest.h>

#include <string>

#include "mitu/runtime/clock.hpp"

namespace mitu::runtime {

TEST(listen_address, reads_what_people_write) {
    const struct {
        const char* text;
        const char* host;
        std::uint16_t port;
    } rows[] = {
        {"tcp://127.0.0.1:1883", "127.0.0.1", 1883}, {"tcp://localhost:0", "127.0.0.1", 0},
        {"tcp://[::1]:65535", "::1", 65535},         {"tcp://*:1883", "*", 1883},
        {"tcp://0.0.0.0:1", "0.0.0.0", 1},
    };
    for (const auto& row : rows) {
        const auto address = parse_listen_address(row.text);
        ASSERT_TRUE(address.has_value()) << address.error();
        EXPECT_EQ(address->host, row.host);
        EXPECT_EQ(address->port, row.port);
    }
    EXPECT_EQ((ListenAddress{"::1", 80}.to_text("http")), "http://[::1]:80");
    EXPECT_TRUE(parse_listen_address("http://*:80", "http").has_value());
}

TEST(listen_address, says_what_is_wrong_and_what_to_write) {
    const struct {
        const char* text;
        const char* says;
    } rows[] = {
        {"127.0.0.1:1883", "must begin with tcp://"},
        {"tls://127.0.0.1:1883", "must begin with tcp://"},
        {"tcp://127.0.0.1", "port is missing"},
        {"tcp://[::1]", "port is missing"},
        {"tcp://127.0.0.1:", "use 0..65535"},
        {"tcp://127.0.0.1:65536", "`65536`; use 0..65535"},
        {"tcp://127.0.0.1:-1", "use 0..65535"},
        {"tcp://127.0.0.1:18x", "use 0..65535"},
        {"tcp://::1:1883", "in brackets"},
        {"tcp://[127.0.0.1]:1883", "`127.0.0.1`; use an IPv4"},
        {"tcp://broker.example:1883", "`broker.example`; use an IPv4"},
        {"tcp://:1883", "``; use an IPv4"},
        {"", "must begin with tcp://"},
    };
    for (const auto& row : rows) {
        const auto address = parse_listen_address(row.text);
        ASSERT_FALSE(address.has_value()) << row.text;
        EXPECT_NE(address.error().find(row.says), std::string::npos) << address.error();
        EXPECT_NE(address.error().find("tcp://127.0.0.1:1883"), std::string::npos);
    }
}

TEST(listeners, share_one_port_that_the_kernel_chose) {
    const auto listeners = listen_on({"127.0.0.1", 0}, 3);
    ASSERT_TRUE(listeners.has_value()) << listeners.error();
    EXPECT_EQ(listeners->sockets.size(), 3u);
    EXPECT_NE(listeners->port, 0);
}

TEST(listeners, a_port_in_use_is_an_error_and_not_a_silent_share) {
    const auto first = listen_on({"127.0.0.1", 0}, 1);
    ASSERT_TRUE(first.has_value()) << first.error();
    const auto second = listen_on({"127.0.0.1", first->port}, 1);
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().find("tcp://127.0.0.1:" + std::to_string(first->port)),
              std::string::npos);
    EXPECT_NE(second.error().find("another process"), std::string::npos);
}

TEST(listeners, an_address_of_another_machine_is_an_error) {
    const auto listeners = listen_on({"192.0.2.1", 0}, 1);
    ASSERT_FALSE(listeners.has_value());
    EXPECT_NE(listeners.error().find("an address of this machine"), std::string::npos);
}

TEST(system_clock, starts_near_zero_and_does_not_go_back) {
    const SystemClock clock;
    const Instant first = clock.now();
    EXPECT_GE(first.since_start_ns(), 0);
    EXPECT_GE(SystemClock{}.now(), first);
    EXPECT_GT(clock.wall().unix_ms, 1'700'000'000'000);
}

TEST(system_entropy, does_not_repeat_itself) {
    SystemEntropy entropy;
    const std::uint64_t first = entropy.next();
    for (int i = 0; i < 100; ++i) EXPECT_NE(entropy.next(), first);
}

}  // namespace mitu::runtime
