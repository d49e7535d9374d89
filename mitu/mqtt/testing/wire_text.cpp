#include "mitu/mqtt/testing/wire_text.hpp"

#include <fmt/format.h>

#include "mitu/base/check.hpp"

namespace mitu::mqtt::testing {
namespace {

unsigned digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    MITU_CHECK_MSG(false, "wire text: not a hexadecimal digit");
}

void append_varint(Bytes& out, std::size_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
    out.push_back(static_cast<std::uint8_t>(value));
}

void append(Bytes& out, std::string_view text) {
    const ByteView bytes = as_bytes(text);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

/// What stands in front of the next `end` in `text` from `at` on; moves `at` behind it.
std::string_view until(std::string_view text, char end, std::size_t& at) {
    const std::size_t stop = text.find(end, at);
    MITU_CHECK_MSG(stop != std::string_view::npos, "wire text: a bracket or quote is not closed");
    const std::string_view inner = text.substr(at, stop - at);
    at = stop + 1;
    return inner;
}

}  // namespace

Bytes wire(std::string_view text) {
    Bytes out;
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at++];
        if (c == ' ' || c == '\n' || c == '|') continue;
        if (c == '\'') {
            append(out, until(text, '\'', at));
        } else if (c == '<') {
            const std::string_view inner = until(text, '>', at);
            out.push_back(static_cast<std::uint8_t>(inner.size() >> 8));
            out.push_back(static_cast<std::uint8_t>(inner.size()));
            append(out, inner);
        } else if (c == '{') {
            const Bytes inner = wire(until(text, '}', at));
            append_varint(out, inner.size());
            out.insert(out.end(), inner.begin(), inner.end());
        } else {
            MITU_CHECK_MSG(at < text.size(), "wire text: half a byte");
            out.push_back(static_cast<std::uint8_t>((digit(c) << 4) | digit(text[at++])));
        }
    }
    return out;
}

Bytes packet(std::uint8_t first_byte, std::string_view body) {
    const Bytes rest = wire(body);
    Bytes out{first_byte};
    append_varint(out, rest.size());
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
}

std::string hex(ByteView bytes) { return fmt::format("{:02X}", fmt::join(bytes, " ")); }

}  // namespace mitu::mqtt::testing
