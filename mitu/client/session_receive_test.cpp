// Receiving: subscriptions, acknowledgements, QoS 2 once, topic aliases.

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

struct Subscriber {
    explicit Subscriber(ConnectOptions options = {}, mqtt::Connack connack = {})
        : session{std::move(options)} {
        reconnect(connack);
        out.clear();
    }
    void reconnect(const mqtt::Connack& connack) {
        ASSERT_TRUE(session.on_open(at(0), out));
        out.clear();
        receive(connack);
    }
    void receive(const mqtt::Packet& packet) {
        received = encoded(packet, session.options().version);
        session.on_bytes(received, at(0), out);
    }
    ClientSession session;
    Output out;
    Bytes received;
};

TEST(client_receive, subscribes_with_options_and_hears_the_answer_for_each_filter) {
    Subscriber s;
    const std::array<Subscription, 2> wanted{
        Subscription{"a/+", {.qos = QoS::exactly_once}},
        Subscription{"b/#",
                     {.qos = QoS::at_least_once,
                      .no_local = true,
                      .retain_as_published = true,
                      .retain_handling = mqtt::RetainHandling::do_not_send}}};
    const auto packet_id = s.session.subscribe(
        {.subscriptions = wanted, .subscription_identifier = 12, .user = {}}, at(0), s.out);
    ASSERT_TRUE(packet_id);
    const auto packets = packets_of<mqtt::Subscribe>(s.out.bytes);
    ASSERT_EQ(packets.size(), 1u);
    EXPECT_EQ(packets[0].packet_id, *packet_id);
    EXPECT_EQ(packets[0].subscription_identifier, 12u);
    ByteView list = packets[0].filters.encoded;
    for (const Subscription& subscription : wanted) {
        const auto entry = mqtt::SubscriptionList::next(list);
        ASSERT_TRUE(entry);
        EXPECT_EQ(entry->filter, subscription.filter);
        EXPECT_EQ(entry->options, subscription.options);
    }

    const Bytes reasons{0x02, 0x87};
    mqtt::Suback suback;
    suback.packet_id = *packet_id;
    suback.reasons = reasons;
    s.receive(suback);
    const auto done = events_of<SubscribeDone>(s.out);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_FALSE(done[0].unsubscribe);
    EXPECT_TRUE(equal(done[0].reasons, reasons));
    EXPECT_TRUE(done[0].has_error());
}

TEST(client_receive, unsubscribes_in_both_versions) {
    for (const auto version : {ProtocolVersion::v3_1_1, ProtocolVersion::v5}) {
        ConnectOptions options;
        options.version = version;
        options.client_id = "d1";
        Subscriber s{options};
        const std::array<std::string_view, 1> filters{"a/+"};
        const auto packet_id = s.session.unsubscribe(filters, {}, at(0), s.out);
        ASSERT_TRUE(packet_id);
        EXPECT_EQ(packets_of<mqtt::Unsubscribe>(s.out.bytes, version).size(), 1u);
        const Bytes reasons{0x11};
        mqtt::Unsuback unsuback;
        unsuback.packet_id = *packet_id;
        if (version == ProtocolVersion::v5) unsuback.reasons = reasons;
        s.receive(unsuback);
        const auto done = events_of<SubscribeDone>(s.out);
        ASSERT_EQ(done.size(), 1u);
        EXPECT_TRUE(done[0].unsubscribe);
        EXPECT_FALSE(done[0].has_error());
    }
}

TEST(client_receive, refuses_filters_and_features_that_cannot_be_had) {
    mqtt::Connack connack;
    connack.properties.wildcard_subscription_available = false;
    connack.properties.shared_subscription_available = false;
    connack.properties.subscription_identifiers_available = false;
    Subscriber s{{}, connack};
    const auto why = [&](std::string_view filter, std::optional<std::uint32_t> identifier) {
        const std::array<Subscription, 1> wanted{Subscription{filter, {}}};
        const auto result = s.session.subscribe(
            {.subscriptions = wanted, .subscription_identifier = identifier, .user = {}}, at(0),
            s.out);
        return result ? std::string_view{"taken"} : to_text(result.error());
    };
    EXPECT_EQ(why("a/#/b", {}), "filter_invalid");
    EXPECT_EQ(why("", {}), "filter_invalid");
    EXPECT_EQ(why("a/+", {}), "feature_not_supported");
    EXPECT_EQ(why("$share/g/a", {}), "feature_not_supported");
    EXPECT_EQ(why("a", 3), "feature_not_supported");
    EXPECT_TRUE(s.out.bytes.empty());
    EXPECT_EQ(why("a", {}), "taken");
}

TEST(client_receive, acknowledges_each_qos_as_it_must) {
    Subscriber s;
    s.receive(test::publish("a", "0", QoS::at_most_once));
    EXPECT_TRUE(s.out.bytes.empty());
    s.receive(test::publish("a", "1", QoS::at_least_once, 8));
    const auto pubacks = packets_of<mqtt::Puback>(s.out.bytes);
    ASSERT_EQ(pubacks.size(), 1u);
    EXPECT_EQ(pubacks[0].packet_id, 8);
    s.out.clear();
    s.receive(test::publish("a", "2", QoS::exactly_once, 9));
    const auto pubrecs = packets_of<mqtt::Pubrec>(s.out.bytes);
    ASSERT_EQ(pubrecs.size(), 1u);
    EXPECT_EQ(pubrecs[0].packet_id, 9);
    s.out.clear();
    s.receive(ack<mqtt::Pubrel>(9));
    const auto pubcomps = packets_of<mqtt::Pubcomp>(s.out.bytes);
    ASSERT_EQ(pubcomps.size(), 1u);
    EXPECT_EQ(pubcomps[0].reason, ReasonCode::success);
}

