#include "mitu/runtime/topology.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <map>
#include <set>
#include <thread>

#include "mitu/runtime/process.hpp"

namespace mitu::runtime {
namespace {

Topology machine(const std::string& description) {
    auto topology = Topology::synthetic(description);
    EXPECT_TRUE(topology.has_value()) << topology.error();
    return std::move(*topology);
}

}  // namespace

TEST(topology, one_node_binds_no_memory_and_gives_each_shard_a_core) {
    const Topology topology = machine("core:4 pu:1");
    EXPECT_EQ(topology.node_count(), 1u);
    EXPECT_EQ(topology.core_count(), 4u);
    std::set<std::uint32_t> processors;
    for (const ShardPlace& place : topology.place(4)) {
        EXPECT_EQ(place.node, ShardPlace::any);
        EXPECT_FALSE(place.shares_core);
        processors.insert(place.processor);
    }
    EXPECT_EQ(processors.size(), 4u);
}

TEST(topology, shards_are_spread_over_nodes_evenly) {
    const Topology topology = machine("numa:4 core:4 pu:2");
    EXPECT_EQ(topology.node_count(), 4u);
    EXPECT_EQ(topology.processor_count(), 32u);
    for (const std::uint32_t shards : {1u, 3u, 4u, 7u, 16u, 32u}) {
        std::map<std::uint32_t, int> by_node;
        for (const ShardPlace& place : topology.place(shards)) ++by_node[place.node];
        int least = 1'000;
        int most = 0;
        for (std::uint32_t node = 0; node < 4; ++node) {
            least = std::min(least, by_node[node]);
            most = std::max(most, by_node[node]);
        }
        EXPECT_LE(most - least, 1) << shards;
    }
}

TEST(topology, a_place_lies_on_the_node_that_it_names) {
    // Two nodes of four processors: 0..3 and 4..7.
    for (const ShardPlace& place : machine("numa:2 core:2 pu:2").place(8)) {
        EXPECT_EQ(place.processor / 4, place.node);
    }
}

TEST(topology, memory_of_two_kinds_beside_the_same_cores_counts_them_once) {
    const Topology topology = machine("pack:2 [numa] [numa] core:2 pu:1");
    EXPECT_EQ(topology.node_count(), 2u);
    EXPECT_EQ(topology.processor_count(), 4u);
    std::set<std::uint32_t> processors;
    for (const ShardPlace& place : topology.place(4)) {
        EXPECT_FALSE(place.shares_core);
        processors.insert(place.processor);
    }
    EXPECT_EQ(processors.size(), 4u);
}

TEST(topology, cores_come_before_their_second_threads) {
    const auto places = machine("numa:2 core:2 pu:2").place(8);
    std::set<std::uint32_t> cores;
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_FALSE(places[i].shares_core);
        cores.insert(places[i].processor / 2);
    }
    EXPECT_EQ(cores.size(), 4u);
    for (std::size_t i = 4; i < 8; ++i) EXPECT_TRUE(places[i].shares_core);
}

TEST(topology, more_shards_than_processors_share_all_of_them_alike) {
    std::map<std::uint32_t, int> uses;
    for (const ShardPlace& place : machine("numa:2 core:3 pu:1").place(18)) ++uses[place.processor];
    EXPECT_EQ(uses.size(), 6u);
    for (const auto& [processor, count] : uses) EXPECT_EQ(count, 3) << processor;
}

TEST(topology, the_same_machine_gives_the_same_places) {
    const auto first = machine("numa:2 core:4 pu:2").place(11);
    const auto second = machine("numa:2 core:4 pu:2").place(11);
    for (std::size_t i = 0; i < first.size(); ++i) {
        EXPECT_EQ(first[i].processor, second[i].processor);
        EXPECT_EQ(first[i].node, second[i].node);
    }
}

TEST(topology, a_description_that_means_nothing_is_refused) {
    const auto topology = Topology::synthetic("teapot:3");
    ASSERT_FALSE(topology.has_value());
    EXPECT_NE(topology.error().find("teapot:3"), std::string::npos);
}

TEST(topology, this_machine_has_what_this_process_may_use) {
    const auto topology = Topology::read();
    ASSERT_TRUE(topology.has_value()) << topology.error();
    EXPECT_EQ(topology->processor_count(), usable_cores());
    for (const ShardPlace& place : topology->place(topology->processor_count())) {
        std::thread{[&] {
            const Binding binding = bind_thread(place);
            EXPECT_EQ(binding.processor_problem, "");
            EXPECT_EQ(binding.memory_problem, "");
            EXPECT_EQ(sched_getcpu(), static_cast<int>(place.processor));
        }}.join();
    }
}

TEST(topology, what_the_kernel_refuses_is_told_and_the_thread_goes_on) {
    std::thread{[] {
        ShardPlace nowhere;
        nowhere.processor = 4'000;
        nowhere.node = 900;
        const Binding binding = bind_thread(nowhere);
        EXPECT_NE(binding.processor_problem, "");
        EXPECT_NE(binding.memory_problem, "");
    }}.join();
}

}  // namespace mitu::runtime
