#include "mitu/fleet/catalog.hpp"

#include <gtest/gtest.h>

#include <string>

#include "mitu/identity/credential.hpp"

namespace mitu::fleet {
namespace {

Templates embedded() {
    auto templates = load_templates(embedded_templates());
    EXPECT_TRUE(templates) << to_text(templates.error());
    return *std::move(templates);
}

std::shared_ptr<const Catalog> build(std::string_view csv) {
    const SourceFile file{"r.csv", csv};
    auto catalog = Catalog::build(embedded(), &file, 5);
    EXPECT_TRUE(catalog) << to_text(catalog.error());
    return catalog ? *catalog : nullptr;
}

constexpr std::string_view fleet_csv =
    "device,tenant,class,labels\n"
    "th-1,acme,thermostat,\n"
    "th-2,acme,thermostat,zone=server-room;floor=1\n"
    "gw-1,acme,gateway,\n"
    "gw-1,borealis,gateway,\n"
    "ops,cobalt,operator,\n";

TEST(catalog, chooses_the_most_specific_policy) {
    const auto catalog = build(fleet_csv);
    const auto policy_of = [&](std::string_view login) {
        return catalog->policy_for(*catalog->find_login(login))->name;
    };
    EXPECT_EQ(policy_of("th-1"), "acme-thermostat");
    EXPECT_EQ(policy_of("th-2"), "acme-thermostat-server-room");
    EXPECT_EQ(policy_of("gw-1@borealis"), "borealis-gateway");
    EXPECT_EQ(policy_of("ops"), "cobalt-operator");
    EXPECT_EQ(catalog->policy_for_anonymous()->name, "default");
    EXPECT_EQ(catalog->revision(), 5u);
}

TEST(catalog, logs_in_by_id_when_it_is_unique_and_by_id_and_tenant_always) {
    const auto catalog = build(fleet_csv);
    EXPECT_EQ(catalog->find_login("th-1")->id, "th-1");
    EXPECT_EQ(catalog->find_login("th-1")->tenant_name, "acme");
    EXPECT_EQ(catalog->find_login("th-1@acme")->class_name, "thermostat");
    EXPECT_EQ(catalog->find_login("gw-1@acme")->tenant, *catalog->find_tenant("acme"));
    EXPECT_EQ(catalog->find_login("gw-1").error(), LoginError::ambiguous);
    EXPECT_EQ(catalog->find_login("gw-1@cobalt").error(), LoginError::unknown);
    EXPECT_EQ(catalog->find_login("gw-1@nobody").error(), LoginError::unknown);
    EXPECT_EQ(catalog->find_login("nobody").error(), LoginError::unknown);
    EXPECT_EQ(catalog->find_login("").error(), LoginError::unknown);
    EXPECT_EQ(catalog->find_login("@").error(), LoginError::unknown);
    EXPECT_FALSE(catalog->find(tenant_default, "th-1"));
}

TEST(catalog, numbers_tenants_from_default) {
    const auto catalog = build(fleet_csv);
    EXPECT_EQ(catalog->find_tenant("default"), tenant_default);
    EXPECT_FALSE(catalog->find_tenant("nobody"));
    for (std::uint16_t i = 0; i < catalog->tenants().size(); ++i) {
        EXPECT_EQ(catalog->find_tenant(catalog->tenants()[i].name), TenantId{i});
    }
}

TEST(catalog, groups_devices_by_tenant_class_and_policy) {
    const auto catalog = build(fleet_csv);
    std::uint32_t devices = 0;
    for (const Group& group : catalog->groups()) devices += group.devices;
    EXPECT_EQ(devices, 5u);
    EXPECT_EQ(catalog->device_count(), 5u);
    EXPECT_EQ(catalog->groups().size(), 6u);
    const Group& anonymous = catalog->groups()[catalog->group_for_anonymous().value];
    EXPECT_EQ(anonymous.class_name, class_anonymous);
    EXPECT_EQ(anonymous.devices, 0u);
}

TEST(catalog, keeps_labels_and_credentials) {
    const std::string phc = identity::hash_password("x", identity::Salt{7}, {1, 8});
    const auto catalog = build("device,tenant,class,labels,credential\na,acme,gateway,z=1;b=2,\"" +
                               phc + "\"\nb,acme,gateway,,\n");
    const auto a = *catalog->find_login("a");
    const auto b = *catalog->find_login("b");
    EXPECT_EQ(catalog->credential_of(a.index), phc);
    EXPECT_EQ(catalog->credential_of(b.index), "");
    ASSERT_EQ(catalog->labels_of(a.index).size(), 2u);
    EXPECT_EQ(catalog->labels_of(a.index)[0].key, "b");
    EXPECT_TRUE(catalog->labels_of(b.index).empty());
}

TEST(catalog, works_without_a_registry) {
    const auto catalog = Catalog::build(embedded());
    ASSERT_TRUE(catalog) << to_text(catalog.error());
    EXPECT_EQ((*catalog)->device_count(), 0u);
    EXPECT_EQ((*catalog)->find_login("x").error(), LoginError::unknown);
}

TEST(catalog, tells_every_device_that_fits_nowhere) {
    const SourceFile file{"r.csv",
                          "device,tenant,class\n"
                          "a,acmee,gateway\n"
                          "b,acme,toaster\n"
                          "c,acme,toaster\n"
                          "d,acme,gateway\n"
                          "d,acme,thermostat\n"
                          "?,acme,gateway\n"
                          "e,nowhere-near,gateway\n"};
    const auto catalog = Catalog::build(embedded(), &file);
    ASSERT_FALSE(catalog);
    EXPECT_EQ(to_text(catalog.error()),
              R"(r.csv:2: tenant is "acmee"; did you mean acme?
r.csv:3: class is "toaster", which no policy of tenant "acme" selects; correct it, or add a policy
r.csv:6: device "d" of tenant "acme" is there twice, first on line 5; remove one
r.csv:7: device is "?"; use 1..128 of A-Z a-z 0-9 . _ : -
r.csv:8: tenant is "nowhere-near"; use acme, borealis, cobalt, default, or declare it in a policy file with kind: Tenant
)");
}

TEST(catalog, needs_a_policy_for_clients_without_login) {
    const auto catalog = Catalog::build(Templates{{Tenant{"default", "", "", 0}}, {}});
    ASSERT_FALSE(catalog);
    EXPECT_EQ(to_text(catalog.error()),
              "policies: no policy selects clients without a login (tenant default, class "
              "anonymous); add one with selector: {tenant: default}\n");
}

TEST(catalog, finds_each_of_many_devices_in_little_memory) {
    constexpr std::uint32_t count = 20'000;
    const std::string phc = identity::hash_password("x", identity::Salt{7}, {1, 8});
    std::string csv = "device,tenant,class,credential\n";
    for (std::uint32_t i = 0; i < count; ++i) {
        csv += "device-" + std::to_string(i) + ",acme,thermostat,\"" + phc + "\"\n";
    }
    const auto catalog = build(csv);
    ASSERT_EQ(catalog->device_count(), count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto device = catalog->find_login("device-" + std::to_string(i));
        ASSERT_TRUE(device);
        ASSERT_EQ(device->index.value, i);
    }
    EXPECT_LE(catalog->device_bytes() / count, 100u);
}

}  // namespace
}  // namespace mitu::fleet
