// PUBLISH from a client: acknowledgements, QoS 2, receive maximum, aliases, access, message rate.

#include <gtest/gtest.h>

#include <algorithm>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

std::shared_ptr<Profile> profile_with(auto change) {
    auto profile = std::make_shared<Profile>(*open_profile());
    change(*profile);
    return profile;
}

TEST(session_publish, acknowledges_by_quality_of_service) {
    World world;
    Client& client = world.client("a").connect();
    client.subscribe("x", {.qos = qos2});
    EXPECT_EQ(client.publish("x", "0", {.qos = qos0}), ReasonCode::success);
    EXPECT_EQ(client.publish("x", "1", {.qos = qos1}), ReasonCode::success);
    EXPECT_EQ(client.publish("x", "2", {.qos = qos2}), ReasonCode::success);
    EXPECT_EQ(client.count(PacketType::puback), 1u);
    EXPECT_EQ(client.count(PacketType::pubrec), 1u);
    EXPECT_EQ(client.count(PacketType::pubcomp), 1u);
    const auto messages = client.take_messages();
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[0].qos, qos0);
    EXPECT_EQ(messages[1].qos, qos1);
    EXPECT_EQ(messages[2].qos, qos2);
    EXPECT_EQ(world.stored_messages(), 0u);
}

TEST(session_publish, says_that_nobody_listens) {  // 0x10, [section 3.4.2.1]
    World world{{.shards = 2}};
    Client& client = world.client("a").connect();
    EXPECT_EQ(client.publish("x", "1", {.qos = qos1}), ReasonCode::no_matching_subscribers);
    EXPECT_EQ(client.publish("y", "1", {.qos = qos1}), ReasonCode::no_matching_subscribers);
    EXPECT_EQ(client.publish("x", "2", {.qos = qos2}), ReasonCode::no_matching_subscribers);
    client.connect({.version = ProtocolVersion::v3_1_1});
    EXPECT_EQ(client.publish("x", "1", {.qos = qos1}), ReasonCode::success);
}

TEST(session_publish, answers_in_the_order_of_the_publishes_across_shards) {  // [MQTT-4.6.0-2]
    World world{{.shards = 3, .lanes = tiny_lanes(), .draws_order = true}};
    Client& client = world.client("a").connect();
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < 200; ++i) {
        const std::string topic = world.topic_at(static_cast<std::uint16_t>(i % 3), "t");
        ids.push_back(client.publish_later(topic, "x", {.qos = i % 2 == 0 ? qos1 : qos2}));
    }
    world.run();
    std::vector<std::uint16_t> answered;
    for (const auto& seen : client.take_packets()) {
        if (const auto* p = seen.as<mqtt::Puback>()) answered.push_back(p->packet_id);
        if (const auto* p = seen.as<mqtt::Pubrec>()) answered.push_back(p->packet_id);
    }
    EXPECT_EQ(answered, ids);
}

TEST(session_publish, passes_a_qos2_message_on_once_however_often_it_is_repeated) {
    World world;  // [MQTT-4.3.3-10]
    Client& client = world.client("a").connect({.session_expiry_s = 60});
    Client& watcher = world.client("w").connect();
    watcher.subscribe("x", {.qos = qos2});
    client.acknowledges = false;  // no PUBREL
    client.resends = false;
    client.publish("x", "1", {.qos = qos2, .packet_id = 7});
    client.publish("x", "1", {.qos = qos2, .dup = true, .packet_id = 7});
    EXPECT_EQ(client.count(PacketType::pubrec), 2u);
    client.reset();
    world.run();
    client.connect({.clean_start = false, .session_expiry_s = 60});
    client.publish("x", "1", {.qos = qos2, .dup = true, .packet_id = 7});
    EXPECT_EQ(client.count(PacketType::pubrec), 1u);
    EXPECT_EQ(watcher.take_payloads(), Strings{"1"});
    mqtt::Pubrel pubrel;
    pubrel.packet_id = 7;
    client.send(pubrel);
    EXPECT_EQ(client.count(PacketType::pubcomp), 1u);
    client.publish("x", "2", {.qos = qos2, .packet_id = 7});
    EXPECT_EQ(watcher.take_payloads(), Strings{"2"}) << "the id is free again";
}

