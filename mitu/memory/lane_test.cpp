#include "mitu/memory/lane.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "mitu/base/random.hpp"

namespace mitu::memory {
namespace {

bool write(Lane& lane, std::uint16_t kind, ByteView bytes) {
    const auto room = lane.try_reserve(kind, static_cast<std::uint32_t>(bytes.size()));
    if (!room) return false;
    if (!bytes.empty()) std::memcpy(room->data(), bytes.data(), bytes.size());
    lane.commit();
    return true;
}

}  // namespace

TEST(lane, keeps_order_and_bytes_across_the_end_of_the_ring) {
    Lane lane{256};
    Prng random{3};
    std::uint64_t written = 0;
    std::uint64_t read = 0;
    while (read < 5'000) {
        Bytes bytes(random.below(100));
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(written);
        if (random.chance(0.6) && write(lane, static_cast<std::uint16_t>(written % 1'000), bytes)) {
            ++written;
            lane.publish();
        } else if (const auto record = lane.peek()) {
            EXPECT_EQ(record->kind, read % 1'000);
            for (const auto byte : record->bytes) EXPECT_EQ(byte, static_cast<std::uint8_t>(read));
            lane.pop();
            lane.release();
            ++read;
        }
    }
}

TEST(lane, refuses_without_credit_and_takes_again_once_released) {
    Lane lane{128};
    const Bytes bytes(40);
    std::uint32_t taken = 0;
    while (write(lane, 1, bytes)) ++taken;
    EXPECT_EQ(taken, 2u);
    lane.publish();
    ASSERT_TRUE(lane.peek());
    lane.pop();
    EXPECT_FALSE(write(lane, 1, bytes)) << "credit returns with release(), not with pop()";
    lane.release();
    EXPECT_TRUE(write(lane, 1, bytes));
}

TEST(lane, shows_nothing_before_publish) {
    Lane lane{128};
    ASSERT_TRUE(write(lane, 7, as_bytes("x")));
    EXPECT_TRUE(lane.empty());
    EXPECT_TRUE(lane.has_unpublished());
    lane.publish();
    EXPECT_FALSE(lane.has_unpublished());
    EXPECT_FALSE(lane.empty());
    EXPECT_EQ(lane.peek()->kind, 7);
}

TEST(lane, a_record_of_half_the_ring_always_finds_room_in_an_empty_one) {
    Lane lane{256};
    const Bytes big(256 / 2 - 8);
    for (int shift = 0; shift < 40; ++shift) {
        ASSERT_TRUE(write(lane, 1, Bytes(static_cast<std::size_t>(shift))));
        lane.publish();
        while (lane.peek()) lane.pop();
        lane.release();
        ASSERT_TRUE(write(lane, 2, big)) << shift;
        lane.publish();
        while (lane.peek()) lane.pop();
        lane.release();
    }
}

TEST(lane, carries_every_record_between_two_threads) {
    Lane lane{4'096};
    constexpr std::uint64_t count = 100'000;
    std::thread writer{[&] {
        for (std::uint64_t i = 0; i < count;) {
            const auto room = lane.try_reserve(static_cast<std::uint16_t>(i),
                                               static_cast<std::uint32_t>(8 + i % 50));
            if (!room) {
                std::this_thread::yield();
                continue;
            }
            std::memcpy(room->data(), &i, sizeof i);
            lane.commit();
            lane.publish();
            ++i;
        }
    }};
    for (std::uint64_t i = 0; i < count;) {
        const auto record = lane.peek();
        if (!record) {
            std::this_thread::yield();
            continue;
        }
        std::uint64_t value = 0;
        std::memcpy(&value, record->bytes.data(), sizeof value);
        ASSERT_EQ(value, i);
        ASSERT_EQ(record->bytes.size(), static_cast<std::uint32_t>(8 + i % 50));
        lane.pop();
        lane.release();
        ++i;
    }
    writer.join();
}

TEST(lane, says_when_a_part_of_it_is_worth_passing_on) {
    Lane lane{1'024};
    const auto write = [&lane] {
        ASSERT_TRUE(lane.try_reserve(1, 24).has_value());
        lane.commit();
    };
    write();
    EXPECT_FALSE(lane.is_worth_publishing());
    write();
    EXPECT_TRUE(lane.is_worth_publishing()) << "a sixteenth: 64 bytes";
    lane.publish();
    EXPECT_FALSE(lane.is_worth_publishing());
    ASSERT_TRUE(lane.peek().has_value());
    lane.pop();
    EXPECT_FALSE(lane.is_worth_releasing());
    ASSERT_TRUE(lane.peek().has_value());
    lane.pop();
    EXPECT_TRUE(lane.is_worth_releasing());
    lane.release();
    EXPECT_FALSE(lane.is_worth_releasing());
    EXPECT_EQ(lane.free_bytes(), 1'024u);
}

}  // namespace mitu::memory
