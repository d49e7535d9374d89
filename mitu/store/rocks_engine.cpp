#include "mitu/store/rocks_engine.hpp"

#include <rocksdb/convenience.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table_properties.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "mitu/ports/trial.hpp"
#include "mitu/store/reserve.hpp"
#include "mitu/store/rocks_options.hpp"
#include "mitu/store/rocks_repair.hpp"
#include "mitu/store/rocks_status.hpp"

namespace mitu::store {
namespace {

/// For calls of RocksDB that wait for its background work.
class JobsWait {
public:
    explicit JobsWait(BackgroundJobs* jobs) : jobs_{jobs} {
        if (jobs_ != nullptr) jobs_->begin_wait();
    }
    ~JobsWait() {
        if (jobs_ != nullptr) jobs_->end_wait();
    }
    JobsWait(const JobsWait&) = delete;
    JobsWait& operator=(const JobsWait&) = delete;

private:
    BackgroundJobs* jobs_;
};

}  // namespace

struct RocksEngine::Database {
    explicit Database(const DiskOptions& options)
        : disk{options},
          setup{make_rocks_setup(options)},
          reserve{options.directory + "/reserve", options.reserve_bytes} {}
    ~Database() { close(); }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    rocksdb::Status open(bool to_read_only = false) {
        const auto status = open_once(to_read_only);
        // Rows of one family lie in tables behind a torn entry of a log that others still need:
        // RocksDB takes what follows the entry for lost, and refuses. Nobody was told of the entry.
        const bool is_ahead_of_log =
            status.IsCorruption() && status.ToString().find("ahead of WALs") != std::string::npos;
        if (!is_ahead_of_log || !disk.mends) return status;
        const auto usual = setup.options.wal_recovery_mode;
        setup.options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
        const auto again = open_once(to_read_only);
        setup.options.wal_recovery_mode = usual;
        return again;
    }

    rocksdb::Status open_once(bool to_read_only) {
        std::vector<rocksdb::ColumnFamilyHandle*> opened;
        rocksdb::DB* raw = nullptr;
        if (!to_read_only && setup.options.avoid_flush_during_recovery) {
            if (auto synced = sync_logs(); !synced.ok()) return synced;
        }
        const auto status =
            to_read_only
                ? rocksdb::DB::OpenForReadOnly(setup.options, disk.directory, setup.families,
                                               &opened, &raw)
                : rocksdb::DB::Open(setup.options, disk.directory, setup.families, &opened, &raw);
        if (!status.ok()) return status;
        db.reset(raw);
        handles = std::move(opened);
        return status;
    }

    /// Logs that are kept as they are go on in a new one, and count only as far as they have no
    /// hole: what a killed process had written and not synced must not be lost once rows behind it
    /// are acknowledged. RocksDB syncs what it writes itself.
    [[nodiscard]] rocksdb::Status sync_logs() {
        rocksdb::Env* const env = setup.options.env;
        std::vector<std::string> names;
        auto status = env->GetChildren(disk.directory, &names);
        if (!status.ok()) return status;
        for (const std::string& name : names) {
            if (!name.ends_with(".log")) continue;
            std::unique_ptr<rocksdb::WritableFile> log;
            status = env->ReopenWritableFile(disk.directory + "/" + name, &log, {});
            if (status.ok()) status = log->Sync();
            if (status.ok()) status = log->Close();
            if (!status.ok()) return status;
        }
        return status;
    }

