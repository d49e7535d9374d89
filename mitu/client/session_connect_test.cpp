// The life of a connection: handshake, limits, keep alive, goodbye.

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

struct Connection {
    explicit Connection(ConnectOptions options = {}) : session{std::move(options)} {}

    void open(double now_s = 0) {
        ASSERT_TRUE(session.on_open(at(now_s), out));
        out.clear();
    }
    void connect(mqtt::Connack connack = {}, double now_s = 0) {
        open(now_s);
        receive(connack, now_s);
        ASSERT_TRUE(session.is_connected());
        out.clear();
    }
    void receive(const mqtt::Packet& packet, double now_s = 0) {
        received = encoded(packet, session.options().version);
        session.on_bytes(received, at(now_s), out);
    }

    ClientSession session;
    Output out;
    Bytes received;
};

TEST(client_session, says_in_connect_what_its_options_say) {
    ConnectOptions options;
    options.client_id = "d1";
    options.user_name = "d1@acme";
    options.password = to_bytes(as_bytes("secret"));
    options.keep_alive_s = 30;
    options.session_expiry_interval_s = 600;
    options.receive_maximum = 7;
    options.topic_alias_maximum = 5;
    options.maximum_packet_size = 4'096;
    auto will = std::make_shared<WillOptions>();
    will->topic = "fleet/d1/lost";
    will->payload = to_bytes(as_bytes("gone"));
    will->qos = QoS::at_least_once;
    will->retain = true;
    will->delay_interval_s = 9;
    will->properties.content_type = "text/plain";
    options.will = will;
    ASSERT_TRUE(mqtt::append_user_property(options.user_properties, "site", "north"));

    ClientSession session{options};
    Output out;
    ASSERT_TRUE(session.on_open(at(0), out));
    const auto connects = packets_of<mqtt::Connect>(out.bytes);
    ASSERT_EQ(connects.size(), 1u);
    const mqtt::Connect& connect = connects[0];
    EXPECT_TRUE(connect.clean_start);
    EXPECT_EQ(connect.client_id, "d1");
    EXPECT_EQ(connect.user_name, "d1@acme");
    ASSERT_TRUE(connect.password);
    EXPECT_EQ(as_text(*connect.password), "secret");
    EXPECT_EQ(connect.keep_alive_s, 30);
    EXPECT_EQ(connect.properties.session_expiry_interval_s, 600u);
    EXPECT_EQ(connect.properties.receive_maximum, 7);
    EXPECT_EQ(connect.properties.topic_alias_maximum, 5);
    EXPECT_EQ(connect.properties.maximum_packet_size, 4'096u);
    ASSERT_TRUE(connect.will);
    EXPECT_EQ(connect.will->topic, "fleet/d1/lost");
    EXPECT_EQ(as_text(connect.will->payload), "gone");
    EXPECT_EQ(connect.will->qos, QoS::at_least_once);
    EXPECT_TRUE(connect.will->retain);
    EXPECT_EQ(connect.will->delay_interval_s, 9u);
    EXPECT_EQ(connect.will->properties.content_type, "text/plain");
    std::string pairs;
    connect.properties.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        pairs += std::string{pair.name} + "=" + std::string{pair.value} + ";";
    });
    EXPECT_EQ(pairs, "site=north;");
}

TEST(client_session, refuses_options_that_no_packet_can_carry) {
    ConnectOptions options;
    options.client_id = std::string(65'536, 'x');
    ClientSession session{options};
    Output out;
    const auto opened = session.on_open(at(0), out);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error(), Refusal::packet_too_large);
    EXPECT_TRUE(out.bytes.empty());
    EXPECT_FALSE(session.is_open());
}

TEST(client_session, takes_the_client_id_that_the_server_assigns) {
    Connection c;
    mqtt::Connack connack;
    connack.properties.assigned_client_identifier = "auto-17";
    c.open();
    c.receive(connack);
    EXPECT_EQ(events_of<Connected>(c.out).size(), 1u);
    EXPECT_EQ(c.session.options().client_id, "auto-17");
}

