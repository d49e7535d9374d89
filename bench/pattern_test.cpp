#include "bench/pattern.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "mitu/mqtt/decode.hpp"

namespace mitu::bench {
namespace {

using mqtt::ProtocolVersion;
using mqtt::QoS;

struct Case {
    ProtocolVersion version;
    QoS qos;
    std::uint32_t payload_bytes;
};

class PatternTest : public testing::TestWithParam<Case> {};

TEST_P(PatternTest, is_the_packet_that_the_codec_reads_and_the_receiver_finds) {
    const auto [version, qos, payload_bytes] = GetParam();
    const PublishPattern pattern{"pair/d00007/telemetry", qos, payload_bytes, version};
    Bytes bytes(pattern.size_bytes());
    const Stamp sent{.publisher = 7, .sequence = 70'000, .due_ns = 123'456'789};
    pattern.write(bytes.data(), sent);

    const auto decoded = mqtt::decode(bytes, {.version = version});
    ASSERT_TRUE(decoded.has_value());
    ASSERT_TRUE(decoded->has_value());
    const auto& publish = std::get<mqtt::Publish>((*decoded)->packet);
    EXPECT_EQ(publish.topic, "pair/d00007/telemetry");
    EXPECT_EQ(publish.qos, qos);
    EXPECT_EQ(publish.payload.size(), payload_bytes);
    EXPECT_EQ(publish.packet_id, qos == QoS::at_most_once ? 0 : packet_id_of(70'000));

    Frame frame;
    ASSERT_EQ(find_frame(bytes.data(), bytes.data() + bytes.size(), frame), Frame::Found::whole);
    EXPECT_EQ(frame.size_bytes, bytes.size());
    EXPECT_EQ(frame.qos(), qos);
    Delivery delivery;
    ASSERT_TRUE(read_delivery(frame, version, delivery));
    EXPECT_EQ(delivery.payload_bytes, payload_bytes);
    Stamp received;
    std::memcpy(&received, delivery.payload, sizeof received);
    EXPECT_EQ(received.magic, Stamp::magic_value);
    EXPECT_EQ(received.publisher, 7u);
    EXPECT_EQ(received.sequence, 70'000u);
    EXPECT_EQ(received.due_ns, 123'456'789);
}

TEST(pattern, topics_differ_in_digits_written_over_it) {
    const PublishPattern pattern{"fleet/d0000000/state", QoS::at_least_once, 64,
                                 ProtocolVersion::v5, true};
    Bytes bytes(pattern.size_bytes());
    pattern.write(bytes.data(), Stamp{});
    write_digits(bytes.data() + pattern.topic_offset() + 7, 90'412, 7);

    const auto decoded = mqtt::decode(bytes, {.version = ProtocolVersion::v5});
    ASSERT_TRUE(decoded.has_value());
    ASSERT_TRUE(decoded->has_value());
    const auto& publish = std::get<mqtt::Publish>((*decoded)->packet);
    EXPECT_EQ(publish.topic, "fleet/d0090412/state");
    EXPECT_TRUE(publish.retain);
}

INSTANTIATE_TEST_SUITE_P(all, PatternTest,
                         testing::Values(Case{ProtocolVersion::v3_1_1, QoS::at_most_once, 64},
                                         Case{ProtocolVersion::v3_1_1, QoS::at_least_once, 1024},
                                         Case{ProtocolVersion::v3_1_1, QoS::exactly_once, 24},
                                         Case{ProtocolVersion::v5, QoS::at_most_once, 1024},
                                         Case{ProtocolVersion::v5, QoS::at_least_once, 64},
                                         Case{ProtocolVersion::v5, QoS::exactly_once, 20'000}));

TEST(pattern, find_frame_waits_for_every_byte) {
    const PublishPattern pattern{"t", QoS::at_least_once, 300, ProtocolVersion::v5};
    Bytes bytes(pattern.size_bytes());
    pattern.write(bytes.data(), {});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Bytes prefix{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
        Frame frame;
        EXPECT_EQ(find_frame(prefix.data(), prefix.data() + prefix.size(), frame),
                  Frame::Found::incomplete);
    }
}

TEST(pattern, find_frame_refuses_a_length_of_five_bytes) {
    const Bytes bytes{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01};
    Frame frame;
    EXPECT_EQ(find_frame(bytes.data(), bytes.data() + bytes.size(), frame),
              Frame::Found::malformed);
}

TEST(pattern, read_delivery_refuses_lengths_that_do_not_add_up) {
    const auto refused = [](Bytes bytes, ProtocolVersion version) {
        Frame frame;
        EXPECT_EQ(find_frame(bytes.data(), bytes.data() + bytes.size(), frame),
                  Frame::Found::whole);
        Delivery delivery;
        return !read_delivery(frame, version, delivery);
    };
    EXPECT_TRUE(refused({0x30, 0x01, 0x00}, ProtocolVersion::v3_1_1));  // half a topic length
    EXPECT_TRUE(refused({0x30, 0x03, 0x00, 0x02, 'a'}, ProtocolVersion::v3_1_1));
    EXPECT_TRUE(refused({0x32, 0x04, 0x00, 0x01, 'a', 0x00}, ProtocolVersion::v3_1_1));
    EXPECT_TRUE(refused({0x30, 0x03, 0x00, 0x01, 'a'}, ProtocolVersion::v5));  // no properties
    EXPECT_TRUE(refused({0x30, 0x04, 0x00, 0x01, 'a', 0x05}, ProtocolVersion::v5));
}

}  // namespace
}  // namespace mitu::bench
