#include "mitu/store/rocks_options.hpp"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "mitu/ports/trial.hpp"
#include "mitu/store/record.hpp"
#include "mitu/store/rocks_status.hpp"
#include "mitu/store/trial_env.hpp"

namespace mitu::store {
namespace {

/// Adds counts up; see encode_count().
class AddCounts final : public rocksdb::AssociativeMergeOperator {
public:
    bool Merge(const rocksdb::Slice& /*key*/, const rocksdb::Slice* before,
               const rocksdb::Slice& delta, std::string* after,
               rocksdb::Logger* /*logger*/) const override {
        const std::int64_t first =
            before == nullptr ? 0 : decode_count(to_view(*before)).value_or(0);
        const std::int64_t second = decode_count(to_view(delta)).value_or(0);
        const Bytes sum = encode_count(first + second);
        after->assign(as_text(sum));
        return true;
    }
    const char* Name() const override { return "mitu.add_counts"; }
};

/// Drops what has expired, when its file is rewritten anyway. Not what refers to a shared message:
/// that reference would never be given back.
class DropExpired final : public rocksdb::CompactionFilter {
public:
    DropExpired(Family family, std::int64_t now_ms) : family_{family}, now_ms_{now_ms} {}
    bool Filter(int /*level*/, const rocksdb::Slice& /*key*/, const rocksdb::Slice& value,
                std::string* /*new_value*/, bool* /*value_changed*/) const override {
        const ByteView bytes = to_view(value);
        if (family_ == Family::queue) {
            const auto entry = decode_queue_entry(bytes);
            return entry && entry->message.value == 0 && is_over(entry->expires_at);
        }
        const auto message = decode_message(bytes);
        return message && is_over(message->expires_at);
    }
    const char* Name() const override { return "mitu.drop_expired"; }

private:
    // A minute of grace: whoever reads decides by its own clock first.
    bool is_over(WallTime at) const noexcept { return at.unix_ms < now_ms_ - 60'000; }
    Family family_;
    std::int64_t now_ms_;
};

class DropExpiredFactory final : public rocksdb::CompactionFilterFactory {
public:
    DropExpiredFactory(Family family, SharedWallClock now)
        : family_{family}, now_{std::move(now)} {}
    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
        const rocksdb::CompactionFilter::Context& /*context*/) override {
        return std::make_unique<DropExpired>(family_, now_->load(std::memory_order_relaxed));
    }
    const char* Name() const override { return "mitu.drop_expired_factory"; }

private:
    Family family_;
    SharedWallClock now_;
};

bool holds_messages(Family family) noexcept {
    return family == Family::queue || family == Family::messages || family == Family::retained;
}

/// Rows that come and go: their tombstones must not pile up in front of what lives.
bool is_churning(Family family) noexcept {
    switch (family) {
        case Family::queue:
        case Family::flight:
        case Family::inbound:
        case Family::messages:
        case Family::references:
        case Family::released:
        case Family::streams:
        case Family::stream_order:
        case Family::discards:
            return true;
        default:
            return false;
    }
}

}  // namespace

void ComplaintLog::Logv(const char* format, va_list arguments) {
    char line[1'024];
    std::vsnprintf(line, sizeof line, format, arguments);
    const MutexLock lock{mutex_};
    if (lines_.size() >= lines_max) lines_.erase(lines_.begin(), lines_.begin() + lines_max / 2);
    lines_.emplace_back(line);
}

std::vector<std::string> ComplaintLog::take() {
    const MutexLock lock{mutex_};
    return std::exchange(lines_, {});
}

RocksSetup make_rocks_setup(const DiskOptions& disk) {
    RocksSetup setup;
    setup.complaints = std::make_shared<ComplaintLog>();
    setup.now = std::make_shared<std::atomic<std::int64_t>>(0);
    setup.cache = rocksdb::NewLRUCache(disk.block_cache_bytes, 2);

    rocksdb::DBOptions& options = setup.options;
    if (disk.env != nullptr) {
        options.env = disk.env;
        options.max_file_opening_threads = 1;  // who reads first is not to be chance
    } else if (ports::trial() != nullptr) {
        setup.trial_env = make_trial_env();
        options.env = setup.trial_env.get();
        options.listeners.push_back(make_trial_listener());
    }
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.paranoid_checks = true;
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    options.max_open_files = disk.open_files_max;
    options.max_total_wal_size = disk.log_bytes_max;
    options.write_buffer_manager =
        std::make_shared<rocksdb::WriteBufferManager>(disk.write_buffer_bytes);
    options.max_background_jobs = disk.background_jobs;
    options.bytes_per_sync = 1U << 20;
    options.info_log = setup.complaints;
    // One writer, and nothing that acts by itself: whoever runs the engine decides when to try
    // again.
    options.allow_concurrent_memtable_write = false;
    options.enable_write_thread_adaptive_yield = false;
    options.max_bgerror_resume_count = 0;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.skip_stats_update_on_db_open = true;  // a start is quick, however many files there are

    rocksdb::BlockBasedTableOptions table;
    table.block_cache = setup.cache;
    table.cache_index_and_filter_blocks = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.format_version = 5;
    const std::shared_ptr<rocksdb::TableFactory> factory{rocksdb::NewBlockBasedTableFactory(table)};

    for (std::size_t i = 0; i < family_count; ++i) {
        const Family family = family_at(i);
        rocksdb::ColumnFamilyOptions of_family;
        of_family.table_factory = factory;
        of_family.write_buffer_size =
            static_cast<std::size_t>(std::max<std::uint64_t>(disk.write_buffer_bytes / 4, 65'536));
        of_family.compression = rocksdb::kLZ4Compression;
        // The last level holds nine tenths of all, so that dead rows are at most about a ninth of
        // it.
        of_family.level_compaction_dynamic_level_bytes = true;
        if (family == Family::references) {
            of_family.merge_operator = std::make_shared<AddCounts>();
        }
        if (holds_messages(family)) {
            of_family.compaction_filter_factory =
                std::make_shared<DropExpiredFactory>(family, setup.now);
            of_family.periodic_compaction_seconds = 24 * 60 * 60;
        }
        if (is_churning(family)) {
            of_family.table_properties_collector_factories.push_back(
                rocksdb::NewCompactOnDeletionCollectorFactory(4'096, 2'048, 0.5));
        }
        setup.families.emplace_back(std::string{to_text(family)}, of_family);
    }
    rocksdb::ColumnFamilyOptions unused;
    unused.table_factory = factory;
    setup.families.emplace_back(rocksdb::kDefaultColumnFamilyName, unused);
    return setup;
}

}  // namespace mitu::store
