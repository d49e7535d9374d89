#include "mitu/broker/retained_store.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "mitu/broker/testing/names.hpp"

namespace mitu::broker {
namespace {

struct RetainedStoreTest : ::testing::Test {
    Counters counters;
    MessageStore messages{1 << 30, counters};
    RetainedStore store{messages, 100};

    bool put(std::string_view topic, std::string_view payload,
             Instant expires_at = Instant::never()) {
        MessageView view;
        view.topic = topic;
        view.payload = as_bytes(payload);
        view.expires_at = expires_at;
        const auto handle = messages.add(view);
        const bool kept = store.put(*handle);
        messages.release(*handle);
        return kept;
    }
    std::map<std::string, std::string> match(std::string_view filter, Instant now = Instant{}) {
        std::map<std::string, std::string> found;
        store.match(tenant_default, filter, now, [&](MessageHandle handle) {
            const auto view = messages.view(handle);
            EXPECT_TRUE(found.emplace(view.topic, as_text(view.payload)).second);
        });
        return found;
    }
};
using Found = std::map<std::string, std::string>;

Instant at(std::int64_t seconds) { return Instant{} + Duration::seconds(seconds); }

TEST_F(RetainedStoreTest, keeps_the_last_message_of_each_topic) {
    EXPECT_TRUE(put("a", "1"));
    EXPECT_TRUE(put("a", "2"));
    EXPECT_TRUE(put("b", "3"));
    EXPECT_EQ(match("#"), (Found{{"a", "2"}, {"b", "3"}}));
    EXPECT_EQ(messages.live_count(), 2u);
    EXPECT_EQ(store.count(), 2u);
}

TEST_F(RetainedStoreTest, removes_on_an_empty_payload) {
    EXPECT_TRUE(put("a", "1"));
    EXPECT_TRUE(put("a", ""));
    EXPECT_TRUE(put("never there", ""));
    EXPECT_EQ(match("#"), Found{});
    EXPECT_EQ(messages.live_count(), 0u);
    EXPECT_EQ(store.count(), 0u);
}

TEST_F(RetainedStoreTest, refuses_one_topic_too_many_but_replaces_still) {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(put(std::to_string(i), "x"));
    EXPECT_FALSE(put("one more", "x"));
    EXPECT_TRUE(put("42", "new"));
    EXPECT_TRUE(put("43", ""));
    EXPECT_TRUE(put("one more", "x"));
    EXPECT_EQ(messages.live_count(), 100u);
}

TEST_F(RetainedStoreTest, has_room_for_what_the_server_tells_beside_the_bound) {
    EXPECT_TRUE(put("$SYS/a", "1"));
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(put(std::to_string(i), "x"));
    EXPECT_FALSE(put("one more", "x"));
    EXPECT_FALSE(put("$SYSTEM/a", "x"));
    EXPECT_TRUE(put("$SYS/b", "1"));
    EXPECT_TRUE(put("$SYS/a", ""));
    EXPECT_FALSE(put("one more", "x")) << "that place was none of the hundred";
    EXPECT_EQ(store.count(), 101u);
}

TEST_F(RetainedStoreTest, lets_go_of_what_has_expired_and_of_nothing_else) {
    EXPECT_TRUE(put("short", "1", at(10)));
    EXPECT_TRUE(put("prolonged", "1", at(10)));
    EXPECT_TRUE(put("prolonged", "2", at(20)));
    EXPECT_TRUE(put("kept", "1", at(10)));
    EXPECT_TRUE(put("kept", "2"));
    EXPECT_TRUE(put("shortened", "1", at(30)));
    EXPECT_TRUE(put("shortened", "2", at(5)));
    EXPECT_EQ(store.next_deadline(), at(5));
    EXPECT_EQ(match("+", at(5)).size(), 3u) << "not shown, even before expire()";
    store.expire(at(10));
    EXPECT_EQ(match("#"), (Found{{"kept", "2"}, {"prolonged", "2"}}));
    EXPECT_EQ(store.count(), 2u);
    store.expire(at(100));
    EXPECT_EQ(match("#"), (Found{{"kept", "2"}}));
    EXPECT_TRUE(store.next_deadline().is_never());
    EXPECT_EQ(messages.live_count(), 1u);
}

TEST_F(RetainedStoreTest, does_not_collect_notes_of_topics_replaced_again_and_again) {
    for (int i = 0; i < 100'000; ++i) EXPECT_TRUE(put("a", "1", at(1'000'000 + i / 3)));
    EXPECT_LT(store.note_count(), 5'000u);
    store.expire(at(2'000'000));
    EXPECT_EQ(store.count(), 0u);
}

TEST_F(RetainedStoreTest, behaves_like_a_map) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Prng prng{seed};
        RetainedStore own{messages, 100'000};
        std::map<std::string, std::pair<std::string, Instant>> model;
        Instant now;
        for (int i = 0; i < 1'000; ++i) {
            now = now + Duration::seconds(1);
            std::erase_if(model, [&](const auto& e) { return e.second.second <= now; });
            const std::string topic = testing::draw_topic(prng);
            const std::string payload = prng.chance(0.3) ? "" : std::to_string(i);
            const Instant expires_at =
                prng.chance(0.5)
                    ? Instant::never()
                    : now + Duration::seconds(static_cast<std::int64_t>(1 + prng.below(200)));
            MessageView view;
            view.topic = topic;
            view.payload = as_bytes(payload);
            view.expires_at = expires_at;
            const auto handle = messages.add(view);
            ASSERT_TRUE(own.put(*handle));
            messages.release(*handle);
            if (payload.empty()) {
                model.erase(topic);
            } else {
                model[topic] = {payload, expires_at};
            }
            if (prng.chance(0.5)) {
                own.expire(now);
                ASSERT_EQ(own.count(), model.size()) << seed;
            }
            const std::string filter = testing::draw_filter(prng);
            Found found;
            own.match(tenant_default, filter, now, [&](MessageHandle h) {
                found.emplace(messages.view(h).topic, as_text(messages.view(h).payload));
            });
            Found expected;
            for (const auto& [name, value] : model) {
                if (mqtt::matches(filter, name)) expected.emplace(name, value.first);
            }
            ASSERT_EQ(found, expected) << "seed " << seed << " filter " << filter;
        }
    }
}

}  // namespace
}  // namespace mitu::broker
