// RocksDB on a disk at its worst, in random sequences by seed, against a model.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/store/codec.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/virtual_env.hpp"

namespace mitu::store {
namespace {

/// Writes numbered batches. Each puts one row of its own, and into `meta` how far it has come, so
/// that the rows after a crash must be those of a prefix.
class CrashRun {
public:
    explicit CrashRun(std::uint64_t seed) : random_{seed}, disk_{random_.next()} {}

    void run(int steps) {
        open();
        for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) step();
        disk_.set_faults({});
        disk_.set_capacity(~std::uint64_t{0});
        crash();
    }
    /// What was done and what came of it. RocksDB draws ids for its files, so bytes differ, not
    /// sizes.
    [[nodiscard]] std::string trace() const {
        std::string trace = std::to_string(disk_.counters().appends) + " appends, " +
                            std::to_string(disk_.counters().syncs) + " syncs, " +
                            std::to_string(disk_.counters().failures) + " failures;";
        for (const std::string& name : disk_.children("/data/store")) {
            const auto file = disk_.find("/data/store/" + name);
            trace += " " + name + ":" + std::to_string(file ? file->bytes.size() : 0);
        }
        return trace + "; " + reached_;
    }
    int crashes = 0;
    int refused = 0;
    int failed_opens = 0;

private:
    void open() {
        engine_.reset();
        env_ = std::make_unique<VirtualEnv>(disk_);
        DiskOptions options;
        options.directory = "/data/store";
        options.write_buffer_bytes = 64U << 10;  // small: flushes and compactions are frequent
        options.block_cache_bytes = 64U << 10;
        options.log_bytes_max = 128U << 10;
        env_->install(options);
        OpenReport report;
        auto opened = RocksEngine::open(options, report);
        if (!opened &&
            !disk_is_well_) {  // a start on a disk that fails: once it is well, it must go
            ++failed_opens;
            make_well();
            env_ = std::make_unique<VirtualEnv>(disk_);
            env_->install(options);
            opened = RocksEngine::open(options, report);
        }
        ASSERT_TRUE(opened) << opened.error().detail;
        EXPECT_TRUE(report.quarantined.empty()) << report.quarantined[0] << " " << report.losses[0];
        engine_ = std::move(*opened);
    }

    void make_well() {
        disk_is_well_ = true;
        disk_.set_faults({});
        disk_.set_capacity(~std::uint64_t{0});
    }

