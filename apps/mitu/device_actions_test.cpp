#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "apps/mitu/device_command.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/csv.hpp"
#include "mitu/fleet/files.hpp"

namespace mitu::cli {
namespace {

namespace fs = std::filesystem;

class DeviceActions : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "mitu_devices.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
    }
    void TearDown() override { fs::remove_all(root_); }
    std::string path(const std::string& name) const { return (root_ / name).string(); }

    static std::vector<NewDevice> one(std::string id) {
        std::vector<NewDevice> devices(1);
        devices[0].record.device = std::move(id);
        devices[0].record.tenant = "acme";
        devices[0].record.class_name = "thermostat";
        devices[0].record.line = 7;
        devices[0].password = "pa,\"ss";
        devices[0].is_random = true;
        return devices;
    }
    std::shared_ptr<const fleet::Catalog> catalog(const std::string& registry) const {
        const auto file = *fleet::load_file(path(registry));
        const fleet::SourceFile source{registry, file.text};
        const auto result =
            fleet::Catalog::build(*fleet::load_templates(fleet::embedded_templates()), &source);
        EXPECT_TRUE(result) << fleet::to_text(result.error());
        return result ? *result : nullptr;
    }
    fs::path root_;
};

TEST_F(DeviceActions, an_added_device_logs_in_with_its_password) {
    for (const std::string name : {"r.csv", "r.yaml"}) {
        for (const char* id : {"a", "b"}) {
            const auto summary = add_devices({path(name), std::nullopt, "test", false}, one(id));
            ASSERT_TRUE(summary) << fleet::to_text(summary.error());
            EXPECT_EQ(summary->added, 1u);
            EXPECT_FALSE(summary->rewritten);
        }
        const auto devices = catalog(name);
        ASSERT_EQ(devices->device_count(), 2u);
        const auto device = devices->find_login("b@acme");
        ASSERT_TRUE(device);
        const std::string credential = devices->credential_of(device->index);
        EXPECT_TRUE(identity::verify_credential(credential, "pa,\"ss"));
        EXPECT_FALSE(identity::verify_credential(credential, "pa"));
    }
}

TEST_F(DeviceActions, a_device_that_is_there_is_refused_or_skipped) {
    ASSERT_TRUE(add_devices({path("r.csv"), std::nullopt, "in.csv", false}, one("a")));
    const std::string before = fleet::load_file(path("r.csv"))->text;
    auto both = one("a");
    both.push_back(one("b")[0]);
    const auto refused = add_devices({path("r.csv"), path("s.csv"), "in.csv", false}, both);
    ASSERT_FALSE(refused);
    EXPECT_EQ(fleet::to_text(refused.error()), "in.csv:7: device \"a\" of tenant \"acme\" is at " +
                                                   path("r.csv") +
                                                   ":2 already; remove one of them\n");
    EXPECT_EQ(fleet::load_file(path("r.csv"))->text, before);
    EXPECT_FALSE(fs::exists(path("s.csv")));

    const auto skipped = add_devices({path("r.csv"), std::nullopt, "in.csv", true}, both);
    ASSERT_TRUE(skipped);
    EXPECT_EQ(skipped->added, 1u);
    EXPECT_EQ(skipped->skipped, 1u);
    EXPECT_EQ(skipped->total, 2u);
}

TEST_F(DeviceActions, secrets_are_private_complete_and_never_overwritten) {
    ASSERT_TRUE(add_devices({path("r.csv"), path("s.csv"), "x", false}, demo_devices(12)));
    struct stat status{};
    ASSERT_EQ(::stat(path("s.csv").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
    const auto devices = catalog("r.csv");
    EXPECT_EQ(devices->device_count(), 12u);
    const std::string text = fleet::load_file(path("s.csv"))->text;
    std::string_view rest = text;
    EXPECT_EQ(*fleet::next_line(rest), "device,tenant,class,password");
    std::size_t opened = 0;
    std::vector<std::string> fields;
    while (const auto line = fleet::next_line(rest)) {
        ASSERT_TRUE(fleet::split_csv(*line, fields));
        ASSERT_EQ(fields.size(), 4u);
        const auto device = devices->find_login(fields[0] + "@" + fields[1]);
        ASSERT_TRUE(device);
        EXPECT_EQ(device->class_name, fields[2]);
        opened += identity::verify_credential(devices->credential_of(device->index), fields[3]);
    }
    EXPECT_EQ(opened, 12u);

    const auto again = add_devices({path("r2.csv"), path("s.csv"), "x", false}, demo_devices(1));
    ASSERT_FALSE(again);
    EXPECT_EQ(fleet::load_file(path("s.csv"))->text, text);
    EXPECT_FALSE(fs::exists(path("r2.csv")));
}

TEST_F(DeviceActions, a_broken_registry_is_left_alone) {
    ASSERT_FALSE(fleet::replace_file(path("r.csv"), "nonsense\n"));
    EXPECT_FALSE(add_devices({path("r.csv"), std::nullopt, "x", false}, one("a")));
    EXPECT_EQ(fleet::load_file(path("r.csv"))->text, "nonsense\n");
}

TEST_F(DeviceActions, the_demo_has_every_tenant_and_no_operator) {
    ASSERT_TRUE(add_devices({path("r.csv"), path("s.csv"), "x", false}, demo_devices(30)));
    const auto devices = catalog("r.csv");
    std::size_t tenants = 0;
    for (const char* name : {"acme", "borealis", "cobalt"}) {
        const auto tenant = devices->find_tenant(name);
        ASSERT_TRUE(tenant);
        bool has_some = false;
        for (const auto& group : devices->groups()) {
            has_some = has_some || (group.tenant == *tenant && group.devices > 0);
            EXPECT_NE(group.class_name, "operator");
        }
        tenants += has_some;
    }
    EXPECT_EQ(tenants, 3u);
}

TEST(random_secret, differs_each_time) {
    const std::string secret = random_secret();
    EXPECT_EQ(secret.size(), 22u);
    EXPECT_NE(secret, random_secret());
}

}  // namespace
}  // namespace mitu::cli
