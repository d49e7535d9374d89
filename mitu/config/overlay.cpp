// managed.yaml under the file: what the API changed, where the file says nothing. The file wins:
// it is what a repository and a review know, and after a roll-out the server does what it says.
#include <fmt/format.h>

#include "mitu/config/layers.hpp"
#include "mitu/config/use.hpp"

namespace mitu::config {
namespace {

using nlohmann::json;
using yaml::join_path;

class Overlay {
public:
    Overlay(Layers& layers, const yaml::SourceFile& file, const yaml::Document& document,
            yaml::Problems& problems, yaml::Problems& notices)
        : layers_{layers},
          file_{file.name},
          document_{document},
          problems_{problems},
          notices_{notices} {}

    void put(const std::string& name, const json& value) {
        const Key* key = root_shape().find(name);
        if (key == nullptr) {
            add(problems_, name, unknown_key(name, name, root_shape()));
        } else if (key->kind == Kind::list && key->is_managed) {
            append_items(*key, name, value);
        } else if (key->kind == Kind::list && !key->shape().identity.empty()) {
            merge_items(*key, name, value);
        } else {
            add(problems_, name, not_managed(name));
        }
    }

private:
    static std::string not_managed(std::string_view path) {
        return fmt::format("{} is not changed through the API; move it to the configuration file",
                           path);
    }
    void add(yaml::Problems& to, std::string_view path, std::string text) const {
        to.push_back({file_, document_.lines.line_of(path), std::move(text)});
    }
    void take(const json& value, const std::string& path, const std::string& source_path) {
        note_origins(layers_.origins, value, path, source_path, Origin::Kind::managed, file_,
                     document_.lines);
    }
    bool is_list(const Key& key, const std::string& name, const json& value) {
        if (value.is_array()) return true;
        add(problems_, name, fmt::format("{} is {}; use {}", name, shown(key, value), use_of(key)));
        return false;
    }

    /// What tells users and bans apart.
    static json identity_of(std::string_view list, const json& item) {
        if (!item.is_object()) return item;
        json identity = json::array();
        const auto add = [&](const char* name, const char* otherwise) {
            identity.push_back(item.value(name, json(otherwise)));
        };
        if (list == "users") {
            add("tenant", "default");
            add("name", "");
        } else {
            for (const char* name : {"client_id", "user", "address", "tenant"}) add(name, "");
        }
        return identity;
    }
    void append_items(const Key& key, const std::string& name, const json& value) {
        if (!is_list(key, name, value)) return;
        json& list = layers_.value[name];
        if (list.is_null()) list = json::array();
        if (!list.is_array()) return;  // the file's mistake, found where it is read
        std::map<json, std::size_t> places;
        for (std::size_t i = 0; i < list.size(); ++i) {
            places.try_emplace(identity_of(name, list[i]), i);
        }
        const std::size_t from_file = list.size();
        for (std::size_t i = 0; i < value.size(); ++i) {
            const std::string source = fmt::format("{}[{}]", name, i);
            const auto [at, is_new] = places.try_emplace(identity_of(name, value[i]), list.size());
            if (is_new) {
                take(value[i], fmt::format("{}[{}]", name, list.size()), source);
                list.push_back(value[i]);
            } else if (at->second >= from_file) {
                add(problems_, source, fmt::format("{} is there twice; remove one", source));
            } else if (list[at->second] != value[i]) {
                in_vain(source, fmt::format("{}[{}]", name, at->second));
            }
        }
    }
    void in_vain(const std::string& source, const std::string& path) {
        add(notices_, source,
            fmt::format("{} is set in {} too, which wins; remove one of them", source,
                        to_text(layers_.origins.near(path))));
    }

    void merge_items(const Key& key, const std::string& name, const json& value) {
        if (!is_list(key, name, value)) return;
        const std::string identity{key.shape().identity};
        json& list = layers_.value[name];
        for (std::size_t i = 0; i < value.size(); ++i) {
            const std::string source = fmt::format("{}[{}]", name, i);
            if (!value[i].is_object() || !value[i].contains(identity)) {
                add(problems_, source,
                    fmt::format("{}.{} is missing; name one of {}", source, identity, name));
                continue;
            }
            std::size_t index = 0;
            const std::size_t count = list.is_array() ? list.size() : 0;
            while (index < count && !(list[index].is_object() &&
                                      list[index].value(identity, json{}) == value[i][identity])) {
                ++index;
            }
            if (index == count) {
                add(notices_, source,
                    fmt::format("{} is of {}, which is not there any more; it has no effect",
                                source, yaml::show(value[i][identity])));
                continue;
            }
            merge(list[index], value[i], key.shape(), fmt::format("{}[{}]", name, index), source,
                  identity);
        }
    }
    void merge(json& base, const json& over, const Shape& shape, const std::string& path,
               const std::string& source, const std::string& identity) {
        for (const auto& [name, value] : over.items()) {
            if (name == identity) continue;
            const Key* key = shape.find(name);
            const std::string child_path = join_path(path, name);
            const std::string child_source = join_path(source, name);
            if (key == nullptr) {
                add(problems_, child_source, unknown_key(child_source, name, shape));
            } else if (key->kind == Kind::section && value.is_object()) {
                json& child = base[name];
                if (child.is_null()) child = json::object();
                if (child.is_object()) {
                    merge(child, value, key->shape(), child_path, child_source, {});
                }
            } else if (!key->is_managed) {
                add(problems_, child_source, not_managed(child_source));
            } else if (!base.contains(name)) {
                base[name] = value;
                take(value, child_path, child_source);
            } else if (base[name] != value) {
                in_vain(child_source, child_path);
            }
        }
    }

    Layers& layers_;
    const std::string& file_;
    const yaml::Document& document_;
    yaml::Problems& problems_;
    yaml::Problems& notices_;
};

std::uint64_t number_of(const json& value, const char* name, const yaml::SourceFile& file,
                        const yaml::Document& document, yaml::Problems& problems) {
    const auto found = value.find(name);
    if (found == value.end()) return 0;
    if (found->is_number_unsigned() || (found->is_number_integer() && *found >= 0))
        return found->get<std::uint64_t>();
    problems.push_back({file.name, document.lines.line_of(name),
                        fmt::format("{} is {}; use a whole number", name, yaml::show(*found))});
    return 0;
}

}  // namespace

ManagedStamp put_managed(Layers& layers, const yaml::SourceFile& file, yaml::Problems& problems,
                         yaml::Problems& notices) {
    const yaml::Document document = only_document(file, problems);
    const ManagedStamp stamp{number_of(document.value, "revision", file, document, problems),
                             number_of(document.value, "content_hash", file, document, problems)};
    Overlay overlay{layers, file, document, problems, notices};
    for (const auto& [name, value] : document.value.items()) {
        if (name != "revision" && name != "content_hash") overlay.put(name, value);
    }
    return stamp;
}

}  // namespace mitu::config
