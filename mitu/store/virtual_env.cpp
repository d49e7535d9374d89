#include "mitu/store/virtual_env.hpp"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>  // tidy-allow(clocks): what it replaces

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "mitu/store/rocks_status.hpp"

namespace mitu::store {
// Named, because what VirtualEnv::Machine holds is of it.
namespace virtual_machine {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus to_status(const Result<void, DiskError>& result, const std::string& name) {
    if (result) return IOStatus::OK();
    switch (result.error()) {
        case DiskError::not_found:
            return IOStatus::NotFound(name);
        case DiskError::no_space:
            return IOStatus::NoSpace(name);
        case DiskError::io:
            return IOStatus::IOError(name, "the virtual disk fails");
    }
    return IOStatus::IOError(name);
}

/// The disk, and the lock that the second thread makes necessary.
struct SharedDisk {
    VirtualDisk& disk;
    std::mutex mutex;
};
using SharedDiskPtr = std::shared_ptr<SharedDisk>;

IOStatus read_part(SharedDisk& shared, const VirtualDisk::File& file, std::uint64_t offset,
                   std::size_t size, Slice* result, char* scratch, const std::string& name) {
    const std::lock_guard lock{shared.mutex};
    *result = Slice{};
    if (shared.disk.read_fails()) return IOStatus::IOError(name, "the virtual disk fails");
    if (offset >= file.bytes.size()) return IOStatus::OK();
    const auto at = static_cast<std::size_t>(offset);
    const std::size_t count = std::min(size, file.bytes.size() - at);
    std::memcpy(scratch, file.bytes.data() + at, count);
    *result = Slice{scratch, count};
    return IOStatus::OK();
}

class SequentialFile final : public rocksdb::FSSequentialFile {
public:
    SequentialFile(SharedDiskPtr disk, VirtualDisk::FilePtr file, std::string name)
        : disk_{std::move(disk)}, file_{std::move(file)}, name_{std::move(name)} {}
    IOStatus Read(size_t n, const IOOptions& /*options*/, Slice* result, char* scratch,
                  IODebugContext* /*dbg*/) override {
        const auto status = read_part(*disk_, *file_, at_, n, result, scratch, name_);
        at_ += result->size();
        return status;
    }
    IOStatus Skip(std::uint64_t n) override {
        at_ += n;
        return IOStatus::OK();
    }

private:
    SharedDiskPtr disk_;
    VirtualDisk::FilePtr file_;
    std::string name_;
    std::uint64_t at_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
public:
    RandomAccessFile(SharedDiskPtr disk, VirtualDisk::FilePtr file, std::string name)
        : disk_{std::move(disk)}, file_{std::move(file)}, name_{std::move(name)} {}
    IOStatus Read(std::uint64_t offset, size_t n, const IOOptions& /*options*/, Slice* result,
                  char* scratch, IODebugContext* /*dbg*/) const override {
        return read_part(*disk_, *file_, offset, n, result, scratch, name_);
    }

private:
    SharedDiskPtr disk_;
    VirtualDisk::FilePtr file_;
    std::string name_;
};

class WritableFile final : public rocksdb::FSWritableFile {
public:
    WritableFile(SharedDiskPtr disk, VirtualDisk::FilePtr file, std::string name)
        : disk_{std::move(disk)}, file_{std::move(file)}, name_{std::move(name)} {}
    using FSWritableFile::Append;
    IOStatus Append(const Slice& data, const IOOptions& /*options*/,
                    IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.append(*file_, to_view(data)), name_);
    }
    IOStatus Truncate(std::uint64_t size, const IOOptions& /*options*/,
                      IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.truncate(*file_, size), name_);
    }
    IOStatus Close(const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        return IOStatus::OK();
    }
    IOStatus Flush(const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        return IOStatus::OK();
    }
    IOStatus Sync(const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.sync(*file_), name_);
    }
    bool IsSyncThreadSafe() const override { return true; }
    std::uint64_t GetFileSize(const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return file_->bytes.size();
    }

private:
    SharedDiskPtr disk_;
    VirtualDisk::FilePtr file_;
    std::string name_;
};