TEST(session_publish, answers_a_pubrel_for_an_unknown_id) {  // section 3.7.2.1
    World world;
    Client& client = world.client("a").connect();
    mqtt::Pubrel pubrel;
    pubrel.packet_id = 9;
    client.send(pubrel);
    const auto packets = client.take_packets();
    ASSERT_FALSE(packets.empty());
    const auto* pubcomp = packets.back().as<mqtt::Pubcomp>();
    ASSERT_NE(pubcomp, nullptr);
    EXPECT_EQ(pubcomp->reason, ReasonCode::packet_identifier_not_found);
    EXPECT_TRUE(client.is_open());
}

TEST(session_publish, does_not_confirm_a_qos2_message_that_was_lost_while_the_client_was_away) {
    // The home shard refuses (no memory) after the publisher has gone: when the publisher repeats
    // the message, that is a new attempt and not a repeat.
    World world{{.shards = 2}};
    Client& client = world.client_at(0).connect({.session_expiry_s = 60});
    Client& watcher = world.client_at(1).connect();
    const std::string topic = world.topic_at(1, "t");
    watcher.subscribe(topic, {.qos = qos2});
    world.faults(1).probability[ports::Fault::message_store_full] = 1;
    client.resends = false;
    client.publish_later(topic, "1", {.qos = qos2, .packet_id = 5});
    client.cut();
    world.run();
    world.faults(1).probability.clear();
    client.connect({.clean_start = false, .session_expiry_s = 60});
    ASSERT_TRUE(client.session_present());
    EXPECT_EQ(client.publish(topic, "1", {.qos = qos2, .dup = true, .packet_id = 5}),
              ReasonCode::success);
    EXPECT_EQ(watcher.take_payloads(), Strings{"1"});
}

TEST(session_publish, confirms_repeats_behind_what_is_not_yet_confirmed) {  // [MQTT-4.6.0-3]
    // Of two messages the first was refused and is tried again, the second is only repeated.
    World world{{.shards = 2}};
    Client& client = world.client_at(0).connect({.session_expiry_s = 60});
    Client& watcher = world.client_at(1).connect();
    const std::string away = world.topic_at(1, "away");
    const std::string here = world.topic_at(0, "here");
    watcher.subscribe(away, {.qos = qos2});
    watcher.subscribe(here, {.qos = qos2});
    client.acknowledges = client.resends = false;
    world.faults(1).probability[ports::Fault::message_store_full] = 1;
    client.publish(away, "1", {.qos = qos2, .packet_id = 1});
    client.publish(here, "2", {.qos = qos2, .packet_id = 2});
    EXPECT_EQ(client.outcome(1), ReasonCode::quota_exceeded);
    client.cut();
    world.run();
    world.faults(1).probability.clear();
    client.connect({.clean_start = false, .session_expiry_s = 60});
    client.take_packets();
    client.publish_later(away, "1", {.qos = qos2, .dup = true, .packet_id = 1});
    client.publish(here, "2", {.qos = qos2, .dup = true, .packet_id = 2});
    std::vector<std::uint16_t> confirmed;
    for (const auto& packet : client.take_packets()) {
        if (const auto* pubrec = packet.as<mqtt::Pubrec>()) confirmed.push_back(pubrec->packet_id);
    }
    EXPECT_EQ(confirmed, (std::vector<std::uint16_t>{1, 2}));
}

