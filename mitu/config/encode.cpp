#include "mitu/config/encode.hpp"

#include "mitu/config/units.hpp"

namespace mitu::config {

Json encode_member(const Key& key, const void* section) {
    if (key.kind == Kind::section) {
        const void* child = key.peek(section);
        return child == nullptr ? Json(nullptr) : encode(key.shape(), child);
    }
    if (key.kind == Kind::list) {
        Json list = Json::array();
        for (std::size_t i = 0; i < key.count(section); ++i) {
            list.push_back(encode(key.shape(), key.item(section, i)));
        }
        return list;
    }
    Json value = key.get(section);
    if (key.kind == Kind::size && value.is_number_unsigned()) {
        const auto bytes = value.get<std::uint64_t>();
        if (bytes >= 1'024 && bytes % 1'024 == 0) return size_text(bytes);
    }
    return value;
}

Json encode(const Shape& shape, const void* section) {
    Json value = Json::object();
    for (const Key& key : shape.keys) value[std::string{key.name}] = encode_member(key, section);
    return value;
}

Json encode(const Config& config) { return encode(root_shape(), &config); }

Json mask_secret(const Key& key, Json value) {
    if (key.is_secret) return value.empty() || value == "" ? value : Json("***");
    if (key.kind == Kind::section) {
        return value.is_null() ? value : mask_secrets(key.shape(), std::move(value));
    }
    if (key.kind == Kind::list) {
        for (Json& item : value) item = mask_secrets(key.shape(), std::move(item));
    }
    return value;
}

Json mask_secrets(const Shape& shape, Json value) {
    for (const Key& key : shape.keys) {
        const auto at = value.find(std::string{key.name});
        if (at != value.end()) *at = mask_secret(key, std::move(*at));
    }
    return value;
}

Json encode_changed(const Shape& shape, const void* section) {
    Json value = Json::object();
    for (const Key& key : shape.keys) {
        if (key.kind == Kind::section) {
            const void* child = key.peek(section);
            if (child == nullptr) continue;
            Json changed = encode_changed(key.shape(), child);
            if (!changed.empty()) value[std::string{key.name}] = std::move(changed);
            continue;
        }
        Json own = encode_member(key, section);
        if (key.is_required || own != encode_member(key, shape.defaults)) {
            value[std::string{key.name}] = std::move(own);
        }
    }
    return value;
}

}  // namespace mitu::config
