#pragma once
// Numbers, durations, reason codes and the like, as scenarios write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::sim::scenario {

// Errors  nullopt: the text is no such value.

[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;
/// `250ms` `2s` `5m` `1h`; 0 needs no unit.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text) noexcept;
/// The same in whole seconds, as MQTT counts; `never` is 0xFFFFFFFF.
[[nodiscard]] std::optional<std::uint32_t> parse_seconds(std::string_view text) noexcept;
/// A name of mqtt::ReasonCode, `granted_qos_0`, `normal_disconnection`, or `0x8E`.
[[nodiscard]] std::optional<mqtt::ReasonCode> parse_reason(std::string_view text) noexcept;
/// Bytes as hexadecimal digits, two each, spaces allowed between them.
[[nodiscard]] std::optional<Bytes> parse_hex(std::string_view text);

[[nodiscard]] std::string seconds_text(std::uint32_t seconds);   // `5s`, `never`
[[nodiscard]] std::string duration_text(Duration duration);      // `1.5s`
[[nodiscard]] std::string reason_text(mqtt::ReasonCode reason);  // its name, or `0xFF`
[[nodiscard]] std::string hex_text(ByteView bytes, std::size_t bytes_max = 64);

}  // namespace mitu::sim::scenario
