#include "mitu/config/reader.hpp"

#include <fmt/format.h>

#include "mitu/config/use.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::config {
namespace {

using nlohmann::json;
using yaml::join_path;

constexpr std::size_t items_max = 1'000'000;  // of one list

class Reader {
public:
    explicit Reader(Complaints& complaints) : complaints_{complaints} {}

    void section(const json& value, const Shape& shape, void* target, const std::string& path) {
        if (!value.is_object()) {
            add(path, fmt::format("{} is {}; use a map", path.empty() ? "the document" : path,
                                  yaml::show(value)));
            return;
        }
        for (const auto& [name, child] : value.items()) {
            const Key* key = shape.find(name);
            const std::string child_path = join_path(path, name);
            if (key == nullptr) {
                add(child_path, unknown_key(child_path, name, shape));
            } else {
                member(*key, child, target, child_path);
            }
        }
        for (const Key& key : shape.keys) {
            if (!key.is_required || value.contains(key.name)) continue;
            add(path, fmt::format("{} is missing; use {}", join_path(path, key.name), use_of(key)));
        }
    }

private:
    void add(std::string_view path, std::string text) { complaints_.add(path, std::move(text)); }

    void member(const Key& key, const json& value, void* target, const std::string& path) {
        if (key.kind == Kind::section) {
            // `limits:` with nothing below it sets nothing; but who writes `tls:` and no more must
            // not get plain TCP.
            if (value.is_null() && key.is_optional) {
                add(path, fmt::format("{} is empty; fill it in, or remove it", path));
            } else if (!value.is_null()) {
                section(value, key.shape(), key.open(target), path);
            }
        } else if (key.kind == Kind::list) {
            items(key, value, target, path);
        } else if (takes(key, value)) {
            key.set(target, value);
        } else {
            refuse(key, value, path);
        }
    }
    void items(const Key& key, const json& value, void* target, const std::string& path) {
        if (!value.is_array() || (key.is_required && value.empty())) {
            add(path, fmt::format("{} is {}; use {}", path, shown(key, value), use_of(key)));
            return;
        }
        if (value.size() > items_max) {
            add(path,
                fmt::format("{} has {} items; use at most {}", path, value.size(), items_max));
            return;
        }
        key.clear(target);
        for (std::size_t i = 0; i < value.size(); ++i) {
            section(value[i], key.shape(), key.append(target), fmt::format("{}[{}]", path, i));
        }
    }
    /// Of a list or map, the item that is at fault.
    void refuse(const Key& key, const json& value, const std::string& path) {
        const bool is_texts = key.kind == Kind::texts && value.is_array();
        const bool is_map = key.kind == Kind::text_map && value.is_object();
        if ((!is_texts && !is_map) || value.empty()) {
            add(path, fmt::format("{} is {}; use {}", path, shown(key, value), use_of(key)));
            return;
        }
        const std::string_view use = key.rule != nullptr ? key.rule->use : "text, in quotes";
        std::size_t index = 0;
        for (const auto& [name, item] : value.items()) {
            const std::string at =
                is_map ? join_path(path, name) : fmt::format("{}[{}]", path, index++);
            const bool fine =
                item.is_string() &&
                (key.rule == nullptr || key.rule->accepts(item.get_ref<const std::string&>()));
            if (!fine) add(at, fmt::format("{} is {}; use {}", at, shown(key, item), use));
        }
    }

    Complaints& complaints_;
};

}  // namespace

void Complaints::add(std::string_view path, std::string text) {
    paths_.emplace_back(path);
    const Origin origin = origins_.near(path);
    switch (origin.kind) {
        case Origin::Kind::by_default:
            problems_.push_back({default_file_, 0, std::move(text)});
            return;
        case Origin::Kind::environment:
            problems_.push_back({"environment " + origin.name, 0, std::move(text)});
            return;
        case Origin::Kind::file:
        case Origin::Kind::managed:
        case Origin::Kind::flag:
            problems_.push_back({origin.name, origin.line, std::move(text)});
            return;
    }
}

bool Complaints::has_at(std::string_view path) const {
    for (const std::string& known : paths_) {
        if (!known.starts_with(path)) continue;
        if (known.size() == path.size() || known[path.size()] == '.' || known[path.size()] == '[') {
            return true;
        }
    }
    return false;
}

std::string unknown_key(std::string_view path, std::string_view name, const Shape& shape) {
    std::vector<std::string_view> names;
    names.reserve(shape.keys.size());
    for (const Key& key : shape.keys) names.push_back(key.name);
    const std::string_view near = yaml::did_you_mean(name, names);
    if (!near.empty()) return fmt::format("{} is not known; did you mean {}?", path, near);
    return fmt::format("{} is not known; use {}", path, fmt::join(names, ", "));
}

void read_config(const json& value, Config& config, Complaints& complaints) {
    Reader{complaints}.section(value, root_shape(), &config, {});
}

}  // namespace mitu::config