TEST(session_publish, confirms_repeats_before_what_is_not_yet_repeated) {  // [MQTT-4.6.0-3]
    // The first message is done, the others are still on their way to another shard.
    World world{{.shards = 2}};
    Client& client = world.client_at(0).connect({.session_expiry_s = 60});
    client.acknowledges = client.resends = false;
    const std::string here = world.topic_at(0, "here");
    const std::string away = world.topic_at(1, "away");
    const auto publish_all = [&](bool dup) {
        client.publish_later(here, "1", {.qos = qos2, .dup = dup, .packet_id = 1});
        client.publish_later(away, "2", {.qos = qos2, .dup = dup, .packet_id = 2});
        client.publish_later(away, "3", {.qos = qos2, .dup = dup, .packet_id = 3});
        world.run_some(300);
    };
    world.faults(1).probability[ports::Fault::mail_late] = 1;
    publish_all(false);
    client.reset();
    world.run_some(300);
    client.connect_later({.clean_start = false, .session_expiry_s = 60, .door = 0});
    world.run_some(300);
    ASSERT_TRUE(client.session_present());
    client.take_packets();
    publish_all(true);
    world.faults(1).probability.clear();
    world.run();
    std::vector<std::uint16_t> confirmed;
    for (const auto& packet : client.take_packets()) {
        if (const auto* pubrec = packet.as<mqtt::Pubrec>()) confirmed.push_back(pubrec->packet_id);
    }
    EXPECT_EQ(confirmed, (std::vector<std::uint16_t>{1, 2, 3}));
}

// --- receive maximum ---

TEST(session_publish, closes_on_more_than_receive_maximum_unacknowledged) {  // [MQTT-3.3.4-9]
    World world{{.limits = {.receive_maximum = 3}}};
    Client& client = world.client("a").connect();
    client.acknowledges = false;
    for (int i = 0; i < 3; ++i) client.publish("x", "1", {.qos = qos2});
    EXPECT_TRUE(client.is_open());
    client.publish("x", "1", {.qos = qos2});
    EXPECT_EQ(client.goodbye(), ReasonCode::receive_maximum_exceeded);
    EXPECT_FALSE(client.is_open());
}

TEST(session_publish, counts_receive_maximum_down_with_every_answer) {
    World world{{.shards = 2, .limits = {.receive_maximum = 3}}};
    Client& client = world.client("a").connect();
    for (int round = 0; round < 20; ++round) {
        client.publish_later("x", "1", {.qos = qos1});
        client.publish_later("y", "2", {.qos = qos2});
        client.publish_later("z/1/2", "3", {.qos = qos2});
        world.run();
    }
    EXPECT_TRUE(client.is_open());
}

TEST(session_publish, reads_a_v3_client_with_many_unanswered_publishes_more_slowly) {
    World world{{.shards = 2, .limits = {.receive_maximum = 2, .pending_acks_max = 4}}};
    Client& client = world.client_at(0).connect({.version = ProtocolVersion::v3_1_1});
    Client& watcher = world.client_at(0).connect();
    const std::string topic = world.topic_at(1, "t");
    watcher.subscribe(topic, {.qos = qos1});
    for (int i = 0; i < 500; ++i) client.publish_later(topic, std::to_string(i), {.qos = qos1});
    world.run();
    EXPECT_TRUE(client.is_open());
    EXPECT_EQ(client.count(PacketType::puback), 500u);
    EXPECT_EQ(watcher.take_messages().size(), 500u);
}

// --- topic aliases ---

TEST(session_publish, knows_topics_by_their_alias) {  // section 3.3.2.3.4
    World world{{.shards = 2}};
    Client& client = world.client("a").connect();
    Client& watcher = world.client("w").connect();
    watcher.subscribe("#", {.qos = qos1});
    client.publish("long/topic/one", "1", {.topic_alias = 1});
    client.publish("long/topic/two", "2", {.topic_alias = 64});
    client.publish("", "3", {.qos = qos1, .topic_alias = 1});
    client.publish("", "4", {.topic_alias = 64});
    client.publish("another", "5", {.topic_alias = 1});
    client.publish("", "6", {.topic_alias = 1});
    std::map<std::string, std::string> topics;
    for (const auto& message : watcher.take_messages()) topics[message.payload] = message.topic;
    EXPECT_EQ(topics["3"], "long/topic/one");
    EXPECT_EQ(topics["4"], "long/topic/two");
    EXPECT_EQ(topics["6"], "another");
    EXPECT_EQ(topics.size(), 6u);
}

