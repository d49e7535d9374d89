// The server's own part: devices watched and answered on the shard of their session.

#include <gtest/gtest.h>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

/// Takes every client whose id begins with "dev" for a device, writes down what happens, answers
/// `ping` with `pong`.
class Diary final : public Things {
public:
    Cookie on_attached(TenantId /*tenant*/, std::string_view client_id, Instant /*now*/,
                       std::vector<ServerPublish>& publishes) override {
        if (!client_id.starts_with("dev")) return 0;
        names_.emplace_back(client_id);
        entries.push_back("attached " + names_.back());
        publishes.push_back(topic_of(names_.back(), "hello"));
        return static_cast<Cookie>(names_.size());
    }
    void on_detached(Cookie cookie, bool said_goodbye, Instant /*now*/) override {
        entries.push_back((said_goodbye ? "goodbye " : "lost ") + names_.at(cookie - 1));
    }
    void on_heard(Cookie cookie, Instant /*now*/) override { last_heard = names_.at(cookie - 1); }
    void on_publish(TenantId /*tenant*/, std::string_view device, std::string_view rest,
                    ByteView payload, Instant /*now*/,
                    std::vector<ServerPublish>& publishes) override {
        entries.push_back(std::string{device} + " " + std::string{rest} + " " +
                          std::string{as_text(payload)});
        if (rest == "ping") publishes.push_back(topic_of(device, "pong"));
    }
    [[nodiscard]] Instant next_deadline() const noexcept override { return deadline; }
    void on_deadline(Instant /*now*/) override {
        entries.emplace_back("deadline");
        deadline = Instant::never();
    }

    Strings take() { return std::exchange(entries, {}); }

    Strings entries;
    std::string last_heard;
    Instant deadline = Instant::never();

private:
    static ServerPublish topic_of(std::string_view device, std::string_view rest) {
        ServerPublish publish;
        publish.topic = std::string{things_prefix} + std::string{device} + "/" + std::string{rest};
        publish.payload = rest;
        return publish;
    }
    Strings names_;
};

struct ThingsTest : ::testing::TestWithParam<std::uint16_t> {
    Diary diaries[3];
    World world{{.shards = GetParam(), .things = all()}};

    std::vector<Things*> all() {
        std::vector<Things*> list;
        for (std::uint16_t i = 0; i < GetParam(); ++i) list.push_back(&diaries[i]);
        return list;
    }
    Diary& diary_of(const Client& client) {
        return diaries[session_home(tenant_default, client.id(), GetParam()).value];
    }
};
INSTANTIATE_TEST_SUITE_P(shards, ThingsTest, ::testing::Values(1, 3));

TEST_P(ThingsTest, are_told_who_comes_and_how_they_go) {
    Client& device = world.client("dev1").connect({.session_expiry_s = 100});
    world.client("somebody").connect();
    Diary& diary = diary_of(device);
    EXPECT_EQ(diary.take(), (Strings{"attached dev1", "dev1 hello hello"}));
    device.ping();
    EXPECT_EQ(diary.last_heard, "dev1");
    device.disconnect();
    EXPECT_EQ(diary.take(), Strings{"goodbye dev1"});
    device.connect({.clean_start = false, .session_expiry_s = 100});
    diary.take();
    device.cut();
    world.run();
    EXPECT_EQ(diary.take(), Strings{"lost dev1"});
    device.connect({.keep_alive_s = 1});
    diary.take();
    world.advance(Duration::seconds(2));
    EXPECT_EQ(diary.take(), Strings{"lost dev1"});
    device.connect();
    diary.take();
    Client& again = world.client("dev1").connect();
    EXPECT_EQ(diary.take(), (Strings{"lost dev1", "attached dev1", "dev1 hello hello"}));
    EXPECT_TRUE(world.shard(0).kick(tenant_default, "dev1", world.now()) || GetParam() > 1);
    again.cut();
    world.run();
    EXPECT_EQ(diary.take(), Strings{"lost dev1"}) << "once";
}

TEST_P(ThingsTest, are_told_when_the_server_stops) {
    Client& device = world.client("dev1").connect();
    diary_of(device).take();
    world.begin_shutdown();
    world.run();
    EXPECT_EQ(diary_of(device).take(), Strings{"lost dev1"});
}

TEST_P(ThingsTest, answer_on_the_shard_of_the_device_whoever_asks) {
    Client& device = world.client("dev1").connect();
    const std::string topic = std::string{things_prefix} + "dev1/";
    device.subscribe(topic + "#", {.qos = qos1});
    Diary& diary = diary_of(device);
    diary.take();
    EXPECT_EQ(device.publish(topic + "ping", "1", {.qos = qos1}), ReasonCode::success);
    EXPECT_EQ(device.take_payloads(), (Strings{"1", "pong"}));
    EXPECT_EQ(diary.take(), (Strings{"dev1 ping 1", "dev1 pong pong"}));
    Client& operator_ = world.client("operator").connect();
    EXPECT_EQ(operator_.publish(topic + "ping", "2", {.qos = qos2}), ReasonCode::success);
    EXPECT_EQ(device.take_payloads(), (Strings{"2", "pong"}));
    diary.take();
    device.disconnect();
    EXPECT_EQ(operator_.publish(topic + "ping", "3", {.qos = qos1}), ReasonCode::success)
        << "the server itself takes it";
}

TEST_P(ThingsTest, greet_a_device_once_it_has_subscribed_behind_connect) {
    Client& device = world.client("dev1").connect_later();
    device.subscribe_later(std::string{things_prefix} + "dev1/#", {.qos = qos1});
    world.run();
    EXPECT_EQ(device.take_payloads(), Strings{"hello"});
}

TEST_P(ThingsTest, have_deadlines_of_their_own) {
    diaries[0].deadline = world.now() + Duration::seconds(5);
    world.network(0).wake();
    world.advance(Duration::seconds(4));
    EXPECT_EQ(diaries[0].take(), Strings{});
    world.advance(Duration::seconds(2));
    EXPECT_EQ(diaries[0].take(), Strings{"deadline"});
}

}  // namespace
}  // namespace mitu::broker::testing
