// Messages to a client: QoS, resend on resume, receive maximum, sizes, expiry, aliases, bounds.

#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

ConnectOptions stays(bool clean_start = true) {
    return {.clean_start = clean_start, .session_expiry_s = 1'000};
}

/// A subscriber to x/# and a publisher.
struct DeliverTest : ::testing::Test {
    void start(const WorldOptions& options = {}, ConnectOptions connect = stays()) {
        world = std::make_unique<World>(options);
        client = &world->client("client").connect(connect);
        client->subscribe("x/#", {.qos = qos2});
        publisher = &world->client("publisher").connect();
    }
    void publish(std::string_view payload, mqtt::QoS qos) {
        EXPECT_EQ(publisher->publish("x/y", payload, {.qos = qos}), ReasonCode::success);
    }
    std::unique_ptr<World> world;
    Client* client = nullptr;
    Client* publisher = nullptr;
};

TEST_F(DeliverTest, sends_with_the_lower_of_both_qos) {
    start();
    client->subscribe("low", {.qos = qos1});
    publisher->publish("low", "2", {.qos = qos2});
    publisher->publish("low", "0", {.qos = qos0});
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_EQ(messages[0].qos, qos1);
    EXPECT_EQ(messages[1].qos, qos0);
}

TEST_F(DeliverTest, passes_every_property_on_unaltered) {  // section 3.3.2.3
    start({.shards = 2});
    PublishOptions options;
    options.qos = qos1;
    options.payload_is_utf8 = true;
    options.response_topic = "answer/here";
    options.correlation_data = std::string{"\0\1\2", 3};
    options.content_type = "text/plain";
    options.user_properties = {{"b", "1"}, {"a", "2"}, {"b", "1"}};
    publisher->publish("x/y", "payload", options);
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].payload_is_utf8, true);
    EXPECT_EQ(messages[0].response_topic, "answer/here");
    EXPECT_EQ(messages[0].correlation_data, options.correlation_data);
    EXPECT_EQ(messages[0].content_type, "text/plain");
    EXPECT_EQ(messages[0].user_properties, options.user_properties);
    EXPECT_FALSE(messages[0].topic_alias);
    EXPECT_FALSE(messages[0].message_expiry_s);
}

// --- resuming ---

TEST_F(DeliverTest, resends_what_was_not_acknowledged_in_order_and_with_dup) {  // [MQTT-4.4.0-1]
    start();
    client->acknowledges = false;
    for (const char* payload : {"1", "2", "3", "4"}) {
        publish(payload, payload[0] % 2 == 0 ? qos2 : qos1);
    }
    const auto first = client->take_messages();
    ASSERT_EQ(first.size(), 4u);
    client->acknowledge(first[1]);  // PUBREC for "2": only PUBREL is left to do
    client->reset();
    world->run();
    client->connect(stays(false));
    std::vector<std::string> seen;
    for (const auto& packet : client->take_packets()) {
        if (const auto* p = packet.as<mqtt::Publish>()) {
            EXPECT_TRUE(p->dup);
            seen.push_back(std::string{as_text(p->payload)});
        }
        if (const auto* p = packet.as<mqtt::Pubrel>()) {
            EXPECT_EQ(p->packet_id, first[1].packet_id);
            seen.push_back("pubrel");
        }
    }
    EXPECT_EQ(seen, (Strings{"1", "pubrel", "3", "4"}));
}

