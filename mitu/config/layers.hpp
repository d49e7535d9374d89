#pragma once
// The values of several sources laid over each other, as JSON that knows where each comes from.
// Inside mitu/config only.

#include <string>
#include <string_view>

#include "mitu/config/load.hpp"
#include "mitu/config/reader.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::config {

struct Layers {
    nlohmann::json value = nlohmann::json::object();
    Origins origins;
};

/// The file at the bottom.
/// Errors  added to `problems`: no YAML, several documents, not a map.
void put_file(Layers& layers, const yaml::SourceFile& file, yaml::Problems& problems);

/// One value over what is there.
/// Errors  added to `problems`: no such key, a list item beyond the end, text that is no YAML.
void put_override(Layers& layers, const Override& over, Origin::Kind kind,
                  yaml::Problems& problems);

/// What the API wrote, where the file says nothing.
/// Errors  added to `problems`: a key that is not the API's to change; no YAML. What is there in
///         vain is added to `notices`.
struct ManagedStamp {
    std::uint64_t revision = 0;
    std::uint64_t content_hash = 0;
};
[[nodiscard]] ManagedStamp put_managed(Layers& layers, const yaml::SourceFile& file,
                                       yaml::Problems& problems, yaml::Problems& notices);

/// The one document of a file, or an empty map.
[[nodiscard]] yaml::Document only_document(const yaml::SourceFile& file, yaml::Problems& problems);

/// Notes that `value` at `path` and all in it come from `file`.
void note_origins(Origins& origins, const nlohmann::json& value, const std::string& path,
                  const std::string& source_path, Origin::Kind kind, const std::string& file,
                  const yaml::LineMap& lines);

// What a reference between sections may name (checks.cpp).
void check_config(const Config& config, const std::optional<std::vector<std::string>>& tenants,
                  Complaints& complaints);

}  // namespace mitu::config
