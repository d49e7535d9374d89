#include "mitu/store/trial_env.hpp"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "mitu/ports/trial.hpp"

namespace mitu::store {
namespace trial_files {

using ports::Strike;
using ports::TrialPoint;
using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

/// The points of one kind of file.
struct Points {
    TrialPoint created;
    TrialPoint append;
    TrialPoint appended;
    TrialPoint sync;
    TrialPoint synced;
    TrialPoint erase;
};

constexpr Points of_log{TrialPoint::disk_log_created,  TrialPoint::disk_log_append,
                        TrialPoint::disk_log_appended, TrialPoint::disk_log_sync,
                        TrialPoint::disk_log_synced,   TrialPoint::disk_log_erase};
constexpr Points of_table{TrialPoint::disk_table_created,  TrialPoint::disk_table_append,
                          TrialPoint::disk_table_appended, TrialPoint::disk_table_sync,
                          TrialPoint::disk_table_synced,   TrialPoint::disk_table_erase};
constexpr Points of_manifest{TrialPoint::disk_manifest_created,  TrialPoint::disk_manifest_append,
                             TrialPoint::disk_manifest_appended, TrialPoint::disk_manifest_sync,
                             TrialPoint::disk_manifest_synced,   TrialPoint::disk_manifest_erase};

/// Null: a file of another kind, without points of its own.
const Points* points_of(const std::string& path) {
    const std::string_view name = std::string_view{path}.substr(path.rfind('/') + 1);
    if (name.starts_with("MANIFEST-")) return &of_manifest;
    if (name.ends_with(".sst")) return &of_table;
    const bool is_numbered = !name.empty() && name.front() >= '0' && name.front() <= '9';
    return is_numbered && name.ends_with(".log") ? &of_log : nullptr;
}

/// How much of each file that was written in this process is synced.
/// Threading  any thread.
class Sizes {
public:
    void opened(const std::string& path, std::uint64_t size) {
        const std::lock_guard lock{mutex_};
        files_[path] = {size, size};
    }
    void appended(const std::string& path, std::uint64_t bytes) {
        const std::lock_guard lock{mutex_};
        files_[path].size += bytes;
    }
    [[nodiscard]] std::uint64_t size(const std::string& path) {
        const std::lock_guard lock{mutex_};
        return files_[path].size;
    }
    void synced(const std::string& path, std::uint64_t up_to) {
        const std::lock_guard lock{mutex_};
        std::uint64_t& synced = files_[path].synced;
        synced = std::max(synced, up_to);
    }
    void renamed(const std::string& from, const std::string& to) {
        const std::lock_guard lock{mutex_};
        if (auto node = files_.extract(from)) {
            node.key() = to;
            files_.erase(to);
            files_.insert(std::move(node));
        }
    }
    void erased(const std::string& path) {
        const std::lock_guard lock{mutex_};
        files_.erase(path);
    }
    /// The power goes: from here on nobody hears of a write or a sync that has ended.
    void lose_unsynced() {
        mutex_.lock();
        for (const auto& [path, file] : files_) {
            std::error_code ignored;
            if (file.synced < file.size) std::filesystem::resize_file(path, file.synced, ignored);
        }
    }

private:
    struct File {
        std::uint64_t size = 0;
        std::uint64_t synced = 0;
    };
    std::mutex mutex_;  // never given back once the power is gone
    std::map<std::string, File> files_;
};

/// Passes a point; an error: the call that follows fails. `tear` is the caller's.
Strike pass(TrialPoint point, Sizes& sizes) {
    const Strike strike = ports::strike_at(point);
    if (strike == Strike::power) {
        sizes.lose_unsynced();
        ports::trial()->die(point);
    }
    return strike;
}

IOStatus failure(const std::string& path) { return IOStatus::IOError(path, "it fails on trial"); }

class WritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    WritableFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::string path,
                 const Points* points, std::shared_ptr<Sizes> sizes)
        : FSWritableFileOwnerWrapper{std::move(file)},
          path_{std::move(path)},
          points_{points},
          sizes_{std::move(sizes)} {}

    IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
        return append(data, options, dbg,
                      [&](const Slice& part) { return target()->Append(part, options, dbg); });
    }
    IOStatus Append(const Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo& verification,
                    IODebugContext* dbg) override {
        return append(data, options, dbg, [&](const Slice& part) {
            return target()->Append(part, options, verification, dbg);
        });
    }
    IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
        return sync([&] { return target()->Sync(options, dbg); });
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
        return sync([&] { return target()->Fsync(options, dbg); });
    }

private:
    template <class Write>
    IOStatus append(const Slice& data, const IOOptions& options, IODebugContext* dbg, Write write) {
        const Strike strike = points_ == nullptr ? Strike::none : pass(points_->append, *sizes_);
        if (strike == Strike::fail) return failure(path_);
        if (strike == Strike::tear) {
            (void)target()->Append(Slice{data.data(), data.size() / 2}, options, dbg);
            (void)target()->Flush(options, dbg);
            ports::trial()->die(points_->append);
        }
        auto status = write(data);
        if (!status.ok()) return status;
        sizes_->appended(path_, data.size());
        if (points_ != nullptr) (void)pass(points_->appended, *sizes_);
        return status;
    }

    template <class Call>
    IOStatus sync(Call call) {
        if (points_ != nullptr && pass(points_->sync, *sizes_) == Strike::fail) {
            return failure(path_);
        }
        const std::uint64_t size = sizes_->size(path_);
        auto status = call();
        if (!status.ok()) return status;
        sizes_->synced(path_, size);
        if (points_ != nullptr) (void)pass(points_->synced, *sizes_);
        return status;
    }

    std::string path_;
    const Points* points_;
    std::shared_ptr<Sizes> sizes_;
};

