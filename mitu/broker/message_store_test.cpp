#include "mitu/broker/message_store.hpp"

#include <gtest/gtest.h>

#include <map>

#include "mitu/base/random.hpp"

namespace mitu::broker {
namespace {

MessageView message(std::string_view topic, std::string_view payload) {
    MessageView view;
    view.topic = topic;
    view.payload = as_bytes(payload);
    return view;
}

struct MessageStoreTest : ::testing::Test {
    Counters counters;
    MessageStore store{1'000, counters};
};

TEST_F(MessageStoreTest, keeps_a_message_until_its_last_release) {
    const auto handle = store.add(message("topic", "payload"));
    ASSERT_TRUE(handle);
    store.retain(*handle);
    store.release(*handle);
    EXPECT_EQ(store.view(*handle).topic, "topic");
    EXPECT_EQ(as_text(store.view(*handle).payload), "payload");
    EXPECT_EQ(store.content_bytes(*handle), 12u);
    EXPECT_EQ(store.live_count(), 1u);
    store.release(*handle);
    EXPECT_EQ(store.live_count(), 0u);
    EXPECT_EQ(store.live_bytes(), 0u);
    store.tidy();
    EXPECT_EQ(counters.stored_messages.read(), 0u);
    EXPECT_EQ(counters.stored_bytes.read(), 0u);
}

TEST_F(MessageStoreTest, refuses_what_it_has_no_bytes_for) {
    const std::string payload(600, 'x');
    const auto first = store.add(message("t", payload));
    ASSERT_TRUE(first);
    EXPECT_FALSE(store.add(message("t", payload)));
    EXPECT_EQ(store.live_count(), 1u);
    store.release(*first);
    const auto second = store.add(message("t", payload));
    ASSERT_TRUE(second);
    store.release(*second);
}

// What stands in front of the content differs, and a record has a largest size.
TEST(message_store, takes_every_size_around_that_of_the_largest_record) {
    Counters counters;
    MessageStore store{1u << 30, counters};
    const std::uint32_t record_bytes = memory::RecordHeapOptions{}.pool.batch_bytes / 8;
    const Bytes payload(record_bytes + 100, 0x2A);
    for (const bool retain : {false, true}) {
        for (const bool expires : {false, true}) {
            for (std::size_t size = record_bytes - 150; size < payload.size(); ++size) {
                MessageView message;
                message.topic = "t";
                message.retain = retain;
                message.publisher_key = retain ? 7 : 0;
                if (expires) message.expires_at = Instant::from_ns(5);
                message.payload = ByteView{payload}.first(size);
                const auto handle = store.add(message);
                ASSERT_TRUE(handle) << size;
                ASSERT_EQ(store.view(*handle).payload.size(), size);
                store.release(*handle);
            }
        }
    }
    EXPECT_EQ(store.live_count(), 0u);
}

TEST_F(MessageStoreTest, moves_a_message_into_a_shared_block) {
    const auto handle = store.add(message("topic", "payload"));
    LargeBlock* const block = store.share(*handle);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(store.share(*handle), block) << "once only";
    EXPECT_EQ(store.view(*handle).topic, "topic");
    EXPECT_EQ(as_text(store.view(*handle).payload), "payload");
    block->retain();
    store.release(*handle);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(block->data()), 12), "topicpayload");
    block->release();
}

TEST_F(MessageStoreTest, keeps_everything_a_message_says) {
    for (const bool is_large : {false, true}) {
        const std::string payload(is_large ? 700 : 7, 'x');
        MessageStore small{1'000, counters, {memory::Allocation::batches, {.batch_bytes = 4'096}}};
        MessageView in = message("topic", payload);
        in.tenant = TenantId{3};
        in.qos = mqtt::QoS::exactly_once;
        in.retain = true;
        in.publisher = {5, 6, ShardId{7}};
        in.publisher_key = 0x0123'4567'89AB'CDEF;
        in.properties = as_bytes("properties");
        for (const bool expires : {false, true}) {
            if (expires) in.expires_at = Instant::from_ns(99);
            const auto handle = small.add(in);
            ASSERT_TRUE(handle);
            const MessageView out = small.view(*handle);
            EXPECT_EQ(out.tenant, in.tenant);
            EXPECT_EQ(out.qos, in.qos);
            EXPECT_EQ(out.retain, in.retain);
            EXPECT_EQ(out.publisher, in.publisher);
            EXPECT_EQ(out.publisher_key, in.publisher_key);
            EXPECT_EQ(out.expires_at, in.expires_at);
            EXPECT_EQ(out.topic, in.topic);
            EXPECT_EQ(as_text(out.properties), "properties");
            EXPECT_EQ(as_text(out.payload), payload);
            small.set_publisher(*handle, {8, 9, ShardId{1}});
            EXPECT_EQ(small.view(*handle).publisher, (SessionRef{8, 9, ShardId{1}}));
            EXPECT_EQ(small.view(*handle).expires_at, in.expires_at);
            EXPECT_EQ(as_text(small.view(*handle).payload), payload);
            EXPECT_EQ(small.content_bytes(*handle), 15 + payload.size());
            small.release(*handle);
        }
        EXPECT_EQ(small.live_bytes(), 0u);
    }
}

TEST_F(MessageStoreTest, adopts_a_block_of_another_shard) {
    const MessageView view = message("topic", "payload");
    LargeBlock* const block = LargeBlock::create(view);
    const auto handle = store.adopt(view, block);
    ASSERT_TRUE(handle);
    EXPECT_EQ(as_text(store.view(*handle).payload), "payload");
    EXPECT_EQ(store.live_bytes(), 12u);
    store.release(*handle);
    EXPECT_EQ(store.live_bytes(), 0u);
}

TEST_F(MessageStoreTest, frees_at_its_end_what_nobody_released) {
    static_cast<void>(store.add(message("a", "1")));
    const MessageView view = message("b", "2");
    static_cast<void>(store.adopt(view, LargeBlock::create(view)));
}

TEST_F(MessageStoreTest, tells_its_messages_apart_whatever_comes_and_goes) {
    Prng prng{3};
    std::map<MessageHandle, std::pair<std::string, std::uint32_t>> model;  // text, references
    for (int i = 0; i < 20'000; ++i) {
        if (model.empty() || prng.chance(0.4)) {
            const std::string text = std::to_string(i);
            if (const auto handle = store.add(message("t", text))) {
                ASSERT_TRUE(model.emplace(*handle, std::pair{text, 1u}).second);
            }
            continue;
        }
        auto it = model.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(prng.below(model.size())));
        const MessageHandle handle = it->first;
        ASSERT_EQ(as_text(store.view(handle).payload), it->second.first);
        if (prng.chance(0.3)) {
            store.retain(handle);
            ++it->second.second;
        } else {
            store.release(handle);
            if (--it->second.second == 0) model.erase(it);
        }
        ASSERT_EQ(store.live_count(), model.size());
        if (i % 100 == 0) store.tidy();
    }
    ASSERT_TRUE(store.is_sound());
}

}  // namespace
}  // namespace mitu::broker
