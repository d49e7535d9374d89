#include "apps/mitu/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace mitu::cli {

namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const char* const begin = text.data();
    const auto [at, error] = std::from_chars(begin, begin + text.size(), value);
    if (error != std::errc{} || at != begin + text.size()) return std::nullopt;
    return value;
}

std::optional<std::uint8_t> hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    return std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const auto byte = parse_hex(text.substr(i + 1, 2));
        if (!byte) return std::nullopt;
        decoded += static_cast<char>((*byte)[0]);
        i += 2;
    }
    return decoded;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view suffix;
        double seconds;
    };
    // "ms" before "s" and "m": the longer suffix is looked for first.
    static constexpr Unit units[] = {{"ms", 0.001}, {"us", 1e-6}, {"s", 1},
                                     {"m", 60},     {"h", 3'600}, {"d", 86'400}};
    double factor = 1;
    for (const Unit& unit : units) {
        if (!text.ends_with(unit.suffix)) continue;
        factor = unit.seconds;
        text.remove_suffix(unit.suffix.size());
        break;
    }
    const auto number = parse_number<double>(text);
    if (!number || !std::isfinite(*number) || *number < 0) return std::nullopt;
    const double seconds = *number * factor;
    if (seconds > 1e9) return std::nullopt;
    // Rounded, not cut: 0.3 ms is 299'999.99... ns in binary.
    return Duration::nanoseconds(std::llround(seconds * 1e9));
}

std::optional<HostPort> parse_host_port(std::string_view text) {
    HostPort parsed;
    std::string_view rest;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        parsed.host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
    } else {
        const std::size_t colon = text.find(':');
        parsed.host = text.substr(0, colon);
        rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
    }
    if (rest.empty()) return parsed;
    if (!rest.starts_with(':')) return std::nullopt;
    const auto port = parse_number<std::uint16_t>(rest.substr(1));
    if (!port || *port == 0) return std::nullopt;
    parsed.port = port;
    return parsed;
}

Result<Url, std::string> parse_url(std::string_view text) {
    Url url;
    const std::size_t scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) {
        return std::unexpected("it has no scheme; write scheme://host:port");
    }
    url.scheme = text.substr(0, scheme_end);
    std::string_view rest = text.substr(scheme_end + 3);
    if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
        url.path = rest.substr(slash);
        rest = rest.substr(0, slash);
    }
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        const std::string_view login = rest.substr(0, at);
        rest = rest.substr(at + 1);
        const std::size_t colon = login.find(':');
        url.user = percent_decoded(login.substr(0, colon));
        if (!url.user) return std::unexpected("its user name has a broken percent code");
        if (colon != std::string_view::npos) {
            url.password = percent_decoded(login.substr(colon + 1));
            if (!url.password) return std::unexpected("its password has a broken percent code");
        }
    }
    const auto place = parse_host_port(rest);
    if (!place) return std::unexpected("its port is not a number from 1 to 65535");
    if (place->host.empty()) return std::unexpected("it names no host");
    url.host = place->host;
    url.port = place->port;
    return url;
}

std::string to_hex(ByteView bytes, bool upper) {
    const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 0x0F];
    }
    return text;
}

std::optional<Bytes> parse_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    Bytes bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = hex_digit(text[i]);
        const auto low = hex_digit(text[i + 1]);
        if (!high || !low) return std::nullopt;
        bytes.push_back(static_cast<std::uint8_t>(*high << 4 | *low));
    }
    return bytes;
}

std::string short_count(double value) {
    if (value < 0) return "-" + short_count(-value);
    if (value < 10 && value != std::floor(value)) return fmt::format("{:.1f}", value);
    if (value < 9'999.5) return fmt::format("{:.0f}", value);
    if (value < 999'950) return fmt::format("{:.1f}k", value / 1e3);
    if (value < 999'950'000) return fmt::format("{:.2f}M", value / 1e6);
    return fmt::format("{:.2f}G", value / 1e9);
}

std::string short_bytes(double bytes) {
    if (bytes < 1'024) return fmt::format("{:.0f} B", bytes);
    if (bytes < 1'024.0 * 1'024) return fmt::format("{:.1f} KiB", bytes / 1'024);
    if (bytes < 1'024.0 * 1'024 * 1'024) return fmt::format("{:.1f} MiB", bytes / (1'024 * 1'024));
    return fmt::format("{:.2f} GiB", bytes / (1'024.0 * 1'024 * 1'024));
}

std::string short_duration(Duration duration) {
    const double seconds = duration.as_seconds();
    if (seconds < 0.001) return fmt::format("{:.0f}us", seconds * 1e6);
    if (seconds < 0.1) return fmt::format("{:.1f}ms", seconds * 1e3);
    if (seconds < 1) return fmt::format("{:.0f}ms", seconds * 1e3);
    if (seconds < 60) return fmt::format("{:.1f}s", seconds);
    const std::int64_t whole = duration.count_s();
    if (whole < 3'600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    if (whole < 86'400) return fmt::format("{}h{:02}m", whole / 3'600, whole / 60 % 60);
    return fmt::format("{}d{:02}h", whole / 86'400, whole / 3'600 % 24);
}

std::string visible(std::string_view text) {
    std::string shown;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
        if (byte < 0x20 || byte == 0x7F) {
            shown += fmt::format("\\x{:02x}", byte);
        } else if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {  // U+0080..U+009F
            shown += fmt::format("\\x{:02x}", next);
            ++i;
        } else {
            shown += text[i];
        }
    }
    return shown;
}

std::string TextTable::print() const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    // A column is one of numbers if every cell below the heading is one.
    std::vector<bool> right(widths.size(), rows_.size() > 1);
    for (std::size_t r = 1; r < rows_.size(); ++r) {
        for (std::size_t i = 0; i < rows_[r].size(); ++i) {
            const std::string& cell = rows_[r][i];
            if (cell.empty() || cell[0] < '0' || cell[0] > '9') right[i] = false;
        }
    }
    std::string text;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (i > 0) line += "  ";
            line += right[i] ? fmt::format("{:>{}}", row[i], widths[i])
                             : fmt::format("{:<{}}", row[i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

}  // namespace mitu::cli
