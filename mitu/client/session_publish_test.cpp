// Publishing: acknowledgements, the window, the limits of the server, resending.

#include <gtest/gtest.h>

#include "mitu/client/scripted_server.hpp"
#include "mitu/client/session.hpp"

namespace mitu::client {
namespace {

using mqtt::QoS;
using mqtt::ReasonCode;
using test::ack;
using test::at;
using test::encoded;
using test::events_of;
using test::packets_of;

ConnectOptions resuming() {
    ConnectOptions options;
    options.client_id = "d1";
    options.session_expiry_interval_s = 300;
    return options;
}

struct Publisher {
    explicit Publisher(mqtt::Connack connack = {}, ConnectOptions options = resuming())
        : session{std::move(options)} {
        reconnect(connack);
        out.clear();
    }

    void reconnect(const mqtt::Connack& connack) {
        ASSERT_TRUE(session.on_open(at(0), out));
        out.clear();
        receive(connack);
    }
    void cut() {
        session.on_close(out);
        out.clear();
    }
    void receive(const mqtt::Packet& packet) {
        received = encoded(packet, session.options().version);
        session.on_bytes(received, at(0), out);
    }
    Result<void, Refusal> publish(std::string_view payload, QoS qos, std::uint64_t token = 0) {
        return session.publish(
            {.topic = "t", .payload = as_bytes(payload), .qos = qos, .token = token}, at(0), out);
    }
    std::string sent() {  // payloads with their packet ids, DUP marked with !
        std::string text;
        for (const auto& packet : packets_of<mqtt::Publish>(out.bytes, session.options().version)) {
            text += mitu::to_text(packet.payload) + ":" + std::to_string(packet.packet_id) +
                    (packet.dup ? "! " : " ");
        }
        out.bytes.clear();
        return text;
    }

    ClientSession session;
    Output out;
    Bytes received;
};

mqtt::Connack present() {
    mqtt::Connack connack;
    connack.session_present = true;
    return connack;
}

TEST(client_publish, qos_1_ends_with_puback) {
    Publisher p;
    ASSERT_TRUE(p.publish("x", QoS::at_least_once, 42));
    EXPECT_EQ(p.sent(), "x:1 ");
    EXPECT_EQ(p.session.unacknowledged_count(), 1u);
    p.receive(ack<mqtt::Puback>(1, ReasonCode::no_matching_subscribers));
    const auto done = events_of<PublishDone>(p.out);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].token, 42u);
    EXPECT_EQ(done[0].outcome, PublishOutcome::acknowledged);
    EXPECT_EQ(done[0].reason, ReasonCode::no_matching_subscribers);
    EXPECT_EQ(p.session.unacknowledged_count(), 0u);
}

TEST(client_publish, qos_2_ends_with_pubcomp_after_one_pubrel) {
    Publisher p;
    ASSERT_TRUE(p.publish("x", QoS::exactly_once, 7));
    p.out.clear();
    p.receive(ack<mqtt::Pubrec>(1));
    EXPECT_EQ(packets_of<mqtt::Pubrel>(p.out.bytes).size(), 1u);
    EXPECT_TRUE(events_of<PublishDone>(p.out).empty());
    p.out.clear();
    p.receive(ack<mqtt::Pubcomp>(1));
    const auto done = events_of<PublishDone>(p.out);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].token, 7u);
    EXPECT_EQ(done[0].outcome, PublishOutcome::acknowledged);
    EXPECT_EQ(p.session.unacknowledged_count(), 0u);
}

TEST(client_publish, an_error_in_puback_or_pubrec_ends_it_as_refused) {
    Publisher p;
    ASSERT_TRUE(p.publish("x", QoS::at_least_once, 1));
    ASSERT_TRUE(p.publish("y", QoS::exactly_once, 2));
    p.out.clear();
    mqtt::Puback puback = ack<mqtt::Puback>(1, ReasonCode::not_authorized);
    puback.properties.reason_string = "not your topic";
    p.receive(puback);
    const auto first = events_of<PublishDone>(p.out);
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].outcome, PublishOutcome::refused);
    EXPECT_EQ(first[0].reason_string, "not your topic");
    p.out.clear();
    p.receive(ack<mqtt::Pubrec>(2, ReasonCode::quota_exceeded));
    const auto second = events_of<PublishDone>(p.out);
    ASSERT_EQ(second.size(), 1u);
    EXPECT_EQ(second[0].reason, ReasonCode::quota_exceeded);
    EXPECT_TRUE(p.out.bytes.empty()) << "no PUBREL after an error [MQTT-4.3.3-4]";
}

