#include "mitu/config/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "mitu/base/ip_network.hpp"

namespace mitu::config {
namespace {

struct NamedUnit {
    std::string_view name;
    std::uint64_t factor;
};

// Largest first, for the way back to text.
constexpr std::array duration_units{NamedUnit{"d", 86'400'000}, NamedUnit{"h", 3'600'000},
                                    NamedUnit{"m", 60'000}, NamedUnit{"s", 1'000},
                                    NamedUnit{"ms", 1}};
constexpr std::array size_units{NamedUnit{"TiB", std::uint64_t{1} << 40},
                                NamedUnit{"GiB", std::uint64_t{1} << 30},
                                NamedUnit{"MiB", std::uint64_t{1} << 20},
                                NamedUnit{"KiB", std::uint64_t{1} << 10}, NamedUnit{"", 1}};
constexpr std::uint64_t duration_ms_max = std::uint64_t{100} * 366 * 86'400'000;

template <std::size_t N>
std::optional<std::uint64_t> parse_with(const std::array<NamedUnit, N>& units,
                                        std::string_view text, std::uint64_t max) noexcept {
    std::uint64_t count = 0;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, count);
    if (error != std::errc{}) return std::nullopt;
    const std::string_view rest{end, static_cast<std::size_t>(last - end)};
    for (const NamedUnit& unit : units) {
        if (unit.name == rest && count <= max / unit.factor) return count * unit.factor;
    }
    return std::nullopt;
}

template <std::size_t N>
std::string text_with(const std::array<NamedUnit, N>& units, std::uint64_t value) {
    for (const NamedUnit& unit : units) {
        if (value >= unit.factor && value % unit.factor == 0) {
            return fmt::format("{}{}", value / unit.factor, unit.name);
        }
    }
    return fmt::format("{}", value);
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) noexcept {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

bool is_of(std::string_view text, std::string_view characters) noexcept {
    return text.find_first_not_of(characters) == std::string_view::npos;
}

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 64 && text.front() != '_' && text.front() != '-' &&
           is_of(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
}
bool is_bind(std::string_view text) noexcept { return parse_bind(text).has_value(); }
bool is_tcp_bind(std::string_view text) noexcept {
    const auto bind = parse_bind(text);
    return text.empty() || (bind && !bind->is_unix());
}
bool is_server_name(std::string_view text) noexcept {
    if (text.starts_with("*.")) text.remove_prefix(2);
    return !text.empty() && text.size() <= 253 && text.front() != '.' && text.back() != '.' &&
           text.find("..") == std::string_view::npos &&
           is_of(text, "abcdefghijklmnopqrstuvwxyz0123456789.-_");
}
bool is_url(std::string_view text) noexcept {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (text.starts_with(scheme) && text.size() > scheme.size() && text[scheme.size()] != '/' &&
            text.find_first_of(" \t\r\n") == std::string_view::npos) {
            return true;
        }
    }
    return false;
}
bool is_url_path(std::string_view text) noexcept {
    return text.starts_with('/') && text.find_first_of(" \t\r\n?#") == std::string_view::npos;
}
bool is_mode(std::string_view text) noexcept {
    return (text.size() == 3 || (text.size() == 4 && text.front() == '0')) &&
           is_of(text, "01234567");
}
bool is_algorithm(std::string_view text) noexcept {
    constexpr std::array<std::string_view, 9> known{"HS256", "HS384", "HS512", "RS256", "RS384",
                                                    "RS512", "ES256", "ES384", "ES512"};
    return std::find(known.begin(), known.end(), text) != known.end();
}
bool is_filled(std::string_view text) noexcept { return !text.empty(); }

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) noexcept {
    const auto ms = parse_with(duration_units, text, duration_ms_max);
    if (!ms) return std::nullopt;
    return Duration::milliseconds(static_cast<std::int64_t>(*ms));
}

