#pragma once
// key(): a Key from a member of a section. Inside the table files only.

#include <concepts>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "mitu/base/time.hpp"
#include "mitu/config/key.hpp"
#include "mitu/config/units.hpp"

namespace mitu::config {

/// The words of an enum, in the order of its enumerators. Specialised in the table files.
template <class Enum>
struct Words;

/// The keys of a section. Specialised in the table files.
template <class Section>
[[nodiscard]] const Shape& shape_of();

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <class T>
inline constexpr bool is_scalar =
    std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::string> ||
    std::is_same_v<T, Duration> || std::is_same_v<T, WallTime>;

using TextMap = std::map<std::string, std::string>;
using Texts = std::vector<std::string>;

/// A scalar from the value that check_value() accepted.
template <class T>
T scalar_from(const nlohmann::json& value) {
    if constexpr (std::is_same_v<T, Duration>) {
        return *parse_duration(value.get_ref<const std::string&>());
    } else if constexpr (std::is_same_v<T, WallTime>) {
        return *parse_time(value.get_ref<const std::string&>());
    } else if constexpr (std::is_enum_v<T>) {
        const std::string word = value.is_string() ? value.get<std::string>() : value.dump();
        std::uint8_t index = 0;
        while (Words<T>::list[index] != word) ++index;
        return static_cast<T>(index);
    } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
        return value.get<T>();
    } else {
        if (value.is_string())
            return static_cast<T>(*parse_size(value.get_ref<const std::string&>()));
        return value.get<T>();
    }
}

template <class T>
Json json_from(const T& value) {
    if constexpr (std::is_same_v<T, Duration>) {
        return duration_text(value);
    } else if constexpr (std::is_same_v<T, WallTime>) {
        return time_text(value);
    } else if constexpr (std::is_enum_v<T>) {
        return std::string{Words<T>::list[static_cast<std::size_t>(value)]};
    } else {
        return value;
    }
}

template <class T>
void describe(Key& key) {
    if constexpr (std::is_same_v<T, bool>) {
        key.kind = Kind::flag;
    } else if constexpr (std::is_enum_v<T>) {
        key.kind = Kind::choice;
        key.choices.assign(std::begin(Words<T>::list), std::end(Words<T>::list));
    } else if constexpr (std::is_same_v<T, std::string>) {
        key.kind = Kind::text;
    } else if constexpr (std::is_same_v<T, Duration>) {
        key.kind = Kind::duration;
    } else if constexpr (std::is_same_v<T, WallTime>) {
        key.kind = Kind::time;
    } else {
        key.kind = Kind::integer;
        key.max = std::numeric_limits<T>::max();
    }
}

}  // namespace detail

template <class Section, class Member>
Key key(std::string_view name, Member Section::* member, std::string_view doc) {
    using detail::is_scalar;
    Key made;
    made.name = name;
    made.doc = doc;
    const auto of = [member](const void* section) -> const Member& {
        return static_cast<const Section*>(section)->*member;
    };
    const auto at = [member](void* section) -> Member& {
        return static_cast<Section*>(section)->*member;
    };
    if constexpr (is_scalar<Member>) {
        detail::describe<Member>(made);
        made.set = [at](void* s, const nlohmann::json& v) {
            at(s) = detail::scalar_from<Member>(v);
        };
        made.get = [of](const void* s) { return detail::json_from(of(s)); };
        if constexpr (std::is_same_v<Member, std::string>) {
            made.may_be_empty = (Section{}.*member).empty();
        }
    } else if constexpr (std::is_same_v<Member, detail::Texts>) {
        made.kind = Kind::texts;
        made.set = [at](void* s, const nlohmann::json& v) { at(s) = v.get<Member>(); };
        made.get = [of](const void* s) { return Json(of(s)); };
    } else if constexpr (std::is_same_v<Member, detail::TextMap>) {
        made.kind = Kind::text_map;
        made.set = [at](void* s, const nlohmann::json& v) { at(s) = v.get<Member>(); };
        made.get = [of](const void* s) { return Json(of(s)); };
    } else if constexpr (detail::is_vector<Member>) {
        using Item = typename Member::value_type;
        made.kind = Kind::list;
        made.shape = &shape_of<Item>;
        made.append = [at](void* s) -> void* { return &at(s).emplace_back(); };
        made.clear = [at](void* s) { at(s).clear(); };
        made.count = [of](const void* s) { return of(s).size(); };
        made.item = [of](const void* s, std::size_t i) -> const void* { return &of(s)[i]; };
    } else if constexpr (detail::is_optional<Member>) {
        using Value = typename Member::value_type;
        made.is_optional = true;
        if constexpr (is_scalar<Value>) {
            detail::describe<Value>(made);
            made.set = [at](void* s, const nlohmann::json& v) {
                if (v.is_null()) {
                    at(s).reset();
                } else {
                    at(s) = detail::scalar_from<Value>(v);
                }
            };
            made.get = [of](const void* s) {
                return of(s) ? detail::json_from(*of(s)) : Json(nullptr);
            };
        } else {
            made.kind = Kind::section;
            made.shape = &shape_of<Value>;
            made.open = [at](void* s) -> void* { return at(s) ? &*at(s) : &at(s).emplace(); };
            made.peek = [of](const void* s) -> const void* { return of(s) ? &*of(s) : nullptr; };
        }
    } else {
        made.kind = Kind::section;
        made.shape = &shape_of<Member>;
        made.open = [at](void* s) -> void* { return &at(s); };
        made.peek = [of](const void* s) -> const void* { return &of(s); };
    }
    return made;
}

}  // namespace mitu::config
