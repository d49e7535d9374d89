#include "mitu/fleet/registry_edit.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mitu::fleet {
namespace {

DeviceRecord record(std::string device) {
    DeviceRecord result;
    result.device = std::move(device);
    result.tenant = "acme";
    result.class_name = "x";
    return result;
}

std::string added(std::string name, std::string_view text, bool* rewritten = nullptr) {
    const std::vector<DeviceRecord> more{record("new")};
    const auto edit = add_to_registry({std::move(name), text}, more);
    if (!edit) return to_text(edit.error());
    if (rewritten != nullptr) *rewritten = edit->rewritten;
    return edit->text;
}

TEST(registry_edit, begins_a_new_file) {
    EXPECT_EQ(added("r.csv", ""), "device,tenant,class,labels,credential\nnew,acme,x,,\n");
    EXPECT_EQ(added("r.yaml", ""),
              "devices:\n  - device: \"new\"\n    tenant: \"acme\"\n    class: \"x\"\n");
}

TEST(registry_edit, continues_a_file_and_keeps_its_comments) {
    EXPECT_EQ(added("r.csv", "# mine\ndevice,tenant,class,labels,credential\na,acme,x,,"),
              "# mine\ndevice,tenant,class,labels,credential\na,acme,x,,\nnew,acme,x,,\n");
    EXPECT_EQ(added("r.yaml", "devices:  # mine\n  - {device: a, tenant: acme, class: x}\n"),
              "devices:  # mine\n  - {device: a, tenant: acme, class: x}\n"
              "  - device: \"new\"\n    tenant: \"acme\"\n    class: \"x\"\n");
}

TEST(registry_edit, writes_anew_what_cannot_be_continued) {
    bool rewritten = false;
    EXPECT_EQ(added("r.csv", "class,tenant,device\nx,acme,a\n", &rewritten),
              "device,tenant,class,labels,credential\na,acme,x,,\nnew,acme,x,,\n");
    EXPECT_TRUE(rewritten);
    for (const char* text : {"devices: [{device: a, tenant: acme, class: x}]\n",
                             "devices:\n- {device: a, tenant: acme, class: x}\n"}) {
        EXPECT_EQ(added("r.yaml", text, &rewritten),
                  "devices:\n  - device: \"a\"\n    tenant: \"acme\"\n    class: \"x\"\n"
                  "  - device: \"new\"\n    tenant: \"acme\"\n    class: \"x\"\n");
        EXPECT_TRUE(rewritten);
    }
}

TEST(registry_edit, refuses_a_file_with_problems) {
    EXPECT_EQ(added("r.csv", "device,tenant,class\na,acme,x\na,acme,x\n?,acme,x\n"),
              "r.csv:4: device is \"?\"; use 1..128 of A-Z a-z 0-9 . _ : -\n"
              "r.csv:3: device \"a\" of tenant \"acme\" is there twice, first on line 2; remove "
              "one\n");
}

}  // namespace
}  // namespace mitu::fleet