std::string duration_text(Duration value) {
    const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, value.count_ms()));
    return ms == 0 ? "0s" : text_with(duration_units, ms);
}

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
    return parse_with(size_units, text, UINT64_MAX);
}

std::string size_text(std::uint64_t bytes) { return text_with(size_units, bytes); }

std::optional<WallTime> parse_time(std::string_view text) noexcept {
    if (text.size() != 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
        text[13] != ':' || text[16] != ':' || text[19] != 'Z') {
        return std::nullopt;
    }
    // Unsigned, so that no part may have a sign.
    const auto part = [&](std::size_t at, std::size_t length) {
        return whole_number<unsigned>(text.substr(at, length));
    };
    const auto year = part(0, 4), month = part(5, 2), day = part(8, 2);
    const auto hour = part(11, 2), minute = part(14, 2), second = part(17, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                           std::chrono::month{*month}, std::chrono::day{*day}};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
    const std::int64_t seconds = ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
    return WallTime{seconds * 1'000};
}

std::string time_text(WallTime time) {
    const std::chrono::sys_seconds at{
        std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds{time.unix_ms})};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{at - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

bool BindAddress::is_loopback() const noexcept {
    if (is_unix()) return true;
    const auto ip = parse_ip(host);
    return ip && mitu::is_loopback(*ip);
}

std::optional<BindAddress> parse_bind(std::string_view text) noexcept {
    constexpr std::string_view unix_scheme = "unix:";
    if (text.starts_with(unix_scheme)) {
        text.remove_prefix(unix_scheme.size());
        // The kernel's sockaddr_un has 108 bytes for it, with the zero.
        if (!text.starts_with('/') || text.size() < 2 || text.size() > 107) return std::nullopt;
        return BindAddress{{}, 0, std::string{text}};
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto port = whole_number<std::uint16_t>(text.substr(colon + 1));
    std::string_view host = text.substr(0, colon);
    if (!port || host.empty()) return std::nullopt;
    if (host == "localhost") host = "127.0.0.1";
    if (host == "*") return BindAddress{std::string{host}, *port, {}};
    const bool has_brackets = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
    if (has_brackets) host = host.substr(1, host.size() - 2);
    // An IPv6 address has colons of its own, so it stands in brackets.
    const bool is_v6 = host.find(':') != std::string_view::npos;
    if (is_v6 != has_brackets || !parse_ip(host)) return std::nullopt;
    return BindAddress{std::string{host}, *port, {}};
}

bool is_network(std::string_view text) noexcept { return parse_ip_network(text).has_value(); }

constinit const TextRule name_rule{"1..64 of a-z 0-9 _ -, not beginning with _ or -", is_name,
                                   "^[a-z0-9][a-z0-9_-]{0,63}$"};
constinit const TextRule bind_rule{
    "ADDRESS:PORT (127.0.0.1:1883, [::1]:8883, *:1883) or unix:/PATH", is_bind};
constinit const TextRule tcp_bind_rule{
    "ADDRESS:PORT (127.0.0.1:9880, [::1]:9880, *:9880), or \"\" for none", is_tcp_bind};
constinit const TextRule network_rule{
    "an address or a network: 10.0.0.7, 10.1.0.0/16, fd00::/8 (bits below the prefix are 0)",
    is_network};
constinit const TextRule server_name_rule{
    "a host name in lower case: mqtt.example.com, *.example.com", is_server_name};
constinit const TextRule url_rule{"http://HOST[:PORT][/PATH] or https://...", is_url,
                                  "^https?://[^/]"};
constinit const TextRule url_path_rule{"a path: /mqtt", is_url_path, "^/"};
constinit const TextRule mode_rule{"an octal mode in quotes: \"0660\"", is_mode, "^0?[0-7]{3}$"};
constinit const TextRule algorithm_rule{
    "of HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512", is_algorithm,
    "^(HS|RS|ES)(256|384|512)$"};
constinit const TextRule filled_rule{"text that is not empty", is_filled, "."};

}  // namespace mitu::config