class Directory final : public rocksdb::FSDirectory {
public:
    explicit Directory(SharedDiskPtr disk) : disk_{std::move(disk)} {}
    IOStatus Fsync(const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.sync_names(), "directory");
    }
    IOStatus Close(const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        return IOStatus::OK();
    }

private:
    SharedDiskPtr disk_;
};

class Lock final : public rocksdb::FileLock {};

class VirtualFileSystem final : public rocksdb::FileSystem {
public:
    explicit VirtualFileSystem(SharedDiskPtr disk) : disk_{std::move(disk)} {}
    const char* Name() const override { return "mitu.virtual"; }

    IOStatus NewSequentialFile(const std::string& name, const FileOptions& /*options*/,
                               std::unique_ptr<rocksdb::FSSequentialFile>* result,
                               IODebugContext* /*dbg*/) override {
        auto file = find(name);
        if (!file) return IOStatus::PathNotFound(name);
        *result = std::make_unique<SequentialFile>(disk_, std::move(file), name);
        return IOStatus::OK();
    }
    IOStatus NewRandomAccessFile(const std::string& name, const FileOptions& /*options*/,
                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                 IODebugContext* /*dbg*/) override {
        auto file = find(name);
        if (!file) return IOStatus::PathNotFound(name);
        *result = std::make_unique<RandomAccessFile>(disk_, std::move(file), name);
        return IOStatus::OK();
    }
    IOStatus NewWritableFile(const std::string& name, const FileOptions& /*options*/,
                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                             IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        *result = std::make_unique<WritableFile>(disk_, disk_->disk.create(name), name);
        return IOStatus::OK();
    }
    IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                                std::unique_ptr<rocksdb::FSWritableFile>* result,
                                IODebugContext* dbg) override {
        auto file = find(name);
        if (!file) return NewWritableFile(name, options, result, dbg);
        *result = std::make_unique<WritableFile>(disk_, std::move(file), name);
        return IOStatus::OK();
    }
    IOStatus NewDirectory(const std::string& /*name*/, const IOOptions& /*options*/,
                          std::unique_ptr<rocksdb::FSDirectory>* result,
                          IODebugContext* /*dbg*/) override {
        *result = std::make_unique<Directory>(disk_);
        return IOStatus::OK();
    }
    IOStatus FileExists(const std::string& name, const IOOptions& /*options*/,
                        IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        const bool is_there = disk_->disk.find(name) || disk_->disk.is_directory(name);
        return is_there ? IOStatus::OK() : IOStatus::NotFound(name);
    }
    IOStatus GetChildren(const std::string& directory, const IOOptions& /*options*/,
                         std::vector<std::string>* result, IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        if (!disk_->disk.is_directory(directory)) return IOStatus::NotFound(directory);
        *result = disk_->disk.children(directory);
        return IOStatus::OK();
    }
    IOStatus DeleteFile(const std::string& name, const IOOptions& /*options*/,
                        IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.remove(name), name);
    }
    IOStatus CreateDir(const std::string& name, const IOOptions& /*options*/,
                       IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        if (disk_->disk.is_directory(name)) return IOStatus::IOError(name, "it is there already");
        disk_->disk.make_directory(name);
        return IOStatus::OK();
    }
    IOStatus CreateDirIfMissing(const std::string& name, const IOOptions& /*options*/,
                                IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        disk_->disk.make_directory(name);
        return IOStatus::OK();
    }
    IOStatus DeleteDir(const std::string& name, const IOOptions& options,
                       IODebugContext* dbg) override {
        return DeleteFile(name, options, dbg);
    }
    IOStatus GetFileSize(const std::string& name, const IOOptions& /*options*/, std::uint64_t* size,
                         IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        const auto file = disk_->disk.find(name);
        if (!file) return IOStatus::PathNotFound(name);
        *size = file->bytes.size();
        return IOStatus::OK();
    }
    IOStatus GetFileModificationTime(const std::string& /*name*/, const IOOptions& /*options*/,
                                     std::uint64_t* seconds, IODebugContext* /*dbg*/) override {
        *seconds = 0;
        return IOStatus::OK();
    }
    IOStatus RenameFile(const std::string& from, const std::string& to,
                        const IOOptions& /*options*/, IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.rename(from, to), from);
    }
    IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& /*options*/,
                      IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        return to_status(disk_->disk.link(from, to), from);
    }
    IOStatus LockFile(const std::string& /*name*/, const IOOptions& /*options*/,
                      rocksdb::FileLock** lock, IODebugContext* /*dbg*/) override {
        *lock = new Lock;
        return IOStatus::OK();
    }
    IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions& /*options*/,
                        IODebugContext* /*dbg*/) override {
        delete lock;
        return IOStatus::OK();
    }
    IOStatus GetTestDirectory(const IOOptions& /*options*/, std::string* path,
                              IODebugContext* /*dbg*/) override {
        *path = "/test";
        return IOStatus::OK();
    }
    IOStatus GetAbsolutePath(const std::string& path, const IOOptions& /*options*/,
                             std::string* result, IODebugContext* /*dbg*/) override {
        *result = path;
        return IOStatus::OK();
    }
    IOStatus GetFreeSpace(const std::string& /*path*/, const IOOptions& /*options*/,
                          std::uint64_t* bytes, IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        *bytes = disk_->disk.free_bytes();
        return IOStatus::OK();
    }
    IOStatus IsDirectory(const std::string& path, const IOOptions& /*options*/, bool* is_directory,
                         IODebugContext* /*dbg*/) override {
        const std::lock_guard lock{disk_->mutex};
        *is_directory = disk_->disk.is_directory(path);
        return IOStatus::OK();
    }

