#include "mitu/node/sys_tree.hpp"

#include <gtest/gtest.h>

namespace mitu::node {
namespace {

using Values = std::map<std::string, std::string>;

Values values_of(const std::vector<SysValue>& changed) {
    Values values;
    for (const SysValue& value : changed) {
        EXPECT_TRUE(values.try_emplace(value.topic, value.payload).second) << value.topic;
    }
    return values;
}

constexpr Instant at(std::int64_t seconds) { return Instant::from_ns(seconds * 1'000'000'000); }

TEST(sys_tree, says_each_value_once_and_again_only_when_it_changes) {
    SysTree tree{"mitu version 1"};
    SysFigures figures;
    figures.connected = 2;
    figures.sessions = 5;
    const Values first = values_of(tree.update(figures, at(10), Duration::seconds(10)));
    EXPECT_EQ(first.at("$SYS/broker/version"), "mitu version 1");
    EXPECT_EQ(first.at("$SYS/broker/uptime"), "10 seconds");
    EXPECT_EQ(first.at("$SYS/broker/clients/disconnected"), "3");
    EXPECT_EQ(first.at("$SYS/broker/retained messages/count"), "0");
    EXPECT_EQ(first.at("$SYS/broker/load/bytes/sent/15min"), "0.00");

    figures.connected = 1;
    const Values second = values_of(tree.update(figures, at(20), Duration::seconds(10)));
    EXPECT_EQ(second, (Values{{"$SYS/broker/uptime", "20 seconds"},
                              {"$SYS/broker/clients/connected", "1"},
                              {"$SYS/broker/clients/active", "1"},
                              {"$SYS/broker/clients/disconnected", "4"},
                              {"$SYS/broker/clients/inactive", "4"}}));
    EXPECT_EQ(tree.topics().size(), first.size());
}

TEST(sys_tree, remembers_the_most_sessions_that_there_were) {
    SysTree tree{"v"};
    SysFigures figures;
    figures.sessions = 9;
    static_cast<void>(tree.update(figures, at(1), Duration::seconds(1)));
    figures.sessions = 2;
    const Values values = values_of(tree.update(figures, at(2), Duration::seconds(1)));
    EXPECT_EQ(values.at("$SYS/broker/clients/total"), "2");
    EXPECT_FALSE(values.contains("$SYS/broker/clients/maximum"));
}

TEST(sys_tree, averages_come_near_a_steady_rate_the_short_ones_first) {
    SysTree tree{"v"};
    SysFigures figures;
    figures.bytes_sent = 1'000'000;  // before anybody looked: in no average
    static_cast<void>(tree.update(figures, at(0), Duration{}));
    Values values;
    for (int i = 1; i <= 30; ++i) {  // five minutes of ten bytes a second
        figures.bytes_sent += 100;
        for (auto& [topic, payload] :
             values_of(tree.update(figures, at(10 * i), Duration::seconds(10)))) {
            values[topic] = payload;
        }
    }
    EXPECT_NEAR(std::stod(values.at("$SYS/broker/load/bytes/sent/1min")), 600, 5);
    EXPECT_NEAR(std::stod(values.at("$SYS/broker/load/bytes/sent/5min")), 379, 2);
    EXPECT_NEAR(std::stod(values.at("$SYS/broker/load/bytes/sent/15min")), 170, 2);
}

TEST(sys_tree, what_the_whole_server_has_is_there_only_for_the_whole_server) {
    SysTree of_tenant{"v"};
    const SysFigures one;
    EXPECT_FALSE(values_of(of_tenant.update(one, at(1), Duration::seconds(1)))
                     .contains("$SYS/broker/heap/current"));
    SysTree of_server{"v"};
    SysFigures all;
    all.server = SysFigures::Server{.stored_messages = 7, .resident_bytes = 4'096};
    const Values values = values_of(of_server.update(all, at(1), Duration::seconds(1)));
    EXPECT_EQ(values.at("$SYS/broker/heap/current"), "4096");
    EXPECT_EQ(values.at("$SYS/broker/store/messages/count"), "7");

    all.server.reset();  // somebody else is here now
    const Values gone = values_of(of_server.update(all, at(2), Duration::seconds(1)));
    EXPECT_EQ(gone.at("$SYS/broker/heap/current"), "");
    EXPECT_EQ(gone.at("$SYS/broker/load/sockets/5min"), "");
    EXPECT_FALSE(gone.contains("$SYS/broker/clients/total"));
    EXPECT_FALSE(values_of(of_server.update(all, at(3), Duration::seconds(1)))
                     .contains("$SYS/broker/heap/current"));
}

TEST(sys_tree, a_total_that_falls_is_no_rate) {
    SysTree tree{"v"};
    SysFigures figures;
    figures.dropped = 100;
    static_cast<void>(tree.update(figures, at(1), Duration::seconds(1)));
    figures.dropped = 1;  // a tenant that was removed and came back
    const Values values = values_of(tree.update(figures, at(2), Duration::seconds(1)));
    EXPECT_FALSE(values.contains("$SYS/broker/load/publish/dropped/1min"));
}

}  // namespace
}  // namespace mitu::node
