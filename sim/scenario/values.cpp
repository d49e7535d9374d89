#include "sim/scenario/values.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace mitu::sim::scenario {
namespace {

constexpr std::uint32_t seconds_never = 0xFFFF'FFFF;
constexpr std::uint64_t duration_ms_max = 366ull * 24 * 3'600 * 1'000;

template <int Base>
std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, Base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
    return parse_digits<10>(text);
}

std::optional<Duration> parse_duration(std::string_view text) noexcept {
    if (text == "0") return Duration{};
    const std::size_t digits = text.find_first_not_of("0123456789");
    if (digits == std::string_view::npos || digits == 0) return std::nullopt;
    const auto number = parse_number(text.substr(0, digits));
    const std::string_view unit = text.substr(digits);
    std::uint64_t factor_ms = 0;
    if (unit == "ms") factor_ms = 1;
    if (unit == "s") factor_ms = 1'000;
    if (unit == "m") factor_ms = 60'000;
    if (unit == "h") factor_ms = 3'600'000;
    if (!number || factor_ms == 0 || *number > duration_ms_max / factor_ms) return std::nullopt;
    return Duration::milliseconds(static_cast<std::int64_t>(*number * factor_ms));
}

std::optional<std::uint32_t> parse_seconds(std::string_view text) noexcept {
    if (text == "never") return seconds_never;
    const auto duration = parse_duration(text);
    if (!duration || duration->count_ms() % 1'000 != 0) return std::nullopt;
    return static_cast<std::uint32_t>(duration->count_s());
}

std::optional<mqtt::ReasonCode> parse_reason(std::string_view text) noexcept {
    if (text == "granted_qos_0" || text == "normal_disconnection") return mqtt::ReasonCode::success;
    if (text.size() == 4 && text.starts_with("0x")) {
        const auto value = parse_digits<16>(text.substr(2));
        if (!value) return std::nullopt;
        return mqtt::ReasonCode{static_cast<std::uint8_t>(*value)};
    }
    for (unsigned value = 0; value <= 0xFF; ++value) {
        const auto reason = mqtt::ReasonCode{static_cast<std::uint8_t>(value)};
        const std::string_view name = mqtt::to_text(reason);
        if (name == text && name != "unknown") return reason;
    }
    return std::nullopt;
}

std::optional<Bytes> parse_hex(std::string_view text) {
    Bytes bytes;
    while (!text.empty()) {
        if (text[0] == ' ') {
            text.remove_prefix(1);
            continue;
        }
        if (text.size() < 2) return std::nullopt;
        const auto value = parse_digits<16>(text.substr(0, 2));
        if (!value) return std::nullopt;
        bytes.push_back(static_cast<std::uint8_t>(*value));
        text.remove_prefix(2);
    }
    return bytes;
}

std::string seconds_text(std::uint32_t seconds) {
    return seconds == seconds_never ? "never" : fmt::format("{}s", seconds);
}

std::string duration_text(Duration duration) {
    const auto ms = duration.count_ms();
    if (ms % 1'000 == 0) return fmt::format("{}s", ms / 1'000);
    return ms < 1'000 ? fmt::format("{}ms", ms) : fmt::format("{:g}s", duration.as_seconds());
}

std::string reason_text(mqtt::ReasonCode reason) {
    const std::string_view name = mqtt::to_text(reason);
    if (name != "unknown") return std::string{name};
    return fmt::format("0x{:02X}", static_cast<unsigned>(reason));
}

std::string hex_text(ByteView bytes, std::size_t bytes_max) {
    std::string text;
    for (const std::uint8_t byte : bytes.first(std::min(bytes.size(), bytes_max))) {
        text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
    }
    return bytes.size() > bytes_max ? fmt::format("{} ... {} bytes", text, bytes.size()) : text;
}

}  // namespace mitu::sim::scenario
