#include "mitu/yaml/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace mitu::yaml {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "mitu_files.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
    }
    void TearDown() override { fs::remove_all(root_); }
    std::string path(const std::string& name) const { return (root_ / name).string(); }
    static void write(const std::string& file, std::string_view text) {
        std::ofstream{file, std::ios::binary} << text;
    }
    static std::uint32_t mode_of(const std::string& file) {
        struct stat status{};
        return ::stat(file.c_str(), &status) == 0 ? status.st_mode & 0777u : 0u;
    }
    fs::path root_;
};

TEST_F(Files, replace_writes_new_files_private_and_keeps_the_mode_of_others) {
    EXPECT_FALSE(replace_file(path("r.csv"), "one"));
    EXPECT_EQ(load_file(path("r.csv"))->text, "one");
    EXPECT_EQ(mode_of(path("r.csv")), 0600u);
    fs::permissions(path("r.csv"),
                    fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
    EXPECT_FALSE(replace_file(path("r.csv"), "two"));
    EXPECT_EQ(load_file(path("r.csv"))->text, "two");
    EXPECT_EQ(mode_of(path("r.csv")), 0640u);
    EXPECT_FALSE(replace_file(path("r.csv"), "two", {.mode = 0600, .keep_mode = false}));
    EXPECT_EQ(mode_of(path("r.csv")), 0600u);
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator{root_}) ++count;
    EXPECT_EQ(count, 1u) << "no temporary file stays";
}

TEST_F(Files, replace_goes_through_links) {
    write(path("real"), "one");
    fs::create_symlink("real", path("link"));
    EXPECT_FALSE(replace_file(path("link"), "two"));
    EXPECT_TRUE(fs::is_symlink(path("link")));
    EXPECT_EQ(load_file(path("real"))->text, "two");
}

TEST_F(Files, errors_name_the_file) {
    const auto missing = load_file(path("none"));
    ASSERT_FALSE(missing);
    EXPECT_EQ(to_text(missing.error()),
              path("none") + ": cannot open it: No such file or directory");
    EXPECT_TRUE(replace_file(path("no/such/place"), "x"));
    EXPECT_FALSE(load_directory(path("none")));
    EXPECT_FALSE(load_file(root_.string()));
}

TEST_F(Files, template_directory_gives_visible_yaml_files_by_name) {
    write(path("b.yaml"), "b");
    write(path("a.yml"), "a");
    write(path(".hidden.yaml"), "x");
    write(path("notes.txt"), "x");
    fs::create_directory(path("..data.yaml"));
    const auto files = load_directory(root_.string());
    ASSERT_TRUE(files);
    ASSERT_EQ(files->size(), 2u);
    EXPECT_EQ((*files)[0].text, "a");
    EXPECT_EQ(sources(*files)[1].text, "b");
}

TEST_F(Files, lock_makes_writers_wait_for_each_other) {
    write(path("n"), "0");
    std::vector<std::thread> writers;
    writers.reserve(4);
    for (int i = 0; i < 4; ++i) {
        writers.emplace_back([this] {
            for (int j = 0; j < 10; ++j) {
                const auto lock = FileLock::acquire(path("n"));
                ASSERT_TRUE(lock);
                const int n = std::stoi(load_file(path("n"))->text);
                EXPECT_FALSE(replace_file(path("n"), std::to_string(n + 1)));
            }
        });
    }
    for (auto& writer : writers) writer.join();
    EXPECT_EQ(load_file(path("n"))->text, "40");
}

}  // namespace
}  // namespace mitu::yaml
