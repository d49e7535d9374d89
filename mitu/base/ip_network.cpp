#include "mitu/base/ip_network.hpp"

#include <algorithm>
#include <charconv>

namespace mitu {
namespace {

constexpr std::uint8_t v4_bits_before = 96;

/// The whole text as a number without leading zeros.
template <class Number>
bool read_number(std::string_view text, int base, std::size_t digits_max, Number& number) noexcept {
    if (text.empty() || text.size() > digits_max) return false;
    if (base == 10 && text.size() > 1 && text.front() == '0') return false;
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc{} && stop == text.data() + text.size() && text.front() != '-';
}

/// Writes four bytes.
bool read_v4(std::string_view text, std::uint8_t* to) noexcept {
    for (int i = 0; i < 4; ++i) {
        const std::size_t dot = i < 3 ? text.find('.') : text.size();
        if (dot == std::string_view::npos || !read_number(text.substr(0, dot), 10, 3, to[i])) {
            return false;
        }
        text.remove_prefix(std::min(dot + 1, text.size()));
    }
    return true;
}

/// Groups that stand between colons, with an IPv4 address as the last one if `may_end_in_v4`.
/// nullopt: malformed; else how many bytes were written.
std::optional<std::size_t> read_groups(std::string_view text, bool may_end_in_v4,
                                       std::array<std::uint8_t, 16>& to) noexcept {
    std::size_t size = 0;
    while (!text.empty()) {
        const std::size_t colon = std::min(text.find(':'), text.size());
        const std::string_view group = text.substr(0, colon);
        const bool is_last = colon == text.size();
        if (is_last && may_end_in_v4 && group.find('.') != std::string_view::npos) {
            if (size + 4 > to.size() || !read_v4(group, to.data() + size)) return std::nullopt;
            return size + 4;
        }
        std::uint16_t value = 0;
        if (size + 2 > to.size() || !read_number(group, 16, 4, value)) return std::nullopt;
        to[size++] = static_cast<std::uint8_t>(value >> 8);
        to[size++] = static_cast<std::uint8_t>(value & 0xFF);
        if (is_last) break;
        text.remove_prefix(colon + 1);
        if (text.empty()) return std::nullopt;  // a colon and nothing after it
    }
    return size;
}

std::optional<IpAddress> read_v6(std::string_view text) noexcept {
    std::array<std::uint8_t, 16> head{};
    const std::size_t gap = text.find("::");
    if (gap == std::string_view::npos) {
        const auto size = read_groups(text, true, head);
        if (!size || *size != 16) return std::nullopt;
        return head;
    }
    std::array<std::uint8_t, 16> tail{};
    const auto head_size = read_groups(text.substr(0, gap), false, head);
    const auto tail_size = read_groups(text.substr(gap + 2), true, tail);
    // "::" stands for at least one group.
    if (!head_size || !tail_size || *head_size + *tail_size > 14) return std::nullopt;
    std::copy_n(tail.begin(), *tail_size, head.end() - static_cast<std::ptrdiff_t>(*tail_size));
    return head;
}

void append_hex(std::string& text, unsigned value) {
    char digits[4];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value, 16);
    static_cast<void>(error);
    text.append(digits, end);
}

}  // namespace

bool is_loopback(const IpAddress& ip) noexcept {
    if (is_v4(ip)) return ip[12] == 127;
    IpAddress one{};
    one[15] = 1;
    return ip == one;
}

std::optional<IpAddress> parse_ip(std::string_view text) noexcept {
    if (text.find(':') != std::string_view::npos) return read_v6(text);
    IpAddress ip = make_v4(0, 0, 0, 0);
    if (!read_v4(text, ip.data() + 12)) return std::nullopt;
    return ip;
}

std::string to_text(const IpAddress& ip) {
    if (is_v4(ip)) {
        return std::to_string(ip[12]) + '.' + std::to_string(ip[13]) + '.' +
               std::to_string(ip[14]) + '.' + std::to_string(ip[15]);
    }
    const auto group = [&](std::size_t i) { return unsigned{ip[2 * i]} << 8 | ip[2 * i + 1]; };
    // The longest run of zero groups, the first of equals, is written as "::".
    std::size_t gap = 8;
    std::size_t gap_size = 1;
    for (std::size_t i = 0; i < 8;) {
        std::size_t end = i;
        while (end < 8 && group(end) == 0) ++end;
        if (end - i > gap_size) {
            gap = i;
            gap_size = end - i;
        }
        i = std::max(end, i + 1);
    }
    std::string text;
    for (std::size_t i = 0; i < 8;) {
        if (i == gap) {
            text += "::";
            i += gap_size;
            continue;
        }
        if (!text.empty() && text.back() != ':') text += ':';
        append_hex(text, group(i));
        ++i;
    }
    return text;
}

IpAddress first_bits(const IpAddress& ip, std::uint8_t prefix_bits) noexcept {
    IpAddress result{};
    for (std::size_t i = 0; i < ip.size(); ++i) {
        const std::size_t kept = std::size_t{prefix_bits} > i * 8 ? prefix_bits - i * 8 : 0;
        const unsigned mask = kept >= 8 ? 0xFFu : 0xFF00u >> kept & 0xFFu;
        result[i] = static_cast<std::uint8_t>(ip[i] & mask);
    }
    return result;
}

bool IpNetwork::contains(const IpAddress& ip) const noexcept {
    return first_bits(ip, prefix_bits) == base;
}

Result<IpNetwork, std::string> parse_ip_network(std::string_view text) {
    const auto refuse = [&](const std::string& why) {
        return std::unexpected("network `" + std::string{text} + "`: " + why);
    };
    const std::size_t slash = std::min(text.find('/'), text.size());
    const auto ip = parse_ip(text.substr(0, slash));
    if (!ip) {
        return refuse("`" + std::string{text.substr(0, slash)} +
                      "` is no IP address; write it as 10.0.0.0/8 or 2001:db8::/32");
    }
    // "::ffff:10.0.0.0/104" is IPv6 notation and counts IPv6 bits.
    const bool counts_v4 = text.substr(0, slash).find(':') == std::string_view::npos;
    const std::uint8_t bits_max = counts_v4 ? 32 : 128;
    std::uint8_t bits = bits_max;
    if (slash != text.size() &&
        (!read_number(text.substr(slash + 1), 10, 3, bits) || bits > bits_max)) {
        return refuse("the prefix length is `" + std::string{text.substr(slash + 1)} +
                      "`; use 0.." + std::to_string(bits_max));
    }
    IpNetwork network;
    network.prefix_bits = static_cast<std::uint8_t>(counts_v4 ? bits + v4_bits_before : bits);
    network.base = first_bits(*ip, network.prefix_bits);
    if (network.base != *ip) {
        return refuse("it has bits past the prefix; use " + to_text(network) +
                      " for the network, " + to_text(*ip) + " for the one address");
    }
    return network;
}

std::string to_text(const IpNetwork& network) {
    const bool is_v4_block = is_v4(network.base) && network.prefix_bits >= v4_bits_before;
    const int bits = network.prefix_bits - (is_v4_block ? v4_bits_before : 0);
    std::string text = to_text(network.base);
    if (network.prefix_bits < 128) text += "/" + std::to_string(bits);
    return text;
}

bool contains(std::span<const IpNetwork> networks, const IpAddress& ip) noexcept {
    return std::ranges::any_of(networks, [&](const IpNetwork& n) { return n.contains(ip); });
}

}  // namespace mitu
