#include "mitu/transport/proxy_header.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "mitu/ports/network.hpp"

namespace mitu::transport {
namespace {

using namespace std::string_literals;

const std::string v2_begin = "\r\n\r\n\0\r\nQUIT\n"s;

std::string u16(std::size_t n) {
    return {static_cast<char>(n >> 8 & 0xFF), static_cast<char>(n & 0xFF)};
}
std::string record(char type, const std::string& value) { return type + u16(value.size()) + value; }
std::string v2(char command, char family, const std::string& body) {
    return v2_begin + command + family + u16(body.size()) + body;
}
const std::string v4_addresses = "\xC0\x00\x02\x07\xC0\x00\x02\x01\x12\x67\x07\x5B"s;

std::string with_checksum(std::string header, std::size_t value_at) {
    const std::uint32_t sum = crc32c(as_bytes(header));
    for (std::size_t i = 0; i < 4; ++i) {
        header[value_at + i] = static_cast<char>(sum >> (24 - 8 * i) & 0xFF);
    }
    return header;
}

/// Fed a byte at a time it must say "incomplete" until the header's last byte.
ProxyHeader parse_whole(const std::string& header) {
    const std::string stream = header + "\x10rest";
    for (std::size_t size = 0; size < header.size(); ++size) {
        const auto early = parse_proxy_header(as_bytes(stream).first(size));
        EXPECT_TRUE(early.has_value() && !*early) << size;
    }
    const auto parsed = parse_proxy_header(as_bytes(stream));
    EXPECT_TRUE(parsed.has_value() && *parsed) << header;
    if (!parsed || !*parsed) return {};
    EXPECT_EQ((*parsed)->bytes, header.size());
    return **parsed;
}

}  // namespace

TEST(proxy_header, version_1_names_client_and_destination) {
    const ProxyHeader v4 = parse_whole("PROXY TCP4 192.0.2.7 192.0.2.1 4711 1883\r\n");
    EXPECT_TRUE(v4.names_source);
    EXPECT_EQ(ports::address_text(v4.source), "192.0.2.7:4711");
    EXPECT_EQ(ports::address_text(v4.facts.destination), "192.0.2.1:1883");
    const ProxyHeader v6 = parse_whole("PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n");
    EXPECT_EQ(v6.source.ip, parse_ip("2001:db8::7").value());
    EXPECT_EQ(v6.source.port, 65'535);
}

TEST(proxy_header, version_1_may_not_know_the_client) {
    EXPECT_FALSE(parse_whole("PROXY UNKNOWN\r\n").names_source);
    EXPECT_FALSE(parse_whole("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").names_source);
}

TEST(proxy_header, version_1_breaks_are_refused) {
    for (const std::string& text :
         {"PROXY \r\n"s, "PROXY TCP4\r\n"s, "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"s,
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"s, "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"s,
          "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"s, "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n"s,
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"s, "PROXY TCP4 2001:db8::1 1.2.3.4 1 2\r\n"s,
          "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n"s, "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n"s,
          "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"s, "PROXY " + std::string(101, 'x')}) {
        const auto parsed = parse_proxy_header(as_bytes(text));
        ASSERT_FALSE(parsed.has_value()) << text;
        EXPECT_EQ(parsed.error(), ProxyHeaderError::malformed) << text;
    }
}

TEST(proxy_header, version_2_names_client_and_destination) {
    const ProxyHeader v4 = parse_whole(v2('\x21', '\x11', v4_addresses));
    EXPECT_EQ(ports::address_text(v4.source), "192.0.2.7:4711");
    EXPECT_EQ(ports::address_text(v4.facts.destination), "192.0.2.1:1883");
    const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07" +
                           "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01" + u16(1) + u16(2);
    EXPECT_EQ(parse_whole(v2('\x21', '\x21', v6)).source,
              (ports::PeerAddress{parse_ip("2001:db8::7").value(), 1}));
    const ProxyHeader local = parse_whole(v2('\x21', '\x31', std::string(216, '/')));
    EXPECT_TRUE(local.names_source);
    EXPECT_TRUE(local.source.is_none());
}

TEST(proxy_header, version_2_local_and_unspecified_leave_the_peer_as_it_is) {
    EXPECT_FALSE(parse_whole(v2('\x20', '\x00', "")).names_source);
    EXPECT_FALSE(parse_whole(v2('\x20', '\x11', v4_addresses + "junk")).names_source);
    EXPECT_FALSE(parse_whole(v2('\x21', '\x00', "")).names_source);
}

TEST(proxy_header, version_2_records_tell_of_the_clients_tls) {
    const std::string ssl = "\x07"s + std::string(4, '\0') + record('\x21', "TLSv1.3") +
                            record('\x22', "dev-1") + record('\x23', "AES");
    const ProxyHeader header =
        parse_whole(v2('\x21', '\x11',
                       v4_addresses + record('\x01', "mqtt") + record('\x02', "acme.example") +
                           record('\x05', "id\0\x01"s) + record('\x20', ssl) + record('\x04', "")));
    EXPECT_EQ(header.facts.authority, "acme.example");
    EXPECT_EQ(header.facts.unique_id, "id\0\x01"s);
    EXPECT_TRUE(header.facts.is_tls);
    EXPECT_TRUE(header.facts.has_verified_certificate);
    EXPECT_EQ(header.facts.tls_version, "TLSv1.3");
    EXPECT_EQ(header.facts.common_name, "dev-1");
    // A certificate that the proxy could not verify is none.
    const std::string unverified = "\x07\0\0\0\x01"s;
    EXPECT_FALSE(parse_whole(v2('\x21', '\x11', v4_addresses + record('\x20', unverified)))
                     .facts.has_verified_certificate);
}

TEST(proxy_header, version_2_checksum_is_checked) {
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);  // RFC 3720's polynomial
    const std::string unsigned_header =
        v2('\x21', '\x11', v4_addresses + record('\x03', "\0\0\0\0"s) + record('\x04', "pad"));
    const std::string header = with_checksum(unsigned_header, 16 + 12 + 3);
    EXPECT_TRUE(parse_whole(header).names_source);
    for (const std::size_t at : {std::size_t{16}, std::size_t{31}, header.size() - 1}) {
        std::string damaged = header;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        const auto parsed = parse_proxy_header(as_bytes(damaged));
        ASSERT_FALSE(parsed.has_value());
        EXPECT_EQ(parsed.error(), ProxyHeaderError::bad_checksum);
    }
}

TEST(proxy_header, version_2_breaks_are_refused) {
    const struct {
        std::string header;
        ProxyHeaderError error;
    } rows[] = {
        {v2('\x11', '\x11', v4_addresses), ProxyHeaderError::unsupported},
        {v2('\x22', '\x11', v4_addresses), ProxyHeaderError::unsupported},
        {v2('\x21', '\x41', v4_addresses), ProxyHeaderError::unsupported},
        {v2('\x21', '\x12', v4_addresses), ProxyHeaderError::unsupported},  // datagrams
        {v2('\x21', '\x13', v4_addresses), ProxyHeaderError::unsupported},
        {v2('\x21', '\x21', v4_addresses), ProxyHeaderError::malformed},  // too short for IPv6
        {v2('\x21', '\x11', v4_addresses + "\x02\x00\x05" + "abc"), ProxyHeaderError::malformed},
        {v2('\x21', '\x11', v4_addresses + "\x02"), ProxyHeaderError::malformed},
        {v2('\x21', '\x11', v4_addresses + record('\x02', "a\nb")), ProxyHeaderError::malformed},
        {v2('\x21', '\x11', v4_addresses + record('\x02', std::string(256, 'a'))),
         ProxyHeaderError::malformed},
        {v2('\x21', '\x11', v4_addresses + record('\x03', "abc")), ProxyHeaderError::malformed},
        {v2('\x21', '\x11', v4_addresses + record('\x05', std::string(129, 'a'))),
         ProxyHeaderError::malformed},
        {v2('\x21', '\x11', v4_addresses + record('\x20', "abc")), ProxyHeaderError::malformed},
        {v2_begin + "\x21\x11" + u16(4'081), ProxyHeaderError::too_long},
    };
    for (const auto& row : rows) {
        const auto parsed = parse_proxy_header(as_bytes(row.header));
        ASSERT_FALSE(parsed.has_value());
        EXPECT_EQ(parsed.error(), row.error) << to_text(parsed.error());
    }
}

TEST(proxy_header, what_begins_otherwise_is_no_header) {
    for (const std::string& text : {"\x10"s, "\x16\x03\x01"s, "GET /"s, "PROXX"s, "\r\n\r\nX"s}) {
        const auto parsed = parse_proxy_header(as_bytes(text));
        ASSERT_FALSE(parsed.has_value());
        EXPECT_EQ(parsed.error(), ProxyHeaderError::not_a_header);
    }
}

}  // namespace mitu::transport
