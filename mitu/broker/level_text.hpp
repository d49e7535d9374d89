#pragma once
// LevelText: the text of one topic level, in 12 bytes where it is as short as most are.

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "mitu/base/check.hpp"

namespace mitu::broker {

/// Up to 10 characters inline, longer ones on the heap. Plain data, so that its owner may be too:
/// whoever holds it calls clear() when it is done with it.
/// Lifetime  view() is good until the text is moved, set or cleared.
class LevelText {
public:
    [[nodiscard]] std::string_view view() const noexcept {
        if (size_ != on_heap) return {bytes_.data(), size_};
        return {pointer(), heap_size()};
    }

    void set(std::string_view text) {
        MITU_CHECK(size_ != on_heap && text.size() <= 0xFFFF);
        if (text.size() <= bytes_.size()) {
            if (!text.empty()) std::memcpy(bytes_.data(), text.data(), text.size());
            size_ = static_cast<std::uint8_t>(text.size());
            return;
        }
        char* const copy = new char[text.size()];
        std::memcpy(copy, text.data(), text.size());
        const auto size = static_cast<std::uint16_t>(text.size());
        std::memcpy(bytes_.data(), &size, sizeof(size));
        std::memcpy(bytes_.data() + sizeof(size), &copy, sizeof(copy));
        size_ = on_heap;
    }
    void clear() noexcept {
        if (size_ == on_heap) delete[] pointer();
        size_ = 0;
    }

    bool flag = false;  // the owner's; there is room for it here

private:
    static constexpr std::uint8_t on_heap = 0xFF;

    [[nodiscard]] std::uint16_t heap_size() const noexcept {
        std::uint16_t size = 0;
        std::memcpy(&size, bytes_.data(), sizeof(size));
        return size;
    }
    [[nodiscard]] char* pointer() const noexcept {
        char* text = nullptr;
        std::memcpy(&text, bytes_.data() + sizeof(std::uint16_t), sizeof(text));
        return text;
    }

    std::uint8_t size_ = 0;
    std::array<char, 10> bytes_{};
};
static_assert(sizeof(LevelText) == 12);

}  // namespace mitu::broker