TEST(client_session, reports_a_refusal_with_reason_and_words) {
    for (const auto version : {ProtocolVersion::v3_1_1, ProtocolVersion::v5}) {
        ConnectOptions options;
        options.version = version;
        options.client_id = "d1";
        Connection c{options};
        c.open();
        mqtt::Connack connack;
        connack.reason = ReasonCode::not_authorized;
        if (version == ProtocolVersion::v5) connack.properties.reason_string = "unknown device";
        c.receive(connack);
        const auto ends = events_of<ConnectionEnded>(c.out);
        ASSERT_EQ(ends.size(), 1u);
        EXPECT_EQ(ends[0].cause, EndCause::refused);
        EXPECT_EQ(ends[0].reason, ReasonCode::not_authorized);
        EXPECT_EQ(ends[0].detail, version == ProtocolVersion::v5 ? "unknown device" : "");
        EXPECT_TRUE(c.out.close);
        EXPECT_FALSE(c.session.is_open());
    }
}

TEST(client_session, ends_a_connection_whose_first_packet_is_not_connack) {
    Connection c;
    c.open();
    c.receive(mqtt::Pingresp{});
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].cause, EndCause::protocol_error);
    EXPECT_TRUE(c.out.close);
}

TEST(client_session, ends_a_connection_on_a_second_connack_and_says_why) {
    Connection c;
    c.connect();
    c.receive(mqtt::Connack{});
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].reason, ReasonCode::protocol_error);
    const auto goodbyes = packets_of<mqtt::Disconnect>(c.out.bytes);
    ASSERT_EQ(goodbyes.size(), 1u);
    EXPECT_EQ(goodbyes[0].reason, ReasonCode::protocol_error);
}

TEST(client_session, ends_a_connection_on_malformed_bytes_and_reads_no_further) {
    Connection c;
    c.connect();
    // A PUBLISH with both QoS bits set [MQTT-3.3.1-4], then a PINGRESP that must not be looked at.
    const Bytes bytes{0x36, 0x05, 0x00, 0x01, 'a', 0x00, 0x01, 0xD0, 0x00};
    c.session.on_bytes(bytes, at(1), c.out);
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].cause, EndCause::protocol_error);
    EXPECT_EQ(ends[0].reason, ReasonCode::malformed_packet);
    EXPECT_FALSE(ends[0].detail.empty());
    EXPECT_EQ(packets_of<mqtt::Disconnect>(c.out.bytes).size(), 1u);
    c.out.clear();
    c.session.on_bytes(bytes, at(1), c.out);
    EXPECT_TRUE(c.out.events.empty());
    EXPECT_TRUE(c.out.bytes.empty());
}

TEST(client_session, says_nothing_to_a_3_1_1_server_that_breaks_the_protocol) {
    ConnectOptions options;
    options.version = ProtocolVersion::v3_1_1;
    options.client_id = "d1";
    Connection c{options};
    c.connect();
    c.receive(mqtt::Connack{});
    EXPECT_EQ(events_of<ConnectionEnded>(c.out).size(), 1u);
    EXPECT_TRUE(c.out.bytes.empty());
    EXPECT_TRUE(c.out.close);
}

TEST(client_session, refuses_packets_above_the_size_that_it_announced) {
    ConnectOptions options;
    options.maximum_packet_size = 64;
    Connection c{options};
    c.connect();
    const std::string payload(100, 'x');
    c.receive(test::publish("a", payload, QoS::at_most_once));
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].reason, ReasonCode::packet_too_large);
    EXPECT_TRUE(events_of<MessageReceived>(c.out).empty());
}

