#include "mitu/broker/tracer.hpp"

#include <gtest/gtest.h>

namespace mitu::broker {
namespace {

constexpr TenantId acme{1};
constexpr TenantId other{2};

TraceEvent published(const char* client, const char* topic) {
    TraceEvent event;
    event.client_id = client;
    event.packet = "PUBLISH";
    event.topic = topic;
    return event;
}

std::vector<TraceEvent> drained(TraceSink& sink) {
    std::vector<TraceEvent> events;
    sink.drain(events);
    return events;
}

TEST(tracer, tells_a_client_apart_from_others_and_from_those_of_other_tenants) {
    Tracer tracer;
    EXPECT_FALSE(tracer.is_on());
    const auto sink = std::make_shared<TraceSink>();
    tracer.begin(1, {.tenant = acme, .client_id = "a"}, sink);
    EXPECT_TRUE(tracer.wants_client(acme, "a"));
    EXPECT_FALSE(tracer.wants_client(acme, "b"));
    EXPECT_FALSE(tracer.wants_client(other, "a"));
    tracer.say(acme, published("a", "t"));
    tracer.say(acme, published("b", "t"));
    tracer.say(other, published("a", "t"));
    tracer.say_unknown(published("a", ""));
    EXPECT_EQ(drained(*sink).size(), 1u);
    tracer.end(1);
    EXPECT_FALSE(tracer.is_on());
}

TEST(tracer, tells_the_messages_of_a_topic_whoever_sends_them) {
    Tracer tracer;
    const auto sink = std::make_shared<TraceSink>();
    tracer.begin(1, {.tenant = acme, .filter = "a/+"}, sink);
    tracer.say(acme, published("x", "a/1"));
    tracer.say(acme, published("y", "a/1/2"));
    tracer.say(other, published("x", "a/1"));
    TraceEvent subscribe = published("x", "a/1");
    subscribe.packet = "SUBSCRIBE";  // a filter is no topic
    tracer.say(acme, subscribe);
    ASSERT_EQ(drained(*sink).size(), 1u);
}

TEST(tracer, leaves_payloads_out_unless_they_are_asked_for) {
    Tracer tracer;
    const auto plain = std::make_shared<TraceSink>();
    const auto full = std::make_shared<TraceSink>();
    tracer.begin(1, {.tenant = acme, .client_id = "a"}, plain);
    tracer.begin(2, {.tenant = acme, .client_id = "a", .with_payload = true}, full);
    const std::string payload(10'000, 'x');
    tracer.say(acme, published("a", "t"), as_bytes(payload));
    EXPECT_EQ(drained(*plain).at(0).payload, std::nullopt);
    EXPECT_EQ(drained(*full).at(0).payload->size(), Tracer::payload_bytes_max);
}

TEST(tracer, ends_by_itself_when_its_time_is_over) {
    Tracer tracer;
    tracer.begin(1, {.tenant = acme, .client_id = "a", .until = Instant{} + Duration::seconds(9)},
                 std::make_shared<TraceSink>());
    tracer.expire(Instant{} + Duration::seconds(8));
    EXPECT_TRUE(tracer.is_on());
    tracer.expire(Instant{} + Duration::seconds(9));
    EXPECT_FALSE(tracer.is_on());
}

TEST(tracer, a_reader_that_is_too_slow_loses_events_and_is_told_how_many) {
    TraceSink sink;
    for (std::size_t i = 0; i < TraceSink::events_max + 7; ++i) sink.push(published("a", "t"));
    EXPECT_EQ(drained(sink).size(), TraceSink::events_max);
    EXPECT_EQ(sink.take_lost(), 7u);
    EXPECT_EQ(sink.take_lost(), 0u);
}

TEST(tracer, never_tells_what_authenticates) {
    mqtt::Auth auth;
    const std::string secret = "proof";
    auth.authentication_method = "SCRAM-SHA-256";
    auth.authentication_data = as_bytes(secret);
    const TraceEvent event = describe(mqtt::Packet{auth}, 30);
    EXPECT_EQ(event.packet, "AUTH");
    EXPECT_EQ(event.text, "SCRAM-SHA-256");
    mqtt::Connect connect;
    connect.password = as_bytes(secret);
    EXPECT_EQ(describe(mqtt::Packet{connect}, 30).text, "");
}

TEST(tracer, says_of_a_publish_its_topic_or_its_alias) {
    mqtt::Publish publish;
    publish.topic = "a/b";
    publish.qos = mqtt::QoS::at_least_once;
    publish.packet_id = 7;
    const std::string payload = "hello";
    publish.payload = as_bytes(payload);
    const TraceEvent event = describe(mqtt::Packet{publish}, 100);
    EXPECT_EQ(event.topic, "a/b");
    EXPECT_EQ(event.qos, 1);
    EXPECT_EQ(event.bytes, 5u);
    EXPECT_EQ(event.packet_id, 7);
    publish.topic = {};
    publish.properties.topic_alias = 3;
    EXPECT_EQ(describe(mqtt::Packet{publish}, 100).text, "topic alias 3");
}

}  // namespace
}  // namespace mitu::broker
