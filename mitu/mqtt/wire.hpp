#pragma once
// Internal: the cursor that decoders read a whole packet with, and the Variable Byte Integer.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/text.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::mqtt {

inline constexpr std::uint32_t varint_bytes_max = 4;
inline constexpr std::size_t text_bytes_max = 65'535;

/// What the front of some bytes is, read as a Variable Byte Integer.
struct VarInt {
    enum class State : std::uint8_t { whole, incomplete, malformed };
    State state = State::incomplete;
    std::uint32_t value = 0;
    std::uint32_t bytes = 0;  // whole: its length; malformed: the index of the byte at fault
};

/// Source  MQTT 5.0 section 1.5.5. An encoding longer than needed is malformed [MQTT-1.5.5-1].
constexpr VarInt read_varint(const std::uint8_t* at, std::size_t left) noexcept {
    std::uint32_t value = 0;
    for (std::uint32_t i = 0; i < varint_bytes_max; ++i) {
        if (i == left) return {VarInt::State::incomplete, 0, 0};
        value |= static_cast<std::uint32_t>(at[i] & 0x7F) << (7 * i);
        if ((at[i] & 0x80) == 0) {
            if (i > 0 && at[i] == 0) return {VarInt::State::malformed, 0, i};
            return {VarInt::State::whole, value, i + 1};
        }
    }
    return {VarInt::State::malformed, 0, varint_bytes_max - 1};
}

constexpr std::uint32_t varint_size(std::uint32_t value) noexcept {
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20'0000 ? 3 : 4;
}

inline constexpr const char* rule_varint =
    "[MQTT-1.5.5-1] a Variable Byte Integer has 1 to 4 bytes and is not longer than needed";
inline constexpr const char* rule_field_end = "a field runs past the end of its packet";

/// Reads fields off the front of one whole packet.
/// Errors    the first one sticks: what is read after it is zero or empty, and left() is 0, so
///           that a decoder may read on and look once, at its end.
/// Lifetime  borrows the packet; so do the views it returns.
class Reader {
public:
    /// `packet` is whole, from its fixed header on; reading starts at `offset`.
    Reader(ByteView packet, std::uint32_t offset) noexcept
        : begin_{packet.data()}, at_{begin_ + offset}, end_{begin_ + packet.size()} {}

    [[nodiscard]] bool failed() const noexcept { return error_.rule[0] != '\0'; }
    [[nodiscard]] const DecodeError& error() const noexcept { return error_; }
    [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
    [[nodiscard]] const std::uint8_t* at() const noexcept { return at_; }

    /// Ends the packet's reading with a fault at `where`. Only the first fault counts.
    void fail(ReasonCode reason, const char* rule, const std::uint8_t* where) noexcept {
        if (failed()) return;
        error_ = {reason, static_cast<std::uint32_t>(where - begin_), rule};
        end_ = at_;
    }
    void malformed(const char* rule, const std::uint8_t* where) noexcept {
        fail(ReasonCode::malformed_packet, rule, where);
    }

    std::uint8_t u8() noexcept {
        if (!has(1)) return 0;
        return *at_++;
    }
    std::uint16_t u16() noexcept {
        if (!has(2)) return 0;
        const auto value = static_cast<std::uint16_t>((at_[0] << 8) | at_[1]);
        at_ += 2;
        return value;
    }
    std::uint32_t u32() noexcept {
        if (!has(4)) return 0;
        const std::uint32_t value = (std::uint32_t{at_[0]} << 24) | (std::uint32_t{at_[1]} << 16) |
                                    (std::uint32_t{at_[2]} << 8) | std::uint32_t{at_[3]};
        at_ += 4;
        return value;
    }
    std::uint32_t varint() noexcept {
        const VarInt number = read_varint(at_, left());
        if (number.state == VarInt::State::whole) {
            at_ += number.bytes;
            return number.value;
        }
        if (number.state == VarInt::State::malformed) {
            malformed(rule_varint, at_ + number.bytes);
        } else {
            malformed(rule_field_end, end_);
        }
        return 0;
    }
    /// Binary Data: two bytes of length, then the bytes.
    ByteView binary() noexcept {
        const std::uint16_t size = u16();
        return bytes(size);
    }
    ByteView bytes(std::size_t size) noexcept {
        if (!has(size)) return {};
        const ByteView view{at_, size};
        at_ += size;
        return view;
    }
    ByteView rest() noexcept { return bytes(left()); }

    /// A UTF-8 Encoded String; `scan`, if given, tells more about it.
    std::string_view text(TextScan* scan = nullptr) noexcept {
        const std::string_view view = as_text(binary());
        const TextScan found = scan_text(view);
        if (found.valid_bytes != view.size()) {
            refuse_text(view, found);
            return {};
        }
        if (scan != nullptr) *scan = found;
        return view;
    }
    /// A text that is used as a Topic Name. It may be empty: only some places forbid that.
    std::string_view topic_name(ReasonCode reason, const char* rule) noexcept {
        TextScan scan;
        const std::string_view view = text(&scan);
        if (scan.wildcard_at != std::string_view::npos) {
            fail(reason, rule, as_bytes(view).data() + scan.wildcard_at);
            return {};
        }
        return view;
    }

    std::uint16_t packet_id() noexcept {
        const std::uint16_t id = u16();
        if (id == 0 && !failed()) {
            fail(ReasonCode::protocol_error, "[MQTT-2.2.1-3] a Packet Identifier is not 0",
                 at_ - 2);
        }
        return id;
    }

    /// Narrows reading to the next `size` bytes; gives what widen() needs to undo it.
    const std::uint8_t* narrow(std::size_t size) noexcept {
        const std::uint8_t* const wide = end_;
        if (has(size)) end_ = at_ + size;
        return wide;
    }
    void widen(const std::uint8_t* wide) noexcept {
        if (!failed()) end_ = wide;
    }

    /// The packet must end here.
    void expect_end() noexcept {
        if (left() != 0) malformed("the packet is longer than its fields", at_);
    }

private:
    bool has(std::size_t size) noexcept {
        if (left() >= size) return true;
        malformed(rule_field_end, end_);
        return false;
    }
    void refuse_text(std::string_view view, const TextScan& found) noexcept {
        const std::uint8_t* const where = as_bytes(view).data() + found.valid_bytes;
        malformed(*where == 0 ? "[MQTT-1.5.4-2] a text does not contain U+0000"
                              : "[MQTT-1.5.4-1] a text is well-formed UTF-8 without surrogates",
                  where);
    }

    const std::uint8_t* begin_;
    const std::uint8_t* at_;
    const std::uint8_t* end_;
    DecodeError error_;
};

}  // namespace mitu::mqtt
