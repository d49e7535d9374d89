#pragma once
// How RocksDB is set up for the store. For files that wrap RocksDB only.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/store/rocks_engine.hpp"

namespace mitu::store {

/// What the compaction filters take for now. Units  milliseconds since the Unix epoch.
using SharedWallClock = std::shared_ptr<std::atomic<std::int64_t>>;

/// Keeps what RocksDB complains about: the only place where it says what a recovery has dropped.
class ComplaintLog final : public rocksdb::Logger {
public:
    ComplaintLog() : Logger{rocksdb::InfoLogLevel::WARN_LEVEL} {}
    using Logger::Logv;
    void Logv(const char* format, va_list arguments) override;
    /// What was said since the last time; the oldest lines go when there are too many.
    [[nodiscard]] std::vector<std::string> take();

private:
    static constexpr std::size_t lines_max = 1'000;
    Mutex mutex_;
    std::vector<std::string> lines_ MITU_GUARDED_BY(mutex_);
};

struct RocksSetup {
    /// The files of a server on trial; else none. Outlives the database.
    std::shared_ptr<rocksdb::Env> trial_env;
    rocksdb::DBOptions options;
    std::vector<rocksdb::ColumnFamilyDescriptor>
        families;  // in the order of Family, `default` last
    std::shared_ptr<rocksdb::Cache> cache;
    std::shared_ptr<ComplaintLog> complaints;
    SharedWallClock now;
};

[[nodiscard]] RocksSetup make_rocks_setup(const DiskOptions& options);

}  // namespace mitu::store
