// Properties of the codec as a whole, held by thousands of packets drawn at random.
#include <gtest/gtest.h>

#include <array>

#include "mitu/base/random.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/testing/expect.hpp"
#include "mitu/mqtt/testing/packet_equal.hpp"
#include "mitu/mqtt/testing/random_packet.hpp"

namespace mitu::mqtt {

using namespace testing;

namespace {

constexpr int packets_per_kind = 4'000;

struct Kind {
    Sender sender;
    ProtocolVersion version;
};
constexpr std::array<Kind, 5> kinds{{{Sender::client, ProtocolVersion::v5},
                                     {Sender::server, ProtocolVersion::v5},
                                     {Sender::client, ProtocolVersion::v3_1_1},
                                     {Sender::server, ProtocolVersion::v3_1_1},
                                     {Sender::client, ProtocolVersion::v3_1}}};

/// Runs `check(packet, bytes, options)` for many packets of each kind.
template <class Check>
void for_many_packets(std::uint64_t seed, Check check) {
    PacketMaker maker{seed};
    for (const Kind& kind : kinds) {
        const DecodeOptions options{kind.sender, kind.version};
        for (int i = 0; i < packets_per_kind; ++i) {
            const Packet packet = maker.draw(kind.sender, kind.version);
            const std::uint32_t size = encoded_size(packet, kind.version);
            Bytes bytes(size);
            ASSERT_NE(size, 0U);
            ASSERT_EQ(encode(packet, kind.version, bytes), size);
            check(packet, bytes, options);
            if (::testing::Test::HasFatalFailure()) {
                FAIL() << "seed " << seed << ", packet " << i << ": " << hex(bytes);
            }
        }
    }
}

}  // namespace

TEST(roundtrip, decoding_undoes_encoding) {
    for_many_packets(1, [](const Packet& packet, const Bytes& bytes, const DecodeOptions& options) {
        const ExactCopy copy{bytes};
        const auto decoded = decode(copy.view(), options);
        ASSERT_TRUE(decoded.has_value()) << decoded.error().rule;
        ASSERT_TRUE(decoded->has_value());
        ASSERT_EQ((*decoded)->size_bytes, bytes.size());
        ASSERT_TRUE(testing::equal((*decoded)->packet, packet));
        // And encoding what was decoded gives the same bytes again.
        Bytes again(encoded_size((*decoded)->packet, options.version));
        ASSERT_EQ(encode((*decoded)->packet, options.version, again), again.size());
        ASSERT_EQ(hex(again), hex(bytes));
    });
}

TEST(roundtrip, every_prefix_is_incomplete_and_never_wrong) {
    for_many_packets(2, [](const Packet&, const Bytes& bytes, const DecodeOptions& options) {
        const ExactCopy copy{bytes};
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const auto decoded = decode(copy.view().first(size), options);
            ASSERT_TRUE(decoded.has_value()) << size << ": " << decoded.error().rule;
            ASSERT_FALSE(decoded->has_value()) << size;
            const auto whole = packet_size(copy.view().first(size));
            ASSERT_TRUE(whole.has_value());
            ASSERT_EQ(whole->value_or(bytes.size()), bytes.size());
        }
    });
}

TEST(roundtrip, bytes_that_follow_change_nothing) {
    for_many_packets(3, [](const Packet& packet, Bytes bytes, const DecodeOptions& options) {
        const std::size_t size = bytes.size();
        bytes.insert(bytes.end(), {0xFF, 0xFF, 0xFF});
        const auto decoded = decode(bytes, options);
        ASSERT_TRUE(decoded.has_value() && decoded->has_value());
        ASSERT_EQ((*decoded)->size_bytes, size);
        ASSERT_TRUE(testing::equal((*decoded)->packet, packet));
    });
}

TEST(roundtrip, one_byte_less_room_writes_nothing) {
    for_many_packets(4, [](const Packet& packet, const Bytes& bytes, const DecodeOptions& options) {
        Bytes tight(bytes.size() - 1, 0xEE);
        ASSERT_EQ(encode(packet, options.version, tight), 0U);
        ASSERT_EQ(tight, Bytes(tight.size(), 0xEE));
    });
}

TEST(roundtrip, mutated_packets_are_refused_or_mean_what_they_encode_to) {
    Prng random{5};
    int refused = 0;
    int accepted = 0;
    for_many_packets(6, [&](const Packet&, Bytes bytes, const DecodeOptions& options) {
        for (auto n = 1 + random.below(3); n > 0; --n) {
            auto& byte = bytes[static_cast<std::size_t>(random.below(bytes.size()))];
            byte = random.chance(0.5) ? static_cast<std::uint8_t>(random.next())
                                      : static_cast<std::uint8_t>(byte ^ (1U << random.below(8)));
        }
        const ExactCopy copy{bytes};
        const auto decoded = decode(copy.view(), options);
        if (!decoded.has_value()) {
            ++refused;
            ASSERT_TRUE(is_error(decoded.error().reason));
            ASSERT_NE(*decoded.error().rule, '\0');
            ASSERT_LE(decoded.error().offset_bytes, bytes.size());
            return;
        }
        if (!decoded->has_value()) return;
        ++accepted;
        const Packet& packet = (*decoded)->packet;
        Bytes again(encoded_size(packet, options.version));
        ASSERT_EQ(encode(packet, options.version, again), again.size());
        const auto twice = decode(again, options);
        ASSERT_TRUE(twice.has_value() && twice->has_value());
        ASSERT_TRUE(testing::equal((*twice)->packet, packet));
    });
    EXPECT_GT(refused, 1'000);
    EXPECT_GT(accepted, 1'000);
}

TEST(roundtrip, cut_packets_are_incomplete_or_refused) {
    // The Remaining Length is made to fit, so that it is the fields that run out.
    for_many_packets(7, [](const Packet&, const Bytes& bytes, const DecodeOptions& options) {
        if (bytes.size() > 127) return;  // one byte of Remaining Length is enough here
        for (std::size_t size = 2; size < bytes.size(); ++size) {
            Bytes cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
            cut[1] = static_cast<std::uint8_t>(size - 2);
            const ExactCopy copy{cut};
            const auto decoded = decode(copy.view(), options);
            ASSERT_TRUE(!decoded.has_value() || decoded->has_value());
        }
    });
}

}  // namespace mitu::mqtt
