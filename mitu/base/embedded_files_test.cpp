#include "mitu/base/embedded_files.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "embedded/base_test_files.hpp"

namespace mitu {
namespace {

std::vector<std::string> names(const std::vector<EmbeddedEntry>& entries) {
    std::vector<std::string> result;
    result.reserve(entries.size());
    for (const auto& entry : entries) {
        result.push_back(std::string{entry.name} + (entry.is_directory ? "/" : ""));
    }
    return result;
}

TEST(embedded_files, lists_files_and_folders_of_each_level) {
    const auto& files = embedded::base_test_files();
    EXPECT_EQ(names(files.read_dir("")),
              (std::vector<std::string>{"bytes.bin", "empty", "hello.txt", "web-old.txt", "web/"}));
    EXPECT_EQ(names(files.read_dir("web")), (std::vector<std::string>{"assets/", "index.html"}));
    EXPECT_EQ(names(files.read_dir("web/assets")), std::vector<std::string>{"app.js"});
    EXPECT_TRUE(files.read_dir("nothing").empty());
    EXPECT_TRUE(files.read_dir("we").empty());
    EXPECT_TRUE(files.read_dir("hello.txt").empty());
}

TEST(embedded_files, gives_every_byte_of_a_binary_file) {
    const auto bytes = embedded::base_test_files().read_file("bytes.bin");
    ASSERT_TRUE(bytes);
    ASSERT_EQ(bytes->size(), 256u);
    for (std::size_t i = 0; i < 256; ++i) {
        EXPECT_EQ(static_cast<unsigned char>((*bytes)[i]), static_cast<unsigned char>(i));
    }
}

TEST(embedded_files, finds_by_whole_path_only) {
    const auto& files = embedded::base_test_files();
    EXPECT_EQ(files.read_file("hello.txt"), "hello\n");
    EXPECT_EQ(files.read_file("web/assets/app.js"), "x");
    EXPECT_EQ(files.read_file("empty"), "");
    EXPECT_FALSE(files.read_file("web"));
    EXPECT_FALSE(files.read_file(""));
    EXPECT_FALSE(files.read_file("web/assets/app.js2"));
    EXPECT_FALSE(files.read_file("/hello.txt"));
}

TEST(embedded_files, is_sorted_and_zero_terminated) {
    const auto& files = embedded::base_test_files();
    ASSERT_EQ(files.file_count(), 6u);
    for (std::size_t i = 0; i < files.file_count(); ++i) {
        if (i > 0) {
            EXPECT_LT(files.path_at(i - 1), files.path_at(i));
        }
        EXPECT_EQ(*(files.data_at(i).data() + files.data_at(i).size()), '\0');
    }
}

}  // namespace
}  // namespace mitu
