#pragma once
// For tests: packets written down as people read them.

#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/base/bytes.hpp"

namespace mitu::mqtt::testing {

/// Bytes from a text of
///   30 0A     hexadecimal digits, two to a byte
///   'text'    the characters
///   <text>    the characters with their length in two bytes in front
///   { ... }   what stands between, with its length as a Variable Byte Integer in front
/// Blanks and `|` only separate. Errors: aborts the test on anything else.
[[nodiscard]] Bytes wire(std::string_view text);

/// A packet: the first byte, the Remaining Length (computed), and wire(body).
[[nodiscard]] Bytes packet(std::uint8_t first_byte, std::string_view body);

/// The other way, for messages: "30 0A 00".
[[nodiscard]] std::string hex(ByteView bytes);

}  // namespace mitu::mqtt::testing
