#pragma once
// What every ports::Network promises, as tests. An implementation includes this header in its test,
// describes its world and instantiates the suite:
//   INSTANTIATE_TEST_SUITE_P(epoll, NetworkContract, testing::Values(&make_epoll_world));

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "mitu/ports/network.hpp"

namespace mitu::ports {

/// The far end of a connection. Nothing waits: calls do what is possible now.
class ContractPeer {
public:
    virtual ~ContractPeer() = default;  // closes
    /// How many bytes were taken.
    virtual std::size_t send(ByteView bytes) = 0;
    /// What has arrived.
    virtual Bytes receive() = 0;
    /// The network's side has closed in good order, and receive() has returned every byte.
    virtual bool has_seen_end() = 0;
    /// The connection broke instead.
    virtual bool has_seen_reset() = 0;
    virtual void finish_sending() = 0;
    virtual void reset() = 0;
};

/// Two networks (shards); the first one accepts. Sockets hold at most a few MiB in flight.
class ContractWorld {
public:
    virtual ~ContractWorld() = default;
    virtual Network& first() = 0;
    virtual Network& second() = 0;
    virtual std::unique_ptr<ContractPeer> connect() = 0;
    virtual Instant now() = 0;
    /// Every connection is settled as soon as it is open, so that none moves.
    virtual bool settles() { return false; }
};

using MakeContractWorld = std::unique_ptr<ContractWorld> (*)();

class NetworkContract : public testing::TestWithParam<MakeContractWorld> {
protected:
    using Kind = NetworkEvent::Kind;
    struct Seen {
        Kind kind;
        ConnectionId connection;
    };
    struct Stream {
        ConnectionId id;
        std::unique_ptr<ContractPeer> peer;
    };

    void SetUp() override {
        if (world_ == nullptr) GTEST_SKIP() << "this machine does not have it";
    }
    Network& first() { return world_->first(); }
    Network& second() { return world_->second(); }

    /// Polls both networks until `done`; false: it did not become so in a long time.
    bool run_until(const std::function<bool()>& done) {
        const Instant give_up = world_->now() + Duration::seconds(20);
        while (!done()) {
            if (world_->now() > give_up) return false;
            poll(first(), Duration::milliseconds(1));
            poll(second(), Duration{});
        }
        return true;
    }

    /// Polls a few times more: for what must not come.
    void run_a_little() {
        for (int i = 0; i < 5; ++i) {
            poll(first(), Duration::milliseconds(2));
            poll(second(), Duration{});
        }
    }

    void poll(Network& network, Duration wait) {
        network.poll(world_->now() + wait, events_);
        for (const NetworkEvent& event : events_) {
            seen_.push_back({event.kind, event.connection});
            if (event.kind == Kind::received) {
                EXPECT_FALSE(event.bytes.empty());
                received_.insert(received_.end(), event.bytes.begin(), event.bytes.end());
            }
            if (event.kind == Kind::opened) peer_address_ = event.peer;
            if (event.kind == Kind::opened && world_->settles()) network.settle(event.connection);
        }
    }

    [[nodiscard]] std::size_t count(Kind kind) const {
        std::size_t n = 0;
        for (const Seen& seen : seen_) n += seen.kind == kind ? 1 : 0;
        return n;
    }

    Stream open() {
        seen_.clear();
        Stream stream;
        stream.peer = world_->connect();
        EXPECT_TRUE(run_until([&] { return count(Kind::opened) == 1; }));
        stream.id = seen_.empty() ? ConnectionId{} : seen_.back().connection;
        seen_.clear();
        return stream;
    }

    /// Offers all of `bytes` as often as it takes, polling and letting `peer` read in between.
    bool write_all(Network& network, ConnectionId id, ByteView bytes, ContractPeer& peer,
                   Bytes& arrived) {
        bool may_write = true;
        const auto drain_peer = [&] {
            const Bytes more = peer.receive();
            arrived.insert(arrived.end(), more.begin(), more.end());
        };
        return run_until([&] {
            drain_peer();
            for (const Seen& seen : seen_) may_write |= seen.kind == Kind::writable;
            seen_.clear();
            if (!bytes.empty() && may_write) {
                const ByteView part = bytes;
                const std::size_t taken = network.write(id, std::span{&part, 1});
                may_write = taken == bytes.size();
                bytes = bytes.subspan(taken);
            }
            return bytes.empty();
        });
    }

