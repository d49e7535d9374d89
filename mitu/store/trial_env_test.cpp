// The files of a server on trial, under a real RocksDB in a directory of its own.

#include "mitu/store/trial_env.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "mitu/ports/trial.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/rocks_engine.hpp"

namespace mitu::store {
namespace {

using ports::Strike;
using ports::TrialPoint;

/// Strikes at one point, once armed. Its death is an exit, so that a death test sees it.
class OneStrike final : public ports::Trial {
public:
    OneStrike() { ports::set_trial(this); }
    ~OneStrike() override { ports::set_trial(nullptr); }
    Strike pass(TrialPoint at) noexcept override {
        ++passes[static_cast<std::size_t>(at)];
        return is_armed && at == point ? strike : Strike::none;
    }
    [[noreturn]] void die(TrialPoint /*at*/) noexcept override { std::_Exit(9); }

    TrialPoint point{};
    Strike strike = Strike::none;
    bool is_armed = false;
    std::array<std::atomic<int>, ports::trial_point_count> passes{};
};

class TrialEnv : public ::testing::Test {
protected:
    TrialEnv() {
        std::string folder = ::testing::TempDir() + "mitu-trial-XXXXXX";
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
    }
    ~TrialEnv() override {
        engine_.reset();
        std::filesystem::remove_all(folder_);
    }
    void open() {
        engine_.reset();
        DiskOptions options;
        options.directory = folder_ + "/store";
        report_ = {};
        auto opened = RocksEngine::open(options, report_);
        ASSERT_TRUE(opened) << opened.error().detail;
        engine_ = *std::move(opened);
    }
    Result<void, Error> write(std::uint64_t key, bool sync) {
        Batch batch;
        batch.put(Family::meta, key_of(key), Bytes(1'000, std::uint8_t{7}));
        return engine_->write(batch.bytes(), sync);
    }
    bool has(std::uint64_t key) {
        const auto found = engine_->get(Family::meta, key_of(key));
        return found && *found && (*found)->size() == 1'000;
    }
    /// In a child: key 1 is written and synced, then key 2 is on its way when it strikes.
    void die_on_the_way(TrialPoint point, Strike strike) {
        OneStrike trial;
        open();
        ASSERT_TRUE(write(1, true));
        trial.point = point;
        trial.strike = strike;
        trial.is_armed = true;
        (void)write(2, true);
    }

    std::string folder_;
    std::unique_ptr<RocksEngine> engine_;
    OpenReport report_;
};

/// The child has none of the threads that RocksDB may have here, and needs none to open and to
/// write.
void run_in_child(const std::function<void()>& run) {
    const ::pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        run();
        std::_Exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 9);
}

TEST_F(TrialEnv, a_loss_of_power_before_the_sync_takes_what_was_written) {
    run_in_child([&] { die_on_the_way(TrialPoint::disk_log_sync, Strike::power); });
    open();
    EXPECT_TRUE(has(1));
    EXPECT_FALSE(has(2));
    EXPECT_TRUE(report_.losses.empty());
}

TEST_F(TrialEnv, a_loss_of_power_after_the_sync_takes_nothing) {
    run_in_child([&] { die_on_the_way(TrialPoint::disk_log_synced, Strike::power); });
    open();
    EXPECT_TRUE(has(1));
    EXPECT_TRUE(has(2));
}

TEST_F(TrialEnv, a_torn_write_is_cut_when_the_log_is_read_and_told_of) {
    run_in_child([&] { die_on_the_way(TrialPoint::disk_log_append, Strike::tear); });
    open();
    EXPECT_TRUE(has(1));
    EXPECT_FALSE(has(2));
    EXPECT_FALSE(report_.losses.empty());
}

TEST_F(TrialEnv, a_call_that_fails_is_an_error_and_recover_mends_it) {
    for (const TrialPoint point : {TrialPoint::disk_log_append, TrialPoint::disk_log_sync}) {
        OneStrike trial;
        open();
        trial.point = point;
        trial.strike = Strike::fail;
        trial.is_armed = true;
        EXPECT_FALSE(write(3, true)) << to_text(point);
        trial.is_armed = false;
        EXPECT_FALSE(write(4, true)) << "nothing is written before recover()";
        ASSERT_TRUE(engine_->recover());
        EXPECT_TRUE(write(5, true));
        EXPECT_TRUE(has(5));
        engine_.reset();
    }
}

TEST_F(TrialEnv, a_start_passes_the_points_of_what_it_writes) {
    OneStrike trial;
    open();
    ASSERT_TRUE(write(1, true));
    open();  // what the log has goes into a table
    for (const TrialPoint point :
         {TrialPoint::disk_log_created, TrialPoint::disk_log_append, TrialPoint::disk_log_synced,
          TrialPoint::disk_table_created, TrialPoint::disk_table_synced,
          TrialPoint::disk_manifest_appended, TrialPoint::disk_renamed,
          TrialPoint::disk_names_synced, TrialPoint::disk_log_erase}) {
        EXPECT_GT(trial.passes[static_cast<std::size_t>(point)], 0) << to_text(point);
    }
    engine_.reset();
}

TEST_F(TrialEnv, without_a_trial_the_files_are_the_systems_own) {
    open();
    ASSERT_TRUE(write(1, true));
    open();
    EXPECT_TRUE(has(1));
}

}  // namespace
}  // namespace mitu::store
