// Sessions that break come back from the store: with all that was acknowledged, and with nothing
// left over.

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "mitu/journal/testing/process.hpp"
#include "mitu/store/key.hpp"

namespace mitu::journal {
namespace {

using broker::Counters;
using broker::testing::Client;
using broker::testing::World;
using memory::ZoneFault;
using mqtt::ReasonCode;
using ports::Fault;
using store::Family;
using Strings = std::vector<std::string>;
constexpr auto qos1 = mqtt::QoS::at_least_once;
constexpr auto qos2 = mqtt::QoS::exactly_once;

class RebuildTest : public testing::ProcessTest {
protected:
    /// The next fault point of this client's session breaks it.
    void break_next(World& world, const std::string& client,
                    ZoneFault fault = ZoneFault::exception) {
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            auto& faults = world.faults(i);
            faults.probability[Fault::session_breaks] = 1.0;
            faults.on_strike = [&world, client, fault](auto, std::string_view victim) {
                if (victim != client) memory::raise_fault(fault, "the wrong one");
                for (std::uint16_t k = 0; k < world.shard_count(); ++k) {
                    world.faults(k).probability.clear();
                }
                if (fault == ZoneFault::exception) throw std::runtime_error{"planted"};
                memory::raise_fault(fault, "planted");
            };
        }
    }
    /// Breaks the session by a packet that has no other effect.
    void break_now(World& world, Client& client, ZoneFault fault = ZoneFault::exception) {
        break_next(world, client.id(), fault);
        client.ping();
        ASSERT_FALSE(client.is_open());
    }
    void expect_no_row_but_of_sessions() {
        process->keep_house();
        for (const Family family : {Family::queue, Family::flight, Family::inbound,
                                    Family::messages, Family::references, Family::discards}) {
            EXPECT_EQ(rows(family), 0u) << store::to_text(family);
        }
    }
};
INSTANTIATE_TEST_SUITE_P(shards, RebuildTest, ::testing::Values(1, 3));

TEST_P(RebuildTest, gives_the_client_its_session_and_all_that_was_acknowledged) {
    for (const ZoneFault fault : {ZoneFault::exception, ZoneFault::bad_access,
                                  ZoneFault::budget_spent, ZoneFault::double_free}) {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting(true)).subscribe("a/+", {.qos = qos1});
        device.subscribe("b/#", {.qos = qos1});
        Client& publisher = world.client("publisher");
        publisher.connect();
        device.acknowledges = false;
        publisher.publish("a/1", "on its way", {.qos = qos1});
        EXPECT_EQ(device.take_payloads(), Strings{"on its way"});
        break_now(world, device, fault);
        EXPECT_EQ(device.goodbye(), fault == ZoneFault::budget_spent
                                        ? ReasonCode::quota_exceeded
                                        : ReasonCode::implementation_specific_error);
        EXPECT_EQ(publisher.publish("a/2", "while it was away", {.qos = qos1}),
                  ReasonCode::success);
        EXPECT_EQ(world.counted(&Counters::sessions_rebuilt_total), 1u);
        EXPECT_EQ(world.counted(&Counters::subscriptions), 2u);
        EXPECT_EQ(world.counted(&Counters::clients), 1u);
        device.acknowledges = true;
        device.connect(lasting());
        EXPECT_TRUE(device.session_present());
        Strings got = device.take_payloads();
        std::ranges::sort(got);
        EXPECT_EQ(got, (Strings{"on its way", "while it was away"}));
        publisher.publish("b/x", "as before", {.qos = qos1});
        EXPECT_EQ(device.take_payloads(), Strings{"as before"});
        device.unsubscribe("b/#");
        EXPECT_EQ(publisher.publish("b/x", "not any more", {.qos = qos1}),
                  ReasonCode::no_matching_subscribers);
        world.advance(Duration::seconds(3));
        EXPECT_EQ(world.stored_messages(), 0u);
        expect_no_row_but_of_sessions();
        EXPECT_EQ(rows(Family::sessions), 1u);
        EXPECT_EQ(rows(Family::subscriptions), 1u);
    }
}

