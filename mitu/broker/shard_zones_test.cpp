// Sessions that break: what it costs them, and that it costs nobody else anything.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using memory::ZoneFault;
using mqtt::ReasonCode;
using ports::Fault;
using Strings = std::vector<std::string>;

std::uint64_t broken_count(World& world) {
    std::uint64_t count = 0;
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        for (const auto& counter : world.shard(i).counters().session_faults)
            count += counter.read();
    }
    return count;
}

/// The first shard in which a session comes to its fault point number `spared` breaks it, in the
/// given way.
void break_next(World& world, ZoneFault fault, std::uint64_t spared = 0) {
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        DrawnFaults& faults = world.faults(i);
        faults.probability[Fault::session_breaks] = 1.0;
        faults.spared[Fault::session_breaks] = spared;
        faults.on_strike = [&world, fault](auto, auto) {
            for (std::uint16_t k = 0; k < world.shard_count(); ++k) {
                world.faults(k).probability.clear();
            }
            if (fault == ZoneFault::exception) throw std::runtime_error{"planted"};
            if (fault == ZoneFault::no_memory) throw std::bad_alloc{};
            memory::raise_fault(fault, "planted");
        };
    }
}

struct ZonesTest : ::testing::TestWithParam<std::tuple<std::uint16_t, ZoneFault>> {
    static std::uint16_t shards() { return std::get<0>(GetParam()); }
    static ZoneFault fault() { return std::get<1>(GetParam()); }
    World world{{.shards = shards()}};
};
INSTANTIATE_TEST_SUITE_P(
    kinds, ZonesTest,
    ::testing::Combine(::testing::Values(1, 3),
                       ::testing::Values(ZoneFault::budget_spent, ZoneFault::no_memory,
                                         ZoneFault::exception, ZoneFault::bad_access,
                                         ZoneFault::double_free)));