TEST(client_publish, acknowledgements_of_the_wrong_kind_end_the_connection) {
    const std::vector<std::pair<QoS, mqtt::Packet>> rows{
        {QoS::exactly_once, ack<mqtt::Puback>(1)},
        {QoS::at_least_once, ack<mqtt::Pubrec>(1)},
        {QoS::exactly_once, ack<mqtt::Pubcomp>(1)},
        {QoS::at_least_once, ack<mqtt::Pubcomp>(1)}};
    for (const auto& [qos, packet] : rows) {
        Publisher p;
        ASSERT_TRUE(p.publish("x", qos));
        p.receive(packet);
        const auto ends = events_of<ConnectionEnded>(p.out);
        ASSERT_EQ(ends.size(), 1u);
        EXPECT_EQ(ends[0].reason, ReasonCode::protocol_error);
    }
}

TEST(client_publish, acknowledgements_of_nothing_are_ignored_but_answered_where_they_must_be) {
    Publisher p;
    p.receive(ack<mqtt::Puback>(9));
    p.receive(ack<mqtt::Pubcomp>(9));
    EXPECT_TRUE(p.out.events.empty());
    p.receive(ack<mqtt::Pubrec>(9));
    const auto releases = packets_of<mqtt::Pubrel>(p.out.bytes);
    ASSERT_EQ(releases.size(), 1u);
    EXPECT_EQ(releases[0].reason, ReasonCode::packet_identifier_not_found);
}

TEST(client_publish, never_has_more_in_flight_than_the_server_receives) {
    mqtt::Connack connack;
    connack.properties.receive_maximum = 2;
    Publisher p{connack};
    for (const char* payload : {"a", "b", "c", "d"}) {
        ASSERT_TRUE(p.publish(payload, QoS::at_least_once));
    }
    EXPECT_EQ(p.sent(), "a:1 b:2 ");
    EXPECT_EQ(p.session.window_free(), 0u);
    p.receive(ack<mqtt::Puback>(2));
    EXPECT_EQ(p.sent(), "c:3 ");
    p.receive(ack<mqtt::Puback>(1));
    EXPECT_EQ(p.sent(), "d:4 ");
    p.receive(ack<mqtt::Puback>(3));
    EXPECT_EQ(p.session.window_free(), 1u);
}

TEST(client_publish, qos_2_holds_its_place_in_the_window_until_pubcomp) {
    mqtt::Connack connack;
    connack.properties.receive_maximum = 1;
    Publisher p{connack};
    ASSERT_TRUE(p.publish("a", QoS::exactly_once));
    ASSERT_TRUE(p.publish("b", QoS::exactly_once));
    EXPECT_EQ(p.sent(), "a:1 ");
    p.receive(ack<mqtt::Pubrec>(1));
    EXPECT_TRUE(packets_of<mqtt::Publish>(p.out.bytes).empty());
    p.out.clear();
    p.receive(ack<mqtt::Pubcomp>(1));
    EXPECT_EQ(p.sent(), "b:2 ");
}

TEST(client_publish, keeps_its_own_window_when_the_servers_is_wider) {
    ConnectOptions options = resuming();
    options.inflight_count_max = 1;
    Publisher p{{}, options};
    ASSERT_TRUE(p.publish("a", QoS::at_least_once));
    ASSERT_TRUE(p.publish("b", QoS::at_least_once));
    EXPECT_EQ(p.sent(), "a:1 ");
}

TEST(client_publish, qos_0_needs_a_connection_and_others_wait_for_one) {
    Publisher p;
    p.cut();
    const auto refused = p.publish("a", QoS::at_most_once);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Refusal::not_connected);
    ASSERT_TRUE(p.publish("b", QoS::at_least_once));
    EXPECT_TRUE(p.out.bytes.empty());
    p.reconnect(present());
    EXPECT_EQ(p.sent(), "b:1 ");
}

