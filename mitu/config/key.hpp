#pragma once
// Key and Shape: what the table says of one key, and of the keys of one section. The one source of
// the parser, the JSON schema, the reference page, `show` and `diff`.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mitu::config {

using Json = nlohmann::ordered_json;  // in the order of the table

enum class Kind : std::uint8_t {
    flag,      // true, false
    integer,   // 12
    size,      // bytes: 4096, "64KiB", "4MiB", "16GiB"
    duration,  // "250ms", "30s", "5m", "24h", "7d"
    time,      // "2026-12-31T23:59:59Z"
    text,
    choice,  // one of `choices`
    texts,   // a list of text
    text_map,
    section,
    list,  // of sections
};

enum class Applies : std::uint8_t {
    live,     // at a reload
    restart,  // when the server starts
};

/// What a text must be like.
/// Shape  `use` follows "use " in a problem; `pattern` is its regular expression for the schema, or
///        empty.
struct TextRule {
    std::string_view use;
    bool (*accepts)(std::string_view text) noexcept;
    std::string_view pattern{};
};

struct Shape;

/// One key: its place in a section, what it takes, and how to get at its member.
/// Units  `min`, `max`: of the value; of a duration milliseconds.
struct Key {
    std::string_view name;
    Kind kind = Kind::text;
    std::string doc{};  // one sentence
    Applies applies = Applies::restart;
    std::string_view unit{};  // of an integer, where its name does not say it
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::vector<std::string_view> choices{};
    const TextRule* rule = nullptr;
    std::string_view none{};   // what it means that the key is not set ("no limit")
    bool is_optional = false;  // null is a value
    bool is_required = false;
    bool is_secret = false;
    bool is_managed = false;            // the API may change it (managed.yaml)
    bool is_path = false;               // names a file that must be there
    bool may_be_empty = false;          // text that is empty by default: not set
    const Shape& (*shape)() = nullptr;  // of a section, or of the items of a list

    // Access, with the section that has the member. `set` takes what check_value() has accepted.
    std::function<void(void*, const nlohmann::json&)> set{};
    std::function<Json(const void*)> get{};
    std::function<void*(void*)> open{};              // a section; makes it if it is optional
    std::function<const void*(const void*)> peek{};  // a section; null: not set
    std::function<void*(void*)> append{};            // an item of a list
    std::function<void(void*)> clear{};
    std::function<std::size_t(const void*)> count{};
    std::function<const void*(const void*, std::size_t)> item{};

    // How the table is written: key("shards", &Node::shards, "...").range(0,
    // 256).unit_of("threads").
    Key&& live() && { return applies = Applies::live, std::move(*this); }
    Key&& range(std::uint64_t from, std::uint64_t to) && {
        return min = from, max = to, std::move(*this);
    }
    Key&& unit_of(std::string_view text) && { return unit = text, std::move(*this); }
    Key&& as_size() && { return kind = Kind::size, std::move(*this); }
    Key&& each(const TextRule& text_rule) && { return rule = &text_rule, std::move(*this); }
    Key&& one_of(std::vector<std::string_view> words) && {
        return choices = std::move(words), std::move(*this);
    }
    Key&& if_none(std::string_view meaning) && { return none = meaning, std::move(*this); }
    Key&& required() && { return is_required = true, may_be_empty = false, std::move(*this); }
    Key&& secret() && { return is_secret = true, std::move(*this); }
    Key&& managed() && { return is_managed = true, std::move(*this); }
    Key&& file() && { return is_path = true, std::move(*this); }
};

/// The keys of one section.
struct Shape {
    std::string_view identity;  // in a list: the key that tells items apart; empty: their place
    std::vector<Key> keys;
    const void* defaults = nullptr;  // a section as it is when nothing is set
    [[nodiscard]] const Key* find(std::string_view name) const noexcept {
        for (const Key& key : keys) {
            if (key.name == name) return &key;
        }
        return nullptr;
    }
};

/// The whole table.
[[nodiscard]] const Shape& root_shape();

/// The key at `path`, of list items too: `listeners[0].tls.ca_file`. Null: there is none.
[[nodiscard]] const Key* find_key(std::string_view path);

}  // namespace mitu::config
