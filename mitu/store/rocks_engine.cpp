#include "mitu/store/rocks_engine.hpp"

#include <rocksdb/convenience.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <utility>

#include "mitu/store/rocks_options.hpp"
#include "mitu/store/rocks_repair.hpp"
#include "mitu/store/rocks_status.hpp"

namespace mitu::store {
namespace {

std::size_t family_index(Family family) noexcept { return static_cast<std::size_t>(family); }

}  // namespace

struct RocksEngine::Database {
    explicit Database(const DiskOptions& options)
        : disk{options}, setup{make_rocks_setup(options)} {}
    ~Database() { close(); }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    rocksdb::Status open() {
        std::vector<rocksdb::ColumnFamilyHandle*> opened;
        rocksdb::DB* raw = nullptr;
        const auto status =
            rocksdb::DB::Open(setup.options, disk.directory, setup.families, &opened, &raw);
        if (!status.ok()) return status;
        db.reset(raw);
        handles = std::move(opened);
        return status;
    }

    void close() {
        if (!db) return;
        for (auto* handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
        handles.clear();
        (void)db->Close();
        db.reset();
    }

    [[nodiscard]] rocksdb::ColumnFamilyHandle* handle(Family family) const noexcept {
        return handles[family_index(family)];
    }

    DiskOptions disk;
    RocksSetup setup;
    std::unique_ptr<rocksdb::DB> db;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::WriteBatch batch;
    std::atomic<std::uint64_t> syncs{0};
};

namespace {

class RocksRows final : public Rows {
public:
    RocksRows(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, ByteView from, ByteView to)
        : from_{to_bytes(from)}, to_{to_bytes(to)}, end_{to_slice(to_)} {
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
        return to_error(status, "reading");
    }

private:
    Bytes from_;
    Bytes to_;
    rocksdb::Slice end_;
    std::unique_ptr<rocksdb::Iterator> rows_;
    bool has_begun_ = false;
};

}  // namespace

RocksEngine::RocksEngine(std::unique_ptr<Database> database) : database_{std::move(database)} {}
RocksEngine::~RocksEngine() = default;

Result<std::unique_ptr<RocksEngine>, Error> RocksEngine::open(const DiskOptions& options,
                                                              OpenReport& report) {
    auto database = std::make_unique<Database>(options);
    rocksdb::Env* const env = database->setup.options.env;
    if (const auto made = make_directories(*env, options.directory); !made) {
        return std::unexpected(made.error());
    }
    report.is_new = env->FileExists(options.directory + "/CURRENT").IsNotFound();
    auto status = database->open();
    note_dropped_bytes(*database->setup.complaints, report);
    if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound()) {
        report.losses.push_back("the store did not open: " + status.ToString());
        repair(options.directory, database->setup, report);
        status = database->open();
    }
    if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound()) {
        report.losses.push_back("it did not open after a repair either, and starts empty: " +
                                status.ToString());
        set_aside_all(options.directory, *env, report);
        status = database->open();
    }
    if (!status.ok()) return std::unexpected(to_error(status, "opening " + options.directory));
    return std::unique_ptr<RocksEngine>{new RocksEngine{std::move(database)}};
}

Result<void, Error> RocksEngine::write(ByteView operations, bool sync) {
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
    if (!status.ok()) return std::unexpected(to_error(status, "writing"));
    if (sync) database_->syncs.fetch_add(1, std::memory_order_relaxed);
    return {};
}

Result<void, Error> RocksEngine::sync() {
    const auto status = database_->db->SyncWAL();
    if (!status.ok()) return std::unexpected(to_error(status, "syncing the log"));
    database_->syncs.fetch_add(1, std::memory_order_relaxed);
    return {};
}

Result<std::optional<Bytes>, Error> RocksEngine::get(Family family, ByteView key) {
    rocksdb::PinnableSlice value;
    const auto status = database_->db->Get(rocksdb::ReadOptions{}, database_->handle(family),
                                           to_slice(key), &value);
    if (status.IsNotFound()) return std::optional<Bytes>{};
    if (!status.ok()) return std::unexpected(to_error(status, "reading"));
    return std::optional<Bytes>{to_bytes(to_view(value))};
}

std::unique_ptr<Rows> RocksEngine::scan(Family family, ByteView from, ByteView to) {
    return std::make_unique<RocksRows>(*database_->db, database_->handle(family), from, to);
}

Result<std::optional<Bytes>, Error> RocksEngine::last(Family family, ByteView from, ByteView to) {
    rocksdb::ReadOptions options;
    const rocksdb::Slice begin = to_slice(from);
    const rocksdb::Slice end = to_slice(to);
    options.iterate_lower_bound = &begin;
    if (!to.empty()) options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> rows{
        database_->db->NewIterator(options, database_->handle(family))};
    rows->SeekToLast();
    if (!rows->status().ok()) return std::unexpected(to_error(rows->status(), "reading"));
    if (!rows->Valid()) return std::optional<Bytes>{};
    return std::optional<Bytes>{to_bytes(to_view(rows->key()))};
}

Result<void, Error> RocksEngine::recover() {
    const auto status = database_->db->Resume();
    if (!status.ok()) return std::unexpected(to_error(status, "writing again"));
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
    EngineStats stats;
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
    rocksdb::Checkpoint* raw = nullptr;
    auto status = rocksdb::Checkpoint::Create(database_->db.get(), &raw);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint{raw};
    if (status.ok()) status = checkpoint->CreateCheckpoint(directory);
    if (!status.ok()) return std::unexpected(to_error(status, "backup to " + directory));
    return {};
}

Result<void, Error> RocksEngine::compact() {
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
    const auto status = database_->db->VerifyChecksum();
    if (!status.ok()) return std::unexpected(to_error(status, "checking"));
    return {};
}

}  // namespace mitu::store
