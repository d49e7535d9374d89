#pragma once
// Internal: where encoders write to. The same code runs with a SizeSink, which only counts, and
// with a ByteSink, which writes: so the two cannot disagree.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/properties.hpp"
#include "mitu/mqtt/wire.hpp"

namespace mitu::mqtt {

/// What all sinks can do, in terms of Derived::put(number, bytes), raw(bytes) and varint(number).
template <class Derived>
class SinkBase {
public:
    void u8(std::uint8_t value) noexcept { self().template put<1>(value); }
    void u16(std::uint16_t value) noexcept { self().template put<2>(value); }
    void u32(std::uint32_t value) noexcept { self().template put<4>(value); }

    /// Binary Data, or a text: its length in two bytes in front.
    void binary(ByteView bytes) noexcept {
        self().check_counted(bytes.size());
        u16(static_cast<std::uint16_t>(bytes.size()));
        self().raw(bytes);
    }
    void text(std::string_view view) noexcept { binary(as_bytes(view)); }

    void id(Property property) noexcept { u8(static_cast<std::uint8_t>(property)); }
    void flag(Property property, bool value) noexcept {
        id(property);
        u8(value ? 1 : 0);
    }
    void two(Property property, std::uint16_t value) noexcept {
        id(property);
        u16(value);
    }
    void four(Property property, std::uint32_t value) noexcept {
        id(property);
        u32(value);
    }
    void text(Property property, std::string_view value) noexcept {
        id(property);
        text(value);
    }
    void binary(Property property, ByteView value) noexcept {
        id(property);
        binary(value);
    }

    /// Only what is a user property in the block (packet.hpp, UserProperties).
    void user(const UserProperties& properties) noexcept {
        properties.for_each([this](const UserProperties::Pair& pair) {
            id(Property::user_property);
            text(pair.name);
            text(pair.value);
        });
    }
    void subscription_identifiers(ByteView block) noexcept {
        while (const auto identifier = next_subscription_identifier(block)) {
            id(Property::subscription_identifier);
            self().varint(*identifier);
        }
    }

private:
    Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

class SizeSink : public SinkBase<SizeSink> {
public:
    template <int size_bytes>
    void put(std::uint32_t /*value*/) noexcept {
        bytes_ += size_bytes;
    }
    void raw(ByteView bytes) noexcept { bytes_ += bytes.size(); }
    void varint(std::uint32_t value) noexcept {
        if (value > remaining_length_max) fits_ = false;
        bytes_ += varint_size(value);
    }
    void check_counted(std::size_t size) noexcept {
        if (size > text_bytes_max) fits_ = false;
    }
    /// Takes over what another sink counted.
    void add(const SizeSink& other) noexcept {
        bytes_ += other.bytes_;
        fits_ = fits_ && other.fits_;
    }

    [[nodiscard]] bool fits() const noexcept { return fits_ && bytes_ <= remaining_length_max; }
    /// Saturates above what a Variable Byte Integer can say, so that varint() will notice.
    [[nodiscard]] std::uint32_t bytes() const noexcept {
        return static_cast<std::uint32_t>(
            std::min<std::uint64_t>(bytes_, std::uint64_t{remaining_length_max} + 1));
    }

private:
    std::uint64_t bytes_ = 0;
    bool fits_ = true;
};

/// Writes without looking at the end: a SizeSink has said that there is room.
class ByteSink : public SinkBase<ByteSink> {
public:
    explicit ByteSink(std::uint8_t* at) noexcept : at_{at} {}

    template <int size_bytes>
    void put(std::uint32_t value) noexcept {
        for (int i = size_bytes - 1; i >= 0; --i) {
            *at_++ = static_cast<std::uint8_t>(value >> (8 * i));
        }
    }
    void raw(ByteView bytes) noexcept {
        if (bytes.empty()) return;  // memcpy from a null view is undefined even for no bytes
        std::memcpy(at_, bytes.data(), bytes.size());
        at_ += bytes.size();
    }
    void varint(std::uint32_t value) noexcept {
        while (value >= 0x80) {
            *at_++ = static_cast<std::uint8_t>(value | 0x80);
            value >>= 7;
        }
        *at_++ = static_cast<std::uint8_t>(value);
    }
    void check_counted(std::size_t /*size*/) noexcept {}

    [[nodiscard]] const std::uint8_t* at() const noexcept { return at_; }

private:
    std::uint8_t* at_;
};

/// Writes the Property Length and then what `fill(sink)` writes.
template <class Fill>
void put_properties(SizeSink& sink, const Fill& fill) noexcept {
    SizeSink size;
    fill(size);
    sink.varint(size.bytes());
    sink.add(size);
}
template <class Fill>
void put_properties(ByteSink& sink, const Fill& fill) noexcept {
    SizeSink size;
    fill(size);
    sink.varint(size.bytes());
    fill(sink);
}

/// What a server passes on unaltered with a message (section 3.3.2.3).
template <class Sink>
void put_forwarded(Sink& sink, const PublishProperties& properties) noexcept {
    if (properties.payload_is_utf8) {
        sink.flag(Property::payload_format_indicator, *properties.payload_is_utf8);
    }
    if (properties.response_topic) sink.text(Property::response_topic, *properties.response_topic);
    if (properties.correlation_data) {
        sink.binary(Property::correlation_data, *properties.correlation_data);
    }
    if (properties.content_type) sink.text(Property::content_type, *properties.content_type);
    sink.user(properties.user);
}

}  // namespace mitu::mqtt