TEST(client_publish, resends_in_order_with_dup_when_the_session_is_resumed) {
    Publisher p;
    ASSERT_TRUE(p.publish("a", QoS::at_least_once));
    ASSERT_TRUE(p.publish("b", QoS::exactly_once));
    ASSERT_TRUE(p.publish("c", QoS::exactly_once));
    ASSERT_TRUE(p.publish("d", QoS::at_least_once));
    p.receive(ack<mqtt::Pubrec>(2));
    p.receive(ack<mqtt::Puback>(4));
    p.cut();
    ASSERT_TRUE(p.publish("e", QoS::at_least_once));
    p.reconnect(present());
    EXPECT_TRUE(events_of<PublishDone>(p.out).empty());
    const auto releases = packets_of<mqtt::Pubrel>(p.out.bytes);
    ASSERT_EQ(releases.size(), 1u);
    EXPECT_EQ(releases[0].packet_id, 2);
    EXPECT_EQ(p.sent(), "a:1! c:3! e:5 ");
    p.receive(ack<mqtt::Pubcomp>(2, ReasonCode::packet_identifier_not_found));
    const auto done = events_of<PublishDone>(p.out);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].outcome, PublishOutcome::acknowledged) << "the server had completed it";
}

TEST(client_publish, resends_within_a_window_that_has_shrunk) {
    Publisher p;
    for (const char* payload : {"a", "b", "c"}) {
        ASSERT_TRUE(p.publish(payload, QoS::at_least_once));
    }
    p.cut();
    mqtt::Connack connack = present();
    connack.properties.receive_maximum = 1;
    p.reconnect(connack);
    EXPECT_EQ(p.sent(), "a:1! ");
    p.receive(ack<mqtt::Puback>(1));
    EXPECT_EQ(p.sent(), "b:2! ");
}

TEST(client_publish, a_lost_session_repeats_qos_1_as_new_and_reports_qos_2_as_lost) {
    Publisher p;
    ASSERT_TRUE(p.publish("a", QoS::at_least_once, 1));
    ASSERT_TRUE(p.publish("b", QoS::exactly_once, 2));
    ASSERT_TRUE(p.publish("c", QoS::exactly_once, 3));
    p.receive(ack<mqtt::Pubrec>(3));
    p.cut();
    p.reconnect(mqtt::Connack{});
    EXPECT_EQ(p.sent(), "a:4 ");
    const auto done = events_of<PublishDone>(p.out);
    ASSERT_EQ(done.size(), 2u);
    EXPECT_EQ(done[0].token, 2u);
    EXPECT_EQ(done[0].outcome, PublishOutcome::session_lost);
    EXPECT_EQ(done[1].token, 3u);
    EXPECT_EQ(p.session.unacknowledged_count(), 1u);
}

TEST(client_publish, refuses_at_once_what_the_server_does_not_take) {
    mqtt::Connack connack;
    connack.properties.maximum_qos = QoS::at_least_once;
    connack.properties.retain_available = false;
    connack.properties.maximum_packet_size = 32;
    Publisher p{connack};
    EXPECT_EQ(p.publish("x", QoS::exactly_once).error(), Refusal::qos_not_supported);
    EXPECT_EQ(p.publish(std::string(64, 'x'), QoS::at_least_once).error(),
              Refusal::packet_too_large);
    EXPECT_EQ(
        p.session.publish({.topic = "t", .payload = {}, .retain = true}, at(0), p.out).error(),
        Refusal::retain_not_supported);
    mqtt::PublishProperties aliased;
    aliased.topic_alias = 1;
    EXPECT_EQ(p.session.publish({.topic = "t", .payload = {}, .properties = aliased}, at(0), p.out)
                  .error(),
              Refusal::topic_alias_invalid);
    EXPECT_EQ(p.session.publish({.topic = "t/#", .payload = {}}, at(0), p.out).error(),
              Refusal::topic_invalid);
    EXPECT_TRUE(p.out.bytes.empty());
    EXPECT_EQ(p.session.unacknowledged_count(), 0u);
}

