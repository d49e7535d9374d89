#include "mitu/transport/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace mitu::transport {
namespace {

using Parsed = Result<std::optional<ProxyHeader>, ProxyHeaderError>;

constexpr std::string_view v1_begin = "PROXY ";
constexpr std::size_t v1_bytes_max = 107;  // "\r\n" included
constexpr std::array<std::uint8_t, 12> v2_begin{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::size_t v2_fixed_bytes = 16;

// Types of TLV records.
constexpr std::uint8_t type_authority = 0x02;
constexpr std::uint8_t type_crc32c = 0x03;
constexpr std::uint8_t type_unique_id = 0x05;
constexpr std::uint8_t type_ssl = 0x20;
constexpr std::uint8_t type_ssl_version = 0x21;
constexpr std::uint8_t type_ssl_cn = 0x22;
constexpr std::size_t unique_id_bytes_max = 128;
constexpr std::size_t text_bytes_max = 255;

std::unexpected<ProxyHeaderError> refuse(ProxyHeaderError error) { return std::unexpected(error); }

bool is_clean(ByteView text) noexcept {
    return text.size() <= text_bytes_max &&
           std::ranges::none_of(text, [](std::uint8_t c) { return c < 0x20 || c == 0x7F; });
}

// --- version 1: one line of text ---

bool take_port(std::string_view text, std::uint16_t& port) noexcept {
    if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && stop == text.data() + text.size();
}

/// The text up to the next space, which is taken too.
std::string_view take_word(std::string_view& line) noexcept {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    return word;
}

Parsed parse_v1(ByteView bytes) {
    const std::string_view text = as_text(bytes.first(std::min(bytes.size(), v1_bytes_max)));
    const std::size_t end = text.find("\r\n");
    if (end == std::string_view::npos) {
        if (text.size() >= v1_bytes_max) return refuse(ProxyHeaderError::malformed);
        return std::optional<ProxyHeader>{};
    }
    ProxyHeader header;
    header.bytes = end + 2;
    std::string_view line = text.substr(0, end);
    line.remove_prefix(v1_begin.size());
    const std::size_t spaces = static_cast<std::size_t>(std::ranges::count(line, ' '));
    const std::string_view family = take_word(line);
    if (family == "UNKNOWN") return header;  // whatever follows is to be ignored
    if ((family != "TCP4" && family != "TCP6") || spaces != 4) {
        return refuse(ProxyHeaderError::malformed);
    }
    const auto source = parse_ip(take_word(line));
    const auto destination = parse_ip(take_word(line));
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    if (!source || !destination || !take_port(take_word(line), source_port) ||
        !take_port(line, destination_port)) {
        return refuse(ProxyHeaderError::malformed);
    }
    // TCP6 may carry mapped addresses; TCP4 nothing but IPv4.
    if (family == "TCP4" && (!is_v4(*source) || !is_v4(*destination))) {
        return refuse(ProxyHeaderError::malformed);
    }
    header.names_source = true;
    header.source = {*source, source_port};
    header.facts.destination = {*destination, destination_port};
    return header;
}

// --- version 2: bytes ---

std::uint16_t get_u16(ByteView bytes) noexcept {
    return static_cast<std::uint16_t>(unsigned{bytes[0]} << 8 | bytes[1]);
}

std::uint32_t get_u32(ByteView bytes) noexcept {
    return std::uint32_t{get_u16(bytes)} << 16 | get_u16(bytes.subspan(2));
}

/// Takes a record from the front. False: it does not fit.
bool take_record(ByteView& records, std::uint8_t& type, ByteView& value) noexcept {
    if (records.size() < 3) return false;
    type = records[0];
    const std::size_t size = get_u16(records.subspan(1));
    if (records.size() < 3 + size) return false;
    value = records.subspan(3, size);
    records = records.subspan(3 + size);
    return true;
}

bool read_ssl_record(ByteView value, ports::ProxyFacts& facts) {
    if (value.size() < 5) return false;
    const std::uint8_t client = value[0];
    facts.is_tls = (client & 0x01) != 0;
    // A certificate was shown (0x02 in this connection, 0x04 in the session), and it is good: 0.
    facts.has_verified_certificate = (client & 0x06) != 0 && get_u32(value.subspan(1)) == 0;
    ByteView records = value.subspan(5);
    while (!records.empty()) {
        std::uint8_t type = 0;
        ByteView text;
        if (!take_record(records, type, text)) return false;
        if (type != type_ssl_version && type != type_ssl_cn) continue;
        if (!is_clean(text)) return false;
        (type == type_ssl_cn ? facts.common_name : facts.tls_version) = mitu::to_text(text);
    }
    return true;
}

/// The checksum covers the header with its own four bytes taken as zero.
bool checksum_fits(ByteView header, ByteView value) noexcept {
    const auto at = static_cast<std::size_t>(value.data() - header.data());
    constexpr std::array<std::uint8_t, 4> zeros{};
    std::uint32_t sum = crc32c(header.first(at));
    sum = crc32c(zeros, sum);
    sum = crc32c(header.subspan(at + 4), sum);
    return sum == get_u32(value);
}

std::optional<ProxyHeaderError> read_records(ByteView header, ByteView records,
                                             ports::ProxyFacts& facts) {
    while (!records.empty()) {
        std::uint8_t type = 0;
        ByteView value;
        if (!take_record(records, type, value)) return ProxyHeaderError::malformed;
        switch (type) {
            case type_authority:
                if (!is_clean(value)) return ProxyHeaderError::malformed;
                facts.authority = mitu::to_text(value);
                break;
            case type_unique_id:
                if (value.size() > unique_id_bytes_max) return ProxyHeaderError::malformed;
                facts.unique_id = mitu::to_text(value);
                break;
            case type_crc32c:
                if (value.size() != 4) return ProxyHeaderError::malformed;
                if (!checksum_fits(header, value)) return ProxyHeaderError::bad_checksum;
                break;
            case type_ssl:
                if (!read_ssl_record(value, facts)) return ProxyHeaderError::malformed;
                break;
            default:  // ALPN, NOOP, network namespace, and what is yet to come
                break;
        }
    }
    return std::nullopt;
}

ports::PeerAddress read_address(ByteView ip, ByteView port) noexcept {
    ports::PeerAddress address;
    if (ip.size() == 4) {
        address.ip = make_v4(ip[0], ip[1], ip[2], ip[3]);
    } else {
        std::ranges::copy(ip, address.ip.begin());
    }
    address.port = get_u16(port);
    return address;
}

Parsed parse_v2(ByteView bytes) {
    if (bytes.size() < v2_fixed_bytes) return std::optional<ProxyHeader>{};
    const std::uint8_t command = bytes[12] & 0x0F;
    const std::uint8_t family = bytes[13] >> 4;
    const std::uint8_t protocol = bytes[13] & 0x0F;
    if (bytes[12] >> 4 != 2 || command > 1) return refuse(ProxyHeaderError::unsupported);
    if (family > 3 || protocol > 2) return refuse(ProxyHeaderError::unsupported);
    const std::size_t size = v2_fixed_bytes + get_u16(bytes.subspan(14));
    if (size > proxy_header_bytes_max) return refuse(ProxyHeaderError::too_long);
    if (bytes.size() < size) return std::optional<ProxyHeader>{};

    const ByteView whole = bytes.first(size);
    const ByteView body = whole.subspan(v2_fixed_bytes);
    ProxyHeader header;
    header.bytes = size;
    // IPv4, IPv6, Unix paths: source and destination, then ports but for the last.
    constexpr std::array<std::size_t, 4> address_bytes{0, 12, 36, 216};
    const std::size_t addresses = address_bytes[family];
    if (command == 0) return header;  // LOCAL: the rest is to be skipped
    if (body.size() < addresses) return refuse(ProxyHeaderError::malformed);
    if (const auto error = read_records(whole, body.subspan(addresses), header.facts)) {
        return refuse(*error);
    }
    if (family == 0 || protocol == 0) return header;  // unspecified: the proxy does not know
    if (protocol != 1) return refuse(ProxyHeaderError::unsupported);  // datagrams
    header.names_source = true;
    if (family == 3) return header;  // a Unix socket has no address to speak of
    const std::size_t ip = family == 1 ? 4 : 16;
    header.source = read_address(body.first(ip), body.subspan(2 * ip));
    header.facts.destination = read_address(body.subspan(ip, ip), body.subspan(2 * ip + 2));
    return header;
}

template <class Begin>
bool begins_alike(ByteView bytes, const Begin& begin) noexcept {
    const std::size_t count = std::min(bytes.size(), begin.size());
    return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count),
                      begin.begin(),
                      [](std::uint8_t a, auto b) { return a == static_cast<std::uint8_t>(b); });
}

}  // namespace

