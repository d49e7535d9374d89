#include "mitu/http/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace mitu::http {
namespace {

constexpr std::size_t name_bytes_max = 256;
constexpr std::size_t value_bytes_max = 16'384;
constexpr std::int64_t age_s_max = 10LL * 365 * 24 * 3'600;

// Not those of <cctype>: a locale has no say here.
constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

std::string_view trim(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Shape  a number too large is the largest; nullopt: not a number.
std::optional<std::int64_t> read_seconds(std::string_view text) {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);  // a recipient should take both forms
    }
    const bool is_number = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c >= '0' && c <= '9';
    });
    if (!is_number) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} ? std::min(value, age_s_max) : age_s_max;
}

}  // namespace

bool equals_in_any_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return to_lower(x) == to_lower(y); });
}

std::optional<std::string_view> find_field(const Fields& fields, std::string_view name) {
    for (const auto& [key, value] : fields) {
        if (equals_in_any_case(key, name)) return value;
    }
    return std::nullopt;
}

bool is_token(std::string_view text) noexcept {
    static constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    const auto fits = [](char c) {
        return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
               marks.find(c) != std::string_view::npos;
    };
    return !text.empty() && text.size() <= name_bytes_max &&
           std::all_of(text.begin(), text.end(), fits);
}

bool is_field_value(std::string_view text) noexcept {
    const auto fits = [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    };
    return text.size() <= value_bytes_max && std::all_of(text.begin(), text.end(), fits);
}

std::optional<Duration> read_max_age(const Fields& fields) {
    std::optional<std::int64_t> max_age_s;
    for (const auto& [name, value] : fields) {
        if (!equals_in_any_case(name, "Cache-Control")) continue;
        for (std::string_view rest = value; !rest.empty();) {
            const std::size_t comma = std::min(rest.find(','), rest.size());
            const std::string_view directive = trim(rest.substr(0, comma));
            rest.remove_prefix(std::min(comma + 1, rest.size()));
            const std::string_view key = directive.substr(0, directive.find('='));
            if (equals_in_any_case(key, "no-store") || equals_in_any_case(key, "no-cache")) {
                return Duration{};
            }
            if (!equals_in_any_case(key, "max-age") || key.size() == directive.size()) continue;
            if (!max_age_s) max_age_s = read_seconds(directive.substr(key.size() + 1));
        }
    }
    if (!max_age_s) return std::nullopt;
    const auto age = find_field(fields, "Age");
    const std::int64_t age_s = age ? read_seconds(trim(*age)).value_or(0) : 0;
    return Duration::seconds(std::max<std::int64_t>(*max_age_s - age_s, 0));
}

}  // namespace mitu::http