TEST(client_publish, what_waited_for_a_connection_is_held_to_its_limits_too) {
    ClientSession session{resuming()};
    Output out;
    ASSERT_TRUE(session.publish({.topic = "t", .payload = {}, .qos = QoS::exactly_once, .token = 1},
                                at(0), out));
    ASSERT_TRUE(session.publish(
        {.topic = "t", .payload = {}, .qos = QoS::at_least_once, .retain = true, .token = 2}, at(0),
        out));
    ASSERT_TRUE(session.publish(
        {.topic = "t", .payload = {}, .qos = QoS::at_least_once, .token = 3}, at(0), out));
    ASSERT_TRUE(session.on_open(at(0), out));
    out.clear();
    mqtt::Connack connack;
    connack.properties.maximum_qos = QoS::at_least_once;
    connack.properties.retain_available = false;
    const Bytes bytes = encoded(connack);
    session.on_bytes(bytes, at(0), out);
    const auto done = events_of<PublishDone>(out);
    ASSERT_EQ(done.size(), 2u);
    EXPECT_EQ(done[0].token, 1u);
    EXPECT_EQ(done[0].outcome, PublishOutcome::not_sent);
    EXPECT_EQ(done[0].reason, ReasonCode::qos_not_supported);
    EXPECT_EQ(done[1].token, 2u);
    EXPECT_EQ(done[1].reason, ReasonCode::retain_not_supported);
    EXPECT_EQ(packets_of<mqtt::Publish>(out.bytes).size(), 1u);
}

TEST(client_publish, a_full_outbox_refuses_until_something_is_acknowledged) {
    ConnectOptions options = resuming();
    options.outbox_bytes_max = 100;
    Publisher p{{}, options};
    const std::string payload(60, 'x');
    ASSERT_TRUE(p.publish(payload, QoS::at_least_once));
    EXPECT_EQ(p.publish(payload, QoS::at_least_once).error(), Refusal::outbox_full);
    p.receive(ack<mqtt::Puback>(1));
    EXPECT_TRUE(p.publish(payload, QoS::at_least_once));
}

TEST(client_publish, packet_ids_go_around_without_meeting_one_in_use) {
    Publisher p;
    for (int i = 1; i <= 65'535; ++i) {
        ASSERT_TRUE(p.publish("x", QoS::at_least_once));
        p.receive(ack<mqtt::Puback>(static_cast<std::uint16_t>(i)));
        p.out.clear();
    }
    ASSERT_TRUE(p.publish("x", QoS::at_least_once));
    EXPECT_EQ(p.sent(), "x:1 ");
    // 1 stays without an answer: once around, nothing new may be sent under it.
    for (int i = 2; i <= 65'535; ++i) {
        ASSERT_TRUE(p.publish("x", QoS::at_least_once));
        p.receive(ack<mqtt::Puback>(static_cast<std::uint16_t>(i)));
        p.out.clear();
    }
    ASSERT_TRUE(p.publish("y", QoS::at_least_once));
    EXPECT_EQ(p.sent(), "");
    p.receive(ack<mqtt::Puback>(1));
    EXPECT_EQ(p.sent(), "y:1 ");
}

TEST(client_publish, properties_travel_in_version_5) {
    Publisher p;
    MessageProperties properties;
    properties.payload_is_utf8 = true;
    properties.message_expiry_interval_s = 60;
    properties.response_topic = "r/1";
    properties.correlation_data = Bytes{1, 2, 3};
    properties.content_type = "application/json";
    ASSERT_TRUE(mqtt::append_user_property(properties.user_properties, "k", "v"));
    ASSERT_TRUE(p.session.publish(
        {.topic = "t", .payload = as_bytes("{}"), .properties = properties.view()}, at(0), p.out));
    const auto packets = packets_of<mqtt::Publish>(p.out.bytes);
    ASSERT_EQ(packets.size(), 1u);
    const mqtt::PublishProperties& sent = packets[0].properties;
    EXPECT_EQ(sent.payload_is_utf8, true);
    EXPECT_EQ(sent.message_expiry_interval_s, 60u);
    EXPECT_EQ(sent.response_topic, "r/1");
    ASSERT_TRUE(sent.correlation_data);
    EXPECT_TRUE(equal(*sent.correlation_data, *properties.correlation_data));
    EXPECT_EQ(sent.content_type, "application/json");
    ByteView block = sent.user.block;
    const auto pair = mqtt::UserProperties::next(block);
    ASSERT_TRUE(pair);
    EXPECT_EQ(pair->name, "k");
}

}  // namespace
}  // namespace mitu::client
