#include "mitu/fleet/template_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "embedded/policies.hpp"
#include "mitu/base/check.hpp"

namespace mitu::fleet {
namespace {

using nlohmann::json;
using yaml::join_path;
using yaml::show;

constexpr std::array<std::string_view, 2> kinds{"Policy", "Tenant"};
/// Longer text does not go to std::regex, which recurses once per character.
constexpr std::size_t text_bytes_max = 2'048;

/// One place where the schema was not met: the path as people write it, the value, its subschema.
struct Place {
    std::string path;
    const json* value = nullptr;
    const json* schema = nullptr;
};

std::string_view text_or_empty(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return {};
    return found->get_ref<const std::string&>();
}

}  // namespace

struct TemplateSchema::Impl {
    json root;
    std::array<valijson::Schema, kinds.size()> compiled;
    valijson::Validator validator{valijson::Validator::kStrongTypes};

    const json& definition(std::string_view kind) const {
        return root.at("definitions").at(std::string{kind});
    }
    /// Follows one $ref: "#/definitions/name".
    const json* resolve(const json* schema) const {
        const std::string_view ref = text_or_empty(*schema, "$ref");
        if (ref.empty()) return schema;
        return &root.at(json::json_pointer{std::string{ref.substr(1)}});
    }
    /// The subschema of a map's key or a list's item; null: the schema does not say.
    const json* child(const json* schema, std::string_view key) const {
        if (schema == nullptr) return nullptr;
        const auto properties = schema->find("properties");
        if (properties != schema->end()) {
            const auto found = properties->find(std::string{key});
            if (found != properties->end()) return resolve(&*found);
        }
        for (const char* any : {"items", "additionalProperties"}) {
            const auto found = schema->find(any);
            if (found != schema->end() && found->is_object()) return resolve(&*found);
        }
        return nullptr;
    }
    /// From valijson's context: <root>, [access], [publish], [allow], [0].
    Place place_of(std::string_view kind, const json& value,
                   const std::vector<std::string>& context) const {
        Place place{"", &value, &definition(kind)};
        for (std::size_t i = 1; i < context.size(); ++i) {
            const std::string_view piece{context[i]};
            const std::string name{piece.substr(1, piece.size() - 2)};
            if (place.value->is_object() && place.value->contains(name)) {
                place.value = &place.value->at(name);
                place.path = join_path(place.path, name);
            } else if (place.value->is_array()) {
                const std::size_t index = std::stoul(name);
                MITU_CHECK(index < place.value->size());
                place.value = &place.value->at(index);
                place.path = fmt::format("{}[{}]", place.path, index);
            }
            place.schema = child(place.schema, name);
        }
        return place;
    }
};

TemplateSchema::TemplateSchema() : impl_{std::make_unique<Impl>()} {
    const auto text = embedded::policies().read_file("schema/policy.schema.json");
    MITU_CHECK_MSG(text.has_value(), "the schema is compiled in");
    impl_->root = json::parse(*text);
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        // Each kind by itself: from a oneOf nobody could tell which branch was meant.
        json schema = impl_->definition(kinds[i]);
        schema["definitions"] = impl_->root.at("definitions");
        valijson::SchemaParser parser;
        valijson::adapters::NlohmannJsonAdapter adapter{schema};
        parser.populateSchema(adapter, impl_->compiled[i]);
    }
}

TemplateSchema::~TemplateSchema() = default;

namespace {

/// Collects the problems of one document.
class Explainer {
public:
    Explainer(const yaml::Document& document, const std::string& file, Problems& problems)
        : document_{document}, file_{file}, problems_{problems} {}

    void add(std::string_view path, std::string text) {
        problems_.push_back({file_, document_.lines.line_of(path), std::move(text)});
    }

    /// Once per value, whatever the number of constraints that it fails.
    void wrong_value(const Place& place) {
        if (!told_.insert(place.path).second) return;
        const std::string_view use =
            place.schema == nullptr ? "" : text_or_empty(*place.schema, "x-use");
        add(place.path, use.empty()
                            ? fmt::format("{} is {}", place.path, show(*place.value))
                            : fmt::format("{} is {}; use {}", place.path, show(*place.value), use));
    }

