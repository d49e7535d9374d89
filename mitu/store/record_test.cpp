#include "mitu/store/record.hpp"

#include <gtest/gtest.h>

#include "mitu/base/random.hpp"
#include "mitu/store/key.hpp"

namespace mitu::store {
namespace {

template <class Record>
Bytes encoded(const Record& record) {
    Bytes bytes;
    encode(record, bytes);
    return bytes;
}

TEST(record, a_message_comes_back_as_it_was) {
    const Bytes properties{1, 2, 3};
    const MessageRecord message{.topic = "a/b",
                                .publisher = "device-1",
                                .properties = properties,
                                .payload = as_bytes("hello"),
                                .qos = 2,
                                .retain = true,
                                .stored_at = {1'700'000'000'000},
                                .expires_at = {1'700'000'060'000}};
    const Bytes bytes = encoded(message);
    const auto back = decode_message(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->topic, "a/b");
    EXPECT_EQ(back->publisher, "device-1");
    EXPECT_TRUE(equal(back->properties, properties));
    EXPECT_EQ(as_text(back->payload), "hello");
    EXPECT_EQ(back->qos, 2);
    EXPECT_TRUE(back->retain);
    EXPECT_EQ(back->stored_at, message.stored_at);
    EXPECT_EQ(back->expires_at, message.expires_at);
}

TEST(record, a_queue_entry_holds_its_message_or_names_it) {
    const std::uint32_t identifiers[] = {1, 268'435'455};
    QueueEntry entry{.qos = 1, .identifiers = identifiers};
    entry.body.topic = "t";
    entry.body.payload = as_bytes("p");
    const Bytes with_body = encoded(entry);
    auto back = decode_queue_entry(with_body);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->identifier_count, 2);
    EXPECT_EQ(back->identifiers[1], 268'435'455u);
    EXPECT_EQ(back->message.value, 0u);
    const auto body = decode_message(back->body);
    ASSERT_TRUE(body);
    EXPECT_EQ(as_text(body->payload), "p");

    entry.message = MessageId{77};
    const Bytes with_name = encoded(entry);
    back = decode_queue_entry(with_name);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->message.value, 77u);
    EXPECT_TRUE(back->body.empty());
}

TEST(record, sessions_subscriptions_wills_and_flights_come_back) {
    const Bytes session = encoded(SessionRecord{.id = SessionId{5},
                                                .protocol_version = 4,
                                                .expiry_interval_s = 0xFFFF'FFFF,
                                                .expires_at = {9},
                                                .last_seen_at = {8},
                                                .extra = as_bytes("x")});
    const auto session_back = decode_session(session);
    ASSERT_TRUE(session_back);
    EXPECT_EQ(session_back->id.value, 5u);
    EXPECT_EQ(session_back->expiry_interval_s, 0xFFFF'FFFFu);
    EXPECT_EQ(session_back->expires_at.unix_ms, 9);
    EXPECT_EQ(as_text(session_back->extra), "x");

    const auto subscription = decode_subscription(
        encoded(SubscriptionRecord{.options = 0x2E, .identifier = 3, .stream = StreamId{1}}));
    ASSERT_TRUE(subscription);
    EXPECT_EQ(subscription->options, 0x2E);
    EXPECT_EQ(subscription->stream.value, 1u);

    WillRecord will{.tenant = "acme", .client_id = "c", .delay_s = 30};
    will.message.topic = "gone";
    const Bytes will_bytes = encoded(will);
    const auto will_back = decode_will(will_bytes);
    ASSERT_TRUE(will_back);
    EXPECT_EQ(will_back->tenant, "acme");
    EXPECT_EQ(will_back->client_id, "c");
    EXPECT_EQ(will_back->delay_s, 30u);
    EXPECT_EQ(will_back->message.topic, "gone");

    const auto flight = decode_flight(encoded(FlightRecord{65'535, FlightState::received}));
    ASSERT_TRUE(flight);
    EXPECT_EQ(flight->packet_id, 65'535);
    EXPECT_EQ(flight->state, FlightState::received);
}

TEST(record, damaged_bytes_are_refused_or_read_within_their_end) {
    QueueEntry entry{.qos = 1, .expires_at = {123'456}};
    entry.body.topic = "some/topic";
    entry.body.payload = as_bytes("payload");
    const Bytes whole = encoded(entry);
    Prng random{3};
    int refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        Bytes bytes(whole.begin(),
                    whole.begin() + static_cast<std::ptrdiff_t>(random.below(whole.size() + 1)));
        if (!bytes.empty()) {
            bytes[random.below(bytes.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
        }
        const auto back = decode_queue_entry(bytes);
        if (!back || (back->message.value == 0 && !decode_message(back->body))) ++refused;
        (void)decode_session(bytes);
        (void)decode_subscription(bytes);
        (void)decode_will(bytes);
        (void)decode_flight(bytes);
    }
    EXPECT_GT(refused, 1'000);
}

TEST(key, order_of_keys_is_order_of_ids_and_names_come_back) {
    EXPECT_LT(key_of(1, 255), key_of(1, 256));
    EXPECT_LT(key_of(1, ~0ULL), key_of(2, 0));
    EXPECT_EQ(end_of_prefix(key_of(1)), key_of(2));
    EXPECT_EQ(end_of_prefix(Bytes{1, 0xFF}), (Bytes{2}));
    EXPECT_TRUE(end_of_prefix(Bytes{0xFF, 0xFF}).empty());
    const Bytes key = key_of(Name{"acme", "d/1"});
    EXPECT_EQ(name_of(key), (Name{"acme", "d/1"}));
    EXPECT_EQ(name_of(Bytes{1, 2}), std::nullopt);
    EXPECT_EQ(second_id_of(key_of(1, 7)), 7u);
    EXPECT_EQ(second_id_of(key_of(1)), std::nullopt);
}

TEST(id_mint, ids_of_shards_and_runs_differ) {
    IdMint a{1, ShardId{0}};
    IdMint b{1, ShardId{1}};
    IdMint c{2, ShardId{0}};
    const auto first = a.next<MessageId>();
    EXPECT_NE(first.value, 0u);
    EXPECT_LT(first, a.next<MessageId>());
    EXPECT_LT(a.next<MessageId>(), b.next<MessageId>());
    EXPECT_LT(b.next<MessageId>(), c.next<MessageId>());
}

}  // namespace
}  // namespace mitu::store