TEST(client_session, reads_bytes_one_at_a_time_as_it_reads_them_at_once) {
    Bytes stream = encoded(mqtt::Connack{});
    for (const auto& packet :
         {mqtt::Packet{test::publish("a/b", "one", QoS::at_most_once)},
          mqtt::Packet{test::publish("a/c", "two", QoS::exactly_once, 4)},
          mqtt::Packet{ack<mqtt::Pubrel>(4)},
          mqtt::Packet{test::publish("a/d", "three", QoS::at_least_once, 5)}}) {
        const Bytes bytes = encoded(packet);
        stream.insert(stream.end(), bytes.begin(), bytes.end());
    }
    const auto words = [](const Output& out, std::string& text) {
        for (const auto& message : events_of<MessageReceived>(out)) {
            text += std::string{message.publish.topic} + "=" +
                    mitu::to_text(message.publish.payload) + " ";
        }
    };

    Connection whole;
    whole.open();
    whole.session.on_bytes(stream, at(0), whole.out);
    std::string at_once;
    words(whole.out, at_once);
    EXPECT_EQ(at_once, "a/b=one a/c=two a/d=three ");

    Connection torn;
    torn.open();
    std::string bytewise;
    Bytes written;
    for (const std::uint8_t byte : stream) {
        torn.out.clear();
        torn.session.on_bytes(ByteView{&byte, 1}, at(0), torn.out);
        words(torn.out, bytewise);
        written.insert(written.end(), torn.out.bytes.begin(), torn.out.bytes.end());
    }
    EXPECT_EQ(bytewise, at_once);
    EXPECT_EQ(written, whole.out.bytes);
}

// --- time --------------------------------------------------------------------------------------

TEST(client_session, gives_up_when_no_connack_comes) {
    ConnectOptions options;
    options.response_timeout = Duration::seconds(5);
    Connection c{options};
    c.open(10);
    EXPECT_EQ(c.session.next_deadline(), at(15));
    c.session.on_deadline(at(14.9), c.out);
    EXPECT_TRUE(c.out.events.empty());
    c.session.on_deadline(at(15), c.out);
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].cause, EndCause::connack_timeout);
    EXPECT_TRUE(c.session.next_deadline().is_never());
}

TEST(client_session, pings_within_the_keep_alive_interval_and_then_waits_for_the_answer) {
    ConnectOptions options;
    options.keep_alive_s = 60;
    options.response_timeout = Duration::seconds(10);
    Connection c{options};
    c.connect();
    EXPECT_EQ(c.session.next_deadline(), at(45));
    c.session.on_deadline(at(45), c.out);
    EXPECT_EQ(packets_of<mqtt::Pingreq>(c.out.bytes).size(), 1u);
    c.out.clear();
    c.receive(mqtt::Pingresp{}, 46);
    EXPECT_EQ(c.session.next_deadline(), at(90)) << "counted from the ping, the last packet sent";

    c.session.on_deadline(at(90), c.out);
    EXPECT_EQ(packets_of<mqtt::Pingreq>(c.out.bytes).size(), 1u);
    c.out.clear();
    c.session.on_deadline(at(100), c.out);
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].cause, EndCause::keep_alive_timeout);
    EXPECT_TRUE(c.out.close);
}

TEST(client_session, pings_a_silent_server_even_while_it_publishes) {
    ConnectOptions options;
    options.keep_alive_s = 60;
    Connection c{options};
    c.connect();
    for (int second = 1; second <= 44; ++second) {
        ASSERT_TRUE(c.session.publish({.topic = "a", .payload = {}}, at(second), c.out));
    }
    c.out.clear();
    c.session.on_deadline(at(45), c.out);
    EXPECT_EQ(packets_of<mqtt::Pingreq>(c.out.bytes).size(), 1u);
}

TEST(client_session, uses_the_servers_keep_alive_instead_of_its_own) {
    mqtt::Connack connack;
    connack.properties.server_keep_alive_s = 20;
    Connection c;
    c.connect(connack);
    EXPECT_EQ(c.session.next_deadline(), at(15));
}

TEST(client_session, never_pings_without_keep_alive) {
    ConnectOptions options;
    options.keep_alive_s = 0;
    Connection c{options};
    c.connect();
    EXPECT_TRUE(c.session.next_deadline().is_never());
}

// --- goodbye and return ------------------------------------------------------------------------

