// Enhanced authentication (MQTT 5.0 section 4.12), credentials that expire, profiles that change.

#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;
using Strings = std::vector<std::string>;

/// Knocks twice, "1" and then "2", and is let in; each answer is "more".
struct AuthenticationTest : ::testing::Test {
    World world{{.shards = 2}};

    AuthenticationTest() {
        world.gate().knock = [this](const Login& login, ByteView data) -> Exchange::Step {
            const std::string said = mitu::to_text(data);
            if (said == "1") return Challenge{"more"};
            if (said == "2") {
                Admitted admitted = world.gate().admitted(login);
                admitted.authentication_data = "welcome";
                return admitted;
            }
            return Refusal{ReasonCode::not_authorized, "wrong knock"};
        };
    }
    Client& begin(std::string_view id, std::string_view data = "1", std::uint16_t door = 0) {
        return world.client(id).connect({.authentication_method = "knock",
                                         .authentication_data = std::string{data},
                                         .door = door});
    }
    static mqtt::Auth auth(std::string_view data,
                           ReasonCode reason = ReasonCode::continue_authentication,
                           std::string_view method = "knock") {
        mqtt::Auth packet;
        packet.reason = reason;
        packet.authentication_method = method;
        packet.authentication_data = as_bytes(data);
        return packet;
    }
    /// The only packet that came since the last call, as AUTH.
    static mqtt::Auth answer(Client& client) {
        const auto packets = client.take_packets();
        EXPECT_EQ(packets.size(), 1u);
        if (packets.empty() || packets[0].as<mqtt::Auth>() == nullptr) {
            ADD_FAILURE() << "no AUTH came";
            return {};
        }
        kept_ = packets[0].bytes;
        return *packets[0].as<mqtt::Auth>();
    }
    static inline std::shared_ptr<const Bytes> kept_;
};

TEST_F(AuthenticationTest, goes_to_and_fro_before_connack) {  // [MQTT-4.12.0-2], [MQTT-4.12.0-3]
    for (const std::uint16_t door : {std::uint16_t{0}, std::uint16_t{1}}) {
        Client& client = begin("a", "1", door);
        const mqtt::Auth challenge = answer(client);
        EXPECT_EQ(challenge.reason, ReasonCode::continue_authentication);
        EXPECT_EQ(challenge.authentication_method, "knock");
        EXPECT_EQ(mitu::to_text(*challenge.authentication_data), "more");
        EXPECT_EQ(client.connack(), nullptr);
        EXPECT_EQ(world.session("a"), nullptr) << "nothing is touched before the proof";
        client.send(auth("1"));
        EXPECT_EQ(mitu::to_text(*answer(client).authentication_data), "more")
            << "as often as it takes";
        client.send(auth("2"));
        ASSERT_TRUE(client.is_connected()) << "door " << door;
        EXPECT_EQ(client.connack()->reason, ReasonCode::success);
        EXPECT_EQ(client.connack()->properties.authentication_method, "knock") << "[MQTT-4.12.0-5]";
        EXPECT_EQ(mitu::to_text(*client.connack()->properties.authentication_data), "welcome");
        EXPECT_TRUE(client.ping());
        client.disconnect();
    }
    EXPECT_EQ(world.counted(&Counters::connections_migrated_total), 1u) << "once it is proved";
}

TEST_F(AuthenticationTest, needs_no_auth_packet_where_connect_says_all) {
    Client& client = begin("a", "2");
    EXPECT_TRUE(client.is_connected());
    EXPECT_EQ(client.count(PacketType::auth), 0u);
}

TEST_F(AuthenticationTest, is_refused_in_connack_at_any_step) {  // [MQTT-4.12.0-4]
    for (const std::string_view first : {"1", "9"}) {
        Client& client = begin("a", first);
        if (first == "1") client.send(auth("9"));
        ASSERT_NE(client.connack(), nullptr);
        EXPECT_EQ(client.connack()->reason, ReasonCode::not_authorized);
        EXPECT_FALSE(client.is_open());
        EXPECT_EQ(client.count(PacketType::disconnect), 0u) << "not before CONNACK";
    }
    EXPECT_EQ(world.session("a"), nullptr);
}

