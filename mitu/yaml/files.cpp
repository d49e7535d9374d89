#include "mitu/yaml/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace mitu::yaml {
namespace {

namespace fs = std::filesystem;

Problem cannot(std::string_view what, const std::string& path, int error) {
    return {path, 0, fmt::format("cannot {}: {}", what, std::generic_category().message(error))};
}

/// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int value) noexcept : value_{value} {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    [[nodiscard]] int get() const noexcept { return value_; }
    [[nodiscard]] bool is_open() const noexcept { return value_ >= 0; }
    /// Closes now. False: what was written may not have arrived.
    bool close() noexcept { return ::close(std::exchange(value_, -1)) == 0; }

private:
    int value_;
};

std::string directory_of(const std::string& path) {
    const std::string parent = fs::path{path}.parent_path().string();
    return parent.empty() ? "." : parent;
}

bool write_all(int descriptor, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

Result<LoadedFile, Problem> load_file(const std::string& path) {
    Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open()) return std::unexpected(cannot("open it", path, errno));
    LoadedFile loaded{path, {}};
    struct stat status{};
    if (::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
        loaded.text.reserve(static_cast<std::size_t>(status.st_size));
    }
    char buffer[1 << 16];
    for (;;) {
        const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return std::unexpected(cannot("read it", path, errno));
        if (count == 0) return loaded;
        loaded.text.append(buffer, static_cast<std::size_t>(count));
    }
}

Result<std::vector<LoadedFile>, Problems> load_directory(const std::string& path) {
    std::error_code error;
    std::vector<std::string> paths;
    for (fs::directory_iterator at{path, error}; !error && at != fs::directory_iterator{};
         at.increment(error)) {
        const std::string name = at->path().filename().string();
        const bool is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        std::error_code ignored;  // a link that leads nowhere is no file
        if (is_yaml && !name.starts_with('.') && at->is_regular_file(ignored)) {
            paths.push_back(at->path().string());
        }
    }
    if (error) return std::unexpected(Problems{cannot("list it", path, error.value())});
    std::sort(paths.begin(), paths.end());
    std::vector<LoadedFile> files;
    Problems problems;
    for (const std::string& file : paths) {
        auto loaded = load_file(file);
        if (loaded) {
            files.push_back(*std::move(loaded));
        } else {
            problems.push_back(loaded.error());
        }
    }
    if (!problems.empty()) return std::unexpected(std::move(problems));
    return files;
}

std::vector<SourceFile> sources(const std::vector<LoadedFile>& files) {
    std::vector<SourceFile> result;
    result.reserve(files.size());
    for (const LoadedFile& file : files) result.push_back({file.name, file.text});
    return result;
}

std::optional<Problem> replace_file(const std::string& path, std::string_view text,
                                    const ReplaceOptions& options) {
    // Through a link, so that what it points to is replaced and not the link.
    std::error_code ignored;
    const fs::path real = fs::weakly_canonical(path, ignored);
    const std::string target = ignored ? path : real.string();
    std::string temporary = target + ".XXXXXX";
    Descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (!file.is_open()) return cannot("write beside it", path, errno);

    struct stat before{};
    const bool existed = ::stat(target.c_str(), &before) == 0;
    const mode_t mode =
        existed && options.keep_mode ? before.st_mode & 07777 : static_cast<mode_t>(options.mode);
    // The owner too, where we may; else a service that reads the file would lose it.
    const bool owned =
        !existed || ::fchown(file.get(), before.st_uid, before.st_gid) == 0 || errno == EPERM;
    if (!owned || ::fchmod(file.get(), mode) != 0 || !write_all(file.get(), text) ||
        ::fsync(file.get()) != 0 || !file.close() ||
        ::rename(temporary.c_str(), target.c_str()) != 0) {
        const int error = errno;
        ::unlink(temporary.c_str());
        return cannot("write it", path, error);
    }
    // The rename is durable when the directory is.
    const Descriptor directory{
        ::open(directory_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory.is_open() || ::fsync(directory.get()) != 0) {
        return cannot("sync its directory", path, errno);
    }
    return std::nullopt;
}

Result<FileLock, Problem> FileLock::acquire(const std::string& path) {
    // The directory is locked: a lock on the file itself would go with the file at the rename.
    const std::string directory = directory_of(path);
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return std::unexpected(cannot("open its directory", path, errno));
    while (::flock(descriptor, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        const int error = errno;
        ::close(descriptor);
        return std::unexpected(cannot("lock its directory", path, error));
    }
    return FileLock{descriptor};
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

FileLock::~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace mitu::yaml