    std::size_t write(Network& network, ConnectionId id, std::string_view text) {
        const ByteView part = as_bytes(text);
        return network.write(id, std::span{&part, 1});
    }

    std::unique_ptr<ContractWorld> world_ = GetParam()();
    std::vector<NetworkEvent> events_;
    std::vector<Seen> seen_;
    Bytes received_;
    PeerAddress peer_address_;
};

/// Bytes in which a loss, a repetition or a swap shows.
inline Bytes make_pattern(std::size_t size) {
    Bytes bytes(size);
    std::uint32_t x = 1;
    for (auto& byte : bytes) {
        x = x * 1'664'525 + 1'013'904'223;
        byte = static_cast<std::uint8_t>(x >> 24);
    }
    return bytes;
}

TEST_P(NetworkContract, tells_of_opening_bytes_and_end_in_this_order) {
    const auto peer = world_->connect();
    peer->send(as_bytes("hello"));
    peer->finish_sending();
    ASSERT_TRUE(run_until([&] { return count(Kind::closed) == 1; }));
    run_a_little();
    ASSERT_GE(seen_.size(), 3u);
    EXPECT_EQ(seen_.front().kind, Kind::opened);
    EXPECT_EQ(seen_.back().kind, Kind::closed);
    EXPECT_EQ(count(Kind::opened), 1u);
    EXPECT_EQ(count(Kind::closed), 1u);
    for (const Seen& seen : seen_) EXPECT_EQ(seen.connection, seen_.front().connection);
    EXPECT_EQ(to_text(received_), "hello");
    EXPECT_NE(peer_address_.port, 0);
}

TEST_P(NetworkContract, does_not_tell_of_the_end_in_the_poll_that_brought_the_last_bytes) {
    if (world_->settles()) GTEST_SKIP() << "a settled connection does not move";
    const auto peer = world_->connect();
    peer->send(as_bytes("last words"));
    peer->finish_sending();
    ASSERT_TRUE(run_until([&] { return count(Kind::received) != 0; }));
    EXPECT_EQ(count(Kind::closed), 0u);
    // So there is time to give the connection away, and its end goes with it.
    const ConnectionId moved = second().attach(first().detach(seen_.front().connection));
    ASSERT_FALSE(moved.is_none());
    seen_.clear();
    ASSERT_TRUE(run_until([&] { return count(Kind::closed) == 1; }));
    EXPECT_EQ(seen_.back().connection, moved);
    EXPECT_EQ(to_text(received_), "last words");
}

TEST_P(NetworkContract, waits_until_the_deadline_and_not_past_a_wake) {
    const Instant start = world_->now();
    first().poll(start + Duration::milliseconds(5), events_);
    EXPECT_GE(world_->now(), start + Duration::milliseconds(5));
    EXPECT_TRUE(events_.empty());

    first().poll(start, events_);  // a deadline that has passed: no wait
    first().wake();
    first().poll(Instant::never(), events_);  // would never return but for the wake
    EXPECT_TRUE(events_.empty());
}

TEST_P(NetworkContract, a_short_write_is_followed_by_writable_once_there_is_room) {
    Stream stream = open();
    const Bytes bytes = make_pattern(33'554'432);
    const ByteView part = bytes;
    const std::size_t taken = first().write(stream.id, std::span{&part, 1});
    ASSERT_GT(taken, 0u);
    ASSERT_LT(taken, bytes.size());
    run_a_little();
    EXPECT_EQ(count(Kind::writable), 0u);  // the peer has read nothing yet

    Bytes arrived;
    ASSERT_TRUE(run_until([&] {
        const Bytes more = stream.peer->receive();
        arrived.insert(arrived.end(), more.begin(), more.end());
        return count(Kind::writable) == 1;
    }));
    seen_.clear();
    ASSERT_TRUE(write_all(first(), stream.id, part.subspan(taken), *stream.peer, arrived));
    first().close(stream.id);
    ASSERT_TRUE(run_until([&] {
        const Bytes more = stream.peer->receive();
        arrived.insert(arrived.end(), more.begin(), more.end());
        return stream.peer->has_seen_end();
    }));
    EXPECT_TRUE(arrived == bytes);
}

TEST_P(NetworkContract, writes_many_parts_in_order) {
    Stream stream = open();
    const Bytes bytes = make_pattern(5'000);
    std::vector<ByteView> parts;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        parts.push_back(ByteView{bytes}.subspan(i, 1));
        if (i % 7 == 0) parts.emplace_back();  // empty parts are no end
    }
    Bytes arrived;
    std::size_t written = 0;
    bool may_write = true;
    ASSERT_TRUE(run_until([&] {
        for (const Seen& seen : seen_) may_write |= seen.kind == Kind::writable;
        seen_.clear();
        if (written < bytes.size() && may_write) {
            std::size_t bytes_before = 0;
            std::size_t skip = 0;
            while (bytes_before < written) bytes_before += parts[skip++].size();
            const std::size_t taken = first().write(stream.id, std::span{parts}.subspan(skip));
            written += taken;
            may_write = written == bytes.size();
        }
        const Bytes more = stream.peer->receive();
        arrived.insert(arrived.end(), more.begin(), more.end());
        return arrived.size() == bytes.size();
    }));
    EXPECT_TRUE(arrived == bytes);
}

TEST_P(NetworkContract, a_paused_connection_is_silent_and_loses_nothing) {
    Stream stream = open();
    const Bytes bytes = make_pattern(300'000);
    first().pause_reading(stream.id);
    ByteView rest = bytes;
    rest = rest.subspan(stream.peer->send(rest));
    run_a_little();
    EXPECT_EQ(count(Kind::received), 0u);

    first().resume_reading(stream.id);
    bool paused = false;
    ASSERT_TRUE(run_until([&] {
        if (!rest.empty()) rest = rest.subspan(stream.peer->send(rest));
        // On and off, at whatever point of the stream.
        paused = !paused;
        paused ? first().pause_reading(stream.id) : first().resume_reading(stream.id);
        return received_.size() == bytes.size();
    }));
    EXPECT_TRUE(received_ == bytes);
}

TEST_P(NetworkContract, a_paused_connection_keeps_bytes_and_end_until_it_is_resumed) {
    Stream stream = open();
    first().pause_reading(stream.id);
    stream.peer->send(as_bytes("last words"));
    stream.peer->finish_sending();
    run_a_little();
    EXPECT_TRUE(seen_.empty());

    first().resume_reading(stream.id);
    ASSERT_TRUE(run_until([&] { return count(Kind::closed) == 1; }));
    EXPECT_EQ(to_text(received_), "last words");
    EXPECT_EQ(seen_.front().kind, Kind::received);
}

TEST_P(NetworkContract, a_paused_connection_that_breaks_is_closed_at_once) {
    Stream stream = open();
    first().pause_reading(stream.id);
    stream.peer->reset();
    ASSERT_TRUE(run_until([&] { return count(Kind::closed) == 1; }));
    EXPECT_EQ(count(Kind::received), 0u);
}

TEST_P(NetworkContract, close_lets_the_last_bytes_arrive_though_the_peer_still_sends) {
    Stream stream = open();
    stream.peer->send(as_bytes("unread when close() comes"));
    EXPECT_EQ(write(first(), stream.id, "goodbye"), 7u);
    first().close(stream.id);
    stream.peer->send(as_bytes("and more after it"));
    Bytes arrived;
    ASSERT_TRUE(run_until([&] {
        const Bytes more = stream.peer->receive();
        arrived.insert(arrived.end(), more.begin(), more.end());
        return stream.peer->has_seen_end() || stream.peer->has_seen_reset();
    }));
    EXPECT_EQ(to_text(arrived), "goodbye");
    EXPECT_FALSE(stream.peer->has_seen_reset());
    stream.peer->finish_sending();
    run_a_little();
    EXPECT_TRUE(seen_.empty()) << "an event named a connection after close()";
}

TEST_P(NetworkContract, a_reset_is_closed_and_writes_to_it_take_nothing) {
    Stream stream = open();
    stream.peer->reset();
    ASSERT_TRUE(run_until([&] {
        // Written before the network has heard of the reset: no signal, no crash.
        const std::size_t taken = write(first(), stream.id, "x");
        EXPECT_LE(taken, 1u);
        return count(Kind::closed) == 1;
    }));
    EXPECT_EQ(write(first(), stream.id, "x"), 0u);
    run_a_little();
    EXPECT_EQ(count(Kind::closed), 1u);
}

TEST_P(NetworkContract, stale_ids_do_nothing) {
    Stream stream = open();
    first().close(stream.id);
    Stream next = open();
    for (const ConnectionId stale : {stream.id, ConnectionId{}, ConnectionId{1'000'000, 1},
                                     ConnectionId{next.id.index, next.id.generation + 1}}) {
        EXPECT_EQ(write(first(), stale, "x"), 0u);
        first().pause_reading(stale);
        first().resume_reading(stale);
        first().close(stale);
        const DetachedConnection nothing = first().detach(stale);
        EXPECT_TRUE(first().attach(nothing).is_none());
    }
    EXPECT_EQ(write(first(), next.id, "ok"), 2u);
    Bytes arrived;
    ASSERT_TRUE(run_until([&] {
        const Bytes more = next.peer->receive();
        arrived.insert(arrived.end(), more.begin(), more.end());
        return arrived.size() == 2;
    }));
    EXPECT_EQ(to_text(arrived), "ok");
}

TEST_P(NetworkContract, a_connection_moves_between_shards_in_midstream) {
    if (world_->settles()) GTEST_SKIP() << "a settled connection does not move";
    Stream stream = open();
    const Bytes bytes = make_pattern(2'000'000);
    ByteView rest = bytes;
    Network* owner = &first();
    ConnectionId id = stream.id;
    int moves = 0;
    ASSERT_TRUE(run_until([&] {
        if (!rest.empty()) rest = rest.subspan(stream.peer->send(rest));
        Network* const other = owner == &first() ? &second() : &first();
        const DetachedConnection moving = owner->detach(id);
        EXPECT_EQ(owner->write(id, {}), 0u);  // stale here from now on
        id = other->attach(moving);
        owner = other;
        ++moves;
        return received_.size() == bytes.size() || id.is_none();
    }));
    EXPECT_TRUE(received_ == bytes);
    EXPECT_GT(moves, 2);
    EXPECT_EQ(count(Kind::opened), 0u);  // only a listener opens

    const Bytes answer = make_pattern(500'000);
    Bytes arrived;
    ASSERT_TRUE(write_all(*owner, id, answer, *stream.peer, arrived));
    ASSERT_TRUE(run_until([&] {
        const Bytes more = stream.peer->receive();
        arrived.insert(arrived.end(), more.begin(), more.end());
        return arrived.size() == answer.size();
    }));
    EXPECT_TRUE(arrived == answer);
}

TEST_P(NetworkContract, bytes_and_end_that_came_before_attach_are_reported_after_it) {
    if (world_->settles()) GTEST_SKIP() << "a settled connection does not move";
    Stream stream = open();
    const DetachedConnection moving = first().detach(stream.id);
    EXPECT_EQ(moving.peer, peer_address_);
    stream.peer->send(as_bytes("in between"));
    stream.peer->finish_sending();
    run_a_little();
    EXPECT_TRUE(seen_.empty());
    const ConnectionId id = second().attach(moving);
    ASSERT_FALSE(id.is_none());
    ASSERT_TRUE(run_until([&] { return count(Kind::closed) == 1; }));
    EXPECT_EQ(to_text(received_), "in between");
}

}  // namespace mitu::ports
