#include "mitu/config/documents.hpp"
#include "mitu/config/encode.hpp"
#include "mitu/config/use.hpp"

namespace mitu::config {
namespace {

Json schema_of(const Shape& shape);

Json with_pattern(Json schema, const Key& key) {
    if (key.rule != nullptr && !key.rule->pattern.empty()) {
        const std::string pattern{key.rule->pattern};
        // Empty is "not set".
        schema["pattern"] = key.may_be_empty ? "^$|" + pattern : pattern;
    }
    return schema;
}

Json type(const char* name) { return Json{{"type", name}}; }

Json plain_schema(const Key& key) {
    Json schema = Json::object();
    switch (key.kind) {
        case Kind::flag:
            return type("boolean");
        case Kind::integer:
            schema = type("integer");
            schema["minimum"] = key.min;
            schema["maximum"] = key.max;
            return schema;
        case Kind::size: {
            Json number = type("integer");
            number["minimum"] = key.min;
            number["maximum"] = key.max;
            Json text = type("string");
            text["pattern"] = "^[0-9]+([KMGT]iB)?$";
            schema["anyOf"] = Json::array({number, text});
            return schema;
        }
        case Kind::duration:
            schema = type("string");
            schema["pattern"] = "^[0-9]+(ms|s|m|h|d)$";
            return schema;
        case Kind::time:
            schema = type("string");
            schema["pattern"] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";
            return schema;
        case Kind::text:
            return with_pattern(type("string"), key);
        case Kind::choice: {
            Json words = Json::array();
            for (const std::string_view word : key.choices) {
                words.push_back(std::string{word});
                // 1.2 without quotes is a number to YAML.
                if (word.find_first_not_of("0123456789.") == std::string_view::npos) {
                    words.push_back(Json::parse(word));
                }
            }
            schema["enum"] = std::move(words);
            return schema;
        }
        case Kind::texts:
            schema = type("array");
            schema["items"] = with_pattern(type("string"), key);
            if (key.is_required) schema["minItems"] = 1;
            return schema;
        case Kind::text_map:
            schema = type("object");
            schema["additionalProperties"] = with_pattern(type("string"), key);
            return schema;
        case Kind::section:
            return schema_of(key.shape());
        case Kind::list:
            schema = type("array");
            schema["items"] = schema_of(key.shape());
            if (key.is_required) schema["minItems"] = 1;
            return schema;
    }
    return schema;
}

Json schema_of(const Key& key, const void* defaults) {
    Json schema = plain_schema(key);
    // A section with nothing below it is null to YAML; one that may be left out is refused then.
    if (key.is_optional != (key.kind == Kind::section)) {
        if (schema.contains("type")) {
            schema["type"] = Json::array({schema["type"], "null"});
        } else if (schema.contains("enum")) {
            schema["enum"].push_back(nullptr);
        } else {
            schema["anyOf"].push_back(type("null"));
        }
    }
    std::string description = key.doc;
    if (!key.none.empty()) description += " Not set: " + std::string{key.none} + ".";
    schema["description"] = description;
    const bool has_default = !key.is_required && key.kind != Kind::section;
    if (has_default) {
        const Json value = encode_member(key, defaults);
        if (key.kind != Kind::list && !value.is_null() && value != "") schema["default"] = value;
    }
    schema["x-applies"] = key.applies == Applies::live ? "live" : "restart";
    if (key.is_secret) schema["x-secret"] = true;
    if (key.is_managed) schema["x-managed"] = true;
    return schema;
}

Json schema_of(const Shape& shape) {
    Json schema = type("object");
    schema["additionalProperties"] = false;
    Json required = Json::array();
    Json properties = Json::object();
    for (const Key& key : shape.keys) {
        if (key.is_required) required.push_back(std::string{key.name});
        properties[std::string{key.name}] = schema_of(key, shape.defaults);
    }
    if (!required.empty()) schema["required"] = std::move(required);
    schema["properties"] = std::move(properties);
    return schema;
}

}  // namespace

std::string json_schema() {
    Json schema = Json::object();
    schema["$schema"] = "http://json-schema.org/draft-07/schema#";
    schema["title"] = "Configuration of mitud";
    schema["description"] = "Written by `mitu config schema`.";
    schema.update(schema_of(root_shape()));
    return schema.dump(2) + "\n";
}

}  // namespace mitu::config