TEST_F(AuthenticationTest, allows_auth_and_disconnect_only_while_it_is_under_way) {
    Client& publisher = begin("a");
    publisher.publish_later("x", "too early");
    world.run();
    ASSERT_NE(publisher.connack(), nullptr);
    EXPECT_EQ(publisher.connack()->reason, ReasonCode::protocol_error);
    EXPECT_FALSE(publisher.is_open());

    Client& changes = begin("b");
    changes.send(auth("2", ReasonCode::continue_authentication, "other"));
    ASSERT_NE(changes.connack(), nullptr) << "the method is the one of CONNECT";
    EXPECT_EQ(changes.connack()->reason, ReasonCode::protocol_error);

    Client& restarts = begin("c");
    restarts.send(auth("2", ReasonCode::re_authenticate));
    ASSERT_NE(restarts.connack(), nullptr);
    EXPECT_EQ(restarts.connack()->reason, ReasonCode::protocol_error);

    Client& leaves = begin("d");
    leaves.send(mqtt::Disconnect{});
    EXPECT_EQ(leaves.connack(), nullptr);
    EXPECT_FALSE(leaves.is_open());

    Client& garbles = begin("e");
    garbles.send_bytes(Bytes{0xF1, 0x00});
    EXPECT_FALSE(garbles.is_open());
    EXPECT_EQ(world.counted(&Counters::clients), 0u);
}

TEST_F(AuthenticationTest, hears_what_was_said_behind_the_last_step) {
    for (const std::uint16_t door : {std::uint16_t{0}, std::uint16_t{1}}) {
        Client& client = world.client_at(1, "a").open(door);
        mqtt::Connect connect;
        connect.client_id = client.id();
        connect.properties.authentication_method = "knock";
        connect.properties.authentication_data = as_bytes("1");
        client.send_later(connect);
        client.send_later(auth("2"));
        client.subscribe_later("t");
        client.publish_later("t", "in one breath");
        world.run();
        EXPECT_EQ(client.take_payloads(), Strings{"in one breath"}) << "door " << door;
        client.disconnect();
    }
}

TEST_F(AuthenticationTest, ends_with_the_connect_timeout) {
    Client& client = begin("a");
    world.advance(Limits{}.connect_timeout + Duration::seconds(1));
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(world.counted(&Counters::connections), 0u);
}

TEST_F(AuthenticationTest, sends_no_packet_that_the_client_cannot_take) {  // [MQTT-3.1.2-24]
    const auto plain = world.gate().knock;
    const auto long_winded = [](const Login&, ByteView) -> Exchange::Step {
        return Challenge{std::string(200, 'x')};
    };
    const ConnectOptions options{
        .maximum_packet_size = 100, .authentication_method = "knock", .authentication_data = "2"};
    world.gate().knock = long_winded;
    Client& refused = world.client("a").connect(options);
    ASSERT_NE(refused.connack(), nullptr);
    EXPECT_EQ(refused.connack()->reason, ReasonCode::packet_too_large);
    EXPECT_FALSE(refused.is_open());
    EXPECT_EQ(refused.count(PacketType::auth), 0u);

    world.gate().knock = plain;
    Client& client = world.client("a").connect(options);
    ASSERT_TRUE(client.is_connected());
    world.gate().knock = long_winded;
    client.send(auth("1", ReasonCode::re_authenticate));
    EXPECT_EQ(client.goodbye(), ReasonCode::packet_too_large);
    EXPECT_EQ(client.count(PacketType::auth), 0u);
}

TEST_F(AuthenticationTest, is_not_offered_by_other_names) {  // [MQTT-4.12.0-1]
    Client& client = world.client("a").connect({.authentication_method = "SCRAM-SHA-1"});
    ASSERT_NE(client.connack(), nullptr);
    EXPECT_EQ(client.connack()->reason, ReasonCode::bad_authentication_method);
}

