#include "mitu/http/target.hpp"

namespace mitu::http {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return std::nullopt;
            const int high = hex_value(text[i + 1]);
            const int low = hex_value(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') return std::nullopt;
        decoded += c;
    }
    return decoded;
}

bool has_dot_segment(std::string_view path) {
    while (!path.empty()) {
        path.remove_prefix(1);  // '/'
        const std::string_view segment = path.substr(0, path.find('/'));
        if (segment == "." || segment == "..") return true;
        path.remove_prefix(segment.size());
    }
    return false;
}

}  // namespace

std::optional<Target> parse_target(std::string_view text) {
    constexpr std::string_view scheme = "http://";
    if (text.starts_with(scheme)) {
        const std::size_t slash = text.find('/', scheme.size());
        text = slash == std::string_view::npos ? std::string_view{"/"} : text.substr(slash);
    }
    if (!text.starts_with('/')) return std::nullopt;
    const std::size_t question = text.find('?');
    auto path = percent_decode(text.substr(0, question), false);
    if (!path || has_dot_segment(*path)) return std::nullopt;
    Target target;
    target.path = std::move(*path);
    for (std::string_view rest = text.substr(0, question); !rest.empty();) {
        rest.remove_prefix(1);  // '/'
        const std::string_view segment = rest.substr(0, rest.find('/'));
        rest.remove_prefix(segment.size());
        target.segments.push_back(*percent_decode(segment, false));  // as part of a whole that was
    }
    if (question == std::string_view::npos) return target;

    std::string_view query = text.substr(question + 1);
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : pair.size());
        if (pair.empty()) continue;
        const std::size_t equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals), true);
        auto value = percent_decode(
            equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
        if (!name || !value) return std::nullopt;
        target.query.emplace_back(std::move(*name), std::move(*value));
    }
    return target;
}

}  // namespace mitu::http
