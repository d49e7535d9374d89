#include "mitu/fleet/names.hpp"

#include <algorithm>

namespace mitu::fleet {
namespace {

bool is_lower_or_digit(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alphanumeric(char c) noexcept { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

bool has_only(std::string_view text, std::string_view also) noexcept {
    return std::all_of(text.begin(), text.end(), [also](char c) {
        return is_alphanumeric(c) || also.find(c) != std::string_view::npos;
    });
}

}  // namespace

bool is_valid_device_id(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 128 && has_only(text, "._:-");
}

bool is_valid_name(std::string_view text) noexcept {
    if (text.empty() || text.size() > 64 || !is_lower_or_digit(text.front())) return false;
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return is_lower_or_digit(c) || c == '_' || c == '-'; });
}

bool is_valid_label_key(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 63 && has_only(text, "._/-");
}

bool is_valid_label_value(std::string_view text) noexcept {
    return text.size() <= 63 && has_only(text, "._:/-");
}

}  // namespace mitu::fleet
