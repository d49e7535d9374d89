// A will is published once, wherever the process ends: what its client's shard writes and what its
// topic's home writes are two batches, and any of them may be the last.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "mitu/journal/testing/process.hpp"

namespace mitu::journal {
namespace {

using broker::testing::Client;
using broker::testing::ConnectOptions;
using broker::testing::WillOptions;
using broker::testing::World;
using store::Family;
using Strings = std::vector<std::string>;
constexpr auto qos0 = mqtt::QoS::at_most_once;
constexpr auto qos1 = mqtt::QoS::at_least_once;
constexpr auto qos2 = mqtt::QoS::exactly_once;

class WillTest : public testing::ProcessTest {
protected:
    /// A batch is a group of its own, so that the process can end behind each of them.
    WillTest() { group_bytes_max = 1; }

    /// Names of this round; the client lives on shard 0, the topic on the last.
    struct Names {
        std::string mortal;
        std::string topic;
    };
    /// Somebody absent with a lasting session, and the mortal, connected.
    World& prepare(ConnectOptions wanted, bool is_watched = true) {
        wipe();
        World& world = start();
        const auto last = static_cast<std::uint16_t>(world.shard_count() - 1);
        names.topic = world.topic_at(last, "will");
        names.mortal = world.client_id_at(0, "mortal");
        for (const auto qos : {qos1, qos2}) {
            if (!is_watched) break;
            Client& watcher = world.client(watcher_of(qos));
            watcher.connect(lasting()).subscribe(names.topic, {.qos = qos});
            watcher.cut();
        }
        if (wanted.will) wanted.will->topic = names.topic;
        mortal = &world.client(names.mortal).connect(wanted);
        return world;
    }
    static std::string watcher_of(mqtt::QoS qos) { return qos == qos1 ? "watcher1" : "watcher2"; }
    [[nodiscard]] ConnectOptions mortal_with(const std::string& payload, mqtt::QoS qos,
                                             bool is_lasting, bool retain = false) const {
        ConnectOptions wanted = is_lasting ? lasting() : ConnectOptions{};
        wanted.will =
            WillOptions{.topic = names.topic, .payload = payload, .qos = qos, .retain = retain};
        return wanted;
    }
    /// Plays `prepare_it`, then `act`, which ends behind each group that is written meanwhile; then
    /// there is another process, and `look`.
    void end_everywhere(const std::function<World&()>& prepare_it,
                        const std::function<void(World&)>& act,
                        const std::function<void(World&)>& look) {
        for (seed = 1; seed <= 4; ++seed) {
            bool is_whole = false;
            for (std::uint64_t groups = 0; !is_whole; ++groups) {
                World& world = prepare_it();
                process->stop_disk_after(groups);
                act(world);
                world.run();
                is_whole = !process->has_stopped();
                look(start());
                const std::string where =
                    "seed " + std::to_string(seed) + ", ends after " + std::to_string(groups);
                ASSERT_FALSE(HasFailure()) << where;
                ASSERT_LT(groups, 100u);
            }
        }
    }
    /// What the watcher of this QoS has in the end, when nobody has come back.
    Strings what_came(World& world, mqtt::QoS qos) {
        world.advance(Duration::seconds(61));
        Client& watcher = world.client(watcher_of(qos));
        watcher.connect(lasting());
        EXPECT_TRUE(watcher.session_present());
        return watcher.take_payloads();
    }
    void expect_each_has(World& world, const Strings& payloads) {
        EXPECT_EQ(what_came(world, qos1), payloads);
        EXPECT_EQ(what_came(world, qos2), payloads);
        EXPECT_EQ(rows(Family::wills), 0u);
    }

