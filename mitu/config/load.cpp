#include "mitu/config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "mitu/base/hash.hpp"
#include "mitu/config/encode.hpp"
#include "mitu/config/layers.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::config {
namespace {

using nlohmann::json;

/// Lists that are not empty by default, so that one value of an item can be laid over them.
json default_lists() {
    const Config defaults;
    json value = json::object();
    value["listeners"] = json::array();
    for (const Listener& listener : defaults.listeners) {
        value["listeners"].push_back({{"name", listener.name}, {"bind", listener.bind}});
    }
    return value;
}

/// As the sources come, and within each by line.
void sort_problems(const Sources& sources, yaml::Problems& problems) {
    const auto rank = [&](const yaml::Problem& problem) {
        if (sources.file && problem.file == sources.file->name) return 0;
        if (sources.managed && problem.file == sources.managed->name) return 1;
        return 2;
    };
    std::sort(problems.begin(), problems.end(),
              [&](const yaml::Problem& a, const yaml::Problem& b) {
                  return std::forward_as_tuple(rank(a), a.line, a.text) <
                         std::forward_as_tuple(rank(b), b.line, b.text);
              });
    problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
}

void collect_files(const Shape& shape, const void* section, const std::string& path,
                   std::vector<NamedFile>& files) {
    for (const Key& key : shape.keys) {
        const std::string child = yaml::join_path(path, key.name);
        if (key.kind == Kind::section) {
            if (const void* inner = key.peek(section)) {
                collect_files(key.shape(), inner, child, files);
            }
        } else if (key.kind == Kind::list) {
            for (std::size_t i = 0; i < key.count(section); ++i) {
                collect_files(key.shape(), key.item(section, i), fmt::format("{}[{}]", child, i),
                              files);
            }
        } else if (key.is_path && key.kind == Kind::texts) {
            const Json value = key.get(section);
            for (std::size_t i = 0; i < value.size(); ++i) {
                files.push_back({fmt::format("{}[{}]", child, i), value[i].get<std::string>()});
            }
        } else if (key.is_path) {
            const Json value = key.get(section);
            if (value != "") files.push_back({child, value.get<std::string>()});
        }
    }
}

}  // namespace

Result<Loaded, yaml::Problems> load(const Sources& sources) {
    yaml::Problems problems;
    Loaded loaded;
    Layers layers;
    layers.value = default_lists();
    ManagedStamp stamp;
    if (sources.file) put_file(layers, *sources.file, problems);
    if (sources.managed) stamp = put_managed(layers, *sources.managed, problems, loaded.notices);
    for (const Override& over : sources.environment) {
        put_override(layers, over, Origin::Kind::environment, problems);
    }
    for (const Override& over : sources.flags) {
        put_override(layers, over, Origin::Kind::flag, problems);
    }

    const std::string file = sources.file ? sources.file->name : "configuration";
    Complaints complaints{layers.origins, problems, file};
    read_config(layers.value, loaded.config, complaints);
    check_config(loaded.config, sources.tenants, complaints);
    if (!problems.empty()) {
        sort_problems(sources, problems);
        return std::unexpected(std::move(problems));
    }
    loaded.origins = std::move(layers.origins);
    loaded.content_hash = hash_bytes(encode(loaded.config).dump());
    loaded.is_new_revision = stamp.revision == 0 || stamp.content_hash != loaded.content_hash;
    loaded.revision = stamp.revision + (loaded.is_new_revision ? 1 : 0);
    return loaded;
}

std::vector<NamedFile> named_files(const Config& config) {
    std::vector<NamedFile> files;
    collect_files(root_shape(), &config, "", files);
    return files;
}

std::vector<std::string> chain_of(const Config& config, const Listener& listener) {
    if (!listener.authentication.empty()) return listener.authentication;
    if (!config.authentication.chain.empty()) return config.authentication.chain;
    std::vector<std::string> names;
    for (const Method& method : config.authentication.methods) names.push_back(method.name);
    return names;
}

}  // namespace mitu::config
