// The schemas of the API, compiled in, and checking against them.

#include <fmt/format.h>

#include <map>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "embedded/api_schemas.hpp"
#include "mitu/api/operation.hpp"
#include "mitu/base/check.hpp"

namespace mitu::api {
namespace {

// valijson has no adapter for ordered_json.
using Plain = nlohmann::json;
using Adapter = valijson::adapters::NlohmannJsonAdapter;

/// Each schema with all it refers to, compiled once.
const std::map<std::string, valijson::Schema, std::less<>>& compiled() {
    static const auto all = [] {
        std::map<std::string, valijson::Schema, std::less<>> made;
        const Plain components = Plain::parse(schemas().dump());
        for (const auto& [name, schema] : components.items()) {
            const Plain document{{"$ref", "#/components/schemas/" + name},
                                 {"components", {{"schemas", components}}}};
            valijson::SchemaParser parser;
            parser.populateSchema(Adapter{document}, made[name]);
        }
        return made;
    }();
    return all;
}

}  // namespace

const Json& schemas() {
    static const Json parsed = [] {
        const auto file = embedded::api_schemas().read_file("schemas.json");
        MITU_CHECK(file.has_value());
        return Json::parse(*file);
    }();
    return parsed;
}

std::optional<std::string> schema_problem(std::string_view schema, const Json& value) {
    const auto found = compiled().find(schema);
    MITU_CHECK(found != compiled().end());
    const Plain plain = value;
    valijson::Validator validator{valijson::Validator::kStrongTypes};
    valijson::ValidationResults results;
    if (validator.validate(found->second, Adapter{plain}, &results)) return std::nullopt;
    // The last one found is the one that lies deepest.
    std::optional<std::string> problem;
    valijson::ValidationResults::Error error;
    std::size_t depth = 0;
    while (results.popError(error)) {
        if (problem && error.context.size() <= depth) continue;
        depth = error.context.size();
        std::string where;
        for (std::size_t i = 1; i < error.context.size(); ++i) where += error.context[i];
        problem = fmt::format("{}: {}", where.empty() ? "body" : where, error.description);
    }
    return problem.value_or("does not meet its schema");
}

}  // namespace mitu::api
