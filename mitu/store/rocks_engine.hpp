#pragma once
// RocksEngine: the store on disk.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mitu/store/engine.hpp"

namespace rocksdb {
class Env;
}

namespace mitu::store {

/// Where the background work of RocksDB is done if not by threads of its own: in the calls of the
/// engine.
class BackgroundJobs {
public:
    virtual ~BackgroundJobs() = default;
    virtual void run() = 0;         // all that is queued
    virtual void begin_wait() = 0;  // a call follows that waits for such work
    virtual void end_wait() = 0;
};

struct DiskOptions {
    std::string directory;
    // Memory: caches and buffers together take these two and little more.
    std::uint64_t block_cache_bytes = 64ULL << 20;
    std::uint64_t write_buffer_bytes = 64ULL << 20;
    // Of the write-ahead log; above it buffers are flushed. A start reads it, some 10 ms a MiB.
    std::uint64_t log_bytes_max = 16ULL << 20;
    int open_files_max = 256;
    // A file beside the others that is given up for a start on a full disk; 0: none. Not on a
    // virtual disk.
    std::uint64_t reserve_bytes = 0;
    int background_jobs = 2;
    // Changes nothing, repairs nothing, and may look at a store that a server has open: as it is
    // now.
    bool read_only = false;
    // False: what is damaged is an error, and stays as it is.
    bool mends = true;
    // Not the system's: see VirtualEnv::install. Lifetime  outlives the engine.
    rocksdb::Env* env = nullptr;
    BackgroundJobs* jobs = nullptr;
};

/// What opening found.
struct OpenReport {
    bool is_new = false;
    bool used_reserve = false;  // the disk was full
    /// In words, one a line: a torn tail that was cut, a file that was put aside.
    std::vector<std::string> losses;
    std::vector<std::string> quarantined;  // files, as they are called now
};

/// A file of rows that does not hold against its checksums, or is not there.
struct DamagedTable {
    std::string file;
    std::string family;
    std::uint64_t rows = 0;  // at most so many are lost with it; 0: not known
    Bytes first_key;
    Bytes last_key;
    std::string what;
};

/// Order      after a crash, what is there is all that was written before some moment that is not
/// before
///            the last sync.
/// Errors     see Engine; an exception of RocksDB's does not leave here.
class RocksEngine final : public Engine {
public:
    /// Opens or makes a store. What is damaged is cut off or put aside in DIRECTORY/quarantine, and
    /// the report says so; if nothing else helps all of it is put aside, and the store is empty.
    /// Errors  io_failed: the directory cannot be made or read; in_use: another process has it
    ///         open; disk_full; unsupported: a newer version wrote it, it is left as it is;
    ///         damaged: where it may not mend.
    [[nodiscard]] static Result<std::unique_ptr<RocksEngine>, Error> open(
        const DiskOptions& options, OpenReport& report);
    ~RocksEngine() override;

    [[nodiscard]] Result<void, Error> write(ByteView operations, bool sync) override;
    [[nodiscard]] Result<void, Error> sync() override;
    [[nodiscard]] Result<std::optional<Bytes>, Error> get(Family family, ByteView key) override;
    [[nodiscard]] std::unique_ptr<Rows> scan(Family family, ByteView from, ByteView to) override;
    [[nodiscard]] Result<std::optional<Bytes>, Error> last(Family family, ByteView from,
                                                           ByteView to) override;
    [[nodiscard]] bool has_found_damage() const noexcept override;
    [[nodiscard]] Result<void, Error> recover() override;
    [[nodiscard]] std::optional<std::uint64_t> free_bytes() override;
    void refill_reserve() override;
    [[nodiscard]] std::uint64_t reserved_bytes() override;
    void set_time(WallTime now) override;
    [[nodiscard]] std::vector<std::string> take_losses() override;
    [[nodiscard]] EngineStats stats() override;
    /// By hard links where the file system has them: quick, and small until both change.
    [[nodiscard]] Result<void, Error> backup(const std::string& directory) override;

    /// Moves what is in buffers to files, and merges files until only what lives is left.
    [[nodiscard]] Result<void, Error> compact();
    /// Reads every block of every file against its checksum.
    /// Errors  damaged: which file.
    [[nodiscard]] Result<void, Error> verify_checksums();
    /// The same, file by file, beside the cache: all that do not hold. `goes_on` is asked before
    /// each; false: it ends there.
    [[nodiscard]] std::vector<DamagedTable> damaged_tables(
        const std::function<bool()>& goes_on = {});

private:
    struct Database;
    explicit RocksEngine(std::unique_ptr<Database> database);
    [[nodiscard]] static Result<std::unique_ptr<RocksEngine>, Error> open_read_only(
        std::unique_ptr<Database> database, OpenReport& report);
    void run_jobs();
    static bool prepare_for_space(Database& database);
    [[nodiscard]] Error no_database() const;
    std::unique_ptr<Database> database_;
};

}  // namespace mitu::store
