#pragma once
// ShortText: a text that is mostly short, in a fixed number of bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "mitu/base/check.hpp"

namespace mitu::broker {

/// Up to `inline_bytes` characters inline, longer ones elsewhere. Plain data, so that its owner
/// may be too: whoever holds it calls clear() when it is done with it.
/// Shape     inline_bytes + 1 bytes, whatever the alignment.
/// Lifetime  view() is good until the text is moved, set or cleared.
template <std::size_t inline_bytes>
class ShortText {
public:
    [[nodiscard]] std::string_view view() const noexcept {
        if (size_ != on_heap) return {bytes_.data(), size_};
        return {pointer(), heap_size()};
    }

    void set(std::string_view text) {
        MITU_CHECK(size_ != on_heap && text.size() <= 0xFFFF);
        if (text.size() <= inline_bytes) {
            if (!text.empty()) std::memcpy(bytes_.data(), text.data(), text.size());
            size_ = static_cast<std::uint8_t>(text.size());
            return;
        }
        refer_to(new char[text.size()], text);
    }
    /// The same with a long text in an arena, where it stays: clear() is not for it.
    /// False: no room there.
    template <class Memory>
    [[nodiscard]] bool try_set_in(Memory& memory, std::string_view text) {
        MITU_CHECK(size_ != on_heap && text.size() <= 0xFFFF);
        if (text.size() <= inline_bytes) {
            set(text);
            return true;
        }
        auto* const copy = static_cast<char*>(memory.try_allocate(text.size()));
        if (copy == nullptr) return false;
        refer_to(copy, text);
        return true;
    }
    void clear() noexcept {
        if (size_ == on_heap) delete[] pointer();
        size_ = 0;
    }

private:
    static constexpr std::uint8_t on_heap = 0xFF;
    static_assert(inline_bytes >= sizeof(std::uint16_t) + sizeof(char*) && inline_bytes < on_heap);

    void refer_to(char* copy, std::string_view text) noexcept {
        std::memcpy(copy, text.data(), text.size());
        const auto size = static_cast<std::uint16_t>(text.size());
        std::memcpy(bytes_.data(), &size, sizeof(size));
        std::memcpy(bytes_.data() + sizeof(size), static_cast<const void*>(&copy), sizeof(char*));
        size_ = on_heap;
    }
    [[nodiscard]] std::uint16_t heap_size() const noexcept {
        std::uint16_t size = 0;
        std::memcpy(&size, bytes_.data(), sizeof(size));
        return size;
    }
    [[nodiscard]] char* pointer() const noexcept {
        char* text = nullptr;
        std::memcpy(static_cast<void*>(&text), bytes_.data() + sizeof(std::uint16_t),
                    sizeof(char*));
        return text;
    }

    std::uint8_t size_ = 0;
    std::array<char, inline_bytes> bytes_{};
};

}  // namespace mitu::broker