    void close() {
        if (!db) return;
        for (auto* handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
        handles.clear();
        // What is queued is done here and now, so that nothing is left for the second thread: a
        // simulation repeats itself, also where the files are opened anew.
        if (disk.jobs != nullptr) disk.jobs->run();
        const JobsWait wait{disk.jobs};
        (void)db->Close();
        db.reset();
    }

    [[nodiscard]] rocksdb::ColumnFamilyHandle* handle(Family family) const noexcept {
        return handles[index_of(family)];
    }

    DiskOptions disk;
    RocksSetup setup;
    Reserve reserve;
    std::unique_ptr<rocksdb::DB> db;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::WriteBatch batch;
    std::atomic<std::uint64_t> syncs{0};
    // Readers share it; recover() takes the database away from all of them.
    std::shared_mutex in_use;
    // After an error nothing is written before recover(), which opens the files anew. DB::Resume()
    // would leave a log that must not be written again, and RocksDB asserts that it is not.
    std::optional<Error> broken;

    [[nodiscard]] Result<void, Error> outcome(const rocksdb::Status& status,
                                              std::string_view doing) {
        if (status.ok()) return {};
        broken = found(status, doing);
        return std::unexpected(*broken);
    }
    /// An error of any thread; one that tells of damage is remembered.
    [[nodiscard]] Error found(const rocksdb::Status& status, std::string_view doing) {
        if (status.IsCorruption()) has_damage.store(true, std::memory_order_relaxed);
        return to_error(status, doing);
    }
    std::atomic<bool> has_damage{false};
    std::vector<std::string> losses;
};

namespace {

class RocksRows final : public Rows {
public:
    RocksRows(std::atomic<bool>& has_damage, std::shared_lock<std::shared_mutex> in_use,
              rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, ByteView from, ByteView to)
        : has_damage_{has_damage},
          in_use_{std::move(in_use)},
          from_{to_bytes(from)},
          to_{to_bytes(to)},
          end_{to_slice(to_)} {
        rocksdb::ReadOptions options;
        options.verify_checksums = true;
        if (!to_.empty()) options.iterate_upper_bound = &end_;
        rows_.reset(db.NewIterator(options, family));
    }

