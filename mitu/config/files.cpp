#include "mitu/config/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "mitu/config/managed.hpp"
#include "mitu/yaml/files.hpp"

namespace mitu::config {
namespace {

namespace fs = std::filesystem;

bool exists(const std::string& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

std::string in_directory(const std::string& directory, std::string_view name) {
    return (fs::path{directory} / name).string();
}

/// node.data as flags and environment have it: where the file itself may be.
std::string data_of(const std::vector<Override>& environment, const std::vector<Override>& flags) {
    std::string data = Config{}.node.data;
    for (const auto* overrides : {&environment, &flags}) {
        for (const Override& over : *overrides) {
            if (over.path == "node.data") data = over.text;
        }
    }
    return data;
}

std::string find_file(const std::string& data) {
    for (const std::string& path : {in_directory(data, usual_file_name), std::string{usual_file}}) {
        if (exists(path)) return path;
    }
    return {};
}

}  // namespace

Result<FromFiles, yaml::Problems> load_from_files(const FileSources& from) {
    yaml::Problems problems;
    Sources sources;
    sources.environment = overrides_from_environment(from.environment, problems);
    sources.flags = from.flags;
    FromFiles result;
    result.file = from.file ? *from.file : find_file(data_of(sources.environment, sources.flags));
    yaml::LoadedFile file;
    if (!result.file.empty()) {
        auto read = yaml::load_file(result.file);
        if (!read) {
            problems.push_back(read.error());
            return std::unexpected(std::move(problems));
        }
        file = *std::move(read);
        sources.file = yaml::SourceFile{file.name, file.text};
    }
    // First alone: it says where managed.yaml and the policies are.
    auto alone = load(sources);
    if (!alone) problems.insert(problems.end(), alone.error().begin(), alone.error().end());
    if (!problems.empty()) return std::unexpected(std::move(problems));

    result.managed = in_directory(alone->config.node.data, managed_file_name);
    yaml::LoadedFile managed;
    if (from.with_managed && exists(result.managed)) {
        auto read = yaml::load_file(result.managed);
        if (!read) return std::unexpected(yaml::Problems{read.error()});
        managed = *std::move(read);
        sources.managed = yaml::SourceFile{managed.name, managed.text};
    }
    if (from.tenants) {
        auto tenants = from.tenants(alone->config.policies.directory);
        if (!tenants) return std::unexpected(std::move(tenants.error()));
        sources.tenants = *std::move(tenants);
    }
    auto loaded = load(sources);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    result.loaded = *std::move(loaded);
    result.file_text = std::move(file.text);
    result.environment = std::move(sources.environment);
    result.flags = std::move(sources.flags);
    result.tenants = std::move(sources.tenants);
    return result;
}

Result<FromFiles, yaml::Problems> load_with_managed(const FromFiles& from,
                                                    std::string_view managed) {
    Sources sources;
    if (!from.file.empty()) sources.file = yaml::SourceFile{from.file, from.file_text};
    sources.managed = yaml::SourceFile{from.managed, managed};
    sources.environment = from.environment;
    sources.flags = from.flags;
    sources.tenants = from.tenants;
    auto loaded = load(sources);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    FromFiles next = from;
    next.loaded = *std::move(loaded);
    return next;
}

yaml::Problems unreadable_files(const Loaded& loaded) {
    yaml::Problems problems;
    for (const NamedFile& named : named_files(loaded.config)) {
        const int descriptor = ::open(named.path.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor >= 0) {
            ::close(descriptor);
            continue;
        }
        const int error = errno;
        const Origin origin = loaded.origins.near(named.key);
        problems.push_back({origin.name.empty() ? "configuration" : origin.name, origin.line,
                            fmt::format("{} is \"{}\": {}; name a file that can be read", named.key,
                                        named.path, std::generic_category().message(error))});
    }
    return problems;
}

std::optional<yaml::Problem> stamp_managed(const FromFiles& from) {
    if (!from.loaded.is_new_revision) return std::nullopt;
    // Others may edit it: read, change and write under its lock.
    const auto lock = yaml::FileLock::acquire(from.managed);
    if (!lock) return lock.error();
    ManagedFile managed;
    if (exists(from.managed)) {
        const auto read = yaml::load_file(from.managed);
        if (!read) return read.error();
        auto parsed = ManagedFile::parse({read->name, read->text});
        if (!parsed) return parsed.error().front();
        managed = *std::move(parsed);
    }
    managed.stamp(from.loaded.revision, from.loaded.content_hash);
    return yaml::replace_file(from.managed, managed.text());
}

}  // namespace mitu::config