TEST_P(ZonesTest, end_the_session_with_a_reason_and_leave_nothing_of_it) {
    Client& victim = world.client("victim").connect({.session_expiry_s = 1'000});
    victim.subscribe("a/b/c/d", {.qos = qos1});
    victim.subscribe("$share/g/a/#", {.qos = qos1});
    for (int i = 0; i < 20; ++i) victim.subscribe("many/" + std::to_string(i));
    EXPECT_EQ(world.counted(&Counters::subscriptions), 22u);

    break_next(world, fault());
    victim.ping();
    ASSERT_FALSE(victim.is_open());
    ASSERT_TRUE(victim.goodbye().has_value());
    EXPECT_EQ(victim.goodbye(), fault() == ZoneFault::budget_spent
                                    ? ReasonCode::quota_exceeded
                                    : ReasonCode::implementation_specific_error);
    EXPECT_EQ(broken_count(world), 1u);
    EXPECT_EQ(world.session("victim"), nullptr);
    EXPECT_EQ(world.counted(&Counters::sessions), 0u);
    EXPECT_EQ(world.counted(&Counters::clients), 0u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
    EXPECT_EQ(world.counted(&Counters::session_held_bytes), 0u);
    Client& publisher = world.client("publisher").connect();
    EXPECT_EQ(publisher.publish("a/b/c/d", "nobody hears", {.qos = qos1}),
              ReasonCode::no_matching_subscribers);
    EXPECT_EQ(publisher.publish("many/7", "nobody hears", {.qos = qos1}),
              ReasonCode::no_matching_subscribers);
    // Its name is free again.
    victim.connect({.clean_start = false, .session_expiry_s = 1'000});
    EXPECT_FALSE(victim.session_present());
    victim.subscribe("a/b/c/d", {.qos = qos1});
    publisher.publish("a/b/c/d", "heard", {.qos = qos1});
    EXPECT_EQ(victim.take_payloads(), Strings{"heard"});
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_P(ZonesTest, cost_the_other_recipients_of_a_message_nothing) {
    std::map<std::string, Client*> readers;
    for (int i = 0; i < 12; ++i) {
        Client& reader = world.client_at(static_cast<std::uint16_t>(i % shards()), "reader");
        reader.connect().subscribe("news/of/the/day", {.qos = qos1});
        readers[reader.id()] = &reader;
    }
    Client& publisher = world.client("publisher").connect();
    std::uint64_t broken = 0;
    for (int round = 0; round < 60; ++round) {
        break_next(world, fault(), static_cast<std::uint64_t>(round));
        publisher.publish_later("news/of/the/day", std::to_string(round), {.qos = qos1});
        world.run();
        for (std::uint16_t i = 0; i < shards(); ++i) world.faults(i).probability.clear();
        std::uint64_t lost = 0;
        for (auto& [id, reader] : readers) {
            if (reader->is_open()) {
                const auto payloads = reader->take_payloads();
                // A publisher that breaks before it has passed the message on has said nothing.
                if (publisher.is_open() || !payloads.empty()) {
                    EXPECT_EQ(payloads, Strings{std::to_string(round)}) << id;
                }
                continue;
            }
            ++lost;
            static_cast<void>(reader->take_payloads());
            reader->connect().subscribe("news/of/the/day", {.qos = qos1});
        }
        if (!publisher.is_open()) {
            ++lost;
            publisher.connect();
        }
        broken += lost;
        EXPECT_LE(lost, 1u);
        EXPECT_EQ(broken_count(world), broken);
        world.advance(Duration::seconds(2));
    }
    EXPECT_GT(broken, 20u);
    EXPECT_EQ(world.stored_messages(), 0u) << "references of broken sessions are mended";
}

TEST_P(ZonesTest, publish_the_will_if_the_memory_can_be_believed) {
    Client& watcher = world.client("watcher").connect();
    watcher.subscribe("wills/#", {.qos = qos1});
    Client& victim = world.client("victim").connect(
        {.will = WillOptions{.topic = "wills/victim", .payload = "gone", .qos = qos1}});
    // The watcher's acknowledgement comes to fault points too: only the victim talks.
    break_next(world, fault());
    victim.ping();
    EXPECT_FALSE(victim.is_open());
    EXPECT_EQ(watcher.take_payloads(), leaves_memory_sound(fault()) ? Strings{"gone"} : Strings{});
    world.advance(Duration::seconds(2));
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST_P(ZonesTest, hand_what_was_shared_to_other_members_if_the_memory_can_be_believed) {
    Client& publisher = world.client("publisher").connect();
    Client& first = world.client("first").connect({.receive_maximum = 1});
    Client& second = world.client("second").connect({.receive_maximum = 1});
    for (Client* member : {&first, &second}) {
        member->acknowledges = false;
        member->subscribe("$share/g/jobs/#", {.qos = qos1});
    }
    for (int i = 0; i < 6; ++i) publisher.publish("jobs/1", std::to_string(i), {.qos = qos1});
    break_next(world, fault());
    first.ping();
    ASSERT_FALSE(first.is_open());
    second.acknowledges = true;
    for (const auto& message : second.take_messages()) second.acknowledge(message);
    world.run();
    const auto rest = second.take_payloads();
    EXPECT_EQ(rest.size(), leaves_memory_sound(fault()) ? 5u : 2u) << "beside the first it had";
    world.advance(Duration::seconds(2));
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST(session_zones, cost_a_connection_that_has_no_session_yet_only_itself) {
    World world;
    Client& other = world.client("other").connect();
    other.subscribe("a");
    break_next(world, ZoneFault::exception);
    Client& newcomer = world.client("newcomer").connect();  // breaks while it is attached
    EXPECT_FALSE(newcomer.is_connected());
    EXPECT_FALSE(newcomer.is_open());
    ASSERT_NE(newcomer.connack(), nullptr) << "[MQTT-3.14.0-1]: no DISCONNECT before CONNACK";
    EXPECT_EQ(newcomer.connack()->reason, ReasonCode::implementation_specific_error);
    EXPECT_FALSE(newcomer.goodbye().has_value());
    EXPECT_EQ(world.counted(&Counters::sessions), 1u);
    newcomer.connect();
    newcomer.publish("a", "hello");
    EXPECT_EQ(other.take_payloads(), Strings{"hello"});
}

TEST_P(ZonesTest, do_nothing_of_what_the_call_that_broke_had_asked_for) {
    Client& watcher = world.client("watcher").connect();
    watcher.subscribe("a", {.qos = qos1});
    Client& victim = world.client("victim");
    for (const auto qos : {qos0, qos1}) {
        // At the beginning of the packet, where its answer is owed, at its end.
        for (std::uint64_t spared = 0; spared < (qos == qos0 ? 2u : 3u); ++spared) {
            victim.connect();
            break_next(world, fault(), spared);
            victim.publish_later("a", "half said", {.qos = qos});
            world.run();
            EXPECT_FALSE(victim.is_open());
            EXPECT_EQ(watcher.take_payloads(), Strings{}) << spared;
        }
    }
    EXPECT_EQ(broken_count(world), 5u);
    EXPECT_EQ(world.counted(&Counters::messages_routed_total), 0u);
}

/// What a call took out of the session before it broke is not in the session's end any more.
TEST_P(ZonesTest, take_out_subscriptions_that_the_call_which_broke_was_taking_out) {
    Client& victim = world.client("victim");
    const auto acts = {+[](Client& client) { client.disconnect(); },
                       +[](Client& client) { client.unsubscribe("a/b"); },
                       +[](Client& client) { client.unsubscribe("$share/g/#"); }};
    for (const auto act : acts) {
        for (std::uint64_t spared = 0; spared < 4; ++spared) {
            victim.connect();
            for (const char* filter : {"a/b", "a/+", "#", "$share/g/#"}) victim.subscribe(filter);
            break_next(world, fault(), spared);
            act(victim);
            world.run();
            for (std::uint16_t i = 0; i < shards(); ++i) world.faults(i).probability.clear();
            if (victim.is_open()) victim.disconnect();
            world.advance(Duration::seconds(3));  // what is missing is looked for now and then
            std::size_t indexed = 0;
            for (std::uint16_t i = 0; i < shards(); ++i) {
                indexed += world.shard(i).indexed_subscription_count();
            }
            EXPECT_EQ(indexed, 0u) << spared;
            EXPECT_EQ(world.counted(&Counters::subscriptions), 0u) << spared;
        }
    }
    EXPECT_GE(broken_count(world), 7u);
}

TEST(session_zones, keep_to_the_old_will_of_a_session_that_breaks_when_its_client_comes_back) {
    World world;
    Client& watcher = world.client("watcher").connect();
    watcher.subscribe("wills/#", {.qos = qos1});
    Client& victim = world.client("victim");
    const auto will = [](std::string payload) {
        return WillOptions{
            .topic = "wills/victim", .payload = std::move(payload), .qos = qos1, .delay_s = 1'000};
    };
    for (std::uint64_t spared = 0; spared < 2; ++spared) {
        victim.connect({.session_expiry_s = 10'000, .will = will("old")});
        victim.cut();
        world.run();
        break_next(world, ZoneFault::exception, spared);
        victim.connect({.clean_start = false, .session_expiry_s = 10'000, .will = will("new")});
        EXPECT_FALSE(victim.is_connected());
        world.faults(0).probability.clear();
        // The session has ended, and nobody has come back to it.
        EXPECT_EQ(watcher.take_payloads(), Strings{"old"});
    }
    world.advance(Duration::seconds(2'000));
    EXPECT_EQ(watcher.take_payloads(), Strings{});
    EXPECT_EQ(world.stored_messages(), 0u);
}

// --- budgets ---

TEST(session_memory, refuses_a_subscription_that_it_has_no_room_for) {
    Limits limits;
    limits.session_bytes_max = 2'000;
    World world{{.limits = limits}};
    Client& client = world.client("c").connect();
    int granted = 0;
    bool is_refused = false;
    for (int i = 0; i < 200; ++i) {
        const auto reasons = client.subscribe("some/filter/number/" + std::to_string(i));
        ASSERT_EQ(reasons.size(), 1u);
        if (reasons[0] == ReasonCode::quota_exceeded) {
            is_refused = true;
        } else {
            ++granted;
        }
    }
    EXPECT_TRUE(is_refused);
    EXPECT_GT(granted, 10);
    EXPECT_TRUE(client.is_open());
    EXPECT_EQ(world.counted(&Counters::subscriptions), static_cast<std::uint64_t>(granted));
    client.publish("some/filter/number/3", "x");
    EXPECT_EQ(client.take_payloads(), Strings{"x"});
}

TEST(session_memory, drops_messages_that_its_queue_has_no_room_for) {
    Limits limits;
    limits.session_bytes_max = 2'000;
    World world{{.limits = limits}};
    Client& slow = world.client("slow").connect({.receive_maximum = 1});
    slow.acknowledges = false;
    slow.subscribe("a", {.qos = qos1});
    Client& publisher = world.client("publisher").connect();
    for (int i = 0; i < 500; ++i) publisher.publish("a", std::to_string(i), {.qos = qos1});
    EXPECT_TRUE(slow.is_open());
    const auto dropped = world.dropped(DropReason::queue_full);
    EXPECT_GT(dropped, 300u);
    slow.acknowledges = true;
    for (const auto& message : slow.take_messages()) slow.acknowledge(message);
    world.run();
    EXPECT_EQ(slow.take_messages().size() + 1 + dropped, 500u);
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST(session_memory, ends_a_session_that_cannot_go_on_without_more) {
    Limits limits;
    limits.session_bytes_max = 4'000;
    World world{{.limits = limits}};
    Client& greedy = world.client("greedy").connect();
    const std::string name(1'500, 'x');
    for (std::uint16_t alias = 1; alias <= 10 && greedy.is_open(); ++alias) {
        greedy.publish(name + std::to_string(alias), "p", {.topic_alias = alias});
    }
    ASSERT_FALSE(greedy.is_open());
    ASSERT_TRUE(greedy.goodbye().has_value());
    EXPECT_EQ(greedy.goodbye(), ReasonCode::quota_exceeded);
    EXPECT_EQ(world.counted(&Counters::session_held_bytes), 0u);
    EXPECT_EQ(world.shard()
                  .counters()
                  .session_faults[static_cast<std::size_t>(ZoneFault::budget_spent)]
                  .read(),
              1u);
}

// --- a storm ---

/// Pairs of clients talk while sessions break, run out of memory and come back. Whoever was not
/// disconnected has lost nothing.
class ZonesStormTest : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(seeds, ZonesStormTest, ::testing::Range<std::uint64_t>(1, 25));

TEST_P(ZonesStormTest, costs_nobody_but_those_that_break_anything) {
    Prng prng{GetParam()};
    WorldOptions options{.seed = GetParam(),
                         .shards = static_cast<std::uint16_t>(1 + prng.below(3)),
                         .draws_order = true};
    if (prng.chance(0.5)) options.lanes = tiny_lanes();
    World world{options};
    constexpr std::array kinds{ZoneFault::budget_spent, ZoneFault::no_memory, ZoneFault::exception,
                               ZoneFault::bad_access, ZoneFault::double_free};
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        world.faults(i).probability[Fault::session_breaks] = 0.002;
        world.faults(i).on_strike = [&](auto, auto) {
            const ZoneFault kind = kinds[prng.below(kinds.size())];
            if (kind == ZoneFault::exception) throw std::runtime_error{"planted"};
            memory::raise_fault(kind, "planted");
        };
    }
    struct Pair {
        Client* from = nullptr;
        Client* to = nullptr;
        std::string topic;
    };
    std::vector<Pair> pairs;
    for (int i = 0; i < 12; ++i) {
        Pair pair{&world.client("from" + std::to_string(i)),
                  &world.client("to" + std::to_string(i)), "pairs/of/" + std::to_string(i)};
        pairs.push_back(pair);
    }
    const auto make_ready = [&](Pair& pair) {
        for (int tries = 0; tries < 100; ++tries) {
            if (!pair.from->is_connected()) pair.from->connect();
            if (!pair.to->is_connected()) {
                pair.to->connect();
                pair.to->subscribe(pair.topic, {.qos = qos1});
                pair.to->subscribe("pairs/+/all", {.qos = qos2});
            }
            static_cast<void>(pair.to->take_messages());
            if (pair.from->is_connected() && pair.to->is_connected()) return;
        }
        FAIL() << "no pair can be made";
    };
    for (int round = 0; round < 60; ++round) {
        for (Pair& pair : pairs) make_ready(pair);
        // Making one ready may have broken another: what matters are those that are whole now.
        std::vector<Pair> whole;
        for (const Pair& pair : pairs) {
            if (pair.from->is_connected() && pair.to->is_connected()) whole.push_back(pair);
        }
        for (int i = 0; i < 10; ++i) {
            for (const Pair& pair : whole) {
                if (!pair.from->is_connected()) continue;
                pair.from->publish_later(pair.topic, std::to_string(i), {.qos = qos1});
            }
        }
        world.run();
        for (const Pair& pair : whole) {
            if (!pair.from->is_connected() || !pair.to->is_connected()) continue;
            Strings expected;
            for (int i = 0; i < 10; ++i) expected.push_back(std::to_string(i));
            ASSERT_EQ(pair.to->take_payloads(), expected) << pair.topic << " in round " << round;
        }
    }
    EXPECT_GT(broken_count(world), 10u);
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) world.faults(i).probability.clear();
    for (const Pair& pair : pairs) {
        for (Client* client : {pair.from, pair.to}) {
            if (client->is_connected()) client->disconnect();
        }
    }
    world.advance(Duration::seconds(2));
    world.run();
    EXPECT_EQ(world.stored_messages(), 0u);
    EXPECT_EQ(world.counted(&Counters::sessions), 0u);
    EXPECT_EQ(world.counted(&Counters::clients), 0u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
    EXPECT_EQ(world.counted(&Counters::session_held_bytes), 0u);
}

// --- what a fault in the middle must not leave behind ---

/// Filters in the indexes of all shards.
std::size_t indexed_count(World& world) {
    std::size_t count = 0;
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        count += world.shard(i).indexed_subscription_count();
    }
    return count;
}

/// Time for what is mended now and then.
void let_mend(World& world) {
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) world.faults(i).probability.clear();
    world.run();
    world.advance(Duration::seconds(3));
}

struct HalfDoneTest : ::testing::TestWithParam<std::uint16_t> {
    World world{{.shards = GetParam()}};
    void break_written_over(Session* session, std::uint64_t spared) {
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            world.faults(i).probability[Fault::session_breaks] = 1.0;
            world.faults(i).spared[Fault::session_breaks] = spared;
            world.faults(i).on_strike = [this, session](auto, auto) {
                for (std::uint16_t k = 0; k < world.shard_count(); ++k) {
                    world.faults(k).probability.clear();
                }
                std::memset(static_cast<void*>(session), 0xA5, sizeof(Session));
                memory::raise_fault(ZoneFault::bad_access, "planted");
            };
        }
    }
};
INSTANTIATE_TEST_SUITE_P(shards, HalfDoneTest, ::testing::Values(1, 3));

TEST_P(HalfDoneTest, unsubscribe_leaves_no_filter_in_the_index) {
    for (std::uint64_t spared = 0; spared < 4; ++spared) {
        Client& victim = world.client("victim" + std::to_string(spared)).connect();
        victim.subscribe("a/b/c", {.qos = qos1});
        victim.subscribe("x/#", {.qos = qos1});
        break_next(world, ZoneFault::exception, spared);
        victim.unsubscribe_later("a/b/c");
        world.run();
        let_mend(world);
        if (victim.is_open()) victim.disconnect();
        EXPECT_EQ(indexed_count(world), 0u) << spared;
    }
}

TEST_P(HalfDoneTest, end_leaves_no_filter_in_the_index) {
    for (std::uint64_t spared = 0; spared < 5; ++spared) {
        Client& victim = world.client("victim").connect();
        victim.subscribe("a/b/c", {.qos = qos1});
        victim.subscribe("$share/g/x/#", {.qos = qos1});
        break_next(world, ZoneFault::exception, spared);
        victim.disconnect(ReasonCode::disconnect_with_will_message);
        let_mend(world);
        EXPECT_EQ(indexed_count(world), 0u) << spared;
        EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
    }
}

TEST_P(HalfDoneTest, first_subscribe_leaves_no_filter_in_the_index) {
    Client& publisher = world.client("publisher").connect();
    publisher.publish("a/b/c", "retained", {.qos = qos1, .retain = true});
    for (std::uint64_t spared = 0; spared < 6; ++spared) {
        Client& victim = world.client("victim" + std::to_string(spared)).connect();
        break_written_over(world.session(victim.id()), spared);
        victim.subscribe_later("a/b/c", {.qos = qos1});
        world.run();
        let_mend(world);
        if (victim.is_open()) victim.disconnect();
        EXPECT_EQ(indexed_count(world), 0u) << spared;
    }
}

TEST_P(HalfDoneTest, session_that_was_written_over_leaves_no_filter_in_the_index) {
    Client& other = world.client("other").connect();
    other.subscribe("x/1/#");
    other.subscribe("$share/g/x/1/#");
    Client& victim = world.client("victim").connect();
    for (int i = 0; i < 100; ++i) {
        const std::string filter = "x/" + std::to_string(i) + (i % 3 == 0 ? "/y/z" : "/#");
        victim.subscribe(filter);
        victim.subscribe("$share/g/" + filter);
    }
    break_written_over(world.session("victim"), 0);
    victim.ping();
    EXPECT_FALSE(victim.is_open());
    let_mend(world);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 2u);
    EXPECT_EQ(world.counted(&Counters::sessions), 1u);
    Client& publisher = world.client("publisher").connect();
    for (int i = 0; i < 100; ++i) {
        const std::string topic = "x/" + std::to_string(i) + "/y/z";
        EXPECT_EQ(publisher.publish(topic, "?", {.qos = qos1}),
                  i == 1 ? ReasonCode::success : ReasonCode::no_matching_subscribers);
    }
    EXPECT_EQ(other.take_payloads().size(), 2u);
}

TEST(session_memory, that_is_spent_in_an_unsubscribe_leaves_no_filter_in_the_index) {
    Limits limits;
    limits.session_bytes_max = 20'000;
    World world{{.limits = limits}};
    Client& victim = world.client("victim").connect({.session_expiry_s = 1'000});
    std::vector<std::string> names;
    for (int i = 0; i < 150; ++i) {
        names.push_back("f/" + std::to_string(i));
        victim.subscribe(names.back());
    }
    victim.publish("t", "p", {.topic_alias = 40});
    for (std::uint16_t alias = 1; alias < 40; ++alias) {
        const auto left = limits.session_bytes_max - world.counted(&Counters::session_held_bytes);
        if (left < 64) break;
        std::size_t size = 32;
        for (std::size_t n = 32; n <= left && n <= 8'192; n *= 2) size = n;
        victim.publish(std::string(size - 8, 'x'), "p", {.topic_alias = alias});
    }
    ASSERT_TRUE(victim.is_open());
    Bytes body{0, 77, 0};
    for (const auto& name : names) {
        body.push_back(0);
        body.push_back(static_cast<std::uint8_t>(name.size()));
        body.insert(body.end(), name.begin(), name.end());
    }
    Bytes packet(3 + body.size());
    packet[0] = 0xA2;
    packet[1] = static_cast<std::uint8_t>(0x80 | (body.size() & 127));
    packet[2] = static_cast<std::uint8_t>(body.size() >> 7);
    std::copy(body.begin(), body.end(), packet.begin() + 3);
    victim.send_bytes(packet);
    ASSERT_FALSE(victim.is_open());
    EXPECT_EQ(victim.goodbye(), ReasonCode::quota_exceeded);
    let_mend(world);
    EXPECT_EQ(world.counted(&Counters::sessions), 0u);
    EXPECT_EQ(indexed_count(world), 0u);
}

TEST(session_zones, answer_a_connect_that_breaks_with_a_connack) {  // [MQTT-3.14.0-1]
    World world;
    break_next(world, ZoneFault::budget_spent);
    Client& newcomer = world.client("newcomer").connect();
    EXPECT_FALSE(newcomer.is_open());
    EXPECT_FALSE(newcomer.goodbye().has_value()) << "no DISCONNECT before CONNACK";
    ASSERT_NE(newcomer.connack(), nullptr);
    EXPECT_EQ(newcomer.connack()->reason, ReasonCode::quota_exceeded);
}

TEST(session_zones, publish_no_will_of_a_client_that_was_not_let_in) {
    World world;
    Client& watcher = world.client("watcher").connect();
    watcher.subscribe("wills/#", {.qos = qos1});
    break_next(world, ZoneFault::exception);
    Client& victim = world.client("victim").connect(
        {.will = WillOptions{.topic = "wills/victim", .payload = "gone", .qos = qos1}});
    EXPECT_FALSE(victim.is_connected());
    let_mend(world);
    EXPECT_EQ(watcher.take_payloads(), Strings{});
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST(session_zones, lose_no_shared_message_that_another_member_can_take) {
    for (const ZoneFault fault : {ZoneFault::budget_spent, ZoneFault::bad_access}) {
        World world;
        Client& publisher = world.client("publisher").connect();
        std::array members{&world.client("first"), &world.client("second")};
        for (std::uint64_t spared = 0; spared < 8; ++spared) {
            for (Client* member : members) {
                if (member->is_connected()) continue;
                member->connect().subscribe("$share/g/jobs/#", {.qos = qos1});
            }
            if (!publisher.is_connected()) publisher.connect();
            break_next(world, fault, spared);
            publisher.publish_later("jobs/1", std::to_string(spared), {.qos = qos1});
            world.run();
            let_mend(world);
            std::size_t heard = 0;
            for (Client* member : members) heard += member->take_payloads().size();
            // What was in the hands of a session that cannot be believed is lost with it.
            const bool may_be_lost = !publisher.is_open() || fault == ZoneFault::bad_access;
            EXPECT_TRUE(heard >= 1 || may_be_lost) << to_text(fault) << spared;
        }
    }
}

TEST(session_zones, say_why_when_a_session_breaks_of_what_it_asked_for_itself) {
    for (std::uint64_t spared = 0; spared < 12; ++spared) {
        World world;
        Client& publisher = world.client("publisher").connect();
        Client& member = world.client("member").connect({.maximum_packet_size = 60});
        member.subscribe("$share/g/jobs/#", {.qos = qos1});
        break_next(world, ZoneFault::exception, spared);
        publisher.publish_later("jobs/1", std::string(200, 'x'), {.qos = qos1});
        world.run();
        let_mend(world);
        EXPECT_TRUE(member.is_open() || member.goodbye().has_value()) << spared;
    }
}

TEST(session_memory, of_all_runs_short_without_harm_to_those_that_need_little) {
    Limits limits;
    limits.session_pool_bytes_max = 4u << 20;
    World world{{.limits = limits}};
    Client& modest = world.client("modest").connect();
    modest.subscribe("modest/topic", {.qos = qos1});
    std::uint64_t refused = 0;
    for (int i = 0; i < 60 && refused < 3; ++i) {
        Client& greedy = world.client("greedy" + std::to_string(i)).connect();
        for (int k = 0; k < 2'000 && greedy.is_open(); ++k) {
            const auto reasons = greedy.subscribe(std::string(100, 'f') + std::to_string(k));
            if (reasons.size() == 1 && reasons[0] == ReasonCode::quota_exceeded) {
                ++refused;
                break;
            }
        }
    }
    EXPECT_GE(refused, 3u) << "and not disconnected";
    Client& publisher = world.client("publisher").connect();
    EXPECT_EQ(publisher.publish("modest/topic", "heard", {.qos = qos1}), ReasonCode::success);
    EXPECT_EQ(modest.take_payloads(), Strings{"heard"});
    EXPECT_EQ(broken_count(world), 0u);
}

}  // namespace
}  // namespace mitu::broker::testing
