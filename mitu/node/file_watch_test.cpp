#include "mitu/node/file_watch.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace mitu::node {
namespace {

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

TEST(file_watch, tells_a_change_once_and_only_when_it_has_lasted) {
    const std::string path = testing::TempDir() + "/file_watch_test";
    write(path, "one");
    FileWatch watch{{path}};
    EXPECT_FALSE(watch.look());
    write(path, "half of tw");
    EXPECT_FALSE(watch.look());  // perhaps not whole yet
    write(path, "two, whole now");
    EXPECT_FALSE(watch.look());
    EXPECT_TRUE(watch.look());
    EXPECT_FALSE(watch.look());
    std::filesystem::remove(path);
    EXPECT_FALSE(watch.look());
    EXPECT_TRUE(watch.look());  // whoever loads it says what is wrong
    EXPECT_FALSE(watch.look());
}

}  // namespace
}  // namespace mitu::node