    void step() {
        const std::uint64_t dice = random_.below(100);
        if (dice < 80) {
            write();
        } else if (dice < 84) {
            if (engine_->sync()) synced_ = written_;
        } else if (dice < 88) {
            (void)engine_->recover();
        } else if (dice < 92) {
            crash();
        } else if (dice < 94) {
            open();
            verify(written_);  // closed in peace: the log has all that was written
        } else if (dice < 96) {
            disk_is_well_ = false;
            disk_.set_faults({random_.chance(0.5) ? 0.02 : 0, random_.chance(0.5) ? 0.05 : 0, 0});
        } else if (dice < 97) {
            disk_is_well_ = false;
            disk_.set_capacity(disk_.used_bytes() + random_.below(200'000));
        } else {
            make_well();
            (void)engine_->recover();
        }
    }

    void write() {
        const std::uint64_t number = ++last_;
        Batch batch;
        const Bytes value(
            static_cast<std::size_t>(random_.below(random_.chance(0.1) ? 20'000 : 300)),
            static_cast<std::uint8_t>(number));
        batch.put(Family::queue, key_of(number), value);
        batch.put(Family::meta, as_bytes("through"), key_of(number));
        batch.add(Family::references, as_bytes("count"), 1);
        if (number > 20) batch.erase(Family::queue, key_of(number - 20));
        const bool sync = random_.chance(0.3);
        if (engine_->write(batch.bytes(), sync)) {
            expected_.push_back(number);
            written_ = number;
            if (sync) synced_ = number;
        } else {
            ++refused;
            // It may be there after a crash, or not: start over from what there is.
            maybe_ = number;
        }
    }

    void crash() {
        ++crashes;
        VirtualDisk after = disk_.copy();
        engine_.reset();
        disk_ = std::move(after);
        disk_.crash();
        open();
        verify(synced_);
    }

    /// What is there is a prefix of what was written, and holds all up to `at_least`.
    void verify(std::uint64_t at_least) {
        if (::testing::Test::HasFatalFailure()) return;
        const auto through = engine_->get(Family::meta, as_bytes("through"));
        ASSERT_TRUE(through) << through.error().detail;
        const std::uint64_t reached = *through ? id_of(**through).value_or(0) : 0;
        ASSERT_GE(reached, at_least) << "acknowledged, and lost";
        ASSERT_LE(reached, last_) << "never written";
        // The batches that are there: those acknowledged up to `reached`, and perhaps refused ones.
        const auto count = engine_->get(Family::references, as_bytes("count"));
        ASSERT_TRUE(count);
        const std::int64_t found = *count ? decode_count(**count).value_or(-1) : 0;
        std::int64_t least = 0;
        for (const std::uint64_t number : expected_) least += number <= reached;
        ASSERT_GE(found, base_ + least) << "a hole before " << reached;
        ASSERT_LE(found, static_cast<std::int64_t>(reached)) << "more than was written";
        const auto rows = engine_->scan(Family::queue, {}, {});
        std::vector<std::uint64_t> seen;
        while (rows->next()) seen.push_back(id_of(rows->key()).value_or(0));
        ASSERT_FALSE(rows->error()) << rows->error()->detail;
        for (const std::uint64_t number : expected_) {
            const bool is_wanted = number <= reached && number + 20 > reached;
            if (is_wanted) {
                ASSERT_TRUE(std::ranges::find(seen, number) != seen.end())
                    << number << " of " << reached << " is missing";
            }
        }
        for (const std::uint64_t number : seen) ASSERT_LE(number, reached);
        reached_ += std::to_string(reached) + " ";
        // From here on this is what there is.
        base_ = found;
        expected_.clear();
        written_ = synced_ = reached;
        last_ = std::max(last_, reached);
    }

    Prng random_;
    VirtualDisk disk_;
    std::unique_ptr<VirtualEnv> env_;
    std::unique_ptr<RocksEngine> engine_;
    bool disk_is_well_ = true;
    std::string reached_;
    std::uint64_t last_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t synced_ = 0;
    std::uint64_t maybe_ = 0;
    std::int64_t base_ = 0;
    std::vector<std::uint64_t> expected_;  // acknowledged since the last look
};

TEST(store_crash, what_was_synced_is_there_and_what_is_there_is_a_prefix) {
    int crashes = 0;
    int refused = 0;
    int failed_opens = 0;
    const char* const wanted =
        std::getenv("MITU_STORE_SEEDS");  // tidy-allow(environment): a longer run
    const int seeds = wanted != nullptr ? std::atoi(wanted) : 20;
    for (int seed = 1; seed <= seeds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        CrashRun run{static_cast<std::uint64_t>(seed)};
        run.run(120);
        if (::testing::Test::HasFailure()) return;
        crashes += run.crashes;
        refused += run.refused;
        failed_opens += run.failed_opens;
    }
    if (seeds >= 20) {  // the seeds reach what they are for
        EXPECT_GT(crashes, seeds * 2);
        EXPECT_GT(refused, seeds / 4);
    }
    std::printf("%d seeds: %d crashes, %d writes refused, %d starts refused by the disk\n", seeds,
                crashes, refused, failed_opens);
}

TEST(store_crash, what_a_killed_process_had_not_synced_takes_nothing_with_it_that_came_later) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        VirtualDisk disk{seed};
        std::unique_ptr<VirtualEnv> env;
        std::unique_ptr<RocksEngine> engine;
        const auto die = [&](bool power) {
            VirtualDisk after = disk.copy();
            engine.reset();
            disk = std::move(after);
            if (power) disk.crash();
        };
        const auto open = [&] {
            env = std::make_unique<VirtualEnv>(disk);
            DiskOptions options;
            options.directory = "/data/store";
            env->install(options);
            OpenReport report;
            auto opened = RocksEngine::open(options, report);
            ASSERT_TRUE(opened) << opened.error().detail;
            EXPECT_TRUE(report.losses.empty()) << report.losses[0];
            engine = std::move(*opened);
        };
        const auto put = [&](std::uint64_t number, bool sync) {
            Batch batch;
            batch.put(Family::queue, key_of(number), Bytes(300));
            ASSERT_TRUE(engine->write(batch.bytes(), sync));
        };
        disk.set_capacity(4U << 20);  // so little that a start keeps its log
        ASSERT_NO_FATAL_FAILURE(open());
        put(1, true);
        put(2, false);
        die(false);
        ASSERT_NO_FATAL_FAILURE(open());
        put(3, true);
        die(true);
        ASSERT_NO_FATAL_FAILURE(open());
        for (const std::uint64_t number : {1U, 2U, 3U}) {
            const auto row = engine->get(Family::queue, key_of(number));
            ASSERT_TRUE(row);
            EXPECT_TRUE(*row) << number;
        }
    }
}

TEST(store_crash, a_seed_repeats_itself) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        CrashRun first{seed};
        first.run(80);
        CrashRun second{seed};
        second.run(80);
        EXPECT_EQ(first.trace(), second.trace());
    }
}

}  // namespace
}  // namespace mitu::store
