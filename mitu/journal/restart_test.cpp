// Sessions, queues, retained messages and wills over the end of a process: real shards, the real
// journal, committer and reader over an engine in memory, all in one thread.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "mitu/journal/testing/process.hpp"

namespace mitu::journal {
namespace {

using broker::Durability;
using broker::testing::Client;
using broker::testing::World;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;
constexpr auto qos0 = mqtt::QoS::at_most_once;
constexpr auto qos1 = mqtt::QoS::at_least_once;
constexpr auto qos2 = mqtt::QoS::exactly_once;

/// Whose second row of sessions does not hold against its checksum, until that is mended: then the
/// row is gone.
class DamagedEngine final : public store::Engine {
public:
    explicit DamagedEngine(store::Engine& inner) : inner_{inner} {}
    [[nodiscard]] Result<void, store::Error> write(ByteView operations, bool sync) override {
        return inner_.write(operations, sync);
    }
    [[nodiscard]] Result<void, store::Error> sync() override { return inner_.sync(); }
    [[nodiscard]] Result<std::optional<Bytes>, store::Error> get(store::Family family,
                                                                 ByteView key) override {
        return inner_.get(family, key);
    }
    [[nodiscard]] std::unique_ptr<store::Rows> scan(store::Family family, ByteView from,
                                                    ByteView to) override {
        if (family != store::Family::sessions || mended > 0) return inner_.scan(family, from, to);
        return std::make_unique<BrokenRows>(inner_.scan(family, from, to), broken_);
    }
    [[nodiscard]] Result<std::optional<Bytes>, store::Error> last(store::Family family,
                                                                  ByteView from,
                                                                  ByteView to) override {
        return inner_.last(family, from, to);
    }
    [[nodiscard]] Result<void, store::Error> recover() override {
        ++mended;
        store::Batch batch;
        batch.erase(store::Family::sessions, broken_);
        return inner_.write(batch.bytes(), true);
    }
    [[nodiscard]] std::optional<std::uint64_t> free_bytes() override { return std::nullopt; }
    void set_time(WallTime now) override { inner_.set_time(now); }
    [[nodiscard]] store::EngineStats stats() override { return inner_.stats(); }
    [[nodiscard]] Result<void, store::Error> backup(const std::string& directory) override {
        return inner_.backup(directory);
    }
    int mended = 0;

private:
    class BrokenRows final : public store::Rows {
    public:
        BrokenRows(std::unique_ptr<store::Rows> rows, Bytes& broken)
            : rows_{std::move(rows)}, broken_{broken} {}
        [[nodiscard]] bool next() override {
            if (error_ || !rows_->next()) return false;
            if (++count_ < 2) return true;
            broken_ = to_bytes(rows_->key());
            error_ = store::Error{store::ErrorKind::damaged, "a checksum does not hold"};
            return false;
        }
        [[nodiscard]] ByteView key() const override { return rows_->key(); }
        [[nodiscard]] ByteView value() const override { return rows_->value(); }
        [[nodiscard]] std::optional<store::Error> error() const override { return error_; }

    private:
        std::unique_ptr<store::Rows> rows_;
        Bytes& broken_;
        int count_ = 0;
        std::optional<store::Error> error_;
    };

