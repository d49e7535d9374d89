#include "mitu/broker/mail.hpp"

#include <gtest/gtest.h>

#include "mitu/base/random.hpp"

namespace mitu::broker {
namespace {

struct MailTest : ::testing::Test {
    memory::Lane lane{1u << 16};

    ByteView arrive(MailKind kind) {
        lane.publish();
        const auto record = lane.peek();
        EXPECT_TRUE(record);
        EXPECT_EQ(record->kind, static_cast<std::uint16_t>(kind));
        return record->bytes;
    }
    void leave() {
        lane.pop();
        lane.release();
        EXPECT_TRUE(lane.empty());
    }
};

MessageView message(std::string_view topic, std::string_view payload) {
    static const Bytes properties{1, 2, 3};
    MessageView m;
    m.tenant = TenantId{7};
    m.qos = mqtt::QoS::exactly_once;
    m.retain = true;
    m.expires_at = Instant::from_ns(123'456'789'012);
    m.publisher = {1, 2, ShardId{3}};
    m.publisher_key = 0x8000'0000'0000'0001;
    m.topic = topic;
    m.properties = properties;
    m.payload = as_bytes(payload);
    return m;
}

void expect_equal(const MessageView& a, const MessageView& b) {
    EXPECT_EQ(a.tenant, b.tenant);
    EXPECT_EQ(a.qos, b.qos);
    EXPECT_EQ(a.retain, b.retain);
    EXPECT_EQ(a.expires_at, b.expires_at);
    EXPECT_EQ(a.publisher, b.publisher);
    EXPECT_EQ(a.publisher_key, b.publisher_key);
    EXPECT_EQ(a.topic, b.topic);
    EXPECT_TRUE(equal(a.properties, b.properties));
    EXPECT_TRUE(equal(a.payload, b.payload));
}

TEST_F(MailTest, carries_a_publish) {
    for (const char* payload : {"", "x", "a longer payload"}) {
        PublishMail mail;
        mail.content.message = message("some/topic", payload);
        mail.origin.session = {4, 5, ShardId{6}};
        mail.origin.token = {7, 8};
        mail.share_serial = 9;
        mail.attempts = 10;
        ASSERT_TRUE(write_publish(lane, MailKind::publish, mail));
        const PublishMail got = read_publish(arrive(MailKind::publish));
        expect_equal(got.content.message, mail.content.message);
        EXPECT_EQ(got.content.large, nullptr);
        EXPECT_EQ(got.origin.session, mail.origin.session);
        EXPECT_EQ(got.origin.token.serial, 7u);
        EXPECT_EQ(got.origin.token.entry, 8u);
        EXPECT_EQ(got.share_serial, 9u);
        EXPECT_EQ(got.attempts, 10u);
        leave();
    }
}

TEST_F(MailTest, carries_a_delivery_with_all_its_recipients) {
    constexpr StoredSessionId kept = 0x1234'5678'9ABC'0000;
    RecipientList list;
    for (std::uint32_t i = 0; i < 20; ++i) {
        MailRecipient r;
        r.index = i;
        r.generation = 100 + i;
        r.share_serial = i % 3;
        r.qos = static_cast<std::uint8_t>(i % 3) & 3;
        r.retain = i % 2;
        r.is_retained_replay = i % 5 == 0 ? 1 : 0;
        r.attempts = static_cast<std::uint8_t>(i);
        const std::vector<std::uint32_t> identifiers(i % 4, i);
        r.identifier_count = static_cast<std::uint16_t>(identifiers.size());
        r.is_kept = i % 3 == 1 ? 1 : 0;
        list.add(r, identifiers, r.is_kept != 0 ? kept + i : 0);
    }
    const MailedMessage content{message("t", "p"), nullptr};
    ASSERT_TRUE(write_deliver(lane, content, list.bytes(), list.count()));
    const DeliverMail got = read_deliver(arrive(MailKind::deliver));
    expect_equal(got.content.message, content.message);
    std::uint32_t i = 0;
    got.for_each([&](const MailRecipient& r, std::span<const std::uint32_t> identifiers,
                     StoredSessionId whose) {
        EXPECT_EQ(whose, i % 3 == 1 ? kept + i : 0);
        EXPECT_EQ(r.index, i);
        EXPECT_EQ(r.generation, 100 + i);
        EXPECT_EQ(r.share_serial, i % 3);
        EXPECT_EQ(r.qos, i % 3);
        EXPECT_EQ(r.retain, i % 2);
        EXPECT_EQ(r.is_retained_replay, i % 5 == 0 ? 1 : 0);
        EXPECT_EQ(r.attempts, i);
        ASSERT_EQ(identifiers.size(), i % 4);
        for (const auto identifier : identifiers) EXPECT_EQ(identifier, i);
        ++i;
    });
    EXPECT_EQ(i, 20u);
    leave();
}

TEST_F(MailTest, shares_a_large_block_with_one_reference_per_record) {
    const std::string payload(40'000, 'x');
    PublishMail mail;
    mail.content.message = message("large", payload);
    mail.content.large = LargeBlock::create(mail.content.message);
    ASSERT_TRUE(write_publish(lane, MailKind::publish, mail));
    mail.content.large->release();  // ours; the record has its own
    const PublishMail got = read_publish(arrive(MailKind::publish));
    expect_equal(got.content.message, message("large", payload));
    ASSERT_NE(got.content.large, nullptr);
    got.content.large->release();
    leave();
}

TEST_F(MailTest, writes_nothing_when_there_is_no_room) {
    PublishMail mail;
    const std::string payload(20'000, 'x');
    mail.content.message = message("t", payload);
    int written = 0;
    while (write_publish(lane, MailKind::publish, mail)) ++written;
    EXPECT_EQ(written, 3);
    LargeBlock* const block = LargeBlock::create(mail.content.message);
    mail.content.large = block;
    while (write_publish(lane, MailKind::publish, mail)) ++written;  // small records still fit
    lane.publish();
    int read = 0;
    while (const auto record = lane.peek()) {
        ++read;
        if (auto* large = read_publish(record->bytes).content.large) large->release();
        lane.pop();
    }
    EXPECT_EQ(read, written);
    block->release();  // the last one, or the leak check would tell
}

TEST_F(MailTest, carries_subscriptions_completions_and_connections) {
    SubscriptionMail subscription;
    subscription.tenant = TenantId{2};
    subscription.token = {3, 4};
    subscription.subscriber.session = {5, 6, ShardId{7}};
    subscription.subscriber.qos = mqtt::QoS::exactly_once;
    subscription.subscriber.no_local = true;
    subscription.subscriber.subscription_identifier = 8;
    subscription.send_retained = true;
    subscription.filter = "a/+/#";
    subscription.group = "group";
    ASSERT_TRUE(write_subscription(lane, MailKind::subscribe, subscription));
    const SubscriptionMail got = read_subscription(arrive(MailKind::subscribe));
    EXPECT_EQ(got.tenant, subscription.tenant);
    EXPECT_EQ(got.token.entry, 4u);
    EXPECT_EQ(got.subscriber.session, subscription.subscriber.session);
    EXPECT_EQ(got.subscriber.qos, mqtt::QoS::exactly_once);
    EXPECT_TRUE(got.subscriber.no_local);
    EXPECT_FALSE(got.subscriber.retain_as_published);
    EXPECT_EQ(got.subscriber.subscription_identifier, 8u);
    EXPECT_TRUE(got.send_retained);
    EXPECT_EQ(got.filter, "a/+/#");
    EXPECT_EQ(got.group, "group");
    leave();

    ASSERT_TRUE(write_completion(lane, {1, 2, {3, 4}, mqtt::ReasonCode::quota_exceeded, 5, 6}));
    const CompletionMail completion = read_completion(arrive(MailKind::completion));
    EXPECT_EQ(completion.index, 1u);
    EXPECT_EQ(completion.generation, 2u);
    EXPECT_EQ(completion.token.serial, 3u);
    EXPECT_EQ(completion.reason, mqtt::ReasonCode::quota_exceeded);
    EXPECT_EQ(completion.kept, 5u);
    EXPECT_EQ(completion.packet_id, 6u);
    leave();

    Arrival arrival;
    ports::DetachedConnection connection;
    connection.handle = 42;
    connection.peer.port = 1'883;
    ASSERT_TRUE(write_connection(lane, {connection, &arrival}));
    const ConnectionMail moved = read_connection(arrive(MailKind::connection));
    EXPECT_EQ(moved.connection.handle, 42u);
    EXPECT_EQ(moved.connection.peer.port, 1'883);
    EXPECT_EQ(moved.arrival, &arrival);
    leave();
}

}  // namespace
}  // namespace mitu::broker