TEST_F(DeliverTest, keeps_packet_ids_across_connections) {
    start();
    client->acknowledges = false;
    publish("1", qos1);
    publish("2", qos2);
    const auto before = client->take_messages();
    client->cut();
    world->run();
    client->acknowledges = true;
    publish("3", qos1);
    client->connect(stays(false));
    const auto packets = client->take_packets();
    std::vector<std::pair<std::uint16_t, bool>> ids;
    for (const auto& packet : packets) {
        if (const auto* p = packet.as<mqtt::Publish>()) ids.emplace_back(p->packet_id, p->dup);
    }
    ASSERT_EQ(ids.size(), 3u);
    EXPECT_EQ(ids[0], std::pair(before[0].packet_id, true));
    EXPECT_EQ(ids[1], std::pair(before[1].packet_id, true));
    EXPECT_FALSE(ids[2].second);
    EXPECT_EQ(client->take_payloads(), (Strings{"1", "3"})) << "2 was received before";
    EXPECT_EQ(world->stored_messages(), 0u);
    EXPECT_EQ(world->session("client")->inflight_count(), 0u);
}

TEST_F(DeliverTest, resends_within_the_receive_maximum_of_the_new_connection) {
    start();
    client->acknowledges = false;
    for (int i = 0; i < 10; ++i) publish(std::to_string(i), i % 2 == 0 ? qos1 : qos2);
    EXPECT_EQ(client->take_messages().size(), 10u);
    client->reset();
    world->run();
    auto options = stays(false);
    options.receive_maximum = 2;
    client->connect(options);
    Strings order;
    for (int i = 0; i < 10; ++i) {
        const auto messages = client->take_packets();
        std::vector<const mqtt::Publish*> publishes;
        for (const auto& packet : messages) {
            if (const auto* p = packet.as<mqtt::Publish>()) publishes.push_back(p);
        }
        ASSERT_EQ(publishes.size(), i == 0 ? 2u : i == 9 ? 0u : 1u) << i;
        for (const auto* p : publishes) order.emplace_back(as_text(p->payload));
        // The oldest first; QoS 2 all the way.
        Message oldest;
        oldest.packet_id = static_cast<std::uint16_t>(i + 1);
        oldest.qos = i % 2 == 0 ? qos1 : qos2;
        client->acknowledge(oldest);
        if (oldest.qos == qos2) {
            mqtt::Pubcomp pubcomp;
            pubcomp.packet_id = oldest.packet_id;
            client->send(pubcomp);
        }
    }
    EXPECT_EQ(order, (Strings{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, resends_nothing_that_a_clean_start_has_discarded) {
    start();
    client->acknowledges = false;
    publish("1", qos1);
    client->reset();
    client->connect(stays(true));
    EXPECT_EQ(client->count(PacketType::publish), 0u);
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, answers_a_pubrec_for_an_unknown_id) {  // section 3.6.2.1
    start();
    mqtt::Pubrec pubrec;
    pubrec.packet_id = 99;
    client->send(pubrec);
    const auto packets = client->take_packets();
    const auto* pubrel = packets.back().as<mqtt::Pubrel>();
    ASSERT_NE(pubrel, nullptr);
    EXPECT_EQ(pubrel->reason, ReasonCode::packet_identifier_not_found);
}

TEST_F(DeliverTest, ignores_acknowledgements_of_the_wrong_kind) {
    start();
    client->acknowledges = false;
    publish("1", qos1);
    publish("2", qos2);
    const auto messages = client->take_messages();
    mqtt::Puback puback;
    puback.packet_id = messages[1].packet_id;
    client->send(puback);
    mqtt::Pubcomp pubcomp;
    pubcomp.packet_id = messages[1].packet_id;
    client->send(pubcomp);
    puback.packet_id = 999;
    client->send(puback);
    EXPECT_EQ(world->session("client")->inflight_count(), 2u);
    EXPECT_TRUE(client->is_open());
}

TEST_F(DeliverTest, forgets_a_message_that_the_client_refuses_with_pubrec) {
    start();
    client->acknowledges = false;
    publish("1", qos2);
    mqtt::Pubrec pubrec;
    pubrec.packet_id = client->take_messages()[0].packet_id;
    pubrec.reason = ReasonCode::not_authorized;
    client->send(pubrec);
    EXPECT_EQ(client->count(PacketType::pubrel), 0u);
    EXPECT_EQ(world->session("client")->inflight_count(), 0u);
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, goes_round_all_packet_ids_with_one_of_them_stuck) {
    start({.limits = {.inflight_max = 8}});
    client->acknowledges = false;
    publish("stuck", qos1);
    const auto stuck = client->take_messages()[0];
    client->acknowledges = true;
    for (int i = 0; i < 70'000; ++i) {
        publisher->publish_later("x/y", "m", {.qos = qos0});
        if (i % 500 == 0) world->run();
    }
    world->run();
    client->take_messages();
    Client& fast = *publisher;
    for (int i = 0; i < 66'000; ++i) {
        fast.publish_later("x/y", "m", {.qos = qos1});
        if (i % 100 == 0) world->run();
    }
    world->run();
    const auto messages = client->take_messages();
    EXPECT_EQ(messages.size(), 66'000u);
    for (const auto& message : messages) ASSERT_NE(message.packet_id, stuck.packet_id);
    client->acknowledge(stuck);
    EXPECT_EQ(world->session("client")->inflight_count(), 0u);
}

// --- receive maximum ---

TEST_F(DeliverTest, has_no_more_on_the_way_than_the_client_takes_at_once) {  // [MQTT-3.3.4-9]
    auto options = stays();
    options.receive_maximum = 2;
    start({}, options);
    client->acknowledges = false;
    for (const char* payload : {"1", "2", "3", "4"}) publish(payload, qos1);
    auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 2u);
    publish("qos 0 overtakes", qos0);
    EXPECT_EQ(client->take_payloads(), Strings{"qos 0 overtakes"});
    client->acknowledge(messages[1]);
    EXPECT_EQ(client->take_payloads(), Strings{"3"}) << "released one by one";
    client->acknowledge(messages[0]);
    EXPECT_EQ(client->take_payloads(), Strings{"4"});
}

TEST_F(DeliverTest, counts_qos2_until_pubcomp) {
    auto options = stays();
    options.receive_maximum = 1;
    start({}, options);
    client->acknowledges = false;
    publish("1", qos2);
    publish("2", qos2);
    auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 1u);
    client->acknowledge(messages[0]);
    EXPECT_EQ(client->take_payloads(), Strings{});
    mqtt::Pubcomp pubcomp;
    pubcomp.packet_id = messages[0].packet_id;
    client->send(pubcomp);
    EXPECT_EQ(client->take_payloads(), Strings{"2"});
}

TEST_F(DeliverTest, keeps_the_order_of_arrival_across_qos) {
    start();
    Strings expected;
    for (int i = 0; i < 30; ++i) {
        publisher->publish_later("x/y", std::to_string(i), {.qos = mqtt::QoS(i % 3)});
        expected.push_back(std::to_string(i));
    }
    world->run();
    EXPECT_EQ(client->take_payloads(), expected);
}

// --- sizes ---

TEST_F(DeliverTest, drops_what_is_too_large_for_the_client_and_goes_on) {  // [MQTT-3.1.2-25]
    auto options = stays();
    options.maximum_packet_size = 60;
    start({}, options);
    for (const mqtt::QoS qos : {qos0, qos1, qos2}) {
        publish(std::string(100, 'x'), qos);
        publish("small", qos);
    }
    EXPECT_EQ(client->take_payloads(), (Strings{"small", "small", "small"}));
    EXPECT_EQ(world->dropped(DropReason::too_large_for_client), 3u);
    EXPECT_EQ(world->session("client")->dropped(DropReason::too_large_for_client), 3u);
    EXPECT_EQ(world->session("client")->inflight_count(), 0u);
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, drops_on_resume_what_the_new_connection_cannot_take) {
    start();
    client->acknowledges = false;
    publish(std::string(100, 'x'), qos1);
    publish("small", qos2);
    client->reset();
    world->run();
    auto options = stays(false);
    options.maximum_packet_size = 60;
    client->acknowledges = true;
    client->connect(options);
    EXPECT_EQ(client->count(PacketType::publish), 1u);
    EXPECT_EQ(world->dropped(DropReason::too_large_for_client), 1u);
    EXPECT_EQ(world->session("client")->inflight_count(), 0u);
}

TEST_F(DeliverTest, delivers_messages_of_every_size) {
    start({.shards = 2, .limits = {.output_bytes_turn_max = 8'192, .gather_bytes_min = 1'000}});
    for (const std::size_t size :
         {0, 1, 999, 1'000, 1'001, 8'191, 8'192, 70'000, 131'072, 900'000}) {
        const std::string payload(size, 'p');
        publish(payload, qos1);
        EXPECT_EQ(client->take_payloads(), Strings{payload}) << size;
    }
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, delivers_huge_user_properties) {
    start({.shards = 2});
    PublishOptions options;
    for (int i = 0; i < 12; ++i)
        options.user_properties.emplace_back("n", std::string(60'000, 'v'));
    for (int i = 0; i < 3; ++i) publisher->publish_later("x/y", "p", options);
    world->run();
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[2].user_properties, options.user_properties);
}

// --- expiry ---

TEST_F(DeliverTest, tells_how_long_a_message_is_still_good) {  // [MQTT-3.3.2-6]
    start();
    client->cut();
    world->run();
    publisher->publish("x/y", "1", {.qos = qos1, .message_expiry_s = 100});
    world->advance(Duration::milliseconds(30'500));
    client->connect(stays(false));
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].message_expiry_s, 70u);
}

TEST_F(DeliverTest, drops_what_has_expired_while_it_waited) {  // [MQTT-3.3.2-5]
    start();
    client->cut();
    world->run();
    publisher->publish("x/y", "1", {.qos = qos1, .message_expiry_s = 10});
    publisher->publish("x/y", "2", {.qos = qos2, .message_expiry_s = 100});
    world->advance(Duration::seconds(10));
    client->connect(stays(false));
    EXPECT_EQ(client->take_payloads(), Strings{"2"});
    EXPECT_EQ(world->dropped(DropReason::expired), 1u);
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, finishes_a_delivery_that_was_begun_before_the_message_expired) {
    start();
    client->acknowledges = false;
    publisher->publish("x/y", "1", {.qos = qos1, .message_expiry_s = 10});
    EXPECT_EQ(client->take_payloads(), Strings{"1"});
    client->reset();
    world->advance(Duration::seconds(60));
    client->connect(stays(false));
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].message_expiry_s, 1u);
}

// --- broker-made aliases ---

TEST_F(DeliverTest, shortens_topics_by_alias_where_the_client_offers_it) {
    auto options = stays();
    options.topic_alias_maximum = 2;
    start({}, options);
    const auto came = [&](std::string topic) {
        publisher->publish(topic, "p", {.qos = qos1});
        auto messages = client->take_messages();
        EXPECT_EQ(messages.size(), 1u);
        EXPECT_EQ(messages[0].topic, topic);
        return messages[0].came_as_alias;
    };
    EXPECT_FALSE(came("x/1"));
    EXPECT_TRUE(came("x/1"));
    EXPECT_FALSE(came("x/2"));
    EXPECT_TRUE(came("x/1"));
    EXPECT_TRUE(came("x/2"));
    EXPECT_FALSE(came("x/3")) << "takes the place of the oldest";
    EXPECT_TRUE(came("x/3"));
    EXPECT_TRUE(came("x/2"));
    EXPECT_FALSE(came("x/1"));
    client->cut();
    options.clean_start = false;
    client->connect(options);
    EXPECT_FALSE(came("x/1")) << "a new connection has no aliases";
    EXPECT_TRUE(came("x/1"));
}

TEST_F(DeliverTest, resends_with_aliases_of_the_new_connection) {
    auto options = stays();
    options.topic_alias_maximum = 5;
    start({}, options);
    client->acknowledges = false;
    publish("1", qos1);
    publish("2", qos1);
    EXPECT_TRUE(client->take_messages()[1].came_as_alias);
    client->reset();
    world->run();
    options.clean_start = false;
    client->connect(options);
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_FALSE(messages[0].came_as_alias);
    EXPECT_TRUE(messages[1].came_as_alias);
    EXPECT_EQ(messages[1].topic, "x/y");
}

TEST_F(DeliverTest, learns_no_alias_from_a_packet_that_it_did_not_send) {
    auto options = stays();
    options.topic_alias_maximum = 5;
    options.maximum_packet_size = 60;
    start({}, options);
    publish(std::string(100, 'x'), qos1);
    publish("1", qos1);
    const auto messages = client->take_messages();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_FALSE(messages[0].came_as_alias);
}

// --- bounds ---

TEST_F(DeliverTest, drops_qos0_for_a_client_that_is_away) {
    start();
    client->cut();
    world->run();
    publish("0", qos0);
    publish("1", qos1);
    client->connect(stays(false));
    EXPECT_EQ(client->take_payloads(), Strings{"1"});
    EXPECT_EQ(world->dropped(DropReason::offline_qos0), 1u);
}

TEST_F(DeliverTest, bounds_the_queue_of_a_client_that_is_away) {
    start({.limits = {.queue_messages_max = 3}});
    client->cut();
    world->run();
    for (const char* payload : {"1", "2", "3", "4", "5"}) publish(payload, qos1);
    EXPECT_EQ(world->dropped(DropReason::queue_full), 2u);
    EXPECT_EQ(world->session("client")->dropped(DropReason::queue_full), 2u);
    client->connect(stays(false));
    EXPECT_EQ(client->take_payloads(), (Strings{"1", "2", "3"}));
}

TEST_F(DeliverTest, bounds_the_bytes_of_a_queue) {
    start({.limits = {.queue_bytes_max = 200}});
    client->cut();
    world->run();
    for (int i = 0; i < 5; ++i) publish(std::string(77, 'x'), qos1);
    EXPECT_EQ(world->session("client")->queued_count(), 2u);
    client->connect(stays(false));
    EXPECT_EQ(client->take_messages().size(), 2u);
    client->cut();
    world->run();
    for (int i = 0; i < 5; ++i) publish(std::string(77, 'x'), qos1);
    EXPECT_EQ(world->session("client")->queued_count(), 2u) << "the bytes were given back";
}

TEST_F(DeliverTest, takes_the_queue_bounds_of_the_policy) {
    start();
    auto profile = std::make_shared<Profile>(*open_profile());
    profile->queue_messages_max = 2;
    world->gate().profiles["client"] = profile;
    client->connect(stays(false));
    client->cut();
    world->run();
    for (int i = 0; i < 5; ++i) publish("1", qos1);
    EXPECT_EQ(world->session("client")->queued_count(), 2u);
}

/// A connected client whose socket is full.
struct SlowClientTest : DeliverTest {
    void stall() {
        client->reads = false;
        client->set_window(0);
    }
    void go_on() {
        client->reads = true;
        client->set_window(1 << 20);
        world->run();
    }
};

TEST_F(SlowClientTest, loses_its_oldest_qos0_messages_first) {
    start({.limits = {.queue_messages_max = 3}});
    stall();
    publish("fills the pipe", qos0);
    for (const char* payload : {"a", "b"}) publish(payload, qos0);
    publish("1", qos1);
    publish("2", qos1);
    publish("c", qos0);
    publish("3", qos1);
    publish("4", qos1);
    EXPECT_EQ(world->dropped(DropReason::evicted_qos0), 3u);
    EXPECT_EQ(world->dropped(DropReason::queue_full), 1u);
    go_on();
    EXPECT_EQ(client->take_payloads(), (Strings{"fills the pipe", "1", "2", "3"}));
}

TEST_F(SlowClientTest, keeps_its_qos0_messages_when_losing_them_would_not_help) {
    start({.limits = {.queue_messages_max = 10, .queue_bytes_max = 100}});
    stall();
    publish("fills the pipe", qos0);
    publish("a", qos0);
    publish(std::string(1'000, 'x'), qos1);
    EXPECT_EQ(world->dropped(DropReason::queue_full), 1u);
    EXPECT_EQ(world->dropped(DropReason::evicted_qos0), 0u);
    go_on();
    EXPECT_EQ(client->take_payloads(), (Strings{"fills the pipe", "a"}));
}

TEST_F(SlowClientTest, gets_its_bytes_back_when_its_qos0_messages_go_with_the_connection) {
    start({.limits = {.queue_bytes_max = 300}});
    for (int i = 0; i < 10; ++i) {
        stall();
        publish(std::string(50, 'x'), qos0);
        publish(std::string(50, 'x'), qos0);
        publish(std::string(50, 'x'), qos0);
        client->reset();
        world->run();
        client->reads = true;
        client->connect(stays(false));
    }
    client->take_messages();
    publish("still gets messages", qos1);
    EXPECT_EQ(client->take_payloads(), Strings{"still gets messages"});
    EXPECT_EQ(world->dropped(DropReason::queue_full), 0u);
}

TEST_F(SlowClientTest, has_its_retained_messages_counted_apart_from_live_ones) {
    start({.limits = {.queue_messages_max = 2, .queue_bytes_max = 100}});
    for (int i = 0; i < 5; ++i) {
        publisher->publish("r/" + std::to_string(i), std::string(40, 'r'), {.retain = true});
    }
    stall();
    publish("fills the pipe", qos0);
    client->subscribe("r/+");
    publish("1", qos1);
    publish("2", qos1);
    publish("3", qos1);
    EXPECT_EQ(world->dropped(DropReason::queue_full), 1u);
    EXPECT_EQ(world->dropped(DropReason::evicted_qos0), 0u);
    go_on();
    EXPECT_EQ(client->take_messages().size(), 1 + 5 + 2u);
}

TEST_F(SlowClientTest, is_not_read_while_it_does_not_take_its_answers) {
    start({.limits = {.output_backlog_bytes_max = 1'000}});
    client->ping();
    stall();
    for (int i = 0; i < 20; ++i) {
        for (int k = 0; k < 5'000; ++k) client->send_later(mqtt::Pingreq{});
        world->run();
    }
    const std::uint64_t sent = world->counted(&Counters::bytes_received_total);
    EXPECT_LT(sent, 50'000u) << "the rest waits in its socket";
    go_on();
    EXPECT_EQ(client->count(PacketType::pingresp), 1 + 20 * 5'000u);
}

TEST_F(SlowClientTest, does_not_hold_up_others) {
    start({.shards = 2});
    Client& other = world->client("other").connect();
    other.subscribe("x/#", {.qos = qos1});
    stall();
    for (int i = 0; i < 100; ++i) publish(std::to_string(i), qos1);
    EXPECT_EQ(other.take_messages().size(), 100u);
    go_on();
    EXPECT_EQ(client->take_messages().size(), 100u);
    EXPECT_EQ(world->stored_messages(), 0u);
}

TEST_F(DeliverTest, forgets_identifier_sets_that_no_message_needs) {
    start();
    for (std::uint32_t i = 1; i <= 300; ++i) {
        client->subscribe("x/#", {.qos = qos1, .identifier = i});
        client->subscribe("x/+", {.qos = qos1, .identifier = 1'000 + i});
        publish("m", qos1);
        const auto messages = client->take_messages();
        ASSERT_EQ(messages.size(), 1u);
        EXPECT_EQ(messages[0].identifiers.size(), 2u);
    }
    EXPECT_LE(world->session("client")->identifier_set_count(), 1u);
}

}  // namespace
}  // namespace mitu::broker::testing
