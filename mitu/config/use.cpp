#include "mitu/config/use.hpp"

#include <fmt/format.h>

#include "mitu/config/units.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::config {
namespace {

using nlohmann::json;

std::string duration_of_ms(std::uint64_t ms) {
    return duration_text(Duration::milliseconds(static_cast<std::int64_t>(ms)));
}

std::string join_or(const std::vector<std::string_view>& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
        text += words[i];
    }
    return text;
}

std::string plain_use(const Key& key) {
    switch (key.kind) {
        case Kind::flag:
            return "true or false";
        case Kind::integer:
            return fmt::format("{}..{}", key.min, key.max);
        case Kind::size:
            return fmt::format("{}..{}", size_text(key.min), size_text(key.max));
        case Kind::duration:
            return fmt::format("{}..{}", duration_of_ms(key.min), duration_of_ms(key.max));
        case Kind::time:
            return "a time in UTC: \"2026-12-31T23:59:59Z\"";
        case Kind::choice:
            return join_or(key.choices);
        case Kind::text:
            return key.rule != nullptr ? std::string{key.rule->use} : "text, in quotes";
        case Kind::texts:
            return key.rule != nullptr ? fmt::format("a list, each {}", key.rule->use)
                                       : "a list of text: [a, b]";
        case Kind::text_map:
            return key.rule != nullptr ? fmt::format("a map, each value {}", key.rule->use)
                                       : "a map of text";
        case Kind::section:
            return "a map";
        case Kind::list:
            return "a list of maps";
    }
    return {};
}

bool accepts_text(const Key& key, const json& value) {
    return value.is_string() &&
           (key.rule == nullptr || key.rule->accepts(value.get_ref<const std::string&>()));
}

/// Not negative, in range. Sizes may be text.
bool accepts_number(const Key& key, const json& value) {
    std::optional<std::uint64_t> number;
    if (value.is_number_unsigned() ||
        (value.is_number_integer() && value.get<std::int64_t>() >= 0)) {
        number = value.get<std::uint64_t>();
    } else if (key.kind == Kind::size && value.is_string()) {
        number = parse_size(value.get_ref<const std::string&>());
    }
    return number && *number >= key.min && *number <= key.max;
}

bool accepts_duration(const Key& key, const json& value) {
    if (!value.is_string()) return false;
    const auto duration = parse_duration(value.get_ref<const std::string&>());
    if (!duration) return false;
    const auto ms = static_cast<std::uint64_t>(duration->count_ms());
    return ms >= key.min && ms <= key.max;
}

bool accepts_choice(const Key& key, const json& value) {
    // 1.2 without quotes is a number to YAML.
    if (!value.is_string() && !value.is_number()) return false;
    const std::string word = value.is_string() ? value.get<std::string>() : value.dump();
    for (const std::string_view choice : key.choices) {
        if (choice == word) return true;
    }
    return false;
}

}  // namespace

std::string use_of(const Key& key) {
    const std::string use = plain_use(key);
    return key.is_optional && key.kind != Kind::section ? fmt::format("{}, or null", use) : use;
}

std::string shown(const Key& key, const json& value) {
    return key.is_secret ? "***" : yaml::show(value);
}

bool takes(const Key& key, const json& value) {
    if (key.is_optional && value.is_null()) return true;
    switch (key.kind) {
        case Kind::flag:
            return value.is_boolean();
        case Kind::integer:
        case Kind::size:
            return accepts_number(key, value);
        case Kind::duration:
            return accepts_duration(key, value);
        case Kind::time:
            return value.is_string() && parse_time(value.get_ref<const std::string&>());
        case Kind::choice:
            return accepts_choice(key, value);
        case Kind::text:
            // A key whose default is empty may be set to that, whatever its rule.
            return accepts_text(key, value) || (key.may_be_empty && value.is_string() &&
                                                value.get_ref<const std::string&>().empty());
        case Kind::texts:
        case Kind::text_map:
            if (key.kind == Kind::texts ? !value.is_array() : !value.is_object()) return false;
            for (const json& item : value) {
                if (!accepts_text(key, item)) return false;
            }
            return !(key.is_required && value.empty());
        case Kind::section:
        case Kind::list:
            return false;
    }
    return false;
}

}  // namespace mitu::config
