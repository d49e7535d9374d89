#pragma once
// The door to the file system, for apps: finds and reads the configuration, and stamps
// managed.yaml. The rest of this folder is pure.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/config/load.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::config {

inline constexpr std::string_view usual_file = "/etc/mitu/mitud.yaml";
inline constexpr std::string_view usual_file_name = "mitud.yaml";  // in the data directory

struct FileSources {
    /// nullopt: `mitud.yaml` in the data directory, or /etc/mitu/mitud.yaml, or none. Empty: none.
    std::optional<std::string> file{};
    std::vector<std::pair<std::string, std::string>> environment{};
    std::vector<Override> flags{};
    /// The tenants that policies declare, with those of that directory. Not set: any tenant will
    /// do.
    std::function<Result<std::vector<std::string>, yaml::Problems>(const std::string& directory)>
        tenants{};
    bool with_managed = true;  // false: what a file alone says
};

struct FromFiles {
    Loaded loaded;
    std::string file;     // that was read; empty: none
    std::string managed;  // where managed.yaml is, or will be
    // What it was made of beside managed.yaml, for load_with_managed().
    std::string file_text{};
    std::vector<Override> environment{};
    std::vector<Override> flags{};
    std::optional<std::vector<std::string>> tenants{};
};

/// load() of what is there. Errors: as load()'s, and files that cannot be read.
[[nodiscard]] Result<FromFiles, yaml::Problems> load_from_files(const FileSources& sources);

/// The same sources as `from`, as they were when they were read, with another managed.yaml: a
/// change through the API takes in nothing that somebody has just written into the file.
[[nodiscard]] Result<FromFiles, yaml::Problems> load_with_managed(const FromFiles& from,
                                                                  std::string_view managed);

/// The files that the configuration names and this process cannot read, each where it is named.
[[nodiscard]] yaml::Problems unreadable_files(const Loaded& loaded);

/// Writes revision and hash into managed.yaml, if they are new. The data directory is there.
[[nodiscard]] std::optional<yaml::Problem> stamp_managed(const FromFiles& from);

}  // namespace mitu::config
