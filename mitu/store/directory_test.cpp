#include "mitu/store/directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "mitu/store/key.hpp"

namespace mitu::store {
namespace {

namespace fs = std::filesystem;

class StoreDirectory : public ::testing::Test {
protected:
    StoreDirectory() {
        std::string pattern = ::testing::TempDir() + "mitu-store-XXXXXX";
        data_ = ::mkdtemp(pattern.data());
        open();
    }
    ~StoreDirectory() override {
        engine_.reset();
        fs::remove_all(data_);
    }
    [[nodiscard]] std::string store() const { return store_in(data_.string()); }
    void open() {
        OpenReport report;
        auto opened = RocksEngine::open({.directory = store()}, report);
        ASSERT_TRUE(opened) << opened.error().detail;
        engine_ = std::move(*opened);
    }
    void write_queue(std::uint64_t from, std::uint64_t to) {
        Batch batch;
        if (from == 0) batch.put_session({"t", "client"}, {.id = SessionId{7}});
        for (std::uint64_t i = from; i < to; ++i) {
            batch.enqueue(SessionId{7}, i, {.qos = 1, .body = {.topic = "a/b", .qos = 1}});
            ASSERT_TRUE(engine_->write(batch.bytes(), true));
            batch.clear();
        }
    }
    [[nodiscard]] std::string largest(std::string_view ending) const {
        std::string found;
        std::uintmax_t bytes = 0;
        for (const auto& file : fs::directory_iterator{store()}) {
            if (!file.path().string().ends_with(ending) || file.file_size() < bytes) continue;
            bytes = file.file_size();
            found = file.path().string();
        }
        return found;
    }
    static void flip_bit(const std::string& path, std::streamoff at) {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(at);
        const char byte = static_cast<char>(file.get() ^ 4);
        file.seekp(at);
        file.put(byte);
    }
    static std::uint64_t rows(const Inspection& inspection, Family family) {
        return inspection.report.rows[index_of(family)];
    }

