#include "mitu/fleet/shadow_json.hpp"

#include <algorithm>

namespace mitu::fleet {

using nlohmann::json;

json shadow_delta(const json& desired, const json& reported) {
    json delta;
    for (const auto& [key, want] : desired.items()) {
        const json* have = nullptr;
        if (reported.is_object()) {
            const auto found = reported.find(key);
            if (found != reported.end()) have = &*found;
        }
        if (have != nullptr && want.is_object() && have->is_object()) {
            if (json inner = shadow_delta(want, *have); !inner.is_null()) {
                delta[key] = std::move(inner);
            }
        } else if (have == nullptr || want != *have) {
            delta[key] = want;
        }
    }
    return delta;
}

void shadow_merge(json& state, json& metadata, const json& update, std::uint32_t at_s) {
    if (!state.is_object()) state = json::object();
    if (!metadata.is_object()) metadata = json::object();
    for (const auto& [key, value] : update.items()) {
        if (value.is_null()) {
            state.erase(key);
            metadata.erase(key);
        } else if (value.is_object()) {
            // Where a scalar or list stood, its metadata has another shape: begin anew.
            if (!state.contains(key) || !state[key].is_object()) {
                state[key] = json::object();
                metadata[key] = json::object();
            }
            shadow_merge(state[key], metadata[key], value, at_s);
        } else {
            state[key] = value;
            metadata[key] = shadow_metadata(value, at_s);
        }
    }
}

json shadow_metadata(const json& state, std::uint32_t at_s) {
    if (state.is_object()) {
        json result = json::object();
        for (const auto& [key, value] : state.items()) result[key] = shadow_metadata(value, at_s);
        return result;
    }
    if (state.is_array()) {
        json result = json::array();
        for (const json& value : state) result.push_back(shadow_metadata(value, at_s));
        return result;
    }
    return json::object({{"timestamp", at_s}});
}

json shadow_metadata_of(const json& metadata, const json& state) {
    if (!state.is_object()) return metadata;
    json result = json::object();
    for (const auto& [key, value] : state.items()) {
        const auto found = metadata.find(key);
        if (found != metadata.end()) result[key] = shadow_metadata_of(*found, value);
    }
    return result;
}

std::size_t json_depth(const json& value) {
    if (!value.is_structured()) return 0;
    std::size_t deepest = 0;
    for (const json& child : value) deepest = std::max(deepest, json_depth(child));
    return deepest + 1;
}

}  // namespace mitu::fleet