    store::Engine& inner_;
    Bytes broken_;
};

class RestartTest : public testing::ProcessTest {};
INSTANTIATE_TEST_SUITE_P(shards, RestartTest, ::testing::Values(1, 3));

TEST_P(RestartTest, gives_an_absent_client_what_was_published_before_and_after) {
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/+", {.qos = qos1});
        device.cut();
        Client& publisher = world.client("publisher");
        publisher.connect();
        EXPECT_EQ(publisher.publish("a/1", "one", {.qos = qos1}), ReasonCode::success);
        EXPECT_EQ(publisher.publish("a/2", "two", {.qos = qos1}), ReasonCode::success);
    }
    World& world = start();
    EXPECT_EQ(process->report.sessions, 1u);
    EXPECT_EQ(process->report.subscriptions, 1u);
    Client& publisher = world.client("publisher");
    publisher.connect();
    EXPECT_EQ(publisher.publish("a/1", "three", {.qos = qos1}), ReasonCode::success);
    Client& device = world.client("device");
    device.connect(lasting());
    EXPECT_TRUE(device.session_present());
    Strings got = device.take_payloads();
    std::ranges::sort(got);
    EXPECT_EQ(got, (Strings{"one", "three", "two"}));
    world.advance(Duration::seconds(1));
    EXPECT_EQ(rows(store::Family::queue), 0u);
}

TEST_P(RestartTest, keeps_the_order_of_a_topic_through_a_long_queue) {
    Strings expected;
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos1});
        device.cut();
        Client& publisher = world.client("publisher");
        publisher.connect();
        for (int i = 0; i < 300; ++i) {
            expected.push_back(std::to_string(i));
            EXPECT_EQ(publisher.publish("a/b", expected.back(), {.qos = qos1}),
                      ReasonCode::success);
        }
    }
    World& world = start();
    Client& device = world.client("device");
    Client& publisher = world.client("publisher");
    publisher.connect();
    device.connect_later(lasting());
    for (int i = 300; i < 400; ++i) {
        expected.push_back(std::to_string(i));
        static_cast<void>(publisher.publish_later("a/b", expected.back(), {.qos = qos1}));
    }
    world.run();
    EXPECT_EQ(device.take_payloads(), expected);
    EXPECT_EQ(rows(store::Family::queue), 0u);
}

TEST_P(RestartTest, answers_a_publisher_only_when_the_message_is_written) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    Client& publisher = world.client("publisher");
    publisher.connect();
    process->stop_disk();
    EXPECT_EQ(publisher.publish("a/b", "x", {.qos = qos1}), std::nullopt);
    EXPECT_EQ(device.take_payloads(), Strings{});
    // What nobody keeps waits for nobody.
    Client& another = world.client("another");
    another.connect();
    EXPECT_EQ(another.publish("nobody/listens", "x", {.qos = qos1}),
              ReasonCode::no_matching_subscribers);
    process->start_disk();
    world.network().wake();
    world.run();
    EXPECT_EQ(publisher.unacknowledged_count(), 0u);
    EXPECT_EQ(device.take_payloads(), Strings{"x"});
}

TEST_P(RestartTest, async_answers_when_it_is_written_and_waits_for_no_disk) {
    durability = Durability::async;
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    Client& publisher = world.client("publisher");
    publisher.connect();
    process->stop_disk();
    EXPECT_EQ(publisher.publish("a/b", "x", {.qos = qos1}), std::nullopt);
    process->start_disk();
    world.network().wake();
    world.run();
    EXPECT_EQ(publisher.unacknowledged_count(), 0u);
}

TEST_P(RestartTest, publishers_wait_for_a_slow_disk_and_pings_do_not) {
    bytes_in_flight_max = 1;
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    Client& publisher = world.client("publisher");
    publisher.connect();
    // On the shard whose disk has no room, whatever the number of shards: beside the publisher.
    Client& watcher = world.client("watcher");
    watcher.connect().subscribe("plain", {.qos = qos0});
    process->stop_disk();
    EXPECT_EQ(publisher.publish("a/b", "on its way", {.qos = qos1}), std::nullopt);
    EXPECT_EQ(publisher.publish("a/b", "held back", {.qos = qos1}), std::nullopt);
    for (Client* const client : {&watcher, &device}) {
        client->ping();
        world.run();
        EXPECT_EQ(client->count(mqtt::PacketType::pingresp), 1u);
    }
    if (GetParam() == 1) {  // else the topic's home may be one that waits
        watcher.publish("plain", "needs no disk", {.qos = qos0});
        EXPECT_EQ(watcher.take_payloads(), Strings{"needs no disk"});
        watcher.publish("plain", "is kept", {.qos = qos0, .retain = true});
        EXPECT_EQ(watcher.take_payloads(), Strings{});
    }
    process->start_disk();
    world.network().wake();
    world.run();
    EXPECT_EQ(publisher.unacknowledged_count(), 0u);
    EXPECT_EQ(device.take_payloads(), (Strings{"on its way", "held back"}));
}

