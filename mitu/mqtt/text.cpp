#include "mitu/mqtt/text.hpp"

#include <cstdint>
#include <cstring>

#include "mitu/mqtt/topic.hpp"

namespace mitu::mqtt {
namespace {

constexpr std::uint64_t each_byte(std::uint8_t value) noexcept {
    return 0x0101010101010101ULL * value;
}

/// Whether some of the 8 bytes is not ASCII, or is U+0000, '+' or '#'.
/// In x - 0x01.. the top bit of a byte below 0x80 is set only where that byte is 0, or a lower
/// byte was (the borrow): so a false alarm can only follow a true one.
bool needs_a_closer_look(const std::uint8_t* at) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    const std::uint64_t ones = each_byte(1);
    const std::uint64_t found =
        word | (word - ones) | ((word ^ each_byte('+')) - ones) | ((word ^ each_byte('#')) - ones);
    return (found & each_byte(0x80)) != 0;
}

constexpr bool is_continuation(std::uint8_t byte) noexcept { return (byte & 0xC0) == 0x80; }

/// The length of the well-formed sequence that starts with the byte at `at`, which is not ASCII;
/// 0: there is none. The second byte's range is what excludes overlong forms (C0, C1, E0 80.., F0
/// 80..), surrogates (ED A0..) and what lies beyond U+10FFFF (F4 90.., F5..).
std::size_t sequence_bytes(const std::uint8_t* at, std::size_t left) noexcept {
    const std::uint8_t lead = at[0];
    if (lead < 0xC2 || lead > 0xF4) return 0;
    if (lead < 0xE0) return left >= 2 && is_continuation(at[1]) ? 2 : 0;
    if (lead < 0xF0) {
        if (left < 3) return 0;
        const std::uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;
        const std::uint8_t high = lead == 0xED ? 0x9F : 0xBF;
        return at[1] >= low && at[1] <= high && is_continuation(at[2]) ? 3 : 0;
    }
    if (left < 4) return 0;
    const std::uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;
    const bool well_formed =
        at[1] >= low && at[1] <= high && is_continuation(at[2]) && is_continuation(at[3]);
    return well_formed ? 4 : 0;
}

}  // namespace

TextScan scan_text(std::string_view text) noexcept {
    constexpr std::size_t word_bytes = 8;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    const std::size_t size = text.size();
    TextScan scan;
    std::size_t i = 0;
    while (i < size) {
        if (size - i >= word_bytes) {
            if (!needs_a_closer_look(bytes + i)) {
                i += word_bytes;
                continue;
            }
        } else if (size >= word_bytes && !needs_a_closer_look(bytes + size - word_bytes)) {
            // The last word overlaps bytes already seen; as all of it is plain, so is the tail.
            i = size;
            break;
        }
        const std::uint8_t byte = bytes[i];
        if (byte < 0x80) {
            if (byte == 0) break;
            if ((byte == '+' || byte == '#') && scan.wildcard_at == std::string_view::npos) {
                scan.wildcard_at = i;
            }
            ++i;
            continue;
        }
        const std::size_t sequence = sequence_bytes(bytes + i, size - i);
        if (sequence == 0) break;
        i += sequence;
    }
    scan.valid_bytes = i;
    return scan;
}

bool is_valid_utf8(std::string_view text) noexcept {
    return scan_text(text).valid_bytes == text.size();
}

}  // namespace mitu::mqtt
