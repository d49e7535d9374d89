#pragma once
// The door to the file system for configuration: files in, files out, whole or not at all.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::yaml {

struct LoadedFile {
    std::string name;
    std::string text;
};

/// Reads a whole file. Errors: a Problem that says why and what to do.
[[nodiscard]] Result<LoadedFile, Problem> load_file(const std::string& path);

/// Reads the *.yaml and *.yml of a directory, by name; hidden ones (a mounted ConfigMap has some)
/// and subfolders are left out.
[[nodiscard]] Result<std::vector<LoadedFile>, Problems> load_directory(const std::string& path);

/// What load_templates() takes. Lifetime: borrows from `files`.
[[nodiscard]] std::vector<SourceFile> sources(const std::vector<LoadedFile>& files);

struct ReplaceOptions {
    std::uint32_t mode = 0600;  // permissions
    bool keep_mode = true;      // unless the file was there: then it keeps its own
};

/// Writes `text` beside `path`, syncs it and renames it over `path`: after a crash the old file or
/// the new one is there, whole.
/// Errors  the old file is untouched.
[[nodiscard]] std::optional<Problem> replace_file(const std::string& path, std::string_view text,
                                                  const ReplaceOptions& options = {});

/// Holds off other writers of the same file (other processes too) while it lives.
class FileLock {
public:
    /// Waits for its turn. Errors: the directory of `path` cannot be opened.
    [[nodiscard]] static Result<FileLock, Problem> acquire(const std::string& path);
    FileLock(FileLock&& other) noexcept;
    FileLock& operator=(FileLock&& other) noexcept;
    ~FileLock();

private:
    explicit FileLock(int descriptor) noexcept : descriptor_{descriptor} {}
    int descriptor_ = -1;
};

}  // namespace mitu::yaml