TEST_P(RestartTest, leaves_no_number_behind_when_a_repeat_is_acknowledged) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos1});
    device.acknowledges = false;
    world.client("publisher").connect().publish("a/b", "x", {.qos = qos1});
    device.cut();
    world.run();
    EXPECT_EQ(rows(store::Family::flight), 1u);
    device.connect(lasting());
    device.release_acks();
    world.run();
    EXPECT_EQ(rows(store::Family::queue), 0u);
    EXPECT_EQ(rows(store::Family::flight), 0u);
}

TEST_P(RestartTest, says_nothing_of_a_subscription_that_could_be_lost) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting());
    process->stop_disk();
    EXPECT_TRUE(device.subscribe("a/b", {.qos = qos1}).empty());
    process->start_disk();
    world.run();
    EXPECT_EQ(device.count(mqtt::PacketType::suback), 1u);
}

TEST_P(RestartTest, keeps_retained_messages_and_their_end) {
    {
        World& world = start();
        Client& publisher = world.client("publisher");
        publisher.connect();
        publisher.publish("r/1", "stays", {.qos = qos1, .retain = true});
        publisher.publish("r/2", "goes", {.qos = qos1, .retain = true});
        publisher.publish("r/2", "", {.qos = qos1, .retain = true});
        publisher.publish("r/3", "first", {.qos = qos0, .retain = true});
        publisher.publish("r/3", "last", {.qos = qos0, .retain = true});
    }
    World& world = start();
    EXPECT_EQ(process->report.retained, 2u);
    Client& device = world.client("device");
    device.connect().subscribe("r/+");
    Strings got = device.take_payloads();
    std::ranges::sort(got);
    EXPECT_EQ(got, (Strings{"last", "stays"}));
}

TEST_P(RestartTest, does_not_keep_what_the_server_tells_below_sys) {
    {
        World& world = start();
        for (std::uint16_t i = 0; i < GetParam(); ++i) {
            world.shard(i).publish({.topic = "$SYS/broker/uptime",
                                    .payload = "1 seconds",
                                    .qos = qos0,
                                    .retain = true},
                                   world.now());
        }
        world.run();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("$SYS/#", {.qos = qos0});
        EXPECT_EQ(device.take_payloads(), (Strings{"1 seconds"}));
        EXPECT_EQ(rows(store::Family::retained), 0u);
    }
    World& world = start();
    EXPECT_EQ(process->report.retained, 0u);
    Client& reader = world.client("reader");
    reader.connect().subscribe("$SYS/#");
    EXPECT_EQ(reader.take_payloads(), Strings{});
}

TEST_P(RestartTest, forgets_what_a_clean_start_forgets) {
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos1});
        device.cut();
        world.client("publisher").connect().publish("a/b", "old", {.qos = qos1});
        device.connect(lasting(true));
        EXPECT_FALSE(device.session_present());
        device.cut();
    }
    World& world = start();
    EXPECT_EQ(process->report.subscriptions, 0u);
    Client& device = world.client("device");
    device.connect(lasting());
    EXPECT_TRUE(device.session_present());
    EXPECT_EQ(device.take_payloads(), Strings{});
}

TEST_P(RestartTest, publishes_the_will_of_who_does_not_come_back) {
    {
        World& world = start();
        broker::testing::ConnectOptions mortal;
        mortal.will = broker::testing::WillOptions{.topic = "will/a", .payload = "gone"};
        world.client("a").connect(mortal);
        mortal.will->topic = "will/b";
        world.client("b").connect(mortal);
    }
    World& world = start();
    EXPECT_EQ(process->report.wills, 2u);
    Client& watcher = world.client("watcher");
    watcher.connect().subscribe("will/+");
    Client& back = world.client("b");
    back.connect();
    EXPECT_FALSE(back.session_present());
    world.advance(Duration::seconds(31));
    const auto messages = watcher.take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].topic, "will/a");
}

TEST_P(RestartTest, starts_without_what_cannot_be_read_and_with_all_the_rest) {
    {
        World& world = start();
        for (const char* name : {"a", "b", "c"}) {
            world.client(name).connect(lasting()).subscribe("x/#", {.qos = qos1});
        }
    }
    DamagedEngine damaged{engine};
    process.reset();
    process = std::make_unique<testing::Process>(damaged, clock, options(), durability,
                                                 bytes_in_flight_max);
    EXPECT_EQ(damaged.mended, 1);
    EXPECT_EQ(process->report.sessions, 2u);
    World& world = process->world();
    int present = 0;
    for (const char* name : {"a", "b", "c"}) {
        Client& client = world.client(name);
        client.connect(lasting());
        present += client.session_present() ? 1 : 0;
    }
    EXPECT_EQ(present, 2);
    process.reset();  // before the engine
}

