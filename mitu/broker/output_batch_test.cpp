#include "mitu/broker/output_batch.hpp"

#include <gtest/gtest.h>

#include "mitu/base/random.hpp"

namespace mitu::broker {
namespace {

struct OutputBatchTest : ::testing::Test {
    Counters counters;
    MessageStore messages{1 << 30, counters};
    OutputBatch batch{messages, 10'000, 100};

    MessageHandle add(std::string_view payload) {
        MessageView view;
        view.topic = "t";
        view.payload = as_bytes(payload);
        return *messages.add(view);
    }
    std::string text() {
        std::string all;
        for (const ByteView part : batch.parts()) all += as_text(part);
        return all;
    }
    void packet(std::string_view head, MessageHandle message) {
        const auto room = batch.header(static_cast<std::uint32_t>(head.size()));
        ASSERT_EQ(room.size(), head.size());
        std::copy(head.begin(), head.end(), room.begin());
        batch.commit(static_cast<std::uint32_t>(head.size()));
        batch.payload(message, messages.view(message).payload);
    }
};

TEST_F(OutputBatchTest, keeps_the_order_of_what_is_lent_copied_and_gathered) {
    const std::string large(500, 'L');
    const auto small_message = add("small");
    const auto large_message = add(large);
    const auto empty_message = add("");
    const Bytes lent = to_bytes(as_bytes("lent"));
    batch.lend(lent);
    packet("[1]", small_message);
    packet("[2]", large_message);
    packet("[3]", empty_message);
    batch.copy(as_bytes("copied"));
    const std::string expected = "lent[1]small[2]" + large + "[3]copied";
    EXPECT_EQ(text(), expected);
    EXPECT_EQ(batch.total_bytes(), expected.size());
    EXPECT_EQ(batch.parts().size(), 4u) << "small ones together, the large one where it lies";
    for (const std::size_t written : {0, 1, 4, 5, 14, 15, 100, 514, 515, 520}) {
        Bytes rest;
        batch.copy_rest(written, rest);
        EXPECT_EQ(as_text(rest), expected.substr(written));
    }
}

TEST_F(OutputBatchTest, keeps_gathered_messages_alive_until_it_is_cleared) {
    const auto message = add(std::string(500, 'x'));
    packet("h", message);
    messages.release(message);
    EXPECT_EQ(messages.live_count(), 1u);
    EXPECT_EQ(text(), "h" + std::string(500, 'x'));
    batch.clear();
    EXPECT_EQ(messages.live_count(), 0u);
    EXPECT_EQ(batch.total_bytes(), 0u);
    EXPECT_TRUE(batch.parts().empty());
}

TEST_F(OutputBatchTest, is_full_at_its_bound_and_has_room_again_when_cleared) {
    const auto message = add(std::string(99, 'x'));
    int packets = 0;
    while (batch.has_room()) {
        packet("h", message);
        ++packets;
    }
    EXPECT_EQ(packets, 100);
    batch.clear();
    EXPECT_TRUE(batch.has_room());
}

TEST_F(OutputBatchTest, takes_one_huge_header_first_in_a_batch) {
    packet("h", add("x"));
    EXPECT_TRUE(batch.header(2'000'000).empty()) << "not behind others";
    batch.clear();
    const std::string huge(2'000'000, 'H');
    packet(huge, add("x"));
    EXPECT_EQ(text(), huge + "x");
    EXPECT_FALSE(batch.has_room());
    batch.clear();
    packet("h", add("x"));
    EXPECT_EQ(text(), "hx");
}

TEST_F(OutputBatchTest, gives_the_same_bytes_as_one_long_string) {
    Prng prng{11};
    for (int round = 0; round < 200; ++round) {
        std::string expected;
        std::vector<MessageHandle> used;
        batch.clear();
        while (batch.has_room()) {
            const std::string head(1 + prng.below(30), static_cast<char>('a' + prng.below(26)));
            if (prng.chance(0.2)) {
                batch.copy(as_bytes(head));
                expected += head;
                continue;
            }
            const std::string payload(prng.below(300), static_cast<char>('A' + prng.below(26)));
            used.push_back(add(payload));
            packet(head, used.back());
            expected += head + payload;
        }
        ASSERT_EQ(text(), expected);
        for (const auto handle : used) messages.release(handle);
    }
    batch.clear();
    EXPECT_EQ(messages.live_count(), 0u);
}

}  // namespace
}  // namespace mitu::broker