    fs::path data_;
    std::unique_ptr<RocksEngine> engine_;
};

TEST_F(StoreDirectory, an_inspection_counts_rows_and_has_nothing_to_advise) {
    write_queue(0, 50);
    engine_.reset();
    const auto found = inspect(store(), {});
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_TRUE(found->is_sound());
    EXPECT_EQ(rows(*found, Family::queue), 50u);
    EXPECT_TRUE(remedies(*found).empty());
    const auto json = nlohmann::json::parse(to_json(*found));
    EXPECT_EQ(json["families"]["queue"]["rows"], 50);
    EXPECT_EQ(json["sound"], true);
}

TEST_F(StoreDirectory, a_flipped_bit_is_found_in_its_file_with_what_is_lost) {
    write_queue(0, 500);
    ASSERT_TRUE(engine_->compact());
    engine_.reset();
    flip_bit(largest(".sst"), 700);
    const auto found = inspect(store(), {});
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_FALSE(found->is_sound());
    ASSERT_EQ(found->damaged.size(), 1u);
    const DamagedTable& table = found->damaged[0];
    EXPECT_EQ(table.family, "queue");
    EXPECT_EQ(table.rows, 500u);
    EXPECT_EQ(store() + "/" + table.file, largest(".sst"));
    EXPECT_EQ(table.first_key, key_of(7, 0));
    EXPECT_EQ(table.last_key, key_of(7, 499));
    EXPECT_NE(table.what.find("checksum"), std::string::npos) << table.what;
    ASSERT_FALSE(remedies(*found).empty());
    EXPECT_NE(remedies(*found)[0].find("quarantine"), std::string::npos);
    EXPECT_FALSE(fs::exists(store() + "/quarantine")) << "looking changes nothing";
}

TEST_F(StoreDirectory, a_tail_of_the_log_that_was_cut_is_found_with_its_file) {
    write_queue(0, 50);
    engine_.reset();
    const std::string log = largest(".log");
    fs::resize_file(log, fs::file_size(log) - 5);
    const auto found = inspect(store(), {});
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_FALSE(found->is_sound());
    ASSERT_FALSE(found->cut.empty());
    EXPECT_NE(found->cut[0].find(fs::path{log}.filename().string()), std::string::npos)
        << found->cut[0];
    EXPECT_EQ(rows(*found, Family::queue), 49u);
    EXPECT_EQ(remedies(*found).size(), 1u);
}

TEST_F(StoreDirectory, a_file_that_is_missing_is_a_problem_that_an_inspection_names) {
    write_queue(0, 50);
    ASSERT_TRUE(engine_->compact());
    engine_.reset();
    const std::string table = largest(".sst");
    fs::remove(table);
    const auto found = inspect(store(), {});
    ASSERT_TRUE(found) << found.error().detail;
    ASSERT_TRUE(found->problem);
    EXPECT_NE(found->problem->detail.find(fs::path{table}.stem().string()), std::string::npos)
        << found->problem->detail;
    EXPECT_EQ(remedies(*found).size(), 1u);
}

TEST_F(StoreDirectory, what_may_not_mend_leaves_damage_as_it_is) {
    write_queue(0, 50);
    ASSERT_TRUE(engine_->compact());
    engine_.reset();
    fs::remove(largest(".sst"));
    OpenReport report;
    const auto opened = RocksEngine::open({.directory = store(), .mends = false}, report);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::damaged);
    EXPECT_FALSE(fs::exists(store() + "/quarantine"));
}

TEST_F(StoreDirectory, a_backup_is_for_its_owner_alone_and_a_store_of_that_moment) {
    write_queue(0, 50);
    const std::string copy = (data_ / "copy").string();
    const auto made = back_up(*engine_, store(), copy + "/");
    ASSERT_TRUE(made) << made.error().detail;
    EXPECT_GT(made->files, 3u);
    EXPECT_GT(made->bytes, 1'000u);
    struct stat there{};
    ASSERT_EQ(::stat(copy.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777, 0700u);
    write_queue(50, 80);
    const auto found = inspect(store_in(copy), {});
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_TRUE(found->is_sound());
    EXPECT_EQ(rows(*found, Family::queue), 50u);
}

TEST_F(StoreDirectory, a_backup_that_cannot_be_says_why_and_leaves_nothing) {
    const auto refusal = [&](const std::string& target) {
        const auto made = back_up(*engine_, store(), target);
        EXPECT_FALSE(made) << target;
        return made ? "" : std::string{to_text(made.error().kind)} + ": " + made.error().detail;
    };
    EXPECT_NE(refusal(data_.string()).find("refused: "), std::string::npos);
    EXPECT_NE(refusal(data_.string()).find("there already"), std::string::npos);
    EXPECT_NE(refusal((data_ / "no/such").string()).find("make it first"), std::string::npos);
    if (fs::is_directory("/proc/self")) {
        EXPECT_NE(refusal("/proc/self/copy").find("another file system"), std::string::npos);
    }
}

TEST_F(StoreDirectory, one_that_is_open_is_checked_as_of_a_moment_and_nothing_stays) {
    write_queue(0, 50);
    fs::create_directories(store() + "/checking/store");  // of one that was killed
    const auto found = inspect_open(*engine_, store(), {});
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_TRUE(found->is_sound());
    EXPECT_EQ(rows(*found, Family::queue), 50u);
    EXPECT_FALSE(fs::exists(store() + "/checking"));
    write_queue(50, 60);
}

TEST_F(StoreDirectory, whoever_has_it_open_is_known_by_its_process) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto holder = holder_of(store());
        const bool is_right = holder == ::getppid();
        const bool wrote = ::write(pipe[1], is_right ? "y" : "n", 1) == 1;
        ::_exit(wrote ? 0 : 1);
    }
    char answer = '?';
    ASSERT_EQ(::read(pipe[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(pipe[0]);
    ::close(pipe[1]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    engine_.reset();
    EXPECT_FALSE(holder_of(store()));
    EXPECT_FALSE(holder_of(data_.string())) << "no store";
}

TEST_F(StoreDirectory, numbers_of_an_open_store_are_json) {
    write_queue(0, 50);
    const auto json = nlohmann::json::parse(stats_json(*engine_, {}));
    EXPECT_EQ(json["families"]["queue"]["rows_estimate"], 50);
    EXPECT_GT(json["log_bytes"], 1'000);
    EXPECT_GT(json["free_bytes"], 0);
}

}  // namespace
}  // namespace mitu::store
