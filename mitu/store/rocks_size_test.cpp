// How much a store takes: of the disk, beside what lives in it, and of open files.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "mitu/base/random.hpp"
#include "mitu/store/check.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/virtual_env.hpp"

namespace mitu::store {
namespace {

namespace fs = std::filesystem;

Bytes payload_of(Prng& random) {
    Bytes bytes(1'000);  // that do not compress
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
    return bytes;
}

/// On a virtual disk: files are merged within the writes, so nothing has to be waited for.
class StoreSize : public ::testing::Test {
protected:
    StoreSize() {
        options_.directory = "/store";
        options_.write_buffer_bytes = 1U << 20;
        options_.log_bytes_max = 1U << 20;
        options_.block_cache_bytes = 1U << 20;
        env_.install(options_);
        OpenReport report;
        auto opened = RocksEngine::open(options_, report);
        EXPECT_TRUE(opened) << opened.error().detail;
        engine_ = std::move(*opened);
    }
    void write(Batch& batch) {
        ASSERT_TRUE(engine_->write(batch.bytes(), false));
        batch.clear();
    }
    [[nodiscard]] std::uint64_t bytes_on_disk(std::string_view ending) {
        std::uint64_t bytes = 0;
        for (const std::string& name : disk_.children("/store")) {
            const auto file = disk_.find("/store/" + name);
            if (file && name.ends_with(ending)) bytes += file->bytes.size();
        }
        return bytes;
    }
    [[nodiscard]] std::uint64_t live_bytes() {
        const auto report = check(*engine_, {});
        EXPECT_TRUE(report) << report.error().detail;
        std::uint64_t bytes = 0;
        for (const std::uint64_t of_family : report->bytes) bytes += of_family;
        return bytes;
    }

    Prng random_{7};
    VirtualDisk disk_{3};
    VirtualEnv env_{disk_};
    DiskOptions options_;
    std::unique_ptr<RocksEngine> engine_;
};

TEST_F(StoreSize, follows_what_lives_while_queues_are_filled_and_consumed) {
    constexpr std::uint64_t sessions = 20;
    Batch batch;
    for (std::uint64_t s = 1; s <= sessions; ++s) {
        const std::string name = "d" + std::to_string(s);
        batch.put_session({"t", name}, {.id = SessionId{s}});
    }
    write(batch);
    // Each session is given a hundred messages a round, and takes those of the round before: what
    // lives is two megabytes, what was written twenty.
    constexpr std::uint64_t a_round = 100;
    for (std::uint64_t first = 0; first < 10 * a_round; first += a_round) {
        for (std::uint64_t s = 1; s <= sessions; ++s) {
            for (std::uint64_t i = first + 1; i <= first + a_round; ++i) {
                const Bytes bytes = payload_of(random_);
                batch.enqueue(SessionId{s}, i,
                              {.qos = 1, .body = {.topic = "t", .payload = bytes, .qos = 1}});
                if (i > a_round) batch.dequeue(SessionId{s}, i - a_round);
            }
            write(batch);
        }
    }
    const std::uint64_t live = live_bytes();
    EXPECT_GT(live, sessions * a_round * 1'000);
    const std::uint64_t taken = bytes_on_disk(".sst");
    RecordProperty("live_bytes", std::to_string(live));
    RecordProperty("table_bytes", std::to_string(taken));
    EXPECT_LE(taken, 2 * live + options_.write_buffer_bytes) << "live: " << live;
    EXPECT_LE(bytes_on_disk(".log"), options_.log_bytes_max + options_.write_buffer_bytes);
}

TEST_F(StoreSize, what_has_expired_takes_no_space_once_files_are_merged) {
    Batch batch;
    batch.put_session({"t", "away"}, {.id = SessionId{1}});
    for (std::uint64_t i = 1; i <= 3'000; ++i) {
        const Bytes bytes = payload_of(random_);
        const WallTime over = i % 10 == 0 ? wall_never : WallTime{1'000};
        batch.enqueue(SessionId{1}, i,
                      {.qos = 1,
                       .expires_at = over,
                       .body = {.topic = "t", .payload = bytes, .qos = 1, .expires_at = over}});
        write(batch);
    }
    engine_->set_time(WallTime{1'000 + 3'600'000});
    ASSERT_TRUE(engine_->compact());
    const std::uint64_t live = live_bytes();
    EXPECT_LT(live, 400'000u) << "a tenth of what was written";
    EXPECT_LE(bytes_on_disk(".sst"), live + live / 5 + 64 * 1'024);
}

// ---- open files: those of the kernel -----------------------------------------------------------

class StoreFiles : public ::testing::Test {
protected:
    StoreFiles() {
        std::string pattern = ::testing::TempDir() + "mitu-files-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
    }
    ~StoreFiles() override { fs::remove_all(folder_); }
    [[nodiscard]] std::size_t tables() const {
        std::size_t count = 0;
        for (const auto& file : fs::directory_iterator{folder_ / "store"}) {
            count += file.path().extension() == ".sst";
        }
        return count;
    }
    struct Open {
        std::size_t tables = 0;
        std::size_t others = 0;
        std::string names;  // of the others
    };
    [[nodiscard]] static Open open_files_of_store() {
        Open open;
        for (const auto& file : fs::directory_iterator{"/proc/self/fd"}) {
            std::error_code gone;
            const std::string name = fs::read_symlink(file.path(), gone).string();
            if (name.find("mitu-files-") == std::string::npos) continue;
            if (name.ends_with(".sst")) {
                ++open.tables;
            } else {
                ++open.others;
                open.names += name + "\n";
            }
        }
        return open;
    }
    fs::path folder_;
};

TEST_F(StoreFiles, that_are_open_are_bounded_however_many_there_are) {
    if (!fs::is_directory("/proc/self/fd")) GTEST_SKIP() << "no /proc here";
    DiskOptions options;
    options.directory = (folder_ / "store").string();
    options.open_files_max = 40;
    options.write_buffer_bytes = 256 * 1'024;
    OpenReport report;
    const auto engine = RocksEngine::open(options, report);
    ASSERT_TRUE(engine) << engine.error().detail;
    Prng random{7};
    Batch batch;
    std::uint64_t written = 0;
    while (tables() < 100 && written < 60'000) {
        for (int i = 0; i < 100; ++i) {
            const Bytes bytes = payload_of(random);
            // Rising keys: files do not overlap, so they are moved down and not merged.
            batch.put(Family::values, key_of(++written), bytes);
        }
        ASSERT_TRUE((*engine)->write(batch.bytes(), false));
        batch.clear();
    }
    ASSERT_GE(tables(), 100u);
    std::uint64_t read = 0;
    for (const auto rows = (*engine)->scan(Family::values, {}, {}); rows->next();) ++read;
    EXPECT_EQ(read, written);
    const Open open = open_files_of_store();
    EXPECT_LE(open.tables, 40u) << "of " << tables();
    EXPECT_GT(open.tables, 10u);
    // The directory, once for each family and once more; the log, the list of files, the lock.
    EXPECT_LE(open.others, family_count + 8) << open.names;
}

}  // namespace
}  // namespace mitu::store
