#include "mitu/store/reserve.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "mitu/store/rocks_engine.hpp"

namespace mitu::store {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t bytes = 1U << 20;

class ReserveFile : public ::testing::Test {
protected:
    ReserveFile() {
        std::string pattern = ::testing::TempDir() + "mitu-reserve-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
    }
    ~ReserveFile() override { fs::remove_all(folder_); }
    [[nodiscard]] std::uint64_t taken(const fs::path& path) const {
        struct stat found{};
        return ::stat(path.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * 512
                                                 : 0;
    }
    fs::path folder_;
};

TEST_F(ReserveFile, takes_space_and_gives_it_back_once) {
    const fs::path path = folder_ / "reserve";
    Reserve reserve{path.string(), bytes};
    EXPECT_FALSE(reserve.release()) << "there is nothing yet";
    ASSERT_TRUE(reserve.refill());
    EXPECT_GE(taken(path), bytes);
    EXPECT_TRUE(reserve.refill()) << "it has it";
    EXPECT_EQ(reserve.held_bytes(), bytes);
    EXPECT_TRUE(reserve.release());
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(reserve.held_bytes(), 0u);
    EXPECT_FALSE(reserve.release());
}

TEST_F(ReserveFile, one_that_was_cut_short_is_made_whole) {
    const fs::path path = folder_ / "reserve";
    Reserve reserve{path.string(), bytes};
    ASSERT_TRUE(reserve.refill());
    fs::resize_file(path, 100);
    ASSERT_TRUE(reserve.refill());
    EXPECT_GE(taken(path), bytes);
}

TEST_F(ReserveFile, that_cannot_be_made_leaves_nothing) {
    Reserve nowhere{(folder_ / "no" / "reserve").string(), bytes};
    EXPECT_FALSE(nowhere.refill());
    Reserve too_large{(folder_ / "reserve").string(), 1ULL << 60};
    EXPECT_FALSE(too_large.refill());
    EXPECT_FALSE(fs::exists(folder_ / "reserve"));
    Reserve none{(folder_ / "reserve").string(), 0};
    EXPECT_FALSE(none.refill());
    EXPECT_FALSE(none.release());
}

TEST_F(ReserveFile, lies_in_a_store_beside_its_files_and_survives_a_start_with_room) {
    DiskOptions options;
    options.directory = (folder_ / "store").string();
    options.reserve_bytes = bytes;
    for (int start = 0; start < 2; ++start) {
        OpenReport report;
        auto engine = RocksEngine::open(options, report);
        ASSERT_TRUE(engine) << engine.error().detail;
        EXPECT_FALSE(report.used_reserve);
        (*engine)->refill_reserve();
        engine->reset();
        EXPECT_GE(taken(folder_ / "store" / "reserve"), bytes) << start;
    }
}

}  // namespace
}  // namespace mitu::store