class Directory final : public rocksdb::FSDirectoryWrapper {
public:
    Directory(std::unique_ptr<rocksdb::FSDirectory>&& directory, std::shared_ptr<Sizes> sizes)
        : FSDirectoryWrapper{std::move(directory)}, sizes_{std::move(sizes)} {}

    IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
        (void)pass(TrialPoint::disk_names_sync, *sizes_);
        auto status = FSDirectoryWrapper::Fsync(options, dbg);
        (void)pass(TrialPoint::disk_names_synced, *sizes_);
        return status;
    }
    IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                                 const rocksdb::DirFsyncOptions& how) override {
        (void)pass(TrialPoint::disk_names_sync, *sizes_);
        auto status = FSDirectoryWrapper::FsyncWithDirOptions(options, dbg, how);
        (void)pass(TrialPoint::disk_names_synced, *sizes_);
        return status;
    }

private:
    std::shared_ptr<Sizes> sizes_;
};

class FileSystem final : public rocksdb::FileSystemWrapper {
public:
    FileSystem() : FileSystemWrapper{rocksdb::FileSystem::Default()} {}

    const char* Name() const override { return "mitu.trial_files"; }

    IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                             IODebugContext* dbg) override {
        auto status = FileSystemWrapper::NewWritableFile(path, options, file, dbg);
        return wrap(std::move(status), path, 0, file);
    }
    IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                                std::unique_ptr<rocksdb::FSWritableFile>* file,
                                IODebugContext* dbg) override {
        auto status = FileSystemWrapper::ReopenWritableFile(path, options, file, dbg);
        std::error_code ignored;
        return wrap(std::move(status), path, std::filesystem::file_size(path, ignored), file);
    }
    IOStatus ReuseWritableFile(const std::string& path, const std::string& before,
                               const FileOptions& options,
                               std::unique_ptr<rocksdb::FSWritableFile>* file,
                               IODebugContext* dbg) override {
        auto status = FileSystemWrapper::ReuseWritableFile(path, before, options, file, dbg);
        if (status.ok()) sizes_->erased(before);
        return wrap(std::move(status), path, 0, file);
    }
    IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                          std::unique_ptr<rocksdb::FSDirectory>* directory,
                          IODebugContext* dbg) override {
        auto status = FileSystemWrapper::NewDirectory(path, options, directory, dbg);
        if (status.ok()) *directory = std::make_unique<Directory>(std::move(*directory), sizes_);
        return status;
    }
    IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                        IODebugContext* dbg) override {
        if (const Points* points = points_of(path)) (void)pass(points->erase, *sizes_);
        auto status = FileSystemWrapper::DeleteFile(path, options, dbg);
        if (status.ok()) sizes_->erased(path);
        return status;
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                        IODebugContext* dbg) override {
        (void)pass(TrialPoint::disk_rename, *sizes_);
        auto status = FileSystemWrapper::RenameFile(from, to, options, dbg);
        if (status.ok()) sizes_->renamed(from, to);
        (void)pass(TrialPoint::disk_renamed, *sizes_);
        return status;
    }

private:
    IOStatus wrap(IOStatus status, const std::string& path, std::uint64_t size,
                  std::unique_ptr<rocksdb::FSWritableFile>* file) {
        if (!status.ok()) return status;
        const Points* const points = points_of(path);
        sizes_->opened(path, size);
        *file = std::make_unique<WritableFile>(std::move(*file), path, points, sizes_);
        if (points != nullptr) (void)pass(points->created, *sizes_);
        return status;
    }

    std::shared_ptr<Sizes> sizes_ = std::make_shared<Sizes>();
};

class Listener final : public rocksdb::EventListener {
public:
    void OnFlushBegin(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& /*info*/) override {
        ports::pass_trial(TrialPoint::engine_flush_began);
    }
    void OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& /*info*/) override {
        ports::pass_trial(TrialPoint::engine_flush_done);
    }
    void OnCompactionBegin(rocksdb::DB* /*db*/,
                           const rocksdb::CompactionJobInfo& /*info*/) override {
        ports::pass_trial(TrialPoint::engine_compaction_began);
    }
    void OnCompactionCompleted(rocksdb::DB* /*db*/,
                               const rocksdb::CompactionJobInfo& /*info*/) override {
        ports::pass_trial(TrialPoint::engine_compaction_done);
    }
};

}  // namespace trial_files

std::shared_ptr<rocksdb::Env> make_trial_env() {
    return rocksdb::NewCompositeEnv(std::make_shared<trial_files::FileSystem>());
}

std::shared_ptr<rocksdb::EventListener> make_trial_listener() {
    return std::make_shared<trial_files::Listener>();
}

}  // namespace mitu::store
