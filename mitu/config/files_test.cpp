#include "mitu/config/files.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "mitu/config/managed.hpp"
#include "mitu/yaml/files.hpp"

namespace mitu::config {
namespace {

namespace fs = std::filesystem;

class ConfigFiles : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "mitu_config.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
        data_ = {"node.data", root_, "--data"};
    }
    void TearDown() override { fs::remove_all(root_); }
    std::string path(std::string_view name) const { return root_ + "/" + std::string{name}; }
    void write(std::string_view name, std::string_view text) const {
        std::ofstream{path(name), std::ios::binary} << text;
    }
    std::string root_;
    Override data_;
};

TEST_F(ConfigFiles, the_file_in_the_data_directory_is_found_and_another_may_be_named) {
    write("mitud.yaml", "node: {shards: 3}\n");
    write("other.yaml", "node: {shards: 4}\n");
    const auto found = load_from_files({.flags = {data_}});
    ASSERT_TRUE(found) << yaml::to_text(found.error());
    EXPECT_EQ(found->file, path("mitud.yaml"));
    EXPECT_EQ(found->loaded.config.node.shards, 3);
    const auto named = load_from_files({.file = path("other.yaml"), .flags = {data_}});
    ASSERT_TRUE(named);
    EXPECT_EQ(named->loaded.config.node.shards, 4);
    const auto none = load_from_files({.file = "", .flags = {data_}});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->loaded.config.node.shards, 0);
    EXPECT_FALSE(load_from_files({.file = path("missing.yaml")}));
}

TEST_F(ConfigFiles, the_revision_is_kept_in_the_data_directory_and_grows_with_changes) {
    write("mitud.yaml", "log: {level: warn}\n");
    const FileSources sources{.flags = {data_}};
    const auto first = load_from_files(sources);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->loaded.revision, 1u);
    EXPECT_FALSE(stamp_managed(*first));
    const auto again = load_from_files(sources);
    ASSERT_TRUE(again) << yaml::to_text(again.error());
    EXPECT_FALSE(again->loaded.is_new_revision);
    write("mitud.yaml", "log: {level: error}\n");
    const auto changed = load_from_files(sources);
    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->loaded.revision, 2u);
    EXPECT_FALSE(stamp_managed(*changed));
    EXPECT_EQ(load_from_files(sources)->loaded.revision, 2u);
}

TEST_F(ConfigFiles, a_stamp_keeps_what_the_api_wrote) {
    ManagedFile managed;
    managed.put_ban({.client_id = "c",
                     .user = {},
                     .address = {},
                     .tenant = {},
                     .until = {},
                     .reason = {},
                     .created_by = {},
                     .created_at = {}});
    ASSERT_FALSE(yaml::replace_file(path("managed.yaml"), managed.text()));
    const auto loaded = load_from_files({.flags = {data_}});
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    ASSERT_FALSE(stamp_managed(*loaded));
    const auto again = load_from_files({.flags = {data_}});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->loaded.config.bans.at(0).client_id, "c");
    EXPECT_EQ(load_from_files({.flags = {data_}, .with_managed = false})->loaded.config.bans.size(),
              0u);
}

TEST_F(ConfigFiles, files_that_cannot_be_read_are_told_where_they_are_named) {
    write("mitud.yaml", "log: {}\nregistry:\n  file: /no/such/file\n");
    const auto loaded = load_from_files({.flags = {data_}});
    ASSERT_TRUE(loaded);
    EXPECT_EQ(yaml::to_text(unreadable_files(loaded->loaded)),
              path("mitud.yaml") +
                  ":3: registry.file is \"/no/such/file\": No such file or "
                  "directory; name a file that can be read\n");
}

TEST_F(ConfigFiles, tenants_are_those_that_policies_declare) {
    write("mitud.yaml",
          "policies: {directory: here}\nlisteners: [{name: a, bind: '*:1', tenant: acme}]\n");
    FileSources sources{.flags = {data_}};
    sources.tenants = [](const std::string& directory) {
        return Result<std::vector<std::string>, yaml::Problems>{
            directory == "here" ? std::vector<std::string>{"acme"} : std::vector<std::string>{}};
    };
    EXPECT_TRUE(load_from_files(sources));
    sources.tenants = [](const std::string&) {
        return Result<std::vector<std::string>, yaml::Problems>{std::vector<std::string>{"acne"}};
    };
    const auto loaded = load_from_files(sources);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().at(0).text,
              "listeners[0].tenant is \"acme\", which is no tenant; did you mean acne?");
}

}  // namespace
}  // namespace mitu::config