TEST_P(RebuildTest, lets_a_client_wait_that_is_back_before_its_session) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    Client& publisher = world.client("publisher");
    publisher.connect();
    process->stop_disk();
    break_now(world, device);
    device.connect_later(lasting());
    static_cast<void>(device.publish_later("c/d", "said at once", {.qos = qos1}));
    world.run();
    EXPECT_FALSE(device.is_connected());
    EXPECT_EQ(world.session("device"), nullptr);
    process->start_disk();
    world.network().wake();
    world.run();
    ASSERT_TRUE(device.is_connected());
    EXPECT_TRUE(device.session_present());
    EXPECT_EQ(device.unacknowledged_count(), 0u);
    publisher.publish("a/b", "heard", {.qos = qos1});
    EXPECT_EQ(device.take_payloads(), Strings{"heard"});
}

TEST_P(RebuildTest, forgets_all_of_it_when_the_client_wants_to_start_anew) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    device.acknowledges = false;
    Client& publisher = world.client("publisher");
    publisher.connect();
    publisher.publish("a/b", "lost with the old session", {.qos = qos1});
    static_cast<void>(device.take_payloads());
    break_now(world, device);
    device.connect(lasting(true));
    EXPECT_FALSE(device.session_present());
    EXPECT_EQ(publisher.publish("a/b", "nobody", {.qos = qos1}),
              ReasonCode::no_matching_subscribers);
    EXPECT_EQ(device.take_payloads(), Strings{});
    expect_no_row_but_of_sessions();
    EXPECT_EQ(rows(Family::sessions), 1u);
    EXPECT_EQ(rows(Family::subscriptions), 0u);
}

TEST_P(RebuildTest, takes_a_qos_2_message_once_whoever_was_to_have_it) {
    World& world = start();
    Client& visitor = world.client("visitor");  // its session is not kept
    visitor.connect().subscribe("a/b", {.qos = qos2});
    Client& publisher = world.client("publisher");
    publisher.connect(lasting());
    publisher.acknowledges = false;  // no PUBREL
    const std::uint16_t id = publisher.publish_later("a/b", "once", {.qos = qos2});
    world.run();
    EXPECT_EQ(visitor.take_payloads(), Strings{"once"});
    break_now(world, publisher, ZoneFault::bad_access);
    publisher.resends = false;
    publisher.connect(lasting());
    ASSERT_TRUE(publisher.session_present());
    mqtt::Publish again;
    again.qos = qos2;
    again.dup = true;
    again.packet_id = id;
    again.topic = "a/b";
    again.payload = as_bytes(std::string_view{"once"});
    publisher.send(again);
    world.run();
    EXPECT_EQ(visitor.take_payloads(), Strings{});
}

TEST_P(RebuildTest, publishes_the_will_whatever_broke_the_session) {
    World& world = start();
    Client& watcher = world.client("watcher");
    watcher.connect().subscribe("wills/#", {.qos = qos1});
    Client& device = world.client("device");
    auto mortal = lasting();
    mortal.will = broker::testing::WillOptions{.topic = "wills/device", .payload = "gone"};
    device.connect(mortal);
    break_now(world, device, ZoneFault::bad_access);
    world.advance(Duration::seconds(1));
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
    device.connect(lasting());
    EXPECT_TRUE(device.session_present());
    EXPECT_EQ(rows(Family::wills), 0u);
}

TEST_P(RebuildTest, ends_a_session_of_which_nothing_was_written_down) {
    World& world = start();
    Client& device = world.client("device");
    break_next(world, "device");
    device.connect(lasting());
    EXPECT_FALSE(device.is_connected());
    EXPECT_EQ(world.counted(&Counters::sessions), 0u);
    device.connect(lasting());
    EXPECT_TRUE(device.is_connected());
    EXPECT_FALSE(device.session_present());
    expect_no_row_but_of_sessions();
    EXPECT_EQ(rows(Family::sessions), 1u);
}

TEST_P(RebuildTest, erases_what_is_kept_of_a_session_that_is_not_durable) {
    World& world = start();
    Client& watcher = world.client("watcher");
    watcher.connect().subscribe("wills/#", {.qos = qos1});
    Client& device = world.client("device");
    broker::testing::ConnectOptions mortal;
    mortal.will = broker::testing::WillOptions{.topic = "wills/device", .payload = "gone"};
    device.connect(mortal);
    break_now(world, device);
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
    EXPECT_EQ(world.counted(&Counters::sessions), 1u);
    World& next = start();
    EXPECT_EQ(process->report.wills, 0u);
    EXPECT_EQ(next.counted(&Counters::sessions), 0u);
}

