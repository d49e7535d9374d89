#include "mitu/identity/access.hpp"

#include <algorithm>

namespace mitu::identity {
namespace {

using Variables = std::span<const std::string_view>;

std::optional<FilterError> check_level(std::string_view level, bool last,
                                       Variables variables) noexcept {
    if (level == "+") return std::nullopt;
    if (level == "#") return last ? std::nullopt : std::optional{FilterError::bad_wildcard};
    for (std::size_t i = 0; i < level.size(); ++i) {
        if (level[i] == '+' || level[i] == '#') return FilterError::bad_wildcard;
        if (!level.substr(i).starts_with("${")) continue;
        const std::size_t close = level.find('}', i);
        if (close == std::string_view::npos) return FilterError::open_variable;
        const std::string_view name = level.substr(i + 2, close - i - 2);
        if (std::find(variables.begin(), variables.end(), name) == variables.end()) {
            return FilterError::unknown_variable;
        }
        i = close;
    }
    return std::nullopt;
}

}  // namespace

std::optional<FilterError> check_access_filter(std::string_view filter,
                                               Variables variables) noexcept {
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
        if (const auto error = check_level(rest.substr(0, slash), last, variables)) return error;
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

namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

}  // namespace

Result<std::string, std::string> read_login_filter(std::string_view filter, FilterSyntax syntax) {
    if (filter.size() > access_filter_bytes_max) {
        return std::unexpected(std::string{remedy(FilterError::too_long)});
    }
    std::string written{filter};
    if (syntax == FilterSyntax::dollar) {
        replace_all(written, "${clientid}", "${client_id}");
        replace_all(written, "${username}", "${user}");
    } else {
        if (filter.find("${") != std::string_view::npos) {
            return std::unexpected(
                "${ means a variable to the broker and cannot stand in a filter here; use a "
                "pattern with %c or %u");
        }
        if (syntax == FilterSyntax::percent) {
            replace_all(written, "%c", "${client_id}");
            replace_all(written, "%u", "${user}");
        }
        if (written == "#") written = "+/#";
    }
    if (const auto error = check_access_filter(written, login_variables)) {
        return std::unexpected(error == FilterError::unknown_variable
                                   ? "use ${client_id}, ${user}, ${device}, ${tenant} or ${class}"
                                   : std::string{remedy(*error)});
    }
    return written;
}

}  // namespace mitu::identity