    void missing_keys(const Place& place, const TemplateSchema& schema, std::string_view kind) {
        const auto required = place.schema->find("required");
        if (required == place.schema->end()) return;
        for (const json& key : *required) {
            const auto& name = key.get_ref<const std::string&>();
            if (place.value->contains(name)) continue;
            const std::string path = join_path(place.path, name);
            if (!told_.insert(path).second) continue;
            add(place.path, fmt::format("{} is missing; use {}", path, schema.use_of(kind, path)));
        }
    }

    void unknown_keys(const Place& place) {
        std::vector<std::string_view> known;
        const json& properties = place.schema->at("properties");
        for (const auto& [name, value] : properties.items()) known.push_back(name);
        for (const auto& [name, value] : place.value->items()) {
            if (properties.contains(name)) continue;
            const std::string path = join_path(place.path, name);
            if (!told_.insert(path).second) continue;
            const std::string_view near = did_you_mean(name, known);
            add(path, near.empty()
                          ? fmt::format("{} is not known; use {}", path, fmt::join(known, ", "))
                          : fmt::format("{} is not known; did you mean {}?", path, near));
        }
    }

private:
    const yaml::Document& document_;
    const std::string& file_;
    Problems& problems_;
    std::set<std::string, std::less<>> told_;
};

/// Refuses text too long for std::regex before it meets one. True: there is none.
bool check_text_sizes(const json& value, const std::string& path, Explainer& explainer) {
    if (value.is_string() && value.get_ref<const std::string&>().size() > text_bytes_max) {
        explainer.add(
            path, fmt::format("{} is {}; use at most {} bytes", path, show(value), text_bytes_max));
        return false;
    }
    bool fine = true;
    if (value.is_object()) {
        for (const auto& [key, child] : value.items()) {
            fine = check_text_sizes(child, join_path(path, key), explainer) && fine;
        }
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            fine = check_text_sizes(value[i], fmt::format("{}[{}]", path, i), explainer) && fine;
        }
    }
    return fine;
}

}  // namespace

std::string_view TemplateSchema::check(const yaml::Document& document, const std::string& file,
                                       Problems& problems) {
    Explainer explainer{document, file, problems};
    if (!document.value.is_object()) {
        explainer.add("", fmt::format("the document is {}; use a map that begins with kind: Policy "
                                      "or kind: Tenant",
                                      show(document.value)));
        return {};
    }
    const auto kind_at = document.value.find("kind");
    if (kind_at == document.value.end()) {
        explainer.add("", "kind is missing; use Policy or Tenant");
        return {};
    }
    const std::string kind_text = kind_at->is_string() ? kind_at->get<std::string>() : "";
    const auto kind = std::find(kinds.begin(), kinds.end(), kind_text);
    if (kind == kinds.end()) {
        explainer.add("kind", fmt::format("kind is {}; use Policy or Tenant", show(*kind_at)));
        return {};
    }
    if (!check_text_sizes(document.value, "", explainer)) return {};

    valijson::ValidationResults results;
    const valijson::adapters::NlohmannJsonAdapter target{document.value};
    const auto& compiled = impl_->compiled[static_cast<std::size_t>(kind - kinds.begin())];
    if (impl_->validator.validate(compiled, target, &results)) return *kind;

    const std::size_t before = problems.size();
    valijson::ValidationResults::Error error;
    std::string last_words;
    while (results.popError(error)) {
        last_words = error.description;
        const std::string_view words{error.description};
        // What encloses a fault repeats it; the fault itself comes first.
        if (words.starts_with("Failed to validate")) continue;
        const Place place = impl_->place_of(*kind, document.value, error.context);
        if (words.starts_with("Missing required property") && place.schema != nullptr) {
            explainer.missing_keys(place, *this, *kind);
        } else if (words.starts_with("Object contains a property") && place.schema != nullptr) {
            explainer.unknown_keys(place);
        } else {
            explainer.wrong_value(place);
        }
    }
    if (problems.size() == before) explainer.add("", last_words);
    return {};
}

std::string TemplateSchema::use_of(std::string_view kind, std::string_view path) const {
    const json* schema = &impl_->definition(kind);
    while (!path.empty() && schema != nullptr) {
        const std::size_t dot = path.find('.');
        schema = impl_->child(schema, path.substr(0, dot));
        path = dot == std::string_view::npos ? "" : path.substr(dot + 1);
    }
    return schema == nullptr ? std::string{} : std::string{text_or_empty(*schema, "x-use")};
}

}  // namespace mitu::fleet
