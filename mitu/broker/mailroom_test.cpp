#include "mitu/broker/mailroom.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "mitu/broker/mail.hpp"

namespace mitu::broker {
namespace {

/// Waits as a real network does, and knows nothing but being woken.
class Bed final : public ports::Network {
public:
    void poll(Instant /*deadline*/, std::vector<ports::NetworkEvent>& events) override {
        events.clear();
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return is_woken_; });
        is_woken_ = false;
    }
    void wake() noexcept override {
        {
            const std::lock_guard lock{mutex_};
            is_woken_ = true;
        }
        changed_.notify_one();
    }
    [[nodiscard]] std::size_t write(ports::ConnectionId, std::span<const ByteView>) override {
        return 0;
    }
    void pause_reading(ports::ConnectionId) override {}
    void resume_reading(ports::ConnectionId) override {}
    void close(ports::ConnectionId) override {}
    [[nodiscard]] ports::DetachedConnection detach(ports::ConnectionId) override { return {}; }
    [[nodiscard]] ports::ConnectionId attach(ports::DetachedConnection) override { return {}; }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_woken_ = false;
};

TEST(mailroom, has_a_lane_of_each_kind_between_any_two_shards) {
    Mailroom mailroom{3, {1u << 13, 1u << 14, 1u << 15}};
    EXPECT_EQ(mailroom.shard_count(), 3);
    memory::Lane* const first = &mailroom.lane(ShardId{0}, ShardId{1}, LaneKind::control);
    EXPECT_EQ(first->capacity_bytes(), 1u << 13);
    EXPECT_EQ(mailroom.lane(ShardId{2}, ShardId{0}, LaneKind::deliver).capacity_bytes(), 1u << 14);
    EXPECT_EQ(mailroom.lane(ShardId{1}, ShardId{2}, LaneKind::publish).capacity_bytes(), 1u << 15);
    EXPECT_NE(first, &mailroom.lane(ShardId{1}, ShardId{0}, LaneKind::control));
}

TEST(mailroom, wakes_only_those_who_sleep) {
    struct Counting final : ports::Network {
        int wakes = 0;
        void poll(Instant, std::vector<ports::NetworkEvent>&) override {}
        void wake() noexcept override { ++wakes; }
        std::size_t write(ports::ConnectionId, std::span<const ByteView>) override { return 0; }
        void pause_reading(ports::ConnectionId) override {}
        void resume_reading(ports::ConnectionId) override {}
        void close(ports::ConnectionId) override {}
        ports::DetachedConnection detach(ports::ConnectionId) override { return {}; }
        ports::ConnectionId attach(ports::DetachedConnection) override { return {}; }
    } network;
    Mailroom mailroom{2};
    mailroom.wake(ShardId{0});  // nobody is connected yet
    mailroom.connect(ShardId{0}, &network);
    mailroom.wake(ShardId{0});
    EXPECT_EQ(network.wakes, 0);
    mailroom.fall_asleep(ShardId{0});
    mailroom.wake(ShardId{0});
    mailroom.wake(ShardId{0});
    EXPECT_EQ(network.wakes, 1) << "once";
    mailroom.fall_asleep(ShardId{0});
    mailroom.stay_awake(ShardId{0});
    mailroom.wake(ShardId{0});
    EXPECT_EQ(network.wakes, 1);
    mailroom.fall_asleep(ShardId{0});
    mailroom.connect(ShardId{0}, nullptr);
    mailroom.wake(ShardId{0});
    EXPECT_EQ(network.wakes, 1);
}

/// Two threads hand a number back and forth, and sleep in between whenever nothing is there. A
/// wake-up that gets lost stops both for ever: the test's time limit tells.
TEST(mailroom, loses_no_wake_up_between_threads) {
    constexpr std::uint32_t rounds = 20'000;
    Mailroom mailroom{2, {1u << 13, 1u << 13, 1u << 13}};
    Bed beds[2];
    for (std::uint16_t i = 0; i < 2; ++i) mailroom.connect(ShardId{i}, &beds[i]);
    const auto send = [&](ShardId from, ShardId to, std::uint32_t number) {
        auto& lane = mailroom.lane(from, to, LaneKind::control);
        const auto room = lane.try_reserve(1, sizeof number);
        ASSERT_TRUE(room);
        std::memcpy(room->data(), &number, sizeof number);
        lane.commit();
        lane.publish();
        mailroom.wake(to);
    };
    const auto play = [&](std::uint16_t self) {
        const ShardId me{self};
        const ShardId other{static_cast<std::uint16_t>(1 - self)};
        auto& inbox = mailroom.lane(other, me, LaneKind::control);
        std::vector<ports::NetworkEvent> events;
        std::uint32_t last = 0;
        while (last < rounds) {
            mailroom.fall_asleep(me);
            if (inbox.empty()) beds[self].poll(Instant::never(), events);
            mailroom.stay_awake(me);
            while (const auto record = inbox.peek()) {
                std::memcpy(&last, record->bytes.data(), sizeof last);
                inbox.pop();
                inbox.release();
                send(me, other, last + 1);
            }
        }
    };
    std::thread second{[&] { play(1); }};
    send(ShardId{0}, ShardId{1}, 1);
    play(0);
    second.join();
}

/// One thread fills a small lane as fast as it can and sleeps when it is full; the other empties
/// it and sleeps when it is empty.
TEST(mailroom, loses_no_credit_between_threads) {
    constexpr std::uint32_t count = 50'000;
    Mailroom mailroom{2, {1u << 13, 1u << 13, 1u << 10}};
    Bed beds[2];
    for (std::uint16_t i = 0; i < 2; ++i) mailroom.connect(ShardId{i}, &beds[i]);
    auto& lane = mailroom.lane(ShardId{0}, ShardId{1}, LaneKind::publish);
    std::thread reader{[&] {
        std::vector<ports::NetworkEvent> events;
        for (std::uint32_t expected = 0; expected < count;) {
            mailroom.fall_asleep(ShardId{1});
            if (lane.empty()) beds[1].poll(Instant::never(), events);
            mailroom.stay_awake(ShardId{1});
            while (const auto record = lane.peek()) {
                std::uint32_t number = 0;
                std::memcpy(&number, record->bytes.data(), sizeof number);
                EXPECT_EQ(number, expected);
                ++expected;
                lane.pop();
            }
            lane.release();
            mailroom.wake(ShardId{0});
        }
    }};
    std::vector<ports::NetworkEvent> events;
    for (std::uint32_t number = 0; number < count;) {
        const auto room = lane.try_reserve(1, 4 + number % 200);
        if (room) {
            std::memcpy(room->data(), &number, sizeof number);
            lane.commit();
            ++number;
            continue;
        }
        lane.publish();
        mailroom.wake(ShardId{1});
        mailroom.fall_asleep(ShardId{0});
        if (!lane.has_free(512)) beds[0].poll(Instant::never(), events);
        mailroom.stay_awake(ShardId{0});
    }
    lane.publish();
    mailroom.wake(ShardId{1});
    reader.join();
}

}  // namespace
}  // namespace mitu::broker