TEST_F(AuthenticationTest, may_be_repeated_by_the_client_that_is_here) {  // section 4.12.1
    Client& client = begin("a", "2");
    client.subscribe("x");
    client.take_packets();
    client.send(auth("1", ReasonCode::re_authenticate));
    EXPECT_EQ(mitu::to_text(*answer(client).authentication_data), "more");
    client.publish("x", "meanwhile");
    EXPECT_EQ(client.take_payloads(), Strings{"meanwhile"}) << "the old proof still holds";
    client.take_packets();
    client.send(auth("2"));
    const mqtt::Auth done = answer(client);
    EXPECT_EQ(done.reason, ReasonCode::success);
    EXPECT_EQ(done.authentication_method, "knock");
    EXPECT_TRUE(client.ping());
}

TEST_F(AuthenticationTest, that_is_repeated_and_fails_ends_the_connection) {  // [MQTT-4.12.1-2]
    Client& client = begin("a", "2");
    client.send(auth("9", ReasonCode::re_authenticate));
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.goodbye(), ReasonCode::not_authorized);
}

TEST_F(AuthenticationTest, that_is_repeated_keeps_method_and_identity) {  // [MQTT-4.12.1-1]
    Client& method = begin("a", "2");
    method.send(auth("1", ReasonCode::re_authenticate, "other"));
    EXPECT_EQ(method.goodbye(), ReasonCode::protocol_error);

    Client& out_of_turn = begin("b", "2");
    out_of_turn.send(auth("2", ReasonCode::continue_authentication));
    EXPECT_EQ(out_of_turn.goodbye(), ReasonCode::protocol_error);

    Client& changes = begin("c", "2");
    world.gate().knock = [this](const Login& login, ByteView) -> Exchange::Step {
        Admitted somebody_else = world.gate().admitted(login);
        somebody_else.client_id = "d";
        return somebody_else;
    };
    changes.send(auth("2", ReasonCode::re_authenticate));
    EXPECT_EQ(changes.goodbye(), ReasonCode::not_authorized);
}

TEST_F(AuthenticationTest, must_have_been_agreed_at_connect) {  // [MQTT-4.12.0-7]
    Client& client = world.client("a").connect();
    client.send(auth("1", ReasonCode::re_authenticate));
    EXPECT_EQ(client.goodbye(), ReasonCode::protocol_error);
}

// --- credentials that expire ---

