#include "mitu/store/schema.hpp"

#include <gtest/gtest.h>

#include "mitu/store/check.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/testing/engines.hpp"

namespace mitu::store {
namespace {

class Schema : public ::testing::TestWithParam<testing::EngineKind> {
protected:
    Engine& engine() { return world_->engine(); }
    void write(const Batch& batch) { ASSERT_TRUE(engine().write(batch.bytes(), true)); }

    /// As version 1 wrote it, byte by byte: no code of today is asked for the layout.
    void write_version_1() {
        Batch batch;
        const std::uint8_t plain[] = {7, 5,  60,
                                      0, 10, 0};  // id, protocol, expiry, never, seen, no extra
        batch.put(Family::sessions, key_of(Name{"acme", "plain"}), plain);
        const std::uint8_t with_will[] = {
            8,  5, 60, 0,   10,  1,   'x',                     // the same, with an extra
            30, 0,                                             // delay, never due
            1,  0, 3,  'o', 'f', 'f', 0,   0, 'b', 'y', 'e'};  // QoS 1, stored at 0, topic, payload
        batch.put(Family::sessions, key_of(Name{"acme", "with-will"}), with_will);
        write(batch);
    }
    std::optional<WillRecord> will(std::uint64_t session) {
        auto value = engine().get(Family::wills, key_of(session));
        if (!value || !*value) return std::nullopt;
        bytes_ = std::move(**value);
        return decode_will(bytes_);
    }

    std::unique_ptr<testing::EngineWorld> world_ = GetParam().make();
    Bytes bytes_;
};

TEST_P(Schema, a_new_store_gets_a_node_once_and_a_generation_each_start) {
    const auto first = begin_generation(engine(), 77);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->schema, schema_version);
    EXPECT_EQ(first->generation, 1u);
    EXPECT_EQ(first->node, 77u);
    EXPECT_EQ(first->migrated_from, 0u);
    if (GetParam().name != "memory") (void)world_->crash();
    const auto second = begin_generation(engine(), 78);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->generation, 2u);
    EXPECT_EQ(second->node, 77u);
}

TEST_P(Schema, numbers_go_on_when_the_count_of_starts_is_lost) {
    constexpr std::uint32_t starts = 41;
    const SessionId id = IdMint{starts, ShardId{3}}.next<SessionId>();
    const auto lose_count = [&] {
        Batch batch;
        for (const char* name : {"generation", "node"}) batch.erase(Family::meta, as_bytes(name));
        write(batch);
    };
    {
        SCOPED_TRACE("one that has rows");
        Batch batch;
        batch.put_subscription(id, "a/#", {});
        write(batch);
        lose_count();
        EXPECT_EQ(begin_generation(engine(), 1)->generation, starts + 1);
    }
    {
        SCOPED_TRACE("one that has none, and an older count is there again");
        const SessionId later = IdMint{starts + 100, ShardId{0}}.next<SessionId>();
        SessionRecord record;
        record.id = later;
        Batch batch;
        batch.put_session({"acme", "quiet"}, record);
        write(batch);
        EXPECT_EQ(begin_generation(engine(), 1)->generation, starts + 2) << "nothing was lost";
        EXPECT_EQ(begin_generation(engine(), 1, true)->generation, starts + 101);
        lose_count();
        EXPECT_EQ(begin_generation(engine(), 1)->generation, starts + 101);
    }
}

TEST_P(Schema, wills_of_version_1_get_rows_of_their_own) {
    write_version_1();
    const auto identity = begin_generation(engine(), 1);
    ASSERT_TRUE(identity) << identity.error().detail;
    EXPECT_EQ(identity->migrated_from, 1u);
    EXPECT_FALSE(will(7));
    const auto moved = will(8);
    ASSERT_TRUE(moved);
    EXPECT_EQ(moved->delay_s, 30u);
    EXPECT_EQ(moved->message.topic, "off");
    EXPECT_EQ(as_text(moved->message.payload), "bye");
    const auto row = engine().get(Family::sessions, key_of(Name{"acme", "with-will"}));
    ASSERT_TRUE(row && *row);
    EXPECT_EQ((*row)->size(), 7u) << "the will is out of the row";
    const auto report = check(engine(), {});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->findings_total, 0u);
}

TEST_P(Schema, a_migration_that_was_cut_off_is_done_again) {
    write_version_1();
    ASSERT_TRUE(begin_generation(engine(), 1));
    Batch batch;  // as if the last write of it had not come
    for (const char* name : {"schema", "generation", "node"})
        batch.erase(Family::meta, as_bytes(name));
    write(batch);
    ASSERT_TRUE(begin_generation(engine(), 1));
    EXPECT_EQ(will(8)->message.topic, "off");
}

TEST_P(Schema, a_store_of_a_newer_version_is_refused_and_left_alone) {
    Batch batch;
    batch.put(Family::meta, as_bytes("schema"), key_of(schema_version + 1));
    write(batch);
    const auto refused = begin_generation(engine(), 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_NE(refused.error().detail.find("schema 3"), std::string::npos);
    EXPECT_FALSE(*engine().get(Family::meta, as_bytes("generation")));
}

TEST_P(Schema, check_names_what_does_not_agree) {
    Batch batch;
    batch.put_session({"t", "a"}, {.id = SessionId{1}});
    batch.put_session({"t", "b"}, {.id = SessionId{1}});       // the same id
    batch.put_subscription(SessionId{9}, "f", {});             // of nobody
    batch.put_inbound(SessionId{1}, 4);                        // well
    batch.put(Family::queue, key_of(1, 1), as_bytes("\xFF"));  // unreadable
    batch.put_message(MessageId{5}, {.topic = "t"});
    batch.enqueue(SessionId{1}, 2, {.qos = 1, .message = MessageId{5}});
    batch.put(Family::references, key_of(5, 77), {});                     // one too many
    batch.enqueue(SessionId{1}, 3, {.qos = 1, .message = MessageId{6}});  // a crash may do this
    batch.put(Family::stream_order, key_of(1, 2, 3), {});
    write(batch);
    const auto report = check(engine(), {});
    ASSERT_TRUE(report);
    EXPECT_FALSE(report->is_sound());
    std::string all;
    for (const Finding& finding : report->findings) {
        all += std::string{to_text(finding.family)} + (finding.is_harmless ? "? " : "! ");
    }
    EXPECT_EQ(all, "sessions! subscriptions! queue! stream_order! references! queue? ");
    EXPECT_EQ(report->rows[static_cast<std::size_t>(Family::queue)], 3u);
}

INSTANTIATE_TEST_SUITE_P(kinds, Schema, ::testing::ValuesIn(testing::engine_kinds()),
                         testing::name_of_kind);

}  // namespace
}  // namespace mitu::store