private:
    VirtualDisk::FilePtr find(const std::string& name) {
        const std::lock_guard lock{disk_->mutex};
        return disk_->disk.find(name);
    }
    SharedDiskPtr disk_;
};

class VirtualClock final : public rocksdb::SystemClock {
public:
    const char* Name() const override { return "mitu.virtual"; }
    std::uint64_t NowMicros() override {
        return now_us_.fetch_add(1, std::memory_order_relaxed);  // it never stands quite still
    }
    void SleepForMicroseconds(int micros) override {
        now_us_.fetch_add(static_cast<std::uint64_t>(micros), std::memory_order_relaxed);
    }
    rocksdb::Status GetCurrentTime(std::int64_t* unix_s) override {
        *unix_s = wall_s_.load(std::memory_order_relaxed);
        return rocksdb::Status::OK();
    }
    std::string TimeToString(std::uint64_t time) override { return std::to_string(time); }

    void set(Instant now, WallTime wall) {
        const auto now_us = static_cast<std::uint64_t>(now.since_start_ns() / 1'000);
        if (now_us > now_us_.load(std::memory_order_relaxed)) {
            now_us_.store(now_us, std::memory_order_relaxed);
        }
        wall_s_.store(wall.unix_ms / 1'000, std::memory_order_relaxed);
    }

private:
    std::atomic<std::uint64_t> now_us_{1};
    std::atomic<std::int64_t> wall_s_{1};
};

}  // namespace virtual_machine

using namespace virtual_machine;

/// RocksDB's Env: the files and the clock above, and a queue of jobs.
class VirtualEnv::Machine final : public rocksdb::EnvWrapper {
public:
    Machine(const std::shared_ptr<VirtualClock>& clock, std::unique_ptr<rocksdb::Env>&& files)
        : EnvWrapper{std::move(files)}, clock_{clock} {
        system_clock_ = clock;
        file_system_ = target()->GetFileSystem();
    }
    const char* Name() const override { return "mitu.virtual"; }

    static std::unique_ptr<Machine> make(VirtualDisk& disk) {
        auto shared = std::shared_ptr<SharedDisk>(new SharedDisk{disk, {}});
        auto files =
            rocksdb::NewCompositeEnv(std::make_shared<VirtualFileSystem>(std::move(shared)));
        return std::make_unique<Machine>(std::make_shared<VirtualClock>(), std::move(files));
    }

