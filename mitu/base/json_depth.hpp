#pragma once
// How deeply JSON text nests, before anything parses it.

#include <cstddef>
#include <string_view>

namespace mitu {

/// What peers send may nest so deep. What parses JSON copies, compares, validates and prints it by
/// recursion, and a megabyte of `[` would take more stack than a thread has.
inline constexpr std::size_t json_depth_max = 32;

/// Whether arrays and objects in `text` stand more than `depth_max` deep in each other. Text that
/// is not JSON gives some answer; its parser refuses it. Cost  one pass, no allocation.
[[nodiscard]] constexpr bool is_json_deeper_than(std::string_view text,
                                                 std::size_t depth_max) noexcept {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > depth_max) return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return false;
}

}  // namespace mitu