/// MQTT 5.0 section 3.1.2.5: a server that shuts down may leave wills to its next start.
TEST_P(RestartTest, leaves_wills_to_whoever_serves_next_when_it_is_stopped_or_drained) {
    for (const bool is_drained : {false, true}) {
        World& first = start();
        int number = 0;
        Client* leaving = nullptr;
        for (const char* name : {"lasting", "passing", "returning", "leaving"}) {
            auto mortal = broker::testing::ConnectOptions{};
            mortal.will = broker::testing::WillOptions{.topic = std::string{"will/"} + name};
            mortal.session_expiry_s = number++ % 2 == 0 ? 3'600 : 0;
            leaving = &first.client(name).connect(mortal);
        }
        if (is_drained) {
            first.begin_drain({.settle_time = Duration::milliseconds(100), .clients_per_s = 1'000});
            leaving->disconnect();
            first.advance(Duration::seconds(1));
        } else {
            leaving->disconnect();
        }
        first.begin_shutdown();
        first.advance(Duration::milliseconds(100));

        World& second = start();
        Client& watcher = second.client("watcher").connect();
        watcher.subscribe("will/+");
        second.client("returning").connect({.clean_start = false, .session_expiry_s = 3'600});
        second.advance(Duration::seconds(60));
        Strings topics;
        for (const auto& message : watcher.take_messages()) topics.push_back(message.topic);
        std::sort(topics.begin(), topics.end());
        EXPECT_EQ(topics, (Strings{"will/lasting", "will/passing"})) << is_drained;
    }
}

TEST_P(RestartTest, ends_a_session_whose_time_passed_meanwhile) {
    {
        World& world = start();
        auto wanted = lasting();
        wanted.session_expiry_s = 60;
        Client& device = world.client("device");
        device.connect(wanted).subscribe("a/b", {.qos = qos1});
        device.cut();
        world.advance(Duration::seconds(10));
    }
    clock.base_ms += 100'000;
    World& world = start();
    EXPECT_EQ(process->report.sessions, 0u);
    EXPECT_EQ(process->report.expired, 1u);
    Client& device = world.client("device");
    device.connect(lasting());
    EXPECT_FALSE(device.session_present());
}

TEST_P(RestartTest, none_keeps_nothing) {
    durability = Durability::none;
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos1});
        world.client("publisher").connect().publish("r", "x", {.qos = qos1, .retain = true});
    }
    start();
    EXPECT_EQ(process->report.sessions, 0u);
    EXPECT_EQ(process->report.retained, 0u);
    EXPECT_EQ(rows(store::Family::sessions), 0u);
}

TEST_P(RestartTest, takes_a_qos_2_message_once_over_a_restart) {
    std::uint16_t id = 0;
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos2});
        device.cut();
        Client& publisher = world.client("publisher");
        publisher.connect(lasting());
        publisher.acknowledges = false;  // no PUBREL
        id = publisher.publish_later("a/b", "once", {.qos = qos2});
        world.run();
    }
    World& world = start();
    Client& publisher = world.client("publisher");
    publisher.connect(lasting());
    EXPECT_TRUE(publisher.session_present());
    mqtt::Publish again;
    again.qos = qos2;
    again.dup = true;
    again.packet_id = id;
    again.topic = "a/b";
    again.payload = as_bytes(std::string_view{"once"});
    publisher.send(again);
    Client& device = world.client("device");
    device.connect(lasting());
    EXPECT_EQ(device.take_payloads(), Strings{"once"});
}

TEST_P(RestartTest, sends_a_qos_2_message_under_the_number_that_it_had) {
    std::uint16_t number = 0;
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos2});
        device.acknowledges = false;
        world.client("publisher").connect().publish("a/b", "x", {.qos = qos2});
        const auto got = device.take_messages();
        ASSERT_EQ(got.size(), 1u);
        number = got[0].packet_id;
        EXPECT_FALSE(got[0].dup);
    }
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting());
    const auto got = device.take_messages();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].packet_id, number);
    EXPECT_TRUE(got[0].dup);
    EXPECT_EQ(rows(store::Family::queue), 0u);
    EXPECT_EQ(rows(store::Family::flight), 0u);
}

