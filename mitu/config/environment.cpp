// MITU__LISTENERS__0__BIND to listeners[0].bind, and back.
#include <fmt/format.h>

#include <algorithm>

#include "mitu/config/key.hpp"
#include "mitu/config/load.hpp"

namespace mitu::config {
namespace {

constexpr std::string_view prefix = "MITU__";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

bool is_number(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 6 &&
           text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// listeners[0].bind for LISTENERS__0__BIND.
std::string path_of(std::string_view name) {
    std::string path;
    while (true) {
        const std::size_t end = name.find("__");
        const std::string_view part = name.substr(0, end);
        if (is_number(part)) {
            path += fmt::format("[{}]", part);
        } else {
            if (!path.empty()) path += '.';
            for (const char c : part) path += lower(c);
        }
        if (end == std::string_view::npos) return path;
        name.remove_prefix(end + 2);
    }
}

/// The remedy for a name that is no key: the near miss, at the level where it goes wrong.
std::string remedy_for(const std::string& path) {
    const Shape* shape = &root_shape();
    std::size_t from = 0;
    while (true) {
        const std::size_t end = path.find('.', from);
        const std::string part = path.substr(from, end - from);
        const std::string name = part.substr(0, part.find('['));
        const Key* key = shape->find(name);
        if (key == nullptr) {
            std::vector<std::string_view> names;
            for (const Key& known : shape->keys) names.push_back(known.name);
            const std::string_view near = yaml::did_you_mean(name, names);
            if (near.empty()) break;
            return "did you mean " + environment_name(path.substr(0, from) + std::string{near}) +
                   "?";
        }
        if (key->shape == nullptr || end == std::string::npos) break;
        shape = &key->shape();
        from = end + 1;
    }
    return "see `mitu config reference` for the keys";
}

}  // namespace

std::string environment_name(std::string_view path) {
    std::string name{prefix};
    for (const char c : path) {
        if (c == '.' || c == '[') {
            name += "__";
        } else if (c != ']') {
            name += upper(c);
        }
    }
    return name;
}

std::vector<Override> overrides_from_environment(
    std::span<const std::pair<std::string, std::string>> variables, yaml::Problems& problems) {
    std::vector<Override> overrides;
    for (const auto& [name, value] : variables) {
        if (!name.starts_with(prefix)) continue;
        const std::string path = path_of(std::string_view{name}.substr(prefix.size()));
        if (find_key(path) == nullptr) {
            problems.push_back({"environment " + name, 0,
                                fmt::format("{} is not known; {}", path, remedy_for(path))});
            continue;
        }
        overrides.push_back({path, value, name});
    }
    // Whatever the order of the environment: what is around comes before what is in it.
    std::sort(overrides.begin(), overrides.end(),
              [](const Override& a, const Override& b) { return a.path < b.path; });
    return overrides;
}

}  // namespace mitu::config
