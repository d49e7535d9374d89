// What a store does with bytes that were changed under it.

#include <gtest/gtest.h>

#include "mitu/store/committer.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/virtual_env.hpp"

namespace mitu::store {
namespace {

class Damage : public ::testing::Test {
protected:
    Damage() { open(); }

    void open() {
        engine_.reset();
        env_ = std::make_unique<VirtualEnv>(disk_);
        DiskOptions options;
        options.directory = "/store";
        options.block_cache_bytes = 0;  // what is on the disk is what is read
        env_->install(options);
        report_ = {};
        auto opened = RocksEngine::open(options, report_);
        ASSERT_TRUE(opened) << opened.error().detail;
        engine_ = std::move(*opened);
    }
    void write(Family family, std::uint64_t from, std::uint64_t to, bool sync) {
        for (std::uint64_t i = from; i < to; ++i) {
            Batch batch;
            batch.put(family, key_of(i), Bytes(100, static_cast<std::uint8_t>(i)));
            ASSERT_TRUE(engine_->write(batch.bytes(), sync));
        }
    }
    std::size_t count(Family family) {
        const auto rows = engine_->scan(family, {}, {});
        std::size_t count = 0;
        while (rows->next()) ++count;
        EXPECT_FALSE(rows->error());
        return count;
    }
    /// The largest file whose name ends so.
    std::string largest(std::string_view ending) {
        std::string found;
        std::size_t bytes = 0;
        for (const std::string& name : disk_.children("/store")) {
            const auto file = disk_.find("/store/" + name);
            if (!file || !name.ends_with(ending) || file->bytes.size() < bytes) continue;
            bytes = file->bytes.size();
            found = "/store/" + name;
        }
        return found;
    }

    VirtualDisk disk_{5};
    std::unique_ptr<VirtualEnv> env_;
    std::unique_ptr<RocksEngine> engine_;
    OpenReport report_;
};

TEST_F(Damage, a_new_store_says_so_and_an_old_one_has_nothing_to_report) {
    EXPECT_TRUE(report_.is_new);
    open();
    EXPECT_FALSE(report_.is_new);
    EXPECT_TRUE(report_.losses.empty());
}

TEST_F(Damage, a_damaged_tail_of_the_log_is_cut_and_reported_and_what_is_before_it_stays) {
    write(Family::values, 0, 100, true);
    const std::string log = largest(".log");
    const std::uint64_t bytes = disk_.find(log)->bytes.size();
    engine_.reset();
    ASSERT_TRUE(disk_.flip_bit(log, bytes - 50));  // in the last batch
    open();
    EXPECT_EQ(count(Family::values), 99u);
    ASSERT_FALSE(report_.losses.empty());
    EXPECT_NE(report_.losses[0].find("dropping"), std::string::npos) << report_.losses[0];
    EXPECT_TRUE(report_.quarantined.empty());
}

TEST_F(Damage, a_table_with_a_flipped_bit_is_put_aside_while_the_store_runs_and_the_others_stay) {
    write(Family::values, 0, 500, true);
    write(Family::queue, 0, 50, true);
    ASSERT_TRUE(engine_->compact());
    ASSERT_TRUE(disk_.flip_bit(largest(".sst"), 700));
    write(Family::queue, 50, 60, true);
    const auto sums = engine_->verify_checksums();
    ASSERT_FALSE(sums);
    EXPECT_EQ(sums.error().kind, ErrorKind::damaged);
    EXPECT_TRUE(engine_->has_found_damage());

    Committer committer{*engine_, {}};
    (void)committer.step(Instant::from_ns(0), {});
    EXPECT_TRUE(committer.accepts_growth()) << committer.trouble()->detail;
    const auto losses = engine_->take_losses();
    ASSERT_EQ(losses.size(), 2u);
    EXPECT_NE(losses[0].find("values, 500 rows"), std::string::npos) << losses[0];
    EXPECT_NE(losses[1].find("/store/quarantine/"), std::string::npos) << losses[1];
    EXPECT_EQ(count(Family::values), 0u);
    EXPECT_EQ(count(Family::queue), 60u);
    EXPECT_TRUE(engine_->verify_checksums());
    write(Family::values, 0, 10, true);
    open();
    EXPECT_EQ(count(Family::values), 10u);
    EXPECT_EQ(count(Family::queue), 60u);
}

TEST_F(Damage, a_list_of_files_that_cannot_be_read_is_built_anew) {
    write(Family::queue, 0, 50, true);
    ASSERT_TRUE(engine_->compact());
    write(Family::queue, 50, 60, true);
    std::string manifest;
    for (const std::string& name : disk_.children("/store")) {
        if (name.starts_with("MANIFEST")) manifest = "/store/" + name;
    }
    engine_.reset();
    for (std::uint64_t byte = 0; byte < 64; ++byte) ASSERT_TRUE(disk_.flip_bit(manifest, byte));
    open();
    EXPECT_EQ(count(Family::queue), 60u);
    EXPECT_FALSE(report_.losses.empty());
}

TEST_F(Damage, a_store_that_nothing_mends_starts_empty_and_keeps_the_pieces) {
    write(Family::queue, 0, 50, true);
    engine_.reset();
    for (const std::string& name : disk_.children("/store")) {
        const auto file = disk_.find("/store/" + name);
        if (!file) continue;
        for (std::uint64_t byte = 0; byte < file->bytes.size(); ++byte) {
            (void)disk_.flip_bit("/store/" + name, byte);
        }
    }
    open();
    EXPECT_EQ(count(Family::queue), 0u);
    EXPECT_FALSE(report_.losses.empty());
    write(Family::queue, 0, 5, true);
    EXPECT_EQ(count(Family::queue), 5u);
}

TEST_F(Damage, a_reader_changes_nothing_and_sees_what_a_server_has_written) {
    write(Family::queue, 0, 50, true);
    const std::uint64_t before = disk_.digest();
    DiskOptions options;
    options.directory = "/store";
    options.read_only = true;
    env_->install(options);
    OpenReport report;
    auto reader = RocksEngine::open(options, report);
    ASSERT_TRUE(reader) << reader.error().detail;
    std::size_t rows = 0;
    for (const auto all = (*reader)->scan(Family::queue, {}, {}); all->next();) ++rows;
    EXPECT_EQ(rows, 50u);
    Batch batch;
    batch.put_inbound(SessionId{1}, 1);
    EXPECT_FALSE((*reader)->write(batch.bytes(), true));
    EXPECT_FALSE((*reader)->recover());
    reader->reset();
    EXPECT_EQ(disk_.digest(), before);

    options.directory = "/nothing";
    const auto nothing = RocksEngine::open(options, report);
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().detail, "/nothing holds no store");
}

TEST_F(Damage, a_backup_is_a_store_of_that_moment) {
    write(Family::queue, 0, 50, false);
    ASSERT_TRUE(engine_->backup("/copy"));
    write(Family::queue, 50, 80, true);
    DiskOptions options;
    options.directory = "/copy";
    VirtualEnv env{disk_};
    env.install(options);
    OpenReport report;
    auto copy = RocksEngine::open(options, report);
    ASSERT_TRUE(copy) << copy.error().detail;
    std::size_t rows = 0;
    for (const auto all = (*copy)->scan(Family::queue, {}, {}); all->next();) ++rows;
    EXPECT_EQ(rows, 50u);
    EXPECT_FALSE(engine_->backup("/copy")) << "it is there already";
}

}  // namespace
}  // namespace mitu::store