TEST_P(RebuildTest, forgets_the_will_of_who_came_back_though_the_session_that_had_it_breaks) {
    const auto with_will = [](const std::string& payload) {
        broker::testing::ConnectOptions mortal;
        mortal.will = broker::testing::WillOptions{.topic = "wills/device", .payload = payload};
        return mortal;
    };
    start().client("device").connect(with_will("first"));
    World& world = start();
    break_next(world, "device");
    world.client("device").connect(with_will("second"));
    EXPECT_EQ(rows(Family::wills), 1u);
    World& next = start();
    EXPECT_EQ(process->report.wills, 1u);
    Client& watcher = next.client("watcher");
    watcher.connect().subscribe("wills/#", {.qos = qos1});
    next.advance(Duration::seconds(61));
    EXPECT_EQ(watcher.take_payloads(), Strings{"second"});
    EXPECT_EQ(rows(Family::wills), 0u);
}

TEST_P(RebuildTest, gives_the_last_will_if_one_of_before_is_left) {
    broker::testing::ConnectOptions mortal;
    mortal.will = broker::testing::WillOptions{.topic = "wills/device", .payload = "gone"};
    start().client("device").connect(mortal);
    process.reset();
    store::Batch batch;
    const auto all = engine.scan(Family::wills, {}, {});
    ASSERT_TRUE(all->next());
    const std::uint64_t number = store::second_id_of(all->key()).value_or(0);
    batch.put(Family::wills, store::key_of(store::SessionId{0}, store::WillId{number - 1}),
              all->value());
    ASSERT_TRUE(engine.write(batch.bytes(), true));
    World& world = start();
    Client& watcher = world.client("watcher");
    watcher.connect().subscribe("wills/#", {.qos = qos1});
    world.advance(Duration::seconds(61));
    EXPECT_EQ(watcher.take_payloads(), Strings{"gone"});
    EXPECT_EQ(rows(Family::wills), 0u);
}

TEST_P(RebuildTest, tries_again_when_the_session_breaks_while_it_comes_back) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    process->stop_disk();
    break_now(world, device);
    break_next(world, "device", ZoneFault::no_memory);
    process->start_disk();
    world.network().wake();
    device.connect_later(lasting());
    world.run();
    world.advance(Duration::seconds(1));
    ASSERT_TRUE(device.is_connected());
    EXPECT_TRUE(device.session_present());
    world.client("publisher").connect().publish("a/b", "heard", {.qos = qos1});
    EXPECT_EQ(device.take_payloads(), Strings{"heard"});
    EXPECT_EQ(world.counted(&Counters::subscriptions), 1u);
}

TEST_P(RebuildTest, bans_for_a_while_who_breaks_again_and_again) {
    adjust = [](broker::testing::WorldOptions& options) {
        options.admission.emplace();
        options.admission->faults = {
            .faults_max = 2, .window = Duration::seconds(60), .ban = Duration::seconds(120)};
    };
    World& world = start();
    Client& device = world.client("device");
    for (int i = 0; i < 3; ++i) {
        device.connect(lasting());
        ASSERT_TRUE(device.is_connected());
        break_now(world, device);
    }
    device.connect(lasting());
    EXPECT_FALSE(device.is_connected());
    ASSERT_NE(device.connack(), nullptr);
    EXPECT_EQ(device.connack()->reason, ReasonCode::banned);
    EXPECT_EQ(world.counted(&Counters::fault_bans_total), 1u);
    bool is_told = false;
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        for (const auto& attempt : world.shard(i).refused_attempts().newest()) {
            is_told |= attempt.text.find("broke more than 2 times in 60 s") != std::string::npos;
        }
    }
    EXPECT_TRUE(is_told);
    world.client("another").connect(lasting());
    EXPECT_TRUE(world.client("neighbour").connect().is_connected());
    world.advance(Duration::seconds(121));
    device.connect(lasting());
    EXPECT_TRUE(device.is_connected());
    EXPECT_TRUE(device.session_present());
}

}  // namespace
}  // namespace mitu::journal
