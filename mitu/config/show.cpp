#include <fmt/format.h>

#include "mitu/config/documents.hpp"
#include "mitu/config/encode.hpp"
#include "mitu/yaml/document.hpp"
#include "mitu/yaml/emit.hpp"

namespace mitu::config {
namespace {

using yaml::join_path;

/// Leaves out what nobody has set.
Json only_set(const Json& value, const std::string& path, const Origins& origins) {
    if (value.is_object()) {
        Json kept = Json::object();
        for (const auto& [key, child] : value.items()) {
            Json inner = only_set(child, join_path(path, key), origins);
            if (!inner.is_discarded()) kept[key] = std::move(inner);
        }
        return kept.empty() ? Json(Json::value_t::discarded) : kept;
    }
    if (value.is_array() && !value.empty() && value.front().is_object()) {
        Json kept = Json::array();
        for (std::size_t i = 0; i < value.size(); ++i) {
            Json inner = only_set(value[i], fmt::format("{}[{}]", path, i), origins);
            if (!inner.is_discarded()) kept.push_back(std::move(inner));
        }
        return kept.empty() ? Json(Json::value_t::discarded) : kept;
    }
    const bool is_set = origins.of(path).kind != Origin::Kind::by_default;
    return is_set ? value : Json(Json::value_t::discarded);
}

/// Leaves out sections that are not there: to YAML an empty one is a mistake.
Json without_missing(const Shape& shape, Json value) {
    for (const Key& key : shape.keys) {
        const auto at = value.find(std::string{key.name});
        if (at == value.end()) continue;
        if (key.kind == Kind::section && at->is_null()) {
            value.erase(std::string{key.name});
        } else if (key.kind == Kind::section) {
            *at = without_missing(key.shape(), std::move(*at));
        } else if (key.kind == Kind::list) {
            for (Json& item : *at) item = without_missing(key.shape(), std::move(item));
        }
    }
    return value;
}

void collect_origins(const Json& value, const std::string& path, const Origins& origins,
                     Json& out) {
    if (value.is_object() && !value.empty()) {
        for (const auto& [key, child] : value.items()) {
            collect_origins(child, join_path(path, key), origins, out);
        }
    } else if (value.is_array() && !value.empty()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            collect_origins(value[i], fmt::format("{}[{}]", path, i), origins, out);
        }
    } else if (const Origin origin = origins.of(path); origin.kind != Origin::Kind::by_default) {
        out[path] = to_text(origin);
    }
}

}  // namespace

std::string show(const Loaded& loaded, const ShowOptions& options) {
    Json value = mask_secrets(root_shape(), encode(loaded.config));
    if (options.only_set) value = only_set(value, "", loaded.origins);
    if (value.is_discarded()) value = Json::object();
    if (options.as_json) {
        Json document = Json::object();
        document["revision"] = loaded.revision;
        document["content_hash"] = fmt::format("{:016x}", loaded.content_hash);
        if (options.origins) {
            Json origins = Json::object();
            collect_origins(value, "", loaded.origins, origins);
            document["config"] = std::move(value);
            document["origins"] = std::move(origins);
        } else {
            document["config"] = std::move(value);
        }
        return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    value = without_missing(root_shape(), std::move(value));
    std::string text =
        fmt::format("# revision {}, content {:016x}\n", loaded.revision, loaded.content_hash);
    if (!options.origins) return text + yaml::emit(value);
    return text + yaml::emit(value, [&](std::string_view path) {
               const Key* key = find_key(path);
               const bool nests =
                   key == nullptr || key->kind == Kind::section || key->kind == Kind::list;
               return nests ? std::string{} : to_text(loaded.origins.of(path));
           });
}

}  // namespace mitu::config
