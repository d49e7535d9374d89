#include "mitu/fleet/status.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mitu::fleet {
namespace {

TEST(status, sums_the_groups_of_all_shards) {
    const auto templates = load_templates(embedded_templates());
    ASSERT_TRUE(templates);
    const SourceFile file{"r.csv",
                          "device,tenant,class\n"
                          "a,cobalt,tracker\nb,cobalt,tracker\nc,cobalt,tracker\n"
                          "d,acme,gateway\n"};
    const auto catalog = *Catalog::build(*templates, &file, 42);
    ShardStatus first{catalog->groups().size()};
    ShardStatus second{catalog->groups().size()};
    const GroupIndex trackers = catalog->find_login("a")->group;
    first.at(trackers).seen.set(1);
    first.at(trackers).online.set(1);
    first.at(trackers).drifted.set(1);
    second.at(trackers).seen.set(1);
    second.at(trackers).heartbeat_missed.set(1);
    second.at(catalog->group_for_anonymous()).seen.set(9);
    second.at(catalog->group_for_anonymous()).online.set(2);

    const std::vector<const ShardStatus*> shards{&first, &second};
    EXPECT_EQ(status_json(*catalog, shards),
              R"({"revision":42,)"
              R"("totals":{"devices":6,"unseen":2,"online":3,"heartbeat_missed":1,"drifted":1},)"
              R"("groups":[)"
              R"({"tenant":"acme","class":"gateway","policy":"acme-gateway","policy_revision":1,)"
              R"("devices":1,"unseen":1,"online":0,"heartbeat_missed":0,"drifted":0},)"
              R"({"tenant":"cobalt","class":"tracker","policy":"cobalt-tracker",)"
              R"("policy_revision":1,)"
              R"("devices":3,"unseen":1,"online":1,"heartbeat_missed":1,"drifted":1},)"
              R"({"tenant":"default","class":"anonymous","policy":"default","policy_revision":1,)"
              R"("devices":2,"unseen":0,"online":2,"heartbeat_missed":0,"drifted":0}]})");
}

}  // namespace
}  // namespace mitu::fleet