    bool next() override {
        if (!has_begun_) {
            has_begun_ = true;
            rows_->Seek(to_slice(from_));
        } else if (rows_->Valid()) {
            rows_->Next();
        }
        return rows_->Valid();
    }
    ByteView key() const override { return to_view(rows_->key()); }
    ByteView value() const override { return to_view(rows_->value()); }
    std::optional<Error> error() const override {
        const auto status = rows_->status();
        if (status.ok()) return std::nullopt;
        if (status.IsCorruption()) has_damage_.store(true, std::memory_order_relaxed);
        return to_error(status, "reading");
    }

private:
    std::atomic<bool>& has_damage_;
    std::shared_lock<std::shared_mutex> in_use_;
    Bytes from_;
    Bytes to_;
    rocksdb::Slice end_;
    std::unique_ptr<rocksdb::Iterator> rows_;
    bool has_begun_ = false;
};

/// While there is no database: its files could not be opened again yet.
class NoRows final : public Rows {
public:
    explicit NoRows(Error error) : error_{std::move(error)} {}
    bool next() override { return false; }
    ByteView key() const override { return {}; }
    ByteView value() const override { return {}; }
    std::optional<Error> error() const override { return error_; }

private:
    Error error_;
};

bool is_held_by_another(const rocksdb::Status& status) {
    return status.IsIOError() && status.ToString().find("lock ") != std::string::npos;
}

// To open the files anew, RocksDB writes a few of them.
constexpr std::uint64_t reopening_bytes = 1ULL << 20;

}  // namespace

RocksEngine::RocksEngine(std::unique_ptr<Database> database) : database_{std::move(database)} {}
RocksEngine::~RocksEngine() = default;

Result<std::unique_ptr<RocksEngine>, Error> RocksEngine::open(const DiskOptions& options,
                                                              OpenReport& report) {
    auto database = std::make_unique<Database>(options);
    rocksdb::Env* const env = database->setup.options.env;
    if (options.read_only) return open_read_only(std::move(database), report);
    if (const auto made = make_directories(*env, options.directory); !made) {
        return std::unexpected(made.error());
    }
    report.is_new = env->FileExists(options.directory + "/CURRENT").IsNotFound();
    report.used_reserve = prepare_for_space(*database);
    auto status = database->open();
    note_dropped_bytes(*database->setup.complaints, report);
    const auto is_damaged = [&status] {
        return status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound();
    };
    if (is_damaged() && options.mends) {
        report.losses.push_back("the store did not open: " + status.ToString());
        repair(options.directory, database->setup, report);
        status = database->open();
    }
    if (is_damaged() && options.mends) {
        report.losses.push_back("it did not open after a repair either, and starts empty: " +
                                status.ToString());
        set_aside_all(options.directory, *env, report);
        status = database->open();
    }
    if (is_held_by_another(status)) {
        return std::unexpected(
            Error{ErrorKind::in_use, options.directory + ": another process has it open"});
    }
    // The same for a log that was kept for want of room and is torn; as soon as there is room.
    if (status.ok() && !report.losses.empty()) {
        const JobsWait wait{options.jobs};
        const auto flushed = database->db->Flush({}, database->handles);
        if (!flushed.ok() && !flushed.IsNoSpace()) status = flushed;
    }
    if (!status.ok()) return std::unexpected(to_error(status, "opening " + options.directory));
    return std::unique_ptr<RocksEngine>{new RocksEngine{std::move(database)}};
}

Result<std::unique_ptr<RocksEngine>, Error> RocksEngine::open_read_only(
    std::unique_ptr<Database> database, OpenReport& report) {
    const std::string& directory = database->disk.directory;
    if (!database->setup.options.env->FileExists(directory + "/CURRENT").ok()) {
        return std::unexpected(Error{ErrorKind::unsupported, directory + " holds no store"});
    }
    const auto status = database->open(true);
    note_dropped_bytes(*database->setup.complaints, report);
    if (!status.ok()) return std::unexpected(to_error(status, "opening " + directory));
    database->broken = Error{ErrorKind::unsupported, directory + " is open for reading only"};
    return std::unique_ptr<RocksEngine>{new RocksEngine{std::move(database)}};
}

/// Opening turns the log into files of rows, which takes as much again. Where that may not fit,
/// the log is kept, and the rows stay in memory; and where there is next to nothing, the reserve
/// goes. True: it went.
bool RocksEngine::prepare_for_space(Database& database) {
    std::uint64_t free = 0;
    const DiskOptions& disk = database.disk;
    if (!database.setup.options.env->GetFreeSpace(disk.directory, &free).ok()) return false;
    database.setup.options.avoid_flush_during_recovery =
        free < disk.write_buffer_bytes + disk.reserve_bytes;
    return free < database.reserve.bytes() && database.reserve.release();
}

void RocksEngine::refill_reserve() { (void)database_->reserve.refill(); }

std::uint64_t RocksEngine::reserved_bytes() { return database_->reserve.held_bytes(); }

void RocksEngine::run_jobs() {
    if (database_->disk.jobs != nullptr) database_->disk.jobs->run();
}

Result<void, Error> RocksEngine::write(ByteView operations, bool sync) {
    if (database_->broken) return std::unexpected(*database_->broken);
    rocksdb::WriteBatch& batch = database_->batch;
    batch.Clear();
    OperationReader reader{operations};
    while (const auto operation = reader.next()) {
        auto* const family = database_->handle(operation->family);
        const rocksdb::Slice key = to_slice(operation->key);
        const rocksdb::Slice value = to_slice(operation->value);
        rocksdb::Status noted;
        switch (operation->op) {
            case Op::put:
                noted = batch.Put(family, key, value);
                break;
            case Op::erase:
                noted = batch.Delete(family, key);
                break;
            case Op::erase_range:
                noted = batch.DeleteRange(family, key, value);
                break;
            case Op::add:
                noted = batch.Merge(family, key, value);
                break;
        }
        if (!noted.ok()) return std::unexpected(to_error(noted, "writing"));
    }
    rocksdb::WriteOptions options;
    options.sync = sync;
    const auto status = database_->db->Write(options, &batch);
    run_jobs();
    if (auto written = database_->outcome(status, "writing"); !written) return written;
    if (sync) database_->syncs.fetch_add(1, std::memory_order_relaxed);
    return {};
}

Result<void, Error> RocksEngine::sync() {
    if (database_->broken) return std::unexpected(*database_->broken);
    const auto status = database_->db->SyncWAL();
    if (auto synced = database_->outcome(status, "syncing the log"); !synced) return synced;
    database_->syncs.fetch_add(1, std::memory_order_relaxed);
    return {};
}

Result<std::optional<Bytes>, Error> RocksEngine::get(Family family, ByteView key) {
    const std::shared_lock lock{database_->in_use};
    if (!database_->db) return std::unexpected(no_database());
    rocksdb::PinnableSlice value;
    const auto status = database_->db->Get(rocksdb::ReadOptions{}, database_->handle(family),
                                           to_slice(key), &value);
    if (status.IsNotFound()) return std::optional<Bytes>{};
    if (!status.ok()) return std::unexpected(database_->found(status, "reading"));
    return std::optional<Bytes>{to_bytes(to_view(value))};
}

std::unique_ptr<Rows> RocksEngine::scan(Family family, ByteView from, ByteView to) {
    std::shared_lock lock{database_->in_use};
    if (!database_->db) return std::make_unique<NoRows>(no_database());
    return std::make_unique<RocksRows>(database_->has_damage, std::move(lock), *database_->db,
                                       database_->handle(family), from, to);
}

Result<std::optional<Bytes>, Error> RocksEngine::last(Family family, ByteView from, ByteView to) {
    const std::shared_lock lock{database_->in_use};
    if (!database_->db) return std::unexpected(no_database());
    rocksdb::ReadOptions options;
    const rocksdb::Slice begin = to_slice(from);
    const rocksdb::Slice end = to_slice(to);
    if (!from.empty()) options.iterate_lower_bound = &begin;
    if (!to.empty()) options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> rows{
        database_->db->NewIterator(options, database_->handle(family))};
    rows->SeekToLast();
    if (!rows->status().ok()) return std::unexpected(database_->found(rows->status(), "reading"));
    if (!rows->Valid()) return std::optional<Bytes>{};
    return std::optional<Bytes>{to_bytes(to_view(rows->key()))};
}

Error RocksEngine::no_database() const {
    return database_->broken.value_or(Error{ErrorKind::io_failed, "the store is not open"});
}

bool RocksEngine::has_found_damage() const noexcept {
    return database_->has_damage.load(std::memory_order_relaxed);
}

std::vector<std::string> RocksEngine::take_losses() { return std::exchange(database_->losses, {}); }

Result<void, Error> RocksEngine::recover() {
    if (!database_->broken && !has_found_damage()) return {};
    if (database_->disk.read_only) return std::unexpected(*database_->broken);
    const auto free = free_bytes();
    if (free && *free < reopening_bytes) {
        // As it is, it can at least be read.
        return std::unexpected(Error{
            ErrorKind::disk_full,
            database_->disk.directory + ": only " + std::to_string(*free) + " bytes are free"});
    }
    const std::unique_lock lock{database_->in_use};
    ports::pass_trial(ports::TrialPoint::engine_before_reopen);
    database_->close();
    // The log that a write failed in may be torn, and is not kept: once rows of one family were
    // flushed behind the hole, RocksDB would not open any more. Where there is too little room for
    // that, this fails, and is tried again.
    database_->setup.options.avoid_flush_during_recovery = false;
    if (has_found_damage()) {
        OpenReport report;
        repair(database_->disk.directory, database_->setup, report);
        for (std::string& loss : report.losses) database_->losses.push_back(std::move(loss));
        for (const std::string& file : report.quarantined) {
            database_->losses.push_back("put aside: " + file);
        }
        database_->has_damage.store(false, std::memory_order_relaxed);
    }
    const auto status = database_->open();
    if (auto opened = database_->outcome(status, "opening again"); !opened) {
        (void)database_->open(true);
        return opened;
    }
    ports::pass_trial(ports::TrialPoint::engine_reopened);
    database_->broken.reset();
    return {};
}

std::optional<std::uint64_t> RocksEngine::free_bytes() {
    std::uint64_t free = 0;
    const auto status =
        database_->setup.options.env->GetFreeSpace(database_->disk.directory, &free);
    if (!status.ok()) return std::nullopt;
    return free;
}

void RocksEngine::set_time(WallTime now) {
    database_->setup.now->store(now.unix_ms, std::memory_order_relaxed);
}

EngineStats RocksEngine::stats() {
    const std::shared_lock lock{database_->in_use};
    EngineStats stats;
    if (!database_->db) return stats;
    const auto property = [this](Family family, const std::string& name) {
        std::uint64_t value = 0;
        (void)database_->db->GetIntProperty(database_->handle(family), name, &value);
        return value;
    };
    for (std::size_t i = 0; i < family_count; ++i) {
        EngineStats::OfFamily& of_family = stats.families[i];
        of_family.rows_estimate = property(family_at(i), rocksdb::DB::Properties::kEstimateNumKeys);
        of_family.disk_bytes = property(family_at(i), rocksdb::DB::Properties::kTotalSstFilesSize);
        of_family.memory_bytes =
            property(family_at(i), rocksdb::DB::Properties::kCurSizeAllMemTables);
        stats.memory_bytes += of_family.memory_bytes;
    }
    stats.memory_bytes += database_->setup.cache->GetUsage();
    rocksdb::VectorLogPtr logs;
    if (database_->db->GetSortedWalFiles(logs).ok()) {
        for (const auto& log : logs) stats.log_bytes += log->SizeFileBytes();
    }
    stats.syncs = database_->syncs.load(std::memory_order_relaxed);
    return stats;
}

Result<void, Error> RocksEngine::backup(const std::string& directory) {
    // Not `broken`, which is the writer's: whoever asks may be another thread.
    const std::shared_lock lock{database_->in_use};
    if (!database_->db) {
        return std::unexpected(Error{ErrorKind::io_failed, "the store is not open"});
    }
    const JobsWait wait{database_->disk.jobs};
    rocksdb::Checkpoint* raw = nullptr;
    auto status = rocksdb::Checkpoint::Create(database_->db.get(), &raw);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint{raw};
    if (status.ok()) status = checkpoint->CreateCheckpoint(directory);
    if (!status.ok()) return std::unexpected(to_error(status, "backup to " + directory));
    return {};
}

Result<void, Error> RocksEngine::compact() {
    if (database_->broken) return std::unexpected(*database_->broken);
    const JobsWait wait{database_->disk.jobs};
    for (std::size_t i = 0; i < family_count; ++i) {
        rocksdb::CompactRangeOptions options;
        options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
        const auto status =
            database_->db->CompactRange(options, database_->handle(family_at(i)), nullptr, nullptr);
        if (!status.ok()) return std::unexpected(to_error(status, "compacting"));
    }
    return {};
}

Result<void, Error> RocksEngine::verify_checksums() {
    const std::shared_lock lock{database_->in_use};
    if (!database_->db) return std::unexpected(no_database());
    const auto status = database_->db->VerifyChecksum();
    if (!status.ok()) return std::unexpected(database_->found(status, "checking"));
    return {};
}

std::vector<DamagedTable> RocksEngine::damaged_tables(const std::function<bool()>& goes_on) {
    const std::shared_lock lock{database_->in_use};
    std::vector<DamagedTable> damaged;
    if (!database_->db) return damaged;
    std::vector<rocksdb::LiveFileMetaData> files;
    database_->db->GetLiveFilesMetaData(&files);
    const rocksdb::Options options{database_->setup.options,
                                   database_->setup.families.front().options};
    for (const rocksdb::LiveFileMetaData& file : files) {
        if (goes_on && !goes_on()) break;
        rocksdb::SstFileReader reader{options};
        auto status = reader.Open(file.db_path + file.name);
        std::uint64_t rows = 0;
        if (status.ok()) {
            if (const auto known = reader.GetTableProperties()) rows = known->num_entries;
            status = reader.VerifyChecksum();
        }
        if (status.ok()) continue;
        damaged.push_back({file.name.substr(file.name.find_first_not_of('/')),
                           file.column_family_name, rows, to_bytes(to_view(file.smallestkey)),
                           to_bytes(to_view(file.largestkey)), status.ToString()});
    }
    return damaged;
}

}  // namespace mitu::store
