#pragma once
// YAML text to JSON values that remember their lines.

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/yaml/problem.hpp"

namespace mitu::yaml {

/// Where each value stands, by its path as a person writes it: `access.publish.allow[1]`.
class LineMap {
public:
    void add(std::string path, std::uint32_t line) { lines_.try_emplace(std::move(path), line); }
    /// The line of `path`, or of the nearest thing around it.
    [[nodiscard]] std::uint32_t line_of(std::string_view path) const;

private:
    std::unordered_map<std::string, std::uint32_t> lines_;  // looked up only, never walked
};

struct Document {
    nlohmann::json value;
    LineMap lines;
};

/// Every document of a file that is not empty; those before a syntax error too.
/// Shape   the core schema of YAML 1.2: plain null, true, false and JSON numbers are what they look
///         like, all else is text. Anchors, aliases, tags and keys that are not text are refused.
/// Errors  added to `problems`.
[[nodiscard]] std::vector<Document> parse(const SourceFile& file, Problems& problems);

/// One document, a map whose key `list_key` is a list that may be long: its items go to `sink` one
/// by one (lines are those of `list_key[i]...`) and are not kept. The rest of the map is returned.
[[nodiscard]] Document parse_list(
    const SourceFile& file, std::string_view list_key, Problems& problems,
    const std::function<void(nlohmann::json&, std::string_view path, const LineMap&)>& sink);

/// The value as a problem shows it: JSON, shortened.
[[nodiscard]] std::string show(const nlohmann::json& value);

/// `parent.key`, or `key` at the top.
[[nodiscard]] std::string join_path(std::string_view parent, std::string_view key);

}  // namespace mitu::yaml
