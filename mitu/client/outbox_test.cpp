#include "mitu/client/outbox.hpp"

#include <gtest/gtest.h>

#include "mitu/base/random.hpp"
#include "mitu/client/scripted_server.hpp"

namespace mitu::client {
namespace {

using mqtt::QoS;

Bytes packet() { return test::encoded(test::publish("t", "x", QoS::at_least_once, 1)); }

TEST(outbox, finds_the_packet_id_whatever_the_size_of_the_packet) {
    for (const std::size_t payload_bytes : {0UL, 100UL, 127UL, 128UL, 20'000UL, 3'000'000UL}) {
        const std::string payload(payload_bytes, 'x');
        const Bytes bytes =
            test::encoded(test::publish("some/topic", payload, QoS::at_least_once, 0xABCD));
        const std::size_t offset = packet_id_offset(bytes);
        EXPECT_EQ(bytes[offset], 0xAB);
        EXPECT_EQ(bytes[offset + 1], 0xCD);
    }
}

TEST(outbox, counts_return_to_zero_whatever_the_order_of_acknowledgements) {
    Prng prng{0x51F3};
    for (int round = 0; round < 50; ++round) {
        Outbox outbox;
        std::uint64_t sequence = 0;
        std::vector<std::uint16_t> in_flight;
        std::uint32_t pushed = 0;
        std::uint32_t finished = 0;
        while (finished < 200) {
            if (pushed < 200 && prng.chance(0.5)) {
                outbox.push(packet(), pushed++, QoS::at_least_once);
                Outbox::Entry* entry = outbox.next_queued();
                ASSERT_NE(entry, nullptr);
                outbox.begin(*entry, sequence++);
                in_flight.push_back(entry->packet_id);
            } else if (!in_flight.empty()) {
                const auto at = static_cast<std::size_t>(prng.below(in_flight.size()));
                Outbox::Entry* entry = outbox.find(in_flight[at]);
                ASSERT_NE(entry, nullptr);
                outbox.finish(*entry);
                in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(at));
                ++finished;
            }
            ASSERT_EQ(outbox.inflight_count(), in_flight.size());
            ASSERT_EQ(outbox.count(), pushed - finished);
        }
        EXPECT_TRUE(outbox.is_empty());
        EXPECT_EQ(outbox.packet_bytes(), 0u);
        EXPECT_FALSE(outbox.oldest_id_sequence());
    }
}

TEST(outbox, a_restart_keeps_the_order_of_what_it_keeps) {
    Outbox outbox;
    for (std::uint64_t token = 0; token < 6; ++token) {
        outbox.push(packet(), token, token % 2 == 0 ? QoS::at_least_once : QoS::exactly_once);
    }
    for (std::uint64_t sequence = 0; sequence < 4; ++sequence) {
        outbox.begin(*outbox.next_queued(), sequence);
    }
    std::vector<std::uint64_t> lost;
    outbox.restart(lost);
    EXPECT_EQ(lost, (std::vector<std::uint64_t>{1, 3}));
    EXPECT_EQ(outbox.inflight_count(), 0u);
    std::vector<std::uint64_t> kept;
    std::uint64_t sequence = 4;
    while (Outbox::Entry* entry = outbox.next_queued()) {
        kept.push_back(entry->token);
        outbox.begin(*entry, sequence++);
        EXPECT_EQ(entry->packet[0] & 0x08, 0) << "a new message carries no DUP";
    }
    EXPECT_EQ(kept, (std::vector<std::uint64_t>{0, 2, 4, 5}));
}

}  // namespace
}  // namespace mitu::client