    Names names;
    Client* mortal = nullptr;

private:
    void wipe() {
        process.reset();
        store::Batch batch;
        for (std::size_t i = 0; i < store::family_count; ++i) {
            const auto all = engine.scan(store::family_at(i), {}, {});
            while (all->next()) batch.erase(store::family_at(i), all->key());
        }
        ASSERT_TRUE(engine.write(batch.bytes(), true));
    }
};
INSTANTIATE_TEST_SUITE_P(shards, WillTest, ::testing::Values(1, 2, 3));

TEST_P(WillTest, of_a_client_that_is_lost_comes_once_wherever_the_process_ends) {
    for (const auto qos : {qos1, qos2}) {
        for (const bool is_lasting : {false, true}) {
            end_everywhere(
                [&]() -> World& { return prepare(mortal_with("gone", qos, is_lasting)); },
                [&](World&) { mortal->cut(); },
                [&](World& world) { expect_each_has(world, {"gone"}); });
        }
    }
}

TEST_P(WillTest, that_is_retained_is_retained_wherever_the_process_ends) {
    end_everywhere([&]() -> World& { return prepare(mortal_with("gone", qos2, false, true)); },
                   [&](World&) { mortal->cut(); },
                   [&](World& world) {
                       expect_each_has(world, {"gone"});
                       Client& late = world.client("late");
                       late.connect().subscribe(names.topic, {.qos = qos1});
                       EXPECT_EQ(late.take_payloads(), Strings{"gone"});
                       EXPECT_EQ(rows(Family::retained), 1u);
                   });
}

TEST_P(WillTest, that_nobody_is_to_have_leaves_nothing) {
    for (const bool is_lasting : {false, true}) {
        end_everywhere(
            [&]() -> World& { return prepare(mortal_with("gone", qos1, is_lasting), false); },
            [&](World&) { mortal->cut(); },
            [&](World& world) {
                world.advance(Duration::seconds(61));
                EXPECT_EQ(rows(Family::wills), 0u);
            });
    }
}

TEST_P(WillTest, of_a_session_that_ends_comes_once_though_its_session_is_gone) {
    end_everywhere(
        [&]() -> World& {
            auto wanted = mortal_with("gone", qos2, true);
            wanted.will->delay_s = 600;
            World& world = prepare(wanted);
            mortal->cut();
            world.run();
            return world;
        },
        [&](World& world) { world.client(names.mortal).connect(lasting(true)).disconnect(); },
        [&](World& world) {
            world.advance(Duration::seconds(600));
            expect_each_has(world, {"gone"});
        });
}

TEST_P(WillTest, of_a_connection_that_is_taken_over_comes_once_and_so_does_the_next) {
    for (const bool is_lasting : {false, true}) {
        bool is_in = false;
        end_everywhere([&]() -> World& { return prepare(mortal_with("first", qos2, is_lasting)); },
                       [&](World& world) {
                           auto& again = world.client(names.mortal);
                           again.connect(mortal_with("second", qos2, is_lasting));
                           is_in = again.is_connected();
                           again.cut();
                       },
                       [&](World& world) {
                           for (const auto qos : {qos1, qos2}) {
                               const Strings got = what_came(world, qos);
                               const Strings both{"first", "second"};
                               // Nobody was told of the second connection: it need not have been.
                               EXPECT_TRUE(got == both || (!is_in && got == Strings{"first"}))
                                   << got.size() << " of them, " << is_in;
                           }
                           EXPECT_EQ(rows(Family::wills), 0u);
                       });
    }
}

TEST_P(WillTest, is_not_brought_back_by_a_client_that_resumes_while_it_is_on_its_way) {
    bool is_in = false;
    end_everywhere([&]() -> World& { return prepare(mortal_with("gone", qos2, true)); },
                   [&](World& world) {
                       mortal->cut();
                       auto& again = world.client(names.mortal);
                       is_in = again.connect(lasting()).is_connected();
                   },
                   [&](World& world) {
                       // In time, if it is the server that it was cut by.
                       world.client(names.mortal).connect(lasting());
                       for (const auto qos : {qos1, qos2}) {
                           const Strings got = what_came(world, qos);
                           EXPECT_TRUE(got == Strings{"gone"} || (!is_in && got.empty()))
                               << got.size();
                       }
                       EXPECT_EQ(rows(Family::wills), 0u);
                   });
}

TEST_P(WillTest, that_is_not_due_any_more_does_not_come) {
    for (const bool says_goodbye : {false, true}) {
        bool is_in = false;
        end_everywhere(
            [&]() -> World& {
                auto wanted = mortal_with("never", qos2, true);
                wanted.will->delay_s = 20;
                World& world = prepare(wanted);
                if (!says_goodbye) mortal->cut();
                world.run();
                return world;
            },
            [&](World& world) {
                if (says_goodbye) return mortal->disconnect();
                is_in = world.client(names.mortal).connect(lasting()).is_connected();
            },
            [&](World& world) {
                if (says_goodbye || !is_in) return;  // nothing was promised
                EXPECT_EQ(what_came(world, qos2), Strings{});
                EXPECT_EQ(rows(Family::wills), 0u);
            });
    }
}

TEST_P(WillTest, comes_before_what_its_client_says_on_its_next_connection) {
    for (const bool is_lasting : {false, true}) {
        World& world = prepare(mortal_with("gone", qos1, is_lasting));
        Client& reader = world.client("reader");
        reader.connect().subscribe(names.topic, {.qos = qos0});
        process->stop_disk();
        mortal->cut();
        world.run();
        auto& again = world.client(names.mortal);
        again.connect_later({.clean_start = false});
        static_cast<void>(again.publish_later(names.topic, "back", {.qos = qos0}));
        world.run();
        EXPECT_EQ(reader.take_payloads(), Strings{});
        process->start_disk();
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) world.network(i).wake();
        world.run();
        EXPECT_EQ(reader.take_payloads(), (Strings{"gone", "back"}));
    }
}

TEST_P(WillTest, stays_until_its_client_was_given_time_over_as_many_starts_as_there_are) {
    prepare(mortal_with("gone", qos2, false));
    for (int i = 0; i < 3; ++i) {
        World& world = start();
        EXPECT_EQ(process->report.wills, 1u);
        world.advance(Duration::seconds(10));
    }
    expect_each_has(start(), {"gone"});
}

}  // namespace
}  // namespace mitu::journal
