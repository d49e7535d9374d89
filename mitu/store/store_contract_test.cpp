// What committer, reader and housekeeping promise together, on every engine.

#include <gtest/gtest.h>

#include "mitu/store/committer.hpp"
#include "mitu/store/housekeeping.hpp"
#include "mitu/store/reader.hpp"
#include "mitu/store/testing/engines.hpp"

namespace mitu::store {
namespace {

using testing::EngineKind;

constexpr ShardId shard0{0};
constexpr ShardId shard1{1};
constexpr WallTime wall{1'000'000};

class StoreContract : public ::testing::TestWithParam<EngineKind> {
protected:
    StoreContract() { begin(); }

    void begin() {
        CommitterOptions options;
        options.shards = 2;
        options.bytes_in_flight_max = 10'000;
        options.group_bytes_max = 20'000;
        options.free_bytes_min = 1'000'000;
        committer_.emplace(world_->engine(), options);
        reader_.emplace(world_->engine(), &*committer_, Reader::Options{.shards = 2});
        housekeeping_.emplace(world_->engine(), *committer_, Housekeeping::Options{.rows_max = 16});
    }

    Ticket submit(Batch batch, ShardId shard = shard0, Durability durability = Durability::sync) {
        batch.require(durability);
        const auto ticket = committer_->submit(shard, batch);
        EXPECT_TRUE(ticket);
        EXPECT_TRUE(batch.is_empty());
        return ticket.value_or(0);
    }
    Ticket commit(Batch batch) {
        const Ticket ticket = submit(std::move(batch));
        while (committer_->step(now_, wall).has_more) {
        }
        return ticket;
    }
    void keep_house() {
        for (int i = 0; i < 1'000; ++i) {
            const auto step = housekeeping_->step(now_, wall);
            ASSERT_TRUE(step) << step.error().detail;
            if (!step->has_more) return;
            now_ = now_ + Duration::seconds(2);
        }
        FAIL() << "housekeeping never ends";
    }
    std::vector<CommitReport> poll(ShardId shard) {
        std::vector<CommitReport> reports;
        committer_->poll(shard, reports);
        return reports;
    }
    Chunk ask(std::vector<Range> ranges, std::uint32_t rows_max = 1'000,
              std::uint64_t bytes_max = 1'000'000) {
        return read(
            world_->engine(),
            ReadRequest{.ranges = std::move(ranges), .rows_max = rows_max, .bytes_max = bytes_max},
            wall);
    }
    std::size_t rows_in(Family family) { return ask({whole(family)}).size(); }

    static QueueEntry holding(std::string_view payload) {
        QueueEntry entry{.qos = 1};
        entry.body = MessageRecord{.topic = "t", .payload = as_bytes(payload), .qos = 1};
        return entry;
    }
    static QueueEntry naming(MessageId message) { return {.qos = 1, .message = message}; }

