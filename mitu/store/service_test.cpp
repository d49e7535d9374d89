#include "mitu/store/service.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "mitu/store/memory_engine.hpp"

namespace mitu::store {
namespace {

class TestClock final : public ports::Clock {
public:
    Instant now() const noexcept override { return Instant::from_ns(1'000 * ticks_.fetch_add(1)); }
    WallTime wall() const noexcept override { return {1'000'000}; }

private:
    mutable std::atomic<std::int64_t> ticks_{0};
};

TEST(service, shards_submit_and_read_while_its_threads_run) {
    MemoryEngine engine;
    TestClock clock;
    std::atomic<int> wakes{0};
    Service::Options options;
    options.committer.shards = 2;
    Service service{engine, clock, options, [&](ShardId) { ++wakes; }};
    service.start();
    constexpr Position messages = 200;
    const auto run_shard = [&](ShardId shard) {
        const SessionId session{shard.value + 1U};
        Batch batch;
        std::vector<CommitReport> reports;
        Ticket last = 0;
        for (Position i = 0; i < messages;) {
            QueueEntry entry{.qos = 1};
            entry.body.topic = "t";
            batch.enqueue(session, i, entry);
            batch.require(Durability::sync);
            const auto ticket = service.committer().submit(shard, batch);
            if (!ticket) {
                batch.clear();
                std::this_thread::yield();
                continue;
            }
            last = *ticket;
            ++i;
        }
        EXPECT_TRUE(service.reader().ask({.token = 9,
                                          .shard = shard,
                                          .ranges = {of_session(Family::queue, session)},
                                          .after = last}));
        std::vector<Chunk> chunks;
        while (chunks.empty()) {
            service.reader().poll(shard, chunks);
            std::this_thread::yield();
        }
        EXPECT_EQ(chunks[0].size(), messages);
        Ticket through = 0;
        while (through < last) {
            service.committer().poll(shard, reports);
            for (const CommitReport& report : reports) {
                EXPECT_GT(report.through, through);
                through = report.through;
            }
            std::this_thread::yield();
        }
    };
    std::thread first{run_shard, ShardId{0}};
    std::thread second{run_shard, ShardId{1}};
    first.join();
    second.join();
    service.stop();
    EXPECT_GT(wakes.load(), 0);
    EXPECT_LE(service.committer().counters().syncs.read(), 2 * messages);
}

TEST(service, what_was_submitted_before_stop_is_written) {
    MemoryEngine engine;
    TestClock clock;
    Service service{engine, clock, {}, {}};
    service.start();
    Batch batch;
    batch.put_inbound(SessionId{1}, 1);
    ASSERT_TRUE(service.committer().submit(ShardId{0}, batch));
    service.stop();
    EXPECT_TRUE(engine.scan(Family::inbound, {}, {})->next());
}

TEST(service, a_simulator_steps_it_without_threads) {
    MemoryEngine engine;
    TestClock clock;
    Service service{engine, clock, {}, {}};
    Batch batch;
    batch.put_session({"t", "c"}, {.id = SessionId{1}});
    batch.put_inbound(SessionId{1}, 1);
    batch.end_session({"t", "c"}, SessionId{1});
    ASSERT_TRUE(service.committer().submit(ShardId{0}, batch));
    ASSERT_TRUE(service.reader().ask({.token = 1, .ranges = {whole(Family::inbound)}, .after = 1}));
    (void)service.step(Instant::from_ns(0), {1});
    std::vector<Chunk> chunks;
    service.reader().poll(ShardId{0}, chunks);
    ASSERT_EQ(chunks.size(), 1u);
    (void)service.step(Instant::from_ns(1'000'000'000), {1});
    EXPECT_FALSE(engine.scan(Family::inbound, {}, {})->next()) << "the house was kept";
}

}  // namespace
}  // namespace mitu::store