TEST(credentials, that_expire_end_the_connection_and_not_the_session) {
    World world{{.shards = 2}};
    world.gate().valid_until = world.now() + Duration::seconds(60);
    Client& client = world.client("a").connect({.clean_start = false, .session_expiry_s = 3'600});
    client.subscribe("x", {.qos = qos1});
    world.advance(Duration::seconds(59));
    EXPECT_TRUE(client.ping());
    world.advance(Duration::seconds(2));
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.goodbye(), ReasonCode::maximum_connect_time);
    EXPECT_EQ(world.counted(&Counters::credentials_expired_total), 1u);
    ASSERT_NE(world.session("a"), nullptr);
    world.gate().valid_until = Instant::never();
    client.connect({.clean_start = false, .session_expiry_s = 3'600});
    EXPECT_TRUE(client.session_present());
    world.advance(Duration::seconds(3'600));
    EXPECT_TRUE(client.ping()) << "the old date is not the new connection's";
}

TEST_F(AuthenticationTest, that_is_repeated_in_time_prolongs_the_credentials) {
    world.gate().valid_until = world.now() + Duration::seconds(60);
    Client& client = begin("a", "2");
    world.advance(Duration::seconds(50));
    world.gate().valid_until = world.now() + Duration::seconds(60);
    client.send(auth("2", ReasonCode::re_authenticate));
    world.advance(Duration::seconds(50));
    EXPECT_TRUE(client.ping());
    world.advance(Duration::seconds(11));
    EXPECT_EQ(client.goodbye(), ReasonCode::maximum_connect_time);
}

// --- profiles that change while the client is here ---

struct RenewTest : ::testing::Test {
    World world{{.shards = 2}};
    std::map<std::string, std::shared_ptr<const Profile>, std::less<>> profiles;

    static std::shared_ptr<const Profile> allowing(std::vector<std::string> filters) {
        auto profile = std::make_shared<Profile>(*open_profile());
        profile->subscribe = AccessList{std::move(filters), {}};
        return profile;
    }
    /// As the server does it: few sessions at a time.
    void renew() {
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            std::optional<std::uint32_t> next = 0;
            while (next) {
                next = world.shard(i).renew_profiles(
                    *next, 2,
                    [&](TenantId, std::string_view id, const std::shared_ptr<const Profile>& now) {
                        const auto found = profiles.find(id);
                        return found == profiles.end() ? now : found->second;
                    },
                    world.now());
                world.network(i).wake();
            }
        }
        world.run();
    }
};

TEST_F(RenewTest, ends_the_subscriptions_that_are_not_allowed_any_more) {
    Client& a = world.client("a").connect({.clean_start = false, .session_expiry_s = 3'600});
    Client& b = world.client("b").connect();
    for (Client* const client : {&a, &b}) {
        client->subscribe("keep/+");
        client->subscribe("lose/x/y/z");
        client->subscribe("$share/g/lose/#");
    }
    profiles["a"] = allowing({"keep/#"});
    renew();
    b.publish("keep/1", "kept");
    b.publish("lose/x/y/z", "lost");
    EXPECT_EQ(a.take_payloads(), Strings{"kept"});
    EXPECT_EQ(b.take_payloads(), (Strings{"kept", "lost", "lost"}));
    EXPECT_EQ(world.counted(&Counters::subscriptions_revoked_total), 2u);
    EXPECT_EQ(world.session("a")->subscription_count(), 1u);
    EXPECT_EQ(a.subscribe("lose/x/y/z"), std::vector{ReasonCode::not_authorized});
    EXPECT_EQ(a.subscribe("keep/2"), std::vector{ReasonCode::success});
    // Also of a session whose client is away.
    a.disconnect();
    profiles["a"] = allowing({});
    renew();
    EXPECT_EQ(world.session("a")->subscription_count(), 0u);
    EXPECT_EQ(world.counted(&Counters::subscriptions), 3u);
}

TEST_F(RenewTest, refuses_a_topic_that_was_permitted_under_other_rules) {
    const auto publishing = [](std::vector<std::string> filters) {
        auto profile = std::make_shared<Profile>(*open_profile());
        profile->publish = AccessList{std::move(filters), {}};
        return profile;
    };
    world.gate().profiles["a"] = publishing({"old/+"});
    Client& reader = world.client("reader").connect();
    reader.subscribe("#");
    Client& a = world.client("a").connect({.clean_start = false, .session_expiry_s = 3'600});
    const auto say = [&](std::string_view topic) { return a.publish(topic, topic, {.qos = qos1}); };
    say("old/1");
    say("old/1");
    say("old/2");
    EXPECT_EQ(reader.take_payloads(), (Strings{"old/1", "old/1", "old/2"}));
    profiles["a"] = publishing({"new/+"});
    renew();
    say("old/2");
    say("old/1");
    say("new/1");
    EXPECT_EQ(reader.take_payloads(), Strings{"new/1"});
    // And when the session comes back under other rules.
    world.gate().profiles["a"] = publishing({"old/+"});
    a.disconnect();
    a.connect({.clean_start = false, .session_expiry_s = 3'600});
    say("new/1");
    say("old/1");
    EXPECT_EQ(reader.take_payloads(), Strings{"old/1"});
}

TEST_F(RenewTest, keeps_back_what_waits_for_a_client_that_may_not_read_it_any_more) {
    Client& a = world.client("a").connect({.clean_start = false, .session_expiry_s = 3'600});
    Client& b = world.client("b").connect();
    a.subscribe("keep/+", {.qos = qos1});
    a.subscribe("lose/+", {.qos = qos1});
    a.disconnect();
    b.publish("keep/1", "kept", {.qos = qos1});
    b.publish("lose/1", "lost", {.qos = qos1});
    profiles["a"] = allowing({"keep/#"});
    renew();
    world.gate().profiles["a"] = profiles["a"];
    a.connect({.clean_start = false, .session_expiry_s = 3'600});
    EXPECT_EQ(a.take_payloads(), Strings{"kept"});
}

TEST_F(RenewTest, takes_subscriptions_from_who_comes_back_with_lesser_credentials) {
    Client& a = world.client("a").connect({.clean_start = false, .session_expiry_s = 3'600});
    a.subscribe("lose/+");
    a.disconnect();
    world.gate().profiles["a"] = allowing({"keep/#"});
    a.connect({.clean_start = false, .session_expiry_s = 3'600});
    EXPECT_TRUE(a.session_present());
    EXPECT_EQ(world.session("a")->subscription_count(), 0u);
}

TEST_F(RenewTest, holds_for_logins_that_were_under_way) {
    world.gate().changed["a"] = allowing({"keep/#"});
    world.gate().changed["b"] = nullptr;
    Client& a = world.client("a").connect();
    EXPECT_EQ(a.subscribe("lose/1"), std::vector{ReasonCode::not_authorized});
    EXPECT_EQ(a.subscribe("keep/1"), std::vector{ReasonCode::success});
    Client& b = world.client("b").connect();
    ASSERT_NE(b.connack(), nullptr);
    EXPECT_EQ(b.connack()->reason, ReasonCode::not_authorized);
}

TEST_F(RenewTest, ends_sessions_that_are_not_admitted_any_more) {
    Client& here = world.client("here").connect({.clean_start = false, .session_expiry_s = 3'600});
    Client& away = world.client("away").connect({.clean_start = false, .session_expiry_s = 3'600});
    Client& other = world.client("other").connect();
    here.subscribe("x");
    away.subscribe("x");
    away.disconnect();
    profiles["here"] = profiles["away"] = nullptr;
    renew();
    EXPECT_EQ(here.goodbye(), ReasonCode::not_authorized);
    EXPECT_EQ(world.session("here"), nullptr);
    EXPECT_EQ(world.session("away"), nullptr);
    EXPECT_TRUE(other.ping());
    EXPECT_EQ(world.counted(&Counters::subscriptions), 0u);
    EXPECT_EQ(world.counted(&Counters::sessions), 1u);
}

TEST_F(RenewTest, dismisses_whom_it_is_told_to_and_knows_each_by_name_user_and_address) {
    Client& plain = world.client("plain").connect();
    Client& named = world.client("named").connect({.user_name = "eve"});
    Client& itself = world.client("itself").connect({.user_name = "itself"});
    Client& away = world.client("away").connect({.clean_start = false, .session_expiry_s = 60});
    away.disconnect();
    std::map<std::string, std::string, std::less<>> users;
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        std::optional<std::uint32_t> next = 0;
        while (next) {
            next = world.shard(i).dismiss(
                *next, 2,
                [&](const Shard::Present& who) -> std::optional<Refusal> {
                    users.emplace(who.client_id, who.user);
                    if (who.user != "eve") return std::nullopt;
                    return Refusal{ReasonCode::administrative_action, "banned"};
                },
                world.now());
            world.network(i).wake();
        }
    }
    world.run();
    EXPECT_EQ(users, (std::map<std::string, std::string, std::less<>>{
                         {"itself", "itself"}, {"named", "eve"}, {"plain", ""}}));
    EXPECT_EQ(named.goodbye(), ReasonCode::administrative_action);
    EXPECT_TRUE(plain.ping());
    EXPECT_TRUE(itself.ping());
    EXPECT_NE(world.session("away"), nullptr);
}

}  // namespace
}  // namespace mitu::broker::testing
