#pragma once
// Numbers and text in rows. Keys are big-endian, so that their order is that of the numbers; values
// are varints, seven bits a byte, the lowest first.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/bytes.hpp"

namespace mitu::store {

inline void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

template <class Integer>
void append_big_endian(Bytes& to, Integer value) {
    for (std::size_t i = sizeof value; i-- > 0;) {
        to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

/// Reads the `sizeof(Integer)` bytes at `at`, which are there.
template <class Integer>
[[nodiscard]] constexpr Integer read_big_endian(const std::uint8_t* at) noexcept {
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) {
        value = static_cast<Integer>(static_cast<Integer>(value << 8) | at[i]);
    }
    return value;
}

/// Appends to bytes that it borrows.
class Encoder {
public:
    explicit Encoder(Bytes& to) noexcept : to_{to} {}

    void byte(std::uint8_t value) { to_.push_back(value); }
    void number(std::uint64_t value) {
        while (value >= 0x80) {
            to_.push_back(static_cast<std::uint8_t>(value | 0x80));
            value >>= 7;
        }
        to_.push_back(static_cast<std::uint8_t>(value));
    }
    void bytes(ByteView value) {
        number(value.size());
        append(to_, value);
    }
    void text(std::string_view value) { bytes(as_bytes(value)); }

private:
    Bytes& to_;
};

/// Reads what Encoder wrote, from bytes that may be damaged. After the first thing that does not
/// fit all that follows is zero or empty, and is_sound() is false. Lifetime  borrows the bytes;
/// what it returns does too.
class Decoder {
public:
    explicit Decoder(ByteView from) noexcept : rest_{from} {}

    std::uint8_t byte() noexcept {
        if (rest_.empty()) return fail();
        const std::uint8_t value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    std::uint64_t number() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t next = byte();
            if (!is_sound_) return 0;
            if (shift == 63 && next > 1) return fail();
            value |= std::uint64_t{next & 0x7FU} << shift;
            if ((next & 0x80) == 0) return value;
        }
        return fail();
    }
    /// A number of at most `max`.
    std::uint64_t number_up_to(std::uint64_t max) noexcept {
        const std::uint64_t value = number();
        return value <= max ? value : fail();
    }
    ByteView bytes() noexcept {
        const std::uint64_t size = number();
        if (size > rest_.size()) {
            fail();
            return {};
        }
        const ByteView value = rest_.first(static_cast<std::size_t>(size));
        rest_ = rest_.subspan(value.size());
        return value;
    }
    std::string_view text() noexcept { return as_text(bytes()); }

    [[nodiscard]] bool is_sound() const noexcept { return is_sound_; }
    [[nodiscard]] bool is_at_end() const noexcept { return rest_.empty(); }
    [[nodiscard]] ByteView rest() const noexcept { return rest_; }

private:
    std::uint8_t fail() noexcept {
        is_sound_ = false;
        rest_ = {};
        return 0;
    }

    ByteView rest_;
    bool is_sound_ = true;
};

}  // namespace mitu::store