    std::unique_ptr<testing::EngineWorld> world_ = GetParam().make();
    Instant now_ = Instant::from_ns(0);
    std::optional<Committer> committer_;
    std::optional<Reader> reader_;
    std::optional<Housekeeping> housekeeping_;
};

TEST_P(StoreContract, batches_of_all_shards_share_one_sync) {
    const auto syncs = committer_->counters().syncs.read();
    Ticket last0 = 0;
    Ticket last1 = 0;
    for (std::uint16_t i = 0; i < 20; ++i) {
        Batch batch;
        batch.put_inbound(SessionId{1}, i);
        last0 = submit(batch, shard0);
        last1 = submit(batch, shard1);
    }
    EXPECT_TRUE(poll(shard0).empty());
    while (committer_->step(now_, wall).has_more) {
    }
    EXPECT_EQ(committer_->counters().syncs.read() - syncs, 1u);
    const auto reports = poll(shard0);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_EQ(reports[0].through, last0);
    EXPECT_EQ(poll(shard1).back().through, last1);
    EXPECT_EQ(rows_in(Family::inbound), 20u);
}

TEST_P(StoreContract, async_is_reported_at_once_and_synced_within_its_delay) {
    Batch batch;
    batch.put_inbound(SessionId{1}, 1);
    submit(batch, shard0, Durability::async);
    const auto step = committer_->step(now_, wall);
    EXPECT_EQ(poll(shard0).size(), 1u);
    EXPECT_EQ(committer_->counters().syncs.read(), 0u);
    EXPECT_LE(step.deadline, now_ + Duration::milliseconds(100));
    (void)committer_->step(now_ + Duration::milliseconds(99), wall);
    EXPECT_EQ(committer_->counters().syncs.read(), 0u);
    (void)committer_->step(now_ + Duration::milliseconds(100), wall);
    EXPECT_EQ(committer_->counters().syncs.read(), 1u);
    (void)committer_->step(now_ + Duration::seconds(10), wall);
    EXPECT_EQ(committer_->counters().syncs.read(), 1u) << "nothing more to sync";
}

TEST_P(StoreContract, none_is_never_waited_for) {
    Batch batch;
    batch.put_inbound(SessionId{1}, 1);
    submit(batch, shard0, Durability::none);
    (void)committer_->step(now_, wall);
    (void)committer_->step(now_ + Duration::seconds(10), wall);
    EXPECT_EQ(committer_->counters().syncs.read(), 0u);
    EXPECT_EQ(rows_in(Family::inbound), 1u);
}

TEST_P(StoreContract, a_shard_with_too_much_in_flight_is_held_back_and_no_other) {
    const std::string payload(3'000, 'x');
    int accepted = 0;
    for (; accepted < 100; ++accepted) {
        Batch batch;
        batch.enqueue(SessionId{1}, static_cast<Position>(accepted), holding(payload));
        const std::uint64_t bytes = batch.size_bytes();
        if (!committer_->submit(shard0, batch)) {
            EXPECT_EQ(batch.size_bytes(), bytes) << "refused, and yet taken";
            break;
        }
    }
    EXPECT_EQ(accepted, 4);
    EXPECT_FALSE(committer_->may_submit(shard0));
    EXPECT_TRUE(committer_->may_submit(shard1));
    while (committer_->step(now_, wall).has_more) {
    }
    EXPECT_TRUE(committer_->may_submit(shard0));
}

TEST_P(StoreContract, resuming_gives_what_the_session_has_and_nothing_of_others) {
    const SessionId session{7};
    Batch batch;
    batch.put_session({"acme", "d1"}, {.id = session});
    batch.put_subscription(session, "a/#", {.options = 1});
    batch.put_message(MessageId{50}, {.topic = "shared", .payload = as_bytes("for many")});
    for (const SessionId each : {SessionId{6}, session, SessionId{8}}) {
        batch.enqueue(each, 1, holding("own"));
        batch.enqueue(each, 2, naming(MessageId{50}));
        batch.put_inbound(each, 9);
        batch.put_flight(each, 1, {.packet_id = 3});
    }
    commit(batch);
    const Chunk chunk = ask(resumption_of(session));
    EXPECT_TRUE(chunk.rest.empty());
    std::string seen;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
        const Chunk::Row row = chunk[i];
        EXPECT_EQ(id_of(row.key), session.value);
        seen += std::string{to_text(row.family)} + " ";
        if (row.family != Family::queue) continue;
        const auto message = decode_message(row.message);
        ASSERT_TRUE(message);
        seen += mitu::to_text(message->payload) + " ";
    }
    EXPECT_EQ(seen, "subscriptions inbound flight queue own queue for many ");

    const Chunk name = ask({session_row({"acme", "d1"})});
    ASSERT_EQ(name.size(), 1u);
    EXPECT_EQ(decode_session(name[0].value)->id, session);
    EXPECT_EQ(ask({session_row({"acme", "d"})}).size(), 0u);
    const Chunk last = ask({end_of_queue(session)});
    ASSERT_EQ(last.size(), 1u);
    EXPECT_EQ(second_id_of(last[0].key), 2u);
}

TEST_P(StoreContract, a_long_queue_comes_in_chunks_that_join_without_gap) {
    Batch batch;
    for (Position i = 0; i < 100; ++i) batch.enqueue(SessionId{1}, i, holding("12345678"));
    batch.enqueue(SessionId{2}, 0, holding("other"));
    commit(batch);
    std::vector<Range> rest{of_session(Family::queue, SessionId{1}),
                            of_session(Family::queue, SessionId{2})};
    std::vector<Position> seen;
    int chunks = 0;
    while (!rest.empty()) {
        const Chunk chunk =
            ask(rest, chunks % 2 == 0 ? 7 : 1'000, chunks % 2 == 0 ? 1'000'000 : 300);
        for (std::size_t i = 0; i < chunk.size(); ++i) seen.push_back(*second_id_of(chunk[i].key));
        rest = chunk.rest;
        ASSERT_LT(++chunks, 100);
    }
    ASSERT_EQ(seen.size(), 101u);
    for (Position i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
    EXPECT_GT(chunks, 10);
}

TEST_P(StoreContract, expired_and_missing_messages_are_left_out_and_counted) {
    Batch batch;
    QueueEntry expired = holding("old");
    expired.expires_at = WallTime{wall.unix_ms - 1};
    QueueEntry later = holding("new");
    later.expires_at = WallTime{wall.unix_ms + 1};
    batch.enqueue(SessionId{1}, 1, expired);
    batch.enqueue(SessionId{1}, 2, naming(MessageId{404}));
    batch.enqueue(SessionId{1}, 3, later);
    commit(batch);
    const Chunk chunk = ask({of_session(Family::queue, SessionId{1})});
    EXPECT_EQ(chunk.size(), 1u);
    EXPECT_EQ(chunk.missing.size(), 1u);
    EXPECT_LE(chunk.expired.size(), 1u);  // an engine may have dropped it
    Batch out;
    take_out_skipped(chunk, out);
    commit(out);
    keep_house();
    EXPECT_EQ(rows_in(Family::queue), 1u);
    EXPECT_EQ(rows_in(Family::references), 0u);
}

TEST_P(StoreContract, a_row_that_cannot_be_read_is_named_and_stepped_over) {
    Batch batch;
    batch.enqueue(SessionId{1}, 1, holding("a"));
    batch.put(Family::queue, key_of(1, 2), as_bytes("\xFFgarbage"));
    batch.enqueue(SessionId{1}, 3, holding("c"));
    commit(batch);
    const Chunk first = ask({of_session(Family::queue, SessionId{1})});
    ASSERT_TRUE(first.error);
    EXPECT_EQ(first.error->kind, ErrorKind::damaged);
    EXPECT_EQ(first.size(), 1u);
    const Chunk second = ask(first.rest);
    EXPECT_FALSE(second.error);
    EXPECT_EQ(second.size(), 1u);
}

TEST_P(StoreContract, a_shared_message_goes_with_its_last_entry) {
    Batch batch;
    batch.put_message(MessageId{9}, {.topic = "t", .payload = as_bytes("x")});
    for (std::uint64_t i = 1; i <= 3; ++i) batch.enqueue(SessionId{i}, 1, naming(MessageId{9}));
    commit(batch);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        EXPECT_EQ(rows_in(Family::messages), 1u);
        Batch taken;
        taken.dequeue(SessionId{i}, 1, MessageId{9});
        commit(taken);
        keep_house();
    }
    for (const Family family :
         {Family::messages, Family::references, Family::released, Family::queue}) {
        EXPECT_EQ(rows_in(family), 0u) << to_text(family);
    }
}

TEST_P(StoreContract, a_session_that_ends_leaves_nothing_and_takes_nothing_of_others) {
    Batch batch;
    batch.put_message(MessageId{9}, {.topic = "t", .payload = as_bytes("x")});
    for (const SessionId each : {SessionId{1}, SessionId{2}}) {
        batch.put_session({"t", each.value == 1 ? "one" : "two"}, {.id = each});
        batch.put_subscription(each, "f", {});
        batch.put_will(each, WillId{1}, {});
        batch.put_inbound(each, 1);
        batch.put_flight(each, 1, {.packet_id = 1});
        batch.join_stream(each, StreamId{3}, 1);
        for (Position i = 0; i < 40; ++i) batch.enqueue(each, i, holding("x"));
        batch.enqueue(each, 40, naming(MessageId{9}));
    }
    commit(batch);
    Batch end;
    end.end_session({"t", "one"}, SessionId{1});
    commit(end);
    EXPECT_EQ(rows_in(Family::sessions), 1u);
    keep_house();
    EXPECT_EQ(rows_in(Family::queue), 41u);
    for (const Family family : {Family::subscriptions, Family::inbound, Family::flight,
                                Family::cursors, Family::stream_order, Family::messages}) {
        EXPECT_EQ(rows_in(family), 1u) << to_text(family);
    }
    EXPECT_EQ(rows_in(Family::wills), 2u) << "they outlast their sessions";
    EXPECT_EQ(rows_in(Family::discards), 0u);
}

TEST_P(StoreContract,
       a_stream_is_trimmed_below_the_last_cursor_and_one_that_stands_still_costs_no_other) {
    const StreamId stream{1};
    Batch batch;
    for (std::uint64_t session = 1; session <= 3; ++session) {
        batch.join_stream(SessionId{session}, stream, 0);
    }
    for (Position i = 0; i < 30; ++i) batch.append_to_stream(stream, i, holding("m"));
    batch.append_to_stream(StreamId{2}, 5, holding("nobody reads this"));
    commit(batch);
    keep_house();
    EXPECT_EQ(rows_in(Family::streams), 30u);  // the other stream has no reader

    Batch on;
    on.move_cursor(SessionId{1}, stream, 0, 30);
    on.move_cursor(SessionId{2}, stream, 0, 10);
    on.move_cursor(SessionId{3}, stream, 0, 20);
    commit(on);
    now_ = now_ + Duration::seconds(5);
    keep_house();
    EXPECT_EQ(rows_in(Family::streams), 20u);
    EXPECT_EQ(ask({stream_from(stream, 25)}).size(), 5u);

    Batch gone;
    gone.leave_stream(SessionId{2}, stream, 10);
    commit(gone);
    now_ = now_ + Duration::seconds(5);
    keep_house();
    EXPECT_EQ(rows_in(Family::streams), 10u);
}

TEST_P(StoreContract, a_reader_waits_for_the_batch_it_is_to_see) {
    Batch batch;
    batch.enqueue(SessionId{1}, 1, holding("x"));
    const Ticket ticket = submit(batch);
    ASSERT_TRUE(reader_->ask({.token = 5,
                              .shard = shard0,
                              .ranges = {of_session(Family::queue, SessionId{1})},
                              .after = ticket}));
    ASSERT_TRUE(reader_->ask({.token = 6, .shard = shard1, .ranges = {whole(Family::meta)}}));
    EXPECT_TRUE(reader_->step(wall));  // the other one goes ahead
    EXPECT_FALSE(reader_->step(wall));
    (void)committer_->step(now_, wall);
    EXPECT_TRUE(reader_->step(wall));
    std::vector<Chunk> chunks;
    reader_->poll(shard0, chunks);
    ASSERT_EQ(chunks.size(), 1u);
    EXPECT_EQ(chunks[0].token, 5u);
    EXPECT_EQ(chunks[0].size(), 1u);
    reader_->poll(shard1, chunks);
    ASSERT_EQ(chunks.size(), 1u);
    EXPECT_EQ(chunks[0].token, 6u);
}

TEST_P(StoreContract, short_space_refuses_growth_before_the_disk_does_and_takes_it_again) {
    if (!world_->can_fill()) GTEST_SKIP() << "a real disk is not filled here";
    (void)committer_->step(now_, wall);
    EXPECT_TRUE(committer_->accepts_growth());
    world_->set_room(900'000);
    now_ = now_ + Duration::seconds(2);
    (void)committer_->step(now_, wall);
    EXPECT_FALSE(committer_->accepts_growth());
    // What gives space back, and what was on its way, still goes.
    Batch batch;
    batch.put_inbound(SessionId{1}, 1);
    commit(batch);
    ASSERT_FALSE(poll(shard0).empty());

    world_->set_room(1'200'000);  // no flutter at the edge
    now_ = now_ + Duration::seconds(2);
    (void)committer_->step(now_, wall);
    EXPECT_FALSE(committer_->accepts_growth());
    world_->set_room(3'000'000);
    now_ = now_ + Duration::seconds(2);
    (void)committer_->step(now_, wall);
    EXPECT_TRUE(committer_->accepts_growth());
}

TEST_P(StoreContract, a_full_disk_keeps_what_it_was_given_until_it_can_be_written) {
    if (!world_->can_fill()) GTEST_SKIP() << "a real disk is not filled here";
    world_->set_room(0);
    const std::string payload(5'000, 'x');
    Ticket given = 0;
    Ticket stored = 0;
    for (Position i = 0; i < 2'000 && committer_->may_submit(shard0); ++i) {
        Batch batch;
        batch.enqueue(SessionId{1}, i, holding(payload));
        commit(batch);
        ++given;
        for (const CommitReport& report : poll(shard0)) stored = report.through;
        if (committer_->trouble()) break;
    }
    ASSERT_TRUE(committer_->trouble());
    EXPECT_EQ(committer_->trouble()->kind, ErrorKind::disk_full);
    EXPECT_LT(stored, given);
    EXPECT_FALSE(committer_->accepts_growth());
    (void)ask({of_session(Family::queue, SessionId{1})});  // reads go on

    world_->set_room(100'000'000);
    for (int i = 0; i < 3; ++i) {
        now_ = now_ + Duration::seconds(2);
        (void)committer_->step(now_, wall);
    }
    EXPECT_TRUE(committer_->accepts_growth()) << committer_->trouble()->detail;
    EXPECT_EQ(poll(shard0).back().through, given);
    EXPECT_EQ(committer_->counters().recoveries.read(), 1u);
}

TEST_P(StoreContract, what_was_acknowledged_is_there_after_a_loss_of_power) {
    Batch batch;
    batch.put_session({"t", "c"}, {.id = SessionId{1}});
    batch.put_message(MessageId{4}, {.topic = "t", .payload = as_bytes("kept")});
    batch.enqueue(SessionId{1}, 1, naming(MessageId{4}));
    commit(batch);
    ASSERT_FALSE(poll(shard0).empty());
    reader_.reset();
    housekeeping_.reset();
    committer_.reset();
    if (!world_->crash()) GTEST_SKIP() << "keeps nothing";
    begin();
    const Chunk chunk = ask(resumption_of(SessionId{1}));
    ASSERT_EQ(chunk.size(), 1u);
    EXPECT_EQ(as_text(decode_message(chunk[0].message)->payload), "kept");
}

INSTANTIATE_TEST_SUITE_P(kinds, StoreContract, ::testing::ValuesIn(testing::engine_kinds()),
                         testing::name_of_kind);

}  // namespace
}  // namespace mitu::store