    std::uint64_t NowMicros() override { return clock_->NowMicros(); }
    std::uint64_t NowNanos() override { return clock_->NowNanos(); }
    void SleepForMicroseconds(int micros) override { clock_->SleepForMicroseconds(micros); }
    rocksdb::Status GetCurrentTime(std::int64_t* unix_s) override {
        return clock_->GetCurrentTime(unix_s);
    }
    std::string TimeToString(std::uint64_t time) override { return clock_->TimeToString(time); }
    // Names in files: not the machine's, nor the moment's.
    std::string GenerateUniqueId() override {
        return "virtual-" + std::to_string(unique_id_.fetch_add(1, std::memory_order_relaxed));
    }
    rocksdb::Status GetHostName(char* name, std::uint64_t size) override {
        if (size > 0) {
            *name = 'v';
            if (size > 1) name[1] = '\0';
        }
        return rocksdb::Status::OK();
    }

    void Schedule(void (*function)(void*), void* argument, Priority /*priority*/, void* tag,
                  void (*unschedule)(void*)) override {
        const std::lock_guard lock{mutex_};
        jobs_.push_back({function, argument, tag, unschedule});
        changed_.notify_all();
    }
    int UnSchedule(void* tag, Priority /*priority*/) override {
        std::deque<Job> dropped;
        {
            const std::lock_guard lock{mutex_};
            std::deque<Job> kept;
            for (const Job& job : jobs_) (job.tag == tag ? dropped : kept).push_back(job);
            jobs_.swap(kept);
        }
        for (const Job& job : dropped) {
            if (job.unschedule != nullptr) job.unschedule(job.argument);
        }
        return static_cast<int>(dropped.size());
    }
    // Nothing that RocksDB is asked for here has a thread of its own.
    void StartThread(void (*function)(void*), void* argument) override {
        Schedule(function, argument, LOW, nullptr, nullptr);
    }
    void WaitForJoin() override { run(); }
    unsigned int GetThreadPoolQueueLen(Priority /*priority*/) const override { return 0; }
    void SetBackgroundThreads(int /*number*/, Priority /*priority*/) override {}
    int GetBackgroundThreads(Priority /*priority*/) override { return 1; }
    void IncBackgroundThreadsIfNeeded(int /*number*/, Priority /*priority*/) override {}
    void LowerThreadPoolIOPriority(Priority /*priority*/) override {}
    std::uint64_t GetThreadID() const override { return 1; }

    void run() {
        for (;;) {
            std::unique_lock lock{mutex_};
            if (jobs_.empty()) return;
            const Job job = jobs_.front();
            jobs_.pop_front();
            lock.unlock();
            job.function(job.argument);
        }
    }

    void begin_wait() {
        is_waiting_ = true;
        helper_ = std::thread{[this] {  // tidy-allow(threads): RocksDB waits for jobs here
            for (;;) {
                {
                    std::unique_lock lock{mutex_};
                    changed_.wait(lock, [this] { return !jobs_.empty() || !is_waiting_; });
                    if (jobs_.empty()) return;
                }
                run();
            }
        }};
    }
    void end_wait() {
        {
            const std::lock_guard lock{mutex_};
            is_waiting_ = false;
            changed_.notify_all();
        }
        helper_.join();
    }
    std::size_t queued_jobs() {
        const std::lock_guard lock{mutex_};
        return jobs_.size();
    }
    void set_time(Instant now, WallTime wall) { clock_->set(now, wall); }

private:
    struct Job {
        void (*function)(void*);
        void* argument;
        void* tag;
        void (*unschedule)(void*);
    };
    std::shared_ptr<VirtualClock> clock_;
    std::atomic<std::uint64_t> unique_id_{0};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    bool is_waiting_ = false;
    std::thread helper_;  // tidy-allow(threads): see begin_wait()
};

VirtualEnv::VirtualEnv(VirtualDisk& disk) : machine_{Machine::make(disk)} {}
VirtualEnv::~VirtualEnv() = default;

void VirtualEnv::install(DiskOptions& options) {
    options.env = machine_.get();
    options.jobs = this;
}

void VirtualEnv::set_time(Instant now, WallTime wall) { machine_->set_time(now, wall); }
void VirtualEnv::run() { machine_->run(); }
void VirtualEnv::begin_wait() { machine_->begin_wait(); }
void VirtualEnv::end_wait() { machine_->end_wait(); }
std::size_t VirtualEnv::queued_jobs() const { return machine_->queued_jobs(); }

}  // namespace mitu::store
