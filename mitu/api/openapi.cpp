// The OpenAPI 3.1 document and the page for people, both from the table of operations.

#include <fmt/format.h>

#include <map>

#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

constexpr std::string_view needs_text(const Operation& operation) {
    switch (operation.needs) {
        case Needs::nothing:
            return "nobody needs to log in";
        case Needs::viewer:
            return "viewer";
        case Needs::operator_role:
            return "operator";
        case Needs::admin:
            return "admin";
    }
    return "";
}

Json schema_ref(std::string_view name) {
    return {{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

Json content(std::string_view schema) {
    return {{"application/json", {{"schema", schema_ref(schema)}}}};
}

/// "/retained/{tenant}/{topic...}": OpenAPI knows no rest of a path.
std::string document_path(std::string_view path) {
    std::string text = std::string{path_prefix} + std::string{path};
    if (const auto dots = text.find("...}"); dots != std::string::npos) text.erase(dots, 3);
    return text;
}

Json parameters_json(const Operation& operation) {
    Json all = Json::array();
    for (std::size_t at = operation.path.find('{'); at != operation.path.npos;
         at = operation.path.find('{', at + 1)) {
        std::string_view name = operation.path.substr(at + 1);
        name = name.substr(0, name.find_first_of(".}"));
        all.push_back({{"name", name},
                       {"in", "path"},
                       {"required", true},
                       {"description", "percent-encoded; a slash in it as %2F"},
                       {"schema", {{"type", "string"}}}});
    }
    for (const Parameter& parameter : operation.query) {
        all.push_back({{"name", parameter.name},
                       {"in", "query"},
                       {"description", parameter.summary},
                       {"schema", {{"type", parameter.type}}}});
    }
    return all;
}

Json responses_json(const Operation& operation) {
    Json success{{"description", "done"}};
    if (!operation.answer.empty()) success["content"] = content(operation.answer);
    if (operation.id == "trace") {
        success["content"] = {{"application/x-ndjson", {{"schema", schema_ref("TraceEvent")}}}};
    }
    if (operation.id == "docs") success["content"] = {{"text/html", Json::object()}};
    Json responses{{std::to_string(operation.status), success}};
    std::map<unsigned, std::string> errors;
    for (const Code code : operation.all_errors()) {
        std::string& text = errors[status_of(code)];
        text +=
            fmt::format("{}{} {}", text.empty() ? "" : ", ", static_cast<int>(code), name_of(code));
    }
    for (const auto& [status, text] : errors) {
        responses[std::to_string(status)] = {{"description", text}, {"content", content("Error")}};
    }
    return responses;
}

Json make_document() {
    Json paths = Json::object();
    for (const Operation& operation : operations()) {
        std::string method{operation.method};
        for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
        Json row{{"operationId", operation.id},
                 {"tags", {operation.tag}},
                 {"summary", operation.summary},
                 {"x-mitu-role", needs_text(operation)}};
        if (Json parameters = parameters_json(operation); !parameters.empty()) {
            row["parameters"] = std::move(parameters);
        }
        if (!operation.body.empty()) {
            row["requestBody"] = {{"required", true}, {"content", content(operation.body)}};
        }
        row["responses"] = responses_json(operation);
        if (operation.needs == Needs::nothing) row["security"] = Json::array();
        paths[document_path(operation.path)][method] = std::move(row);
    }
    const Json schemes{{"basic", {{"type", "http"}, {"scheme", "basic"}}},
                       {"bearer",
                        {{"type", "http"},
                         {"scheme", "bearer"},
                         {"description", "a token of /login, or the secret of an API key"}}}};
    return {{"openapi", "3.1.0"},
            {"info",
             {{"title", "Mitu"},
              {"version", "1"},
              {"description", "Clients, messages, users and the server itself."}}},
            {"security", {{{"basic", Json::array()}}, {{"bearer", Json::array()}}}},
            {"paths", std::move(paths)},
            {"components", {{"securitySchemes", schemes}, {"schemas", schemas()}}}};
}

std::string escape(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        if (c == '<') {
            safe += "&lt;";
        } else if (c == '&') {
            safe += "&amp;";
        } else {
            safe += c;
        }
    }
    return safe;
}

std::string make_page() {
    std::string page =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Mitu API</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "code{font-family:ui-monospace,monospace}h2{margin-top:2rem;border-bottom:1px solid #ccc}"
        "dt{margin-top:1rem}dd{margin-left:1.5rem}b{display:inline-block;min-width:4.5rem}"
        "small{color:#666}</style><h1>Mitu API</h1>"
        "<p>The document for programs is <a href=\"openapi.json\">openapi.json</a>. Send "
        "<code>Authorization: Basic</code>, or <code>Bearer</code> with a token of "
        "<code>/login</code> or the secret of an API key. Errors are "
        "<code>{\"code\",\"message\",\"details\"}</code>.</p>";
    std::string_view tag;
    for (const Operation& operation : operations()) {
        if (operation.tag != tag) {
            if (!tag.empty()) page += "</dl>";
            tag = operation.tag;
            page += fmt::format("<h2>{}</h2><dl>", tag);
        }
        page += fmt::format("<dt><code><b>{}</b> {}</code></dt><dd>{}. <small>{}</small>",
                            operation.method, escape(document_path(operation.path)),
                            escape(operation.summary), needs_text(operation));
        for (const Parameter& parameter : operation.query) {
            page +=
                fmt::format("<br><code>?{}=</code> {}", parameter.name, escape(parameter.summary));
        }
        if (!operation.body.empty()) {
            page += fmt::format("<br>body: <code>{}</code>", operation.body);
        }
        page += "</dd>";
    }
    return page + "</dl></html>\n";
}

}  // namespace

const std::string& openapi_document() {
    static const std::string text = make_document().dump(1) + "\n";
    return text;
}

const std::string& docs_page() {
    static const std::string text = make_page();
    return text;
}

}  // namespace mitu::api
