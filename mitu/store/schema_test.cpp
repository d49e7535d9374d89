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
    /// As version 2 wrote it.
    void write_version_2() {
        Batch batch;
        batch.put(Family::meta, as_bytes("schema"), key_of(2));
        const std::uint8_t session[] = {8, 5, 60, 0, 10, 1, 'x'};
        const std::uint8_t will[] = {30, 0,  // delay, never due
                                     1,  0, 3, 'o', 'f', 'f', 0, 0, 'b', 'y', 'e'};
        batch.put(Family::sessions, key_of(Name{"acme", "lasting"}), session);
        batch.put(Family::wills, key_of(8), will);
        batch.put(Family::wills, key_of(9), will);  // of a session that has ended
        batch.put(Family::discards, key_of(9), {});
        batch.put_value("wills/acme", "passing", will);
        batch.put_value("wills/other", "passing", will);
        batch.put_value("journal", "clock/0", key_of(5));
        write(batch);
    }
    std::uint64_t rows(Family family) {
        std::uint64_t count = 0;
        const auto all = engine().scan(family, {}, {});
        while (all->next()) ++count;
        return count;
    }
    std::optional<WillRecord> will(std::uint64_t session, std::uint64_t number) {
        auto value = engine().get(Family::wills, key_of(session, number));
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
    EXPECT_FALSE(will(7, 7));
    const auto moved = will(8, 8);
    ASSERT_TRUE(moved);
    EXPECT_EQ(moved->tenant, "acme");
    EXPECT_EQ(moved->client_id, "with-will");
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
    EXPECT_EQ(will(8, 8)->message.topic, "off");
}

TEST_P(Schema, wills_of_version_2_get_numbers_and_say_whose_they_are) {
    write_version_2();
    const auto identity = begin_generation(engine(), 1);
    ASSERT_TRUE(identity) << identity.error().detail;
    EXPECT_EQ(identity->migrated_from, 2u);
    EXPECT_EQ(rows(Family::wills), 3u);
    const std::pair<std::uint64_t, std::uint64_t> keys[] = {{8, 8}, {0, 1}, {0, 2}};
    std::string whose;
    for (const auto& [session, number] : keys) {
        const auto moved = will(session, number);
        ASSERT_TRUE(moved) << number;
        whose += std::string{moved->tenant} + " " + std::string{moved->client_id} + ", ";
        EXPECT_EQ(moved->delay_s, 30u);
        EXPECT_EQ(moved->message.topic, "off");
        EXPECT_EQ(as_text(moved->message.payload), "bye");
    }
    EXPECT_EQ(whose, "acme lasting, acme passing, other passing, ");
    EXPECT_EQ(rows(Family::values), 1u) << "what is not a will stays";
    const auto report = check(engine(), {});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->findings_total, 0u);
}

TEST_P(Schema, a_move_of_wills_that_was_cut_off_goes_on_where_it_was) {
    write_version_2();
    ASSERT_TRUE(begin_generation(engine(), 1));
    // As if the last write of it had not come, and one will not been reached.
    Batch batch;
    batch.put(Family::meta, as_bytes("schema"), key_of(2));
    const std::uint8_t late[] = {0, 0, 1, 0, 1, 't', 0, 0};
    batch.put_value("wills/acme", "unreached", late);
    write(batch);
    ASSERT_TRUE(begin_generation(engine(), 1));
    EXPECT_EQ(rows(Family::wills), 4u);
    EXPECT_EQ(will(0, 1)->client_id, "passing");
    EXPECT_EQ(will(0, 3)->client_id, "unreached");
}

TEST_P(Schema, check_names_wills_that_do_not_agree) {
    Batch batch;
    batch.put_session({"t", "a"}, {.id = SessionId{1}});
    batch.put_will(SessionId{1}, WillId{1}, {});
    batch.put_will(SessionId{0}, WillId{2}, {});  // not kept
    batch.put_will(SessionId{7}, WillId{3}, {});  // it is due: its session may be gone
    batch.put_will_due(SessionId{7}, WillId{3}, WallTime{5});
    batch.put_will(SessionId{8}, WillId{4}, {});  // of nobody
    batch.put_will_due(SessionId{1}, WillId{5}, WallTime{5});
    batch.put(Family::wills, key_of(1), as_bytes("x"));
    write(batch);
    const auto report = check(engine(), {});
    ASSERT_TRUE(report);
    std::string all;
    for (const Finding& finding : report->findings) {
        all += finding.what.substr(finding.what.rfind(':')) + (finding.is_harmless ? "? " : "! ");
    }
    EXPECT_EQ(all, ": cannot be read! : there is no such will? : there is no such session! ");
}

TEST_P(Schema, a_store_of_a_newer_version_is_refused_and_left_alone) {
    Batch batch;
    batch.put(Family::meta, as_bytes("schema"), key_of(schema_version + 1));
    write(batch);
    const auto refused = begin_generation(engine(), 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_NE(refused.error().detail.find("schema 4"), std::string::npos);
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
