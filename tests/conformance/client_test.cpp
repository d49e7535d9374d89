// What binds a client, held by the client library.

#include <gtest/gtest.h>

#include "mitu/client/scripted_server.hpp"
#include "mitu/client/session.hpp"

namespace mitu::client {
namespace {

using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;
using test::ack;
using test::at;
using test::encoded;
using test::events_of;
using test::packets_of;

struct Conversation {
    explicit Conversation(ConnectOptions options) : session{std::move(options)} {
        EXPECT_TRUE(session.on_open(at(0), out));
        out.clear();
    }
    void receive(const mqtt::Packet& packet) {
        const Bytes bytes = encoded(packet, session.options().version);
        received.insert(received.end(), bytes.begin(), bytes.end());
    }
    void deliver() {
        kept = std::exchange(received, {});
        session.on_bytes(kept, at(0), out);
    }

    ClientSession session;
    Output out;
    Bytes received;
    Bytes kept;  // what events borrow
};

ConnectOptions resuming() {
    ConnectOptions options;
    options.client_id = "d1";
    options.session_expiry_interval_s = 300;
    return options;
}

// [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4], of either version
TEST(conformance_client, acknowledges_in_the_order_of_the_messages) {
    for (const auto version : {ProtocolVersion::v3_1_1, ProtocolVersion::v5}) {
        ConnectOptions options = resuming();
        options.version = version;
        Conversation c{options};
        c.receive(mqtt::Connack{});
        c.deliver();
        c.out.clear();
        for (const std::uint16_t id : {std::uint16_t{9}, std::uint16_t{4}, std::uint16_t{7}}) {
            c.receive(test::publish("t", "x", QoS::at_least_once, id));
            c.receive(
                test::publish("t", "x", QoS::exactly_once, static_cast<std::uint16_t>(id + 10)));
        }
        c.deliver();
        std::vector<std::uint16_t> ids;
        for (const auto& p : packets_of<mqtt::Puback>(c.out.bytes, version)) {
            ids.push_back(p.packet_id);
        }
        EXPECT_EQ(ids, (std::vector<std::uint16_t>{9, 4, 7}));
        ids.clear();
        for (const auto& p : packets_of<mqtt::Pubrec>(c.out.bytes, version)) {
            ids.push_back(p.packet_id);
        }
        EXPECT_EQ(ids, (std::vector<std::uint16_t>{19, 14, 17}));

        for (int i = 0; i < 3; ++i) {
            ASSERT_TRUE(c.session.publish({.topic = "t", .payload = {}, .qos = QoS::exactly_once},
                                          at(0), c.out));
        }
        c.out.clear();
        for (const std::uint16_t id : {std::uint16_t{2}, std::uint16_t{1}, std::uint16_t{3}}) {
            c.receive(ack<mqtt::Pubrec>(id));
        }
        c.deliver();
        ids.clear();
        for (const auto& p : packets_of<mqtt::Pubrel>(c.out.bytes, version)) {
            ids.push_back(p.packet_id);
        }
        EXPECT_EQ(ids, (std::vector<std::uint16_t>{2, 1, 3}));
    }
}

// [MQTT-3.2.2-4]
TEST(conformance_client, closes_when_a_session_is_present_that_it_asked_to_discard) {
    for (const auto version : {ProtocolVersion::v3_1_1, ProtocolVersion::v5}) {
        ConnectOptions options = resuming();
        options.version = version;
        options.clean_start = true;
        Conversation c{options};
        mqtt::Connack connack;
        connack.session_present = true;
        c.receive(connack);
        c.deliver();
        EXPECT_TRUE(c.out.close);
        const auto ends = events_of<ConnectionEnded>(c.out);
        ASSERT_EQ(ends.size(), 1u);
        EXPECT_EQ(ends[0].cause, EndCause::protocol_error);
        EXPECT_TRUE(events_of<Connected>(c.out).empty());
    }
}

// [MQTT-3.3.4-8], [MQTT-4.9.0-3]
TEST(conformance_client, delays_nothing_but_publish_when_the_window_is_full) {
    Conversation c{resuming()};
    mqtt::Connack connack;
    connack.properties.receive_maximum = 1;
    c.receive(connack);
    c.deliver();
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(c.session.publish({.topic = "t", .payload = {}, .qos = QoS::exactly_once},
                                      at(0), c.out));
    }
    ASSERT_EQ(packets_of<mqtt::Publish>(c.out.bytes).size(), 1u);
    c.out.clear();
    const std::array<Subscription, 1> wanted{Subscription{"a", {}}};
    ASSERT_TRUE(c.session.subscribe(
        {.subscriptions = wanted, .subscription_identifier = {}, .user = {}}, at(0), c.out));
    EXPECT_EQ(packets_of<mqtt::Subscribe>(c.out.bytes).size(), 1u);
    c.out.clear();
    c.receive(test::publish("t", "x", QoS::at_least_once, 5));
    c.receive(ack<mqtt::Pubrec>(1));
    c.deliver();
    EXPECT_EQ(packets_of<mqtt::Puback>(c.out.bytes).size(), 1u);
    EXPECT_EQ(packets_of<mqtt::Pubrel>(c.out.bytes).size(), 1u);
    EXPECT_TRUE(packets_of<mqtt::Publish>(c.out.bytes).empty());
    c.out.clear();
    c.session.on_deadline(c.session.next_deadline(), c.out);
    EXPECT_EQ(packets_of<mqtt::Pingreq>(c.out.bytes).size(), 1u);
}

// [MQTT-3.1.2-30]
TEST(conformance_client, sends_nothing_but_auth_or_disconnect_before_connack) {
    ConnectOptions options = resuming();
    options.authentication_method = "SCRAM";
    Conversation c{options};
    EXPECT_FALSE(c.session.publish({.topic = "t", .payload = {}}, at(0), c.out));
    EXPECT_TRUE(
        c.session.publish({.topic = "t", .payload = {}, .qos = QoS::at_least_once}, at(0), c.out));
    const std::array<Subscription, 1> wanted{Subscription{"a", {}}};
    EXPECT_FALSE(c.session.subscribe(
        {.subscriptions = wanted, .subscription_identifier = {}, .user = {}}, at(0), c.out));
    const std::array<std::string_view, 1> filters{"a"};
    EXPECT_FALSE(c.session.unsubscribe(filters, {}, at(0), c.out));
    EXPECT_TRUE(c.out.bytes.empty());
    EXPECT_TRUE(c.session.authenticate(ReasonCode::continue_authentication, as_bytes("proof"),
                                       at(0), c.out));
    EXPECT_EQ(packets_of<mqtt::Auth>(c.out.bytes).size(), 1u);
    c.out.clear();
    c.receive(mqtt::Connack{});
    c.deliver();
    EXPECT_EQ(packets_of<mqtt::Publish>(c.out.bytes).size(), 1u) << "now it may";
}

}  // namespace
}  // namespace mitu::client