TEST(session_publish, closes_on_an_alias_above_the_maximum) {  // [MQTT-3.3.2-9]
    World world;
    Client& client = world.client("a").connect();
    client.publish("x", "1", {.topic_alias = 65});
    EXPECT_EQ(client.goodbye(), ReasonCode::topic_alias_invalid);
}

TEST(session_publish, forgets_aliases_with_the_connection) {  // [MQTT-3.3.2-7]
    World world;
    Client& client = world.client("a").connect({.session_expiry_s = 60});
    client.publish("x", "1", {.topic_alias = 1});
    client.cut();
    client.connect({.clean_start = false, .session_expiry_s = 60});
    client.publish("", "2", {.topic_alias = 1});
    EXPECT_EQ(client.goodbye(), ReasonCode::protocol_error);
}

// --- access ---

TEST(session_publish, refuses_what_the_policy_does_not_allow) {
    World world;
    world.gate().profiles["a"] = profile_with([](Profile& p) {
        p.publish = AccessList{{"fleet/${device}/#"}, {"fleet/+/secret"}};
        p.payload_bytes_max = 5;
    });
    Client& client = world.client("a").connect();
    Client& watcher = world.client("w").connect();
    watcher.subscribe("#", {.qos = qos2});
    EXPECT_EQ(client.publish("fleet/a/x", "ok", {.qos = qos1}), ReasonCode::success);
    EXPECT_EQ(client.publish("fleet/b/x", "no", {.qos = qos1}), ReasonCode::not_authorized);
    EXPECT_EQ(client.publish("fleet/a/secret", "no", {.qos = qos2}), ReasonCode::not_authorized);
    EXPECT_EQ(client.publish("fleet/a/x", "123456", {.qos = qos1}), ReasonCode::quota_exceeded);
    EXPECT_EQ(client.publish("fleet/a/x", "123456", {.qos = qos2}), ReasonCode::quota_exceeded);
    EXPECT_EQ(client.publish("fleet/a/x", "12345", {.qos = qos2}), ReasonCode::success);
    client.publish("other", "no", {.qos = qos0});
    EXPECT_TRUE(client.is_open());
    EXPECT_EQ(watcher.take_payloads(), (Strings{"ok", "12345"}));
    EXPECT_EQ(world.dropped(DropReason::not_authorized), 3u);
    EXPECT_EQ(world.dropped(DropReason::payload_too_large), 2u);
    EXPECT_EQ(world.session("a")->dropped(DropReason::not_authorized), 3u);
}

TEST(session_publish, refuses_topics_with_too_many_levels) {
    World world;
    Client& client = world.client("a").connect();
    std::string deep = "x";
    for (int i = 0; i < 200; ++i) deep += "/x";
    EXPECT_EQ(client.publish(deep, "1", {.qos = qos1}), ReasonCode::topic_name_invalid);
    EXPECT_EQ(client.subscribe(deep), std::vector{ReasonCode::topic_filter_invalid});
    EXPECT_TRUE(client.is_open());
}

TEST(session_publish, counts_receive_maximum_for_each_connection_anew) {  // section 4.9
    World world{{.limits = {.receive_maximum = 3}}};
    Client& client = world.client("a").connect({.session_expiry_s = 60});
    client.acknowledges = client.resends = false;
    for (std::uint16_t id = 1; id <= 3; ++id) {
        client.publish("x", "1", {.qos = qos2, .packet_id = id});
    }
    client.reset();
    client.connect({.clean_start = false, .session_expiry_s = 60});
    ASSERT_TRUE(client.session_present());
    // New ones before the old are repeated: three again, and not one more.
    for (std::uint16_t id = 4; id <= 5; ++id) {
        client.publish("x", "1", {.qos = qos2, .packet_id = id});
    }
    client.publish("x", "1", {.qos = qos2, .dup = true, .packet_id = 1});
    ASSERT_TRUE(client.is_open());
    EXPECT_EQ(client.outcome(1), ReasonCode::success);
    client.publish("x", "1", {.qos = qos1, .packet_id = 6});
    EXPECT_EQ(client.goodbye(), ReasonCode::receive_maximum_exceeded);
}

