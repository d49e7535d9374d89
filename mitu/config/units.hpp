#pragma once
// Durations, sizes, times and addresses as people write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/time.hpp"
#include "mitu/config/key.hpp"

namespace mitu::config {

/// "250ms", "30s", "5m", "24h", "7d": a whole number and a unit; at most 100 years.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text) noexcept;
/// In the largest unit that shows it whole: "24h" is "1d".
[[nodiscard]] std::string duration_text(Duration value);

/// "4096", "64KiB", "4MiB", "16GiB", "1TiB".
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;
/// In the largest unit that shows it whole: 65536 is "64KiB"; below a KiB, the number.
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// "2026-12-31T23:59:59Z": UTC, to the second.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text) noexcept;
[[nodiscard]] std::string time_text(WallTime time);

/// Where to listen.
struct BindAddress {
    std::string host;  // an IPv4 or IPv6 literal, or "*": every interface; empty: a Unix socket
    std::uint16_t port = 0;
    std::string path;  // of a Unix socket
    [[nodiscard]] bool is_unix() const noexcept { return !path.empty(); }
    /// 127.0.0.0/8, ::1, or a Unix socket: nobody from elsewhere.
    [[nodiscard]] bool is_loopback() const noexcept;
};

/// "127.0.0.1:1883", "[::1]:8883", "*:1883", "localhost:1883" (127.0.0.1), "unix:/run/mqtt.sock".
[[nodiscard]] std::optional<BindAddress> parse_bind(std::string_view text) noexcept;

/// An address, or a network whose bits below the prefix are 0: "10.1.0.0/16", "fd00::/8".
[[nodiscard]] bool is_network(std::string_view text) noexcept;

// What texts of the table must be like.
extern const TextRule name_rule;      // of listeners, methods, tenants
extern const TextRule bind_rule;      // TCP or Unix
extern const TextRule tcp_bind_rule;  // TCP, or empty for none
extern const TextRule network_rule;
extern const TextRule server_name_rule;  // "mqtt.example.com", "*.example.com"
extern const TextRule url_rule;          // http://, https://
extern const TextRule url_path_rule;     // "/mqtt"
extern const TextRule mode_rule;         // "0660"
extern const TextRule algorithm_rule;    // of JWT
extern const TextRule filled_rule;       // any but empty

}  // namespace mitu::config
