#include "mitu/config/layers.hpp"

#include <fmt/format.h>

#include <charconv>

namespace mitu::config {
namespace {

using nlohmann::json;
using yaml::join_path;

/// The value that the text of an override means to `key`.
json value_of(const Key& key, const Override& over, yaml::Problems& problems) {
    switch (key.kind) {
        case Kind::text:
        case Kind::choice:
        case Kind::duration:
        case Kind::time:
            if (key.is_optional && over.text == "null") return nullptr;
            return over.text;
        case Kind::flag:
        case Kind::integer:
        case Kind::size:
        case Kind::texts:
        case Kind::text_map:
        case Kind::section:
        case Kind::list:
            break;
    }
    auto documents = yaml::parse({over.name, over.text}, problems);
    if (documents.size() != 1) return over.text;  // refused where it is read, with what to use
    return std::move(documents.front().value);
}

struct Step {
    std::string_view name;
    std::optional<std::size_t> index;
};

/// The next step of a path, cut off its front: "listeners[0]".
std::optional<Step> next_step(std::string_view& path) {
    const std::size_t end = path.find('.');
    std::string_view part = path.substr(0, end);
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
    const std::size_t bracket = part.find('[');
    Step step{part.substr(0, bracket), std::nullopt};
    if (bracket == std::string_view::npos) return step;
    std::size_t index = 0;
    const char* const last = part.data() + part.size();
    const auto [at, error] = std::from_chars(part.data() + bracket + 1, last, index);
    if (error != std::errc{} || at + 1 != last || *at != ']') return std::nullopt;
    step.index = index;
    return step;
}

/// The place of a path, made where it is missing. Null: a list ends before it, or what is around
/// it is of another type.
json* place_of(json& root, std::string_view path) {
    json* at = &root;
    while (!path.empty()) {
        const auto step = next_step(path);
        if (!step) return nullptr;
        if (at->is_null()) *at = json::object();
        if (!at->is_object()) return nullptr;
        at = &(*at)[std::string{step->name}];
        if (!step->index) continue;
        if (at->is_null()) *at = json::array();
        if (!at->is_array() || *step->index > at->size()) return nullptr;
        if (*step->index == at->size()) at->push_back(nullptr);
        at = &(*at)[*step->index];
    }
    return at;
}

void note_override(Origins& origins, const json& value, const std::string& path,
                   const Origin& origin) {
    origins.add(path, origin);
    if (value.is_object()) {
        for (const auto& [key, child] : value.items()) {
            note_override(origins, child, join_path(path, key), origin);
        }
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            note_override(origins, value[i], fmt::format("{}[{}]", path, i), origin);
        }
    }
}

}  // namespace

void note_origins(Origins& origins, const json& value, const std::string& path,
                  const std::string& source_path, Origin::Kind kind, const std::string& file,
                  const yaml::LineMap& lines) {
    origins.add(path, {kind, file, lines.line_of(source_path)});
    if (value.is_object()) {
        for (const auto& [key, child] : value.items()) {
            note_origins(origins, child, join_path(path, key), join_path(source_path, key), kind,
                         file, lines);
        }
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            note_origins(origins, value[i], fmt::format("{}[{}]", path, i),
                         fmt::format("{}[{}]", source_path, i), kind, file, lines);
        }
    }
}

yaml::Document only_document(const yaml::SourceFile& file, yaml::Problems& problems) {
    auto documents = yaml::parse(file, problems);
    if (documents.empty()) return {json::object(), {}};
    if (documents.size() > 1) {
        problems.push_back(
            {file.name, documents[1].lines.line_of(""), "a second document; use one, without ---"});
    }
    yaml::Document document = std::move(documents.front());
    if (document.value.is_null()) document.value = json::object();
    if (!document.value.is_object()) {
        problems.push_back(
            {file.name, document.lines.line_of(""),
             fmt::format("the document is {}; use a map of sections", yaml::show(document.value))});
        document.value = json::object();
    }
    return document;
}

void put_file(Layers& layers, const yaml::SourceFile& file, yaml::Problems& problems) {
    yaml::Document document = only_document(file, problems);
    note_origins(layers.origins, document.value, "", "", Origin::Kind::file, file.name,
                 document.lines);
    // What is there by default and a file says otherwise is replaced key by key.
    layers.value.update(document.value);
}

void put_override(Layers& layers, const Override& over, Origin::Kind kind,
                  yaml::Problems& problems) {
    const std::string source =
        kind == Origin::Kind::environment ? "environment " + over.name : over.name;
    const Key* key = find_key(over.path);
    if (key == nullptr) {
        problems.push_back({source, 0, fmt::format("{} is not known", over.path)});
        return;
    }
    const bool is_item = over.path.ends_with(']');
    // One item of a list is read as the list is: as YAML, or as text.
    json value;
    if (is_item && key->kind == Kind::texts) {
        value = over.text;
    } else {
        value = value_of(*key, over, problems);
    }
    json* const place = place_of(layers.value, over.path);
    if (place == nullptr) {
        problems.push_back(
            {source, 0,
             fmt::format("{} has no place; list items are counted from 0 and follow each other",
                         over.path)});
        return;
    }
    layers.origins.erase(over.path);
    note_override(layers.origins, value, over.path, {kind, over.name, 0});
    *place = std::move(value);
}

}  // namespace mitu::config