TEST_P(RestartTest, a_slow_client_is_given_all_of_it_from_the_store) {
    World& world = start();
    Client& device = world.client("device");
    auto narrow = lasting();
    narrow.receive_maximum = 4;
    device.connect(narrow).subscribe("a/b", {.qos = qos1});
    device.acknowledges = false;
    Client& publisher = world.client("publisher");
    publisher.connect();
    Strings expected;
    for (int i = 0; i < 200; ++i) {
        expected.push_back(std::string(4'000, 'x') + std::to_string(i));
        EXPECT_EQ(publisher.publish("a/b", expected.back(), {.qos = qos1}), ReasonCode::success);
    }
    const auto* const session = world.session("device");
    ASSERT_NE(session, nullptr);
    EXPECT_GT(session->queued_count(), 50u);
    EXPECT_LT(world.stored_messages(), 120u);
    device.release_acks();
    world.run();
    EXPECT_EQ(device.take_payloads(), expected);
    EXPECT_EQ(rows(store::Family::queue), 0u);
}

TEST_P(RestartTest, what_is_on_its_way_is_sent_again_once_however_much_it_is) {
    constexpr int count = 300;  // more than one read brings
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/+", {.qos = qos2});
        device.acknowledges = false;
        Client& publisher = world.client("publisher");
        publisher.connect();
        for (int i = 0; i < count; ++i) {
            const auto qos = i % 2 == 0 ? qos1 : qos2;
            static_cast<void>(publisher.publish_later(qos == qos1 ? "a/1" : "a/2",
                                                      std::to_string(i), {.qos = qos}));
        }
        world.run();
        EXPECT_EQ(device.take_payloads().size(), std::size_t{count});
        device.cut();
        world.run();
    }
    World& world = start();
    Client& device = world.client("device");
    device.acknowledges = false;
    device.connect(lasting());
    world.run();
    EXPECT_EQ(device.take_payloads().size(), std::size_t{count});
    device.release_acks();
    world.run();
    EXPECT_EQ(device.take_payloads().size(), 0u);
    EXPECT_EQ(rows(store::Family::queue), 0u);
    EXPECT_EQ(rows(store::Family::flight), 0u);
}

// --- numbers, repeats, order ---

TEST_P(RestartTest, says_that_a_qos_1_message_may_have_come_before) {
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos1});
        device.acknowledges = false;
        world.client("publisher").connect().publish("a/b", "x", {.qos = qos1});
        const auto got = device.take_messages();
        ASSERT_EQ(got.size(), 1u);
        EXPECT_FALSE(got[0].dup);
    }
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting());
    const auto got = device.take_messages();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_TRUE(got[0].dup);
    // What was published to a client that was away has never been sent.
    device.cut();
    world.client("publisher").connect().publish("a/b", "y", {.qos = qos1});
    device.connect(lasting());
    const auto later = device.take_messages();
    ASSERT_EQ(later.size(), 1u);
    EXPECT_FALSE(later[0].dup);
}

TEST_P(RestartTest, keeps_the_number_of_a_message_that_expired_on_its_way) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos2});
    device.acknowledges = false;
    Client& publisher = world.client("publisher");
    publisher.connect();
    publisher.publish("a/b", "short-lived", {.qos = qos2, .message_expiry_s = 1});
    auto got = device.take_messages();
    ASSERT_EQ(got.size(), 1u);
    const std::uint16_t number = got[0].packet_id;
    device.cut();
    world.advance(Duration::seconds(5));
    device.connect(lasting());
    publisher.publish("a/b", "next", {.qos = qos2});
    for (const auto& message : device.take_messages()) {
        EXPECT_EQ(message.packet_id == number, message.payload == "short-lived");
    }
    device.release_acks();
    world.run();
    EXPECT_EQ(rows(store::Family::queue), 0u);
    EXPECT_EQ(rows(store::Family::flight), 0u);
}

