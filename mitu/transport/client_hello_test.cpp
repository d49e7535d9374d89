#include "mitu/transport/client_hello.hpp"

#include <gtest/gtest.h>

#include "mitu/transport/testing/client_stack.hpp"

namespace mitu::transport {
namespace {

Bytes hello_of(const std::string& server_name, int version = 0) {
    testing::ClientOptions options;
    options.tls = true;
    options.server_name = server_name;
    options.version = version;
    testing::ClientStack client{std::move(options)};
    return client.to_socket();
}

}  // namespace

TEST(client_hello, tells_the_name_that_openssl_asks_for_once_it_is_whole) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Bytes hello = hello_of("acme.example", version);
        for (std::size_t size = 0; size < hello.size(); ++size) {
            const auto early = peek_server_name(ByteView{hello}.first(size));
            ASSERT_TRUE(early.has_value() && !*early) << size;
        }
        EXPECT_EQ(peek_server_name(hello).value(), "acme.example");
        Bytes more = hello;
        more.push_back(22);
        EXPECT_EQ(peek_server_name(more).value(), "acme.example");
    }
    EXPECT_EQ(peek_server_name(hello_of("")).value(), "");
}

TEST(client_hello, may_be_spread_over_records) {
    const Bytes hello = hello_of("acme.example");
    const ByteView message = ByteView{hello}.subspan(5);
    Bytes spread;
    for (std::size_t at = 0; at < message.size(); at += 100) {
        const ByteView part = message.subspan(at, std::min<std::size_t>(100, message.size() - at));
        const Bytes header{22, 3, 1, 0, static_cast<std::uint8_t>(part.size())};
        spread.insert(spread.end(), header.begin(), header.end());
        spread.insert(spread.end(), part.begin(), part.end());
    }
    EXPECT_EQ(peek_server_name(spread).value(), "acme.example");
}

TEST(client_hello, what_is_none_is_seen_at_its_first_bytes) {
    for (const Bytes& bytes : {Bytes{0x10}, Bytes{'G', 'E', 'T'}, Bytes{22, 2}, Bytes{21, 3, 1},
                               Bytes{22, 3, 1, 0, 0}, Bytes{22, 3, 1, 0xFF, 0xFF},
                               Bytes{22, 3, 1, 0, 4, 2}, Bytes{22, 3, 1, 0, 4, 1, 0xFF, 0, 0}}) {
        EXPECT_FALSE(peek_server_name(bytes).has_value()) << int{bytes[0]};
    }
}

TEST(client_hello, a_broken_one_has_no_name_and_harms_nobody) {
    const Bytes hello = hello_of("acme.example");
    for (std::size_t at = 9; at < hello.size(); ++at) {
        Bytes damaged = hello;
        damaged[at] ^= 0xFF;
        EXPECT_TRUE(peek_server_name(damaged).has_value());
    }
}

TEST(client_hello, does_not_grow_without_end) {
    Bytes crumbs;
    for (std::size_t i = 0; i < client_hello_bytes_max; ++i) {
        const Bytes record{22, 3, 1, 0, 1, static_cast<std::uint8_t>(i == 0 ? 1 : 0x3F)};
        crumbs.insert(crumbs.end(), record.begin(), record.end());
        if (!peek_server_name(crumbs)) break;
    }
    EXPECT_LE(crumbs.size(), 2 * client_hello_bytes_max + 6);
}

}  // namespace mitu::transport
