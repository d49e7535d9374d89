#pragma once
// Small texts: what people type, and numbers as people read them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

/// "250ms", "30s", "5m", "2h", or a plain number of seconds ("0.5"). nullopt: none of these.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);

/// scheme://[user[:password]@]host[:port]; user and password may be percent-encoded, an IPv6
/// address stands in brackets.
struct Url {
    std::string scheme;
    std::optional<std::string> user;
    std::optional<std::string> password;
    std::string host;
    std::optional<std::uint16_t> port;
    std::string path;  // with its slash; may be empty
};
/// Errors  a text for people.
[[nodiscard]] Result<Url, std::string> parse_url(std::string_view text);

/// "host:port", "[::1]:port", "host" or ":port".
struct HostPort {
    std::string host;  // empty: not named
    std::optional<std::uint16_t> port;
};
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);

[[nodiscard]] std::string to_hex(ByteView bytes, bool upper = false);
[[nodiscard]] std::optional<Bytes> parse_hex(std::string_view text);

/// 950 -> "950", 12'345 -> "12.3k", 7'200'000 -> "7.20M".
[[nodiscard]] std::string short_count(double value);
/// 1'536 -> "1.5 KiB".
[[nodiscard]] std::string short_bytes(double bytes);
/// 0.000412 -> "412us", 0.0125 -> "12.5ms", 75 -> "1m15s".
[[nodiscard]] std::string short_duration(Duration duration);

/// As it may stand on a terminal: a control character, of which a device may have put one into its
/// name, is \xNN instead of what it would do there.
[[nodiscard]] std::string visible(std::string_view text);

/// Columns as wide as they must be; the first line is the heading.
class TextTable {
public:
    explicit TextTable(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }
    void add(std::vector<std::string> row) {
        for (std::string& cell : row) cell = visible(cell);
        rows_.push_back(std::move(row));
    }
    /// Numbers (cells that begin with a digit) stand to the right. Every line ends with a newline.
    [[nodiscard]] std::string print() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace mitu::cli
