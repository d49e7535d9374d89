#include "mitu/fleet/access.hpp"

#include <algorithm>

namespace mitu::fleet {
namespace {

bool is_variable(std::string_view name) noexcept {
    return std::find(access_variables.begin(), access_variables.end(), name) !=
           access_variables.end();
}

std::optional<FilterError> check_level(std::string_view level, bool last) noexcept {
    if (level == "+") return std::nullopt;
    if (level == "#") return last ? std::nullopt : std::optional{FilterError::bad_wildcard};
    for (std::size_t i = 0; i < level.size(); ++i) {
        if (level[i] == '+' || level[i] == '#') return FilterError::bad_wildcard;
        if (!level.substr(i).starts_with("${")) continue;
        const std::size_t close = level.find('}', i);
        if (close == std::string_view::npos) return FilterError::open_variable;
        if (!is_variable(level.substr(i + 2, close - i - 2))) return FilterError::unknown_variable;
        i = close;
    }
    return std::nullopt;
}

}  // namespace

std::optional<FilterError> check_access_filter(std::string_view filter) noexcept {
    if (filter.empty()) return FilterError::empty;
    if (filter.size() > access_filter_bytes_max) return FilterError::too_long;
    if (filter.starts_with("$share/")) return FilterError::shared;
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    };
    if (std::any_of(filter.begin(), filter.end(), is_control)) return FilterError::bad_character;
    for (std::string_view rest = filter;;) {
        const std::size_t slash = rest.find('/');
        const bool last = slash == std::string_view::npos;
        if (const auto error = check_level(rest.substr(0, slash), last)) return error;
        if (last) return std::nullopt;
        rest.remove_prefix(slash + 1);
    }
}

std::string_view remedy(FilterError error) noexcept {
    switch (error) {
        case FilterError::empty:
            return "use a topic filter of at least one character";
        case FilterError::too_long:
            return "use at most 1024 bytes";
        case FilterError::bad_wildcard:
            return "use + and # as whole levels, and # last";
        case FilterError::bad_character:
            return "use no control characters";
        case FilterError::unknown_variable:
            return "use ${device}, ${tenant} or ${class}";
        case FilterError::open_variable:
            return "close ${ with }";
        case FilterError::shared:
            return "write the filter that stands behind $share/NAME/";
    }
    return "";
}

}  // namespace mitu::fleet