// --- message rate ---

TEST(session_publish, slows_a_client_down_to_its_message_rate) {
    World world;
    world.gate().profiles["a"] = profile_with([](Profile& p) {
        p.message_rate_per_s = 10;
        p.message_burst = 5;
    });
    Client& client = world.client("a").connect();
    Client& watcher = world.client("w").connect();
    watcher.subscribe("x");
    for (int i = 0; i < 100; ++i) client.publish_later("x", std::to_string(i));
    world.run();
    EXPECT_EQ(watcher.take_messages().size(), 5u);
    world.advance(Duration::seconds(1));
    const auto per_second = watcher.take_messages().size();
    EXPECT_GE(per_second, 9u);
    EXPECT_LE(per_second, 11u);
    world.advance(Duration::seconds(9));
    EXPECT_EQ(watcher.take_messages().size() + per_second, 95u) << "nothing is lost";
    EXPECT_TRUE(client.is_open());
    EXPECT_GT(world.counted(&Counters::rate_limited_total), 0u);
    EXPECT_TRUE(client.ping());
}

TEST(session_publish, does_not_call_a_paused_client_silent) {
    World world;
    world.gate().profiles["a"] = profile_with([](Profile& p) {
        p.message_rate_per_s = 1;
        p.message_burst = 1;
    });
    Client& client = world.client("a").connect({.keep_alive_s = 1});
    for (int i = 0; i < 20; ++i) client.publish_later("x", "1");
    world.advance(Duration::seconds(19));
    EXPECT_TRUE(client.is_open());
    world.advance(Duration::seconds(10));
    EXPECT_FALSE(client.is_open()) << "now it is";
}

// --- subscribing ---

TEST(session_publish, answers_each_filter_of_a_subscribe) {
    World world{{.shards = 3}};
    world.gate().profiles["a"] =
        profile_with([](Profile& p) { p.subscribe = AccessList{{"ok/#"}, {"ok/no/#"}}; });
    Client& client = world.client("a").connect();
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 77;
    Bytes list;
    ASSERT_TRUE(mqtt::append_subscription(list, "ok/1", {.qos = qos2}));
    ASSERT_TRUE(mqtt::append_subscription(list, "forbidden", {.qos = qos2}));
    ASSERT_TRUE(mqtt::append_subscription(list, "ok/#", {.qos = qos0}));
    ASSERT_TRUE(mqtt::append_subscription(list, "ok/2/3/#", {.qos = qos1}));
    ASSERT_TRUE(mqtt::append_subscription(list, "$share/g/ok/2", {.qos = qos1}));
    subscribe.filters.encoded = list;
    client.send(subscribe);
    const auto packets = client.take_packets();
    const auto* suback = packets.back().as<mqtt::Suback>();
    ASSERT_NE(suback, nullptr);
    EXPECT_EQ(suback->packet_id, 77);
    // "ok/#" would let messages in that "ok/no/#" forbids.
    EXPECT_EQ(to_bytes(suback->reasons), (Bytes{2, 0x87, 0x87, 1, 1}));
    EXPECT_EQ(world.session("a")->subscription_count(), 3u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 3u);
}

TEST(session_publish, gives_a_v3_1_client_no_failure_code) {  // 3.1 has none
    World world;
    world.gate().profiles["a"] =
        profile_with([](Profile& p) { p.subscribe = AccessList{{"ok"}, {}}; });
    Client& client = world.client("a").connect({.version = ProtocolVersion::v3_1});
    EXPECT_EQ(client.subscribe("no", {.qos = qos2}), std::vector{ReasonCode::granted_qos_2});
    world.client("p").connect().publish("no", "x", {.qos = qos2});
    EXPECT_TRUE(client.take_payloads().empty());
}