TEST(client_session, says_goodbye_once_and_asks_for_the_transport_to_be_closed) {
    Connection c;
    c.connect();
    c.session.disconnect({.reason = ReasonCode::disconnect_with_will_message,
                          .session_expiry_interval_s = std::nullopt,
                          .reason_string = "maintenance",
                          .user = {}},
                         c.out);
    const auto goodbyes = packets_of<mqtt::Disconnect>(c.out.bytes);
    ASSERT_EQ(goodbyes.size(), 1u);
    EXPECT_EQ(goodbyes[0].reason, ReasonCode::disconnect_with_will_message);
    EXPECT_EQ(goodbyes[0].reason_string, "maintenance");
    EXPECT_TRUE(c.out.close);
    ASSERT_EQ(events_of<ConnectionEnded>(c.out).size(), 1u);
    c.session.on_close(c.out);
    EXPECT_EQ(events_of<ConnectionEnded>(c.out).size(), 1u) << "the end is told once";
}

TEST(client_session, reports_why_the_server_left) {
    Connection c;
    c.connect();
    mqtt::Disconnect disconnect;
    disconnect.reason = ReasonCode::server_shutting_down;
    disconnect.reason_string = "restart";
    disconnect.server_reference = "b.example:1883";
    c.receive(disconnect);
    const auto ends = events_of<ConnectionEnded>(c.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].cause, EndCause::disconnected_by_server);
    EXPECT_EQ(ends[0].reason, ReasonCode::server_shutting_down);
    EXPECT_EQ(ends[0].detail, "restart");
    EXPECT_EQ(ends[0].server_reference, "b.example:1883");
}

TEST(client_session, resumes_on_reconnect_only_what_can_be_resumed) {
    struct Case {
        ProtocolVersion version;
        bool clean_start;
        std::uint32_t expiry_s;
        bool clean_on_return;
    };
    for (const Case& row :
         {Case{ProtocolVersion::v5, true, 0, true}, Case{ProtocolVersion::v5, true, 300, false},
          Case{ProtocolVersion::v3_1_1, true, 0, true},
          Case{ProtocolVersion::v3_1_1, false, 0, false}}) {
        ConnectOptions options;
        options.version = row.version;
        options.client_id = "d1";
        options.clean_start = row.clean_start;
        options.session_expiry_interval_s = row.expiry_s;
        Connection c{options};
        ASSERT_TRUE(c.session.on_open(at(0), c.out));
        const auto first = packets_of<mqtt::Connect>(c.out.bytes, row.version);
        ASSERT_EQ(first.size(), 1u);
        EXPECT_EQ(first[0].clean_start, row.clean_start);
        c.receive(mqtt::Connack{});
        c.session.on_close(c.out);
        c.out.clear();
        ASSERT_TRUE(c.session.on_open(at(1), c.out));
        const auto second = packets_of<mqtt::Connect>(c.out.bytes, row.version);
        ASSERT_EQ(second.size(), 1u);
        EXPECT_EQ(second[0].clean_start, row.clean_on_return);
    }
}

TEST(client_session, answers_a_challenge_of_the_method_that_it_named) {
    ConnectOptions options;
    options.authentication_method = "SCRAM";
    Connection c{options};
    c.open();
    mqtt::Auth challenge;
    challenge.reason = ReasonCode::continue_authentication;
    challenge.authentication_method = "SCRAM";
    challenge.authentication_data = as_bytes("nonce");
    c.receive(challenge);
    const auto requests = events_of<AuthRequested>(c.out);
    ASSERT_EQ(requests.size(), 1u);
    EXPECT_EQ(as_text(requests[0].data.value_or(ByteView{})), "nonce");
    ASSERT_TRUE(c.session.authenticate(ReasonCode::continue_authentication, as_bytes("proof"),
                                       at(0), c.out));
    const auto answers = packets_of<mqtt::Auth>(c.out.bytes);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].authentication_method, "SCRAM");
    EXPECT_EQ(as_text(answers[0].authentication_data.value_or(ByteView{})), "proof");
}

TEST(client_session, ends_a_connection_on_a_challenge_that_it_never_asked_for) {
    Connection c;
    c.open();
    mqtt::Auth challenge;
    challenge.reason = ReasonCode::continue_authentication;
    challenge.authentication_method = "SCRAM";
    c.receive(challenge);
    EXPECT_EQ(events_of<ConnectionEnded>(c.out).size(), 1u);
}

}  // namespace
}  // namespace mitu::client