std::string_view to_text(ProxyHeaderError error) noexcept {
    switch (error) {
        case ProxyHeaderError::not_a_header:
            return "the connection does not begin with a PROXY header";
        case ProxyHeaderError::malformed:
            return "the PROXY header is malformed";
        case ProxyHeaderError::bad_checksum:
            return "the checksum of the PROXY header does not fit";
        case ProxyHeaderError::too_long:
            return "the PROXY header is too long";
        case ProxyHeaderError::unsupported:
            return "the PROXY header has an unknown version, command or family";
    }
    return "";
}

Parsed parse_proxy_header(ByteView bytes) {
    if (bytes.empty()) return std::optional<ProxyHeader>{};
    if (begins_alike(bytes, v1_begin)) {
        if (bytes.size() < v1_begin.size()) return std::optional<ProxyHeader>{};
        return parse_v1(bytes);
    }
    if (begins_alike(bytes, v2_begin)) return parse_v2(bytes);
    return refuse(ProxyHeaderError::not_a_header);
}

std::uint32_t crc32c(ByteView bytes, std::uint32_t so_far) noexcept {
    constexpr auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t i = 0; i < made.size(); ++i) {
            std::uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit) {
                value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0u);
            }
            made[i] = value;
        }
        return made;
    }();
    std::uint32_t sum = ~so_far;
    for (const std::uint8_t byte : bytes) sum = (sum >> 8) ^ table[(sum ^ byte) & 0xFF];
    return ~sum;
}

}  // namespace mitu::transport