TEST(session_publish, gives_a_v3_client_one_failure_code) {
    World world;
    world.gate().profiles["a"] =
        profile_with([](Profile& p) { p.subscribe = AccessList{{"ok"}, {}}; });
    Client& client = world.client("a").connect({.version = ProtocolVersion::v3_1_1});
    EXPECT_EQ(client.subscribe("no"), std::vector{ReasonCode{0x80}});
    EXPECT_EQ(client.subscribe("ok", {.qos = qos1}), std::vector{ReasonCode::granted_qos_1});
    EXPECT_EQ(client.unsubscribe("ok"), std::vector{ReasonCode::success});
    EXPECT_EQ(client.unsubscribe("ok"), std::vector{ReasonCode::success});
}

TEST(session_publish, refuses_subscriptions_beyond_the_limit) {
    World world{{.limits = {.subscriptions_max = 2}}};
    Client& client = world.client("a").connect();
    EXPECT_EQ(client.subscribe("1"), std::vector{ReasonCode::success});
    EXPECT_EQ(client.subscribe("2"), std::vector{ReasonCode::success});
    EXPECT_EQ(client.subscribe("3"), std::vector{ReasonCode::quota_exceeded});
    EXPECT_EQ(client.subscribe("2", {.qos = qos1}), std::vector{ReasonCode::granted_qos_1});
    EXPECT_EQ(client.unsubscribe("1"), std::vector{ReasonCode::success});
    EXPECT_EQ(client.subscribe("3"), std::vector{ReasonCode::success});
}

TEST(session_publish, unsubscribes_what_was_subscribed) {
    World world{{.shards = 3}};
    Client& client = world.client("a").connect();
    for (const char* filter : {"x", "x/#", "x/y/z/#", "$share/g/x/#"}) {
        EXPECT_EQ(client.unsubscribe(filter), std::vector{ReasonCode::no_subscription_existed});
        client.subscribe(filter);
        EXPECT_EQ(client.unsubscribe(filter), std::vector{ReasonCode::success});
    }
    client.publish("x/y/z/a", "1");
    EXPECT_EQ(client.take_payloads(), Strings{});
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
}

TEST(session_publish, handles_packets_in_order_even_if_the_client_does_not_wait) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        World world{{.seed = seed, .shards = 3, .lanes = tiny_lanes(), .draws_order = true}};
        Client& client = world.client("a").connect();
        Strings expected;
        for (int i = 0; i < 30; ++i) {
            const std::string topic = "t/" + std::to_string(i % 4);
            client.publish_later(topic, "before", {.qos = qos1});
            client.subscribe_later(topic, {.qos = qos1});
            client.publish_later(topic, std::to_string(i), {.qos = qos1});
            client.unsubscribe_later(topic);
            client.publish_later(topic, "after", {.qos = qos1});
            expected.push_back(std::to_string(i));
        }
        world.run();
        auto payloads = client.take_payloads();
        std::sort(payloads.begin(), payloads.end());
        std::sort(expected.begin(), expected.end());
        EXPECT_EQ(payloads, expected) << "seed " << seed;
    }
}

TEST(session_publish, bounds_operations_without_answer_and_goes_on) {
    World world{{.shards = 3, .limits = {.pending_operations_max = 2}, .lanes = tiny_lanes()}};
    Client& client = world.client("a").connect();
    for (int i = 0; i < 500; ++i) client.subscribe_later("some/" + std::to_string(i) + "/#");
    world.run();
    EXPECT_EQ(client.count(PacketType::suback), 500u);
    for (int i = 0; i < 500; ++i) client.unsubscribe_later("some/" + std::to_string(i) + "/#");
    world.run();
    EXPECT_EQ(client.count(PacketType::unsuback), 500u);
}

}  // namespace
}  // namespace mitu::broker::testing