TEST(client_receive, a_repeated_qos_2_message_is_told_once_also_across_a_resumed_connection) {
    ConnectOptions options;
    options.session_expiry_interval_s = 300;
    Subscriber s{options};
    mqtt::Publish message = test::publish("a", "x", QoS::exactly_once, 9);
    s.receive(message);
    EXPECT_EQ(events_of<MessageReceived>(s.out).size(), 1u);
    s.session.on_close(s.out);
    mqtt::Connack connack;
    connack.session_present = true;
    s.reconnect(connack);
    s.out.clear();
    message.dup = true;
    s.receive(message);
    EXPECT_TRUE(events_of<MessageReceived>(s.out).empty());
    EXPECT_EQ(packets_of<mqtt::Pubrec>(s.out.bytes).size(), 1u) << "but it is acknowledged again";
    s.receive(ack<mqtt::Pubrel>(9));
    s.out.clear();
    message.dup = false;
    s.receive(message);
    EXPECT_EQ(events_of<MessageReceived>(s.out).size(), 1u) << "released: the id is new again";
}

TEST(client_receive, a_new_session_knows_no_message_of_the_old_one) {
    ConnectOptions options;
    options.session_expiry_interval_s = 300;
    Subscriber s{options};
    s.receive(test::publish("a", "x", QoS::exactly_once, 9));
    s.session.on_close(s.out);
    s.reconnect(mqtt::Connack{});
    s.out.clear();
    s.receive(test::publish("a", "y", QoS::exactly_once, 9));
    EXPECT_EQ(events_of<MessageReceived>(s.out).size(), 1u);
}

TEST(client_receive, a_pubrel_of_nothing_is_answered_with_not_found) {
    Subscriber s;
    s.receive(ack<mqtt::Pubrel>(77));
    const auto pubcomps = packets_of<mqtt::Pubcomp>(s.out.bytes);
    ASSERT_EQ(pubcomps.size(), 1u);
    EXPECT_EQ(pubcomps[0].reason, ReasonCode::packet_identifier_not_found);
}

TEST(client_receive, a_server_that_exceeds_our_receive_maximum_is_told_so) {
    ConnectOptions options;
    options.receive_maximum = 2;
    Subscriber s{options};
    for (std::uint16_t id = 1; id <= 3; ++id) {
        s.receive(test::publish("a", "x", QoS::exactly_once, id));
    }
    const auto ends = events_of<ConnectionEnded>(s.out);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].reason, ReasonCode::receive_maximum_exceeded);
    EXPECT_EQ(events_of<MessageReceived>(s.out).size(), 2u);
}

TEST(client_receive, topic_aliases_are_resolved_and_an_event_keeps_its_topic) {
    ConnectOptions options;
    options.topic_alias_maximum = 4;
    Subscriber s{options};
    Bytes stream;
    const auto add = [&](std::string_view topic) {
        mqtt::Publish message = test::publish(topic, "x", QoS::at_most_once);
        message.properties.topic_alias = 4;
        const Bytes bytes = encoded(message);
        stream.insert(stream.end(), bytes.begin(), bytes.end());
    };
    add("first/topic/with/a/name/too/long/for/a/small/string");
    add("");
    add("second");
    add("");
    s.session.on_bytes(stream, at(0), s.out);
    const auto messages = events_of<MessageReceived>(s.out);
    ASSERT_EQ(messages.size(), 4u);
    EXPECT_EQ(messages[1].publish.topic, "first/topic/with/a/name/too/long/for/a/small/string");
    EXPECT_EQ(messages[3].publish.topic, "second");
}

TEST(client_receive, wrong_topic_aliases_end_the_connection) {
    struct Case {
        std::uint16_t alias;
        std::string_view topic;
        ReasonCode reason;
    };
    for (const Case& row :
         {Case{5, "a", ReasonCode::topic_alias_invalid}, Case{3, "", ReasonCode::protocol_error}}) {
        ConnectOptions options;
        options.topic_alias_maximum = 4;
        Subscriber s{options};
        mqtt::Publish message = test::publish(row.topic, "x", QoS::at_most_once);
        message.properties.topic_alias = row.alias;
        s.receive(message);
        const auto ends = events_of<ConnectionEnded>(s.out);
        ASSERT_EQ(ends.size(), 1u);
        EXPECT_EQ(ends[0].reason, row.reason);
    }
}

TEST(client_receive, aliases_do_not_outlive_their_connection) {
    ConnectOptions options;
    options.topic_alias_maximum = 4;
    Subscriber s{options};
    mqtt::Publish message = test::publish("a", "x", QoS::at_most_once);
    message.properties.topic_alias = 1;
    s.receive(message);
    s.session.on_close(s.out);
    s.reconnect(mqtt::Connack{});
    s.out.clear();
    message.topic = "";
    s.receive(message);
    EXPECT_EQ(events_of<ConnectionEnded>(s.out).size(), 1u);
}

}  // namespace
}  // namespace mitu::client
