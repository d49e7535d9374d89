#pragma once
// The door to the file system, for apps: files in, files out. The rest of this folder is pure.

#include <string>
#include <vector>

#include "mitu/fleet/problem.hpp"
#include "mitu/yaml/files.hpp"

namespace mitu::fleet {

using yaml::FileLock;
using yaml::load_file;
using yaml::LoadedFile;
using yaml::replace_file;
using yaml::sources;

/// The *.yaml and *.yml of a directory, as yaml::load_directory.
[[nodiscard]] inline Result<std::vector<LoadedFile>, Problems> load_template_directory(
    const std::string& path) {
    return yaml::load_directory(path);
}

}  // namespace mitu::fleet