TEST_P(RestartTest, gives_no_number_twice_whose_message_is_gone) {
    std::uint16_t number = 0;
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos2});
        device.acknowledges = false;
        world.client("publisher").connect().publish("a/b", "x", {.qos = qos2});
        const auto got = device.take_messages();
        ASSERT_EQ(got.size(), 1u);
        number = got[0].packet_id;
    }
    store::Batch batch;
    {
        const auto queue = engine.scan(store::Family::queue, {}, {});
        while (queue->next()) batch.erase(store::Family::queue, queue->key());
    }
    ASSERT_TRUE(engine.write(batch.bytes(), true));
    World& world = start();
    Client& device = world.client("device");
    device.acknowledges = false;
    device.connect(lasting());
    EXPECT_EQ(device.count(mqtt::PacketType::pubrel), 1u);
    world.client("publisher").connect().publish("a/b", "next", {.qos = qos2});
    const auto got = device.take_messages();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_NE(got[0].packet_id, number);
    device.release_acks();
    world.run();
    EXPECT_EQ(rows(store::Family::flight), 0u);
}

TEST_P(RestartTest, sends_nothing_while_numbers_in_use_cannot_be_read) {
    World& world = start();
    Client& device = world.client("device");
    device.connect(lasting()).subscribe("a/b", {.qos = qos2});
    device.acknowledges = false;
    Client& publisher = world.client("publisher");
    publisher.connect();
    publisher.publish("a/b", "first", {.qos = qos2});
    auto got = device.take_messages();
    ASSERT_EQ(got.size(), 1u);
    const std::uint16_t number = got[0].packet_id;
    device.cut();
    world.run();
    engine.fails_on = store::Family::flight;
    device.connect(lasting());
    publisher.publish("a/b", "second", {.qos = qos2});
    const std::uint64_t turns = world.counted(&broker::Counters::turns_total);
    world.advance(Duration::seconds(10));
    EXPECT_LT(world.counted(&broker::Counters::turns_total) - turns, 300u) << "it asks and asks";
    EXPECT_EQ(device.take_messages().size(), 0u);
    engine.fails_on.reset();
    world.advance(Duration::seconds(10));
    got = device.take_messages();  // the client knows that "first" is a repeat
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].payload, "second");
    EXPECT_NE(got[0].packet_id, number);
    device.release_acks();
    world.run();
    EXPECT_EQ(rows(store::Family::queue), 0u);
    EXPECT_EQ(rows(store::Family::flight), 0u);
}

TEST_P(RestartTest, holds_the_limit_of_a_queue_that_was_there_before) {
    adjust = [](broker::testing::WorldOptions& options) { options.limits.queue_messages_max = 32; };
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos1});
        device.cut();
        Client& publisher = world.client("publisher");
        publisher.connect();
        for (int i = 0; i < 30; ++i) publisher.publish("a/b", "x", {.qos = qos1});
    }
    World& world = start();
    Client& publisher = world.client("publisher");
    publisher.connect();
    for (int i = 0; i < 30; ++i) publisher.publish("a/b", "y", {.qos = qos1});
    EXPECT_GE(rows(store::Family::queue), 32u);
    EXPECT_LE(rows(store::Family::queue), 34u);
    Client& device = world.client("device");
    device.connect(lasting());
    EXPECT_GE(device.take_payloads().size(), 32u);
    EXPECT_EQ(rows(store::Family::queue), 0u);
}

/// What is read of a queue may have been put down by another shard, with its delivery still on the
/// way: it comes once.
TEST_P(RestartTest, gives_a_message_once_that_is_read_and_delivered) {
    World& world = start();
    const std::uint16_t home = world.shard_count() - 1;
    const std::string topic = world.topic_at(home, "t");
    Client& device = world.client_at(0, "device");
    device.connect(lasting()).subscribe(topic, {.qos = qos1});
    device.cut();
    Client& publisher = world.client_at(home, "publisher");
    publisher.connect();
    publisher.publish(topic, "before", {.qos = qos1});
    process->stop_disk();
    device.connect_later(lasting());
    world.run();
    static_cast<void>(publisher.publish_later(topic, "meanwhile", {.qos = qos1}));
    world.run();
    // The delivery is on its way, and the row can be read.
    world.faults(0).probability[ports::Fault::mail_late] = 1.0;
    process->start_disk();
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) world.network(i).wake();
    world.run_some(20'000);
    world.faults(0).probability.clear();
    world.run();
    EXPECT_EQ(device.take_payloads(), (Strings{"before", "meanwhile"}));
    EXPECT_EQ(rows(store::Family::queue), 0u);
}

