#pragma once
// IP addresses and networks (CIDR) as values: who may send a PROXY header, who is banned.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"

namespace mitu {

/// In network order. IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that one
/// comparison serves both; ports::PeerAddress::ip is this type.
using IpAddress = std::array<std::uint8_t, 16>;

[[nodiscard]] constexpr bool is_v4(const IpAddress& ip) noexcept {
    for (std::size_t i = 0; i < 10; ++i) {
        if (ip[i] != 0) return false;
    }
    return ip[10] == 0xFF && ip[11] == 0xFF;
}
[[nodiscard]] constexpr IpAddress make_v4(std::uint8_t a, std::uint8_t b, std::uint8_t c,
                                          std::uint8_t d) noexcept {
    return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d};
}
/// 127.0.0.0/8 and ::1.
[[nodiscard]] bool is_loopback(const IpAddress& ip) noexcept;

/// Reads "192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7". No brackets, zone or leading zeros in
/// IPv4 parts (some read those as octal). nullopt: it is none.
/// Source  RFC 4291, 2.2.
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text) noexcept;
/// "192.0.2.7", "2001:db8::7" (RFC 5952).
[[nodiscard]] std::string to_text(const IpAddress& ip);

/// A block of addresses that share their first bits.
struct IpNetwork {
    IpAddress base{};              // bits past the prefix are zero
    std::uint8_t prefix_bits = 0;  // 0..128, of the mapped form: 10.0.0.0/8 has 104
    constexpr auto operator<=>(const IpNetwork&) const noexcept = default;

    [[nodiscard]] bool contains(const IpAddress& ip) const noexcept;
};

/// `ip` without the bits past the prefix.
[[nodiscard]] IpAddress first_bits(const IpAddress& ip, std::uint8_t prefix_bits) noexcept;

/// Reads "10.0.0.0/8", "2001:db8::/32", or one address, which is a network of its own.
/// Errors  one sentence for the person who wrote it: what is wrong and what to use. Bits past the
///         prefix ("10.1.2.3/8") are an error, since one of the two is a slip.
[[nodiscard]] Result<IpNetwork, std::string> parse_ip_network(std::string_view text);
/// "10.0.0.0/8"; without "/32" and "/128".
[[nodiscard]] std::string to_text(const IpNetwork& network);

/// Cost  linear: for lists of a few lines. Longer ones are looked up by first_bits() in a table.
[[nodiscard]] bool contains(std::span<const IpNetwork> networks, const IpAddress& ip) noexcept;

}  // namespace mitu