// --- nothing is left over ---

class LeftoverTest : public testing::ProcessTest {
protected:
    std::uint64_t rows_of_sessions() {
        process->keep_house();
        std::uint64_t count = 0;
        for (const store::Family family :
             {store::Family::queue, store::Family::flight, store::Family::inbound,
              store::Family::messages, store::Family::references}) {
            count += rows(family);
        }
        return count;
    }
};
INSTANTIATE_TEST_SUITE_P(shards, LeftoverTest, ::testing::Values(3));

TEST_P(LeftoverTest, a_row_for_a_session_that_has_just_ended_goes) {
    World& world = start();
    const std::string topic = world.topic_at(1, "t");
    Client& device = world.client_at(0, "device");
    device.connect(lasting()).subscribe(topic, {.qos = qos1});
    Client& publisher = world.client_at(1, "publisher");
    publisher.connect();
    // The topic's home does not hear yet that the session is another one.
    world.faults(1).probability[ports::Fault::mail_late] = 1.0;
    device.connect_later(lasting(true));
    world.run_some(2'000);
    EXPECT_EQ(rows_of_sessions(), 0u);
    static_cast<void>(publisher.publish_later(topic, "for the old one", {.qos = qos1}));
    world.run_some(2'000);
    world.faults(1).probability.clear();
    world.run();
    ASSERT_TRUE(device.is_connected());
    EXPECT_FALSE(device.session_present());
    EXPECT_EQ(publisher.unacknowledged_count(), 0u);
    EXPECT_EQ(device.take_payloads(), Strings{});
    EXPECT_EQ(rows_of_sessions(), 0u);
}

TEST_P(LeftoverTest, a_number_for_a_publisher_that_has_just_ended_goes) {
    World& world = start();
    const std::string topic = world.topic_at(1, "t");
    world.client_at(1, "reader").connect().subscribe(topic, {.qos = qos2});
    Client& publisher = world.client_at(0, "publisher");
    publisher.connect(lasting());
    world.faults(1).probability[ports::Fault::mail_late] = 1.0;
    static_cast<void>(publisher.publish_later(topic, "x", {.qos = qos2}));
    world.run_some(2'000);
    publisher.resends = false;
    publisher.connect_later(lasting(true));
    world.run_some(2'000);
    EXPECT_EQ(rows_of_sessions(), 0u);
    world.faults(1).probability.clear();
    world.run();
    EXPECT_EQ(rows_of_sessions(), 0u);
}

TEST_P(LeftoverTest, what_a_crash_has_left_is_swept_and_nothing_else) {
    {
        World& world = start();
        Client& device = world.client("device");
        device.connect(lasting()).subscribe("a/b", {.qos = qos1});
        device.cut();
        world.client("publisher").connect().publish("a/b", "owed", {.qos = qos1});
    }
    store::Batch batch;
    for (std::uint64_t counter = 1; counter < 100; ++counter) {
        const store::SessionId nobody{(std::uint64_t{1} << 44) + 5'000 + counter};
        const store::MessageId shared{counter << 1 | 1};
        store::MessageRecord record;
        record.topic = "a/b";
        store::QueueEntry entry;
        entry.message = shared;
        batch.put_message(shared, record);
        batch.enqueue(nobody, shared.value, entry);
        batch.put_flight(nobody, shared.value, {7, store::FlightState::sent});
        batch.put_subscription(nobody, "a/b", {});
        batch.put_inbound(nobody, 9);
    }
    ASSERT_TRUE(engine.write(batch.bytes(), true));
    World& world = start();
    EXPECT_EQ(rows_of_sessions(), 1u);
    EXPECT_EQ(rows(store::Family::subscriptions), 1u);
    Client& device = world.client("device");
    device.connect(lasting());
    EXPECT_EQ(device.take_payloads(), Strings{"owed"});
}

}  // namespace
}  // namespace mitu::journal
