// Each bound is held, says so in the right words, and gives back what was taken.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using admission::Allowance;
using admission::Bound;
using admission::Limit;
using admission::Quota;
using admission::Scope;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;

constexpr TenantId tenant = tenant_default;

WorldOptions limited(std::uint16_t shards = 1, const admission::ControlOptions& control = {}) {
    WorldOptions options;
    options.shards = shards;
    options.admission = control;
    return options;
}

void allow(World& world, Quota quota, const Allowance& allowance, TenantId whose = tenant) {
    admission::TenantLimits limits;
    limits[quota] = allowance;
    ASSERT_TRUE(world.admission().ledger.set_tenant(whose, limits));
}

std::uint64_t used(World& world, Quota quota) {
    return world.admission().ledger.tenant(tenant).used(quota);
}

std::uint64_t refused(World& world, const Bound& bound) {
    std::uint64_t sum = 0;
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        sum += world.shard(i).counters().refused_by(bound);
    }
    return sum;
}

std::string retry_after(const Client& client) {
    std::string seconds;
    client.connack()->properties.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        if (pair.name == "retry-after-s") seconds = pair.value;
    });
    return seconds;
}

template <class Change>
void give_profile(World& world, const std::string& client_id, Change change) {
    auto profile = std::make_shared<Profile>(*open_profile());
    change(*profile);
    world.gate().profiles[client_id] = profile;
}

// --- connections and sessions ---

TEST(shard_limits, refuses_connections_beyond_the_tenants_quota_and_says_when_to_try_again) {
    World world{limited(3)};
    allow(world, Quota::connections, {.maximum = 2});
    Client& a = world.client("a").connect();
    Client& b = world.client("b").connect();
    Client& c = world.client("c").connect();
    ASSERT_NE(c.connack(), nullptr);
    EXPECT_EQ(c.connack()->reason, ReasonCode::quota_exceeded);
    EXPECT_EQ(retry_after(c), "30");
    EXPECT_FALSE(c.is_open());
    EXPECT_EQ(refused(world, {Limit::connections, Scope::tenant}), 1u);
    EXPECT_EQ(world.admission().ledger.tenant(tenant).refused(Limit::connections), 1u);
    a.disconnect();
    EXPECT_TRUE(c.connect().is_connected());
    b.cut();
    world.run();
    c.reset();
    world.run();
    EXPECT_EQ(used(world, Quota::connections), 0u);
    EXPECT_EQ(used(world, Quota::sessions), 0u);
    EXPECT_EQ(world.admission().ledger.listener_connections(0), 0u);
}

TEST(shard_limits, lets_a_client_take_over_its_own_connection_when_all_places_are_taken) {
    World world{limited(2)};
    allow(world, Quota::connections, {.maximum = 1});
    world.admission().ledger.set_listener(0, {.connections_max = 1, .connect_rate = {}});
    Client& first = world.client("same").connect();
    Client& second = world.client("same").connect();
    EXPECT_TRUE(second.is_connected());
    EXPECT_EQ(first.goodbye(), ReasonCode::session_taken_over);
    EXPECT_EQ(used(world, Quota::connections), 1u);
    EXPECT_EQ(world.admission().ledger.listener_connections(0), 1u);
    // With a clean start over a session that stays.
    second.connect({.session_expiry_s = 100});
    second.connect({.clean_start = true, .session_expiry_s = 100});
    EXPECT_EQ(used(world, Quota::sessions), 1u);
    second.disconnect();
    EXPECT_EQ(used(world, Quota::connections), 0u);
    EXPECT_EQ(used(world, Quota::sessions), 1u);
    world.advance(Duration::seconds(101));
    EXPECT_EQ(used(world, Quota::sessions), 0u);
}

TEST(shard_limits, counts_sessions_that_are_away) {
    World world{limited()};
    allow(world, Quota::sessions, {.maximum = 1});
    Client& a = world.client("a").connect({.session_expiry_s = 60});
    a.cut();
    world.run();
    Client& b = world.client("b").connect();
    EXPECT_EQ(b.connack()->reason, ReasonCode::quota_exceeded);
    EXPECT_EQ(used(world, Quota::connections), 0u);
    EXPECT_TRUE(a.connect({.clean_start = false, .session_expiry_s = 60}).is_connected());
    EXPECT_TRUE(a.session_present());
}

TEST(shard_limits, keeps_a_listener_at_its_own_bounds) {
    World world{limited()};
    world.admission().ledger.set_listener(
        0, {.connections_max = 1, .connect_rate = {}, .packet_bytes_max = 100});
    Client& a = world.client("a").connect();
    EXPECT_EQ(a.connack()->properties.maximum_packet_size, 100u);
    EXPECT_EQ(world.client("b").connect().connack()->reason, ReasonCode::quota_exceeded);
    EXPECT_EQ(refused(world, {Limit::connections, Scope::listener}), 1u);
    a.publish("t", std::string(200, 'x'));
    EXPECT_EQ(a.goodbye(), ReasonCode::packet_too_large);
}

TEST(shard_limits, tells_clients_that_come_too_fast_to_wait) {
    World world{limited(2, {.server = {.connect_rate = {.per_second = 1, .burst = 2}}})};
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(world.client(fmt::format("c{}", i)).connect().is_connected());
    }
    Client& v5 = world.client("v5").connect();
    EXPECT_EQ(v5.connack()->reason, ReasonCode::connection_rate_exceeded);
    EXPECT_EQ(retry_after(v5), "1");
    Client& v3 = world.client("v3").connect({.version = ProtocolVersion::v3_1_1});
    ASSERT_NE(v3.connack(), nullptr);
    EXPECT_EQ(v3.connack()->reason, ReasonCode::server_unavailable);
    EXPECT_EQ(refused(world, {Limit::connect_rate, Scope::server}), 2u);
    world.advance(Duration::seconds(2));
    EXPECT_TRUE(v5.connect().is_connected());
    // It cannot take the reason: it is refused all the same.
    Client& tiny = world.client("tiny").connect();
    static_cast<void>(tiny);
    Client& small = world.client("small").connect({.maximum_packet_size = 10});
    ASSERT_NE(small.connack(), nullptr);
    EXPECT_EQ(small.connack()->reason, ReasonCode::connection_rate_exceeded);
    EXPECT_FALSE(small.connack()->properties.reason_string.has_value());
}

TEST(shard_limits, paces_the_connects_of_a_tenant_and_not_those_of_others) {
    World world{limited(2)};
    world.gate().tenants["other"] = TenantId{1};
    admission::TenantLimits limits;
    limits.connect_rate = {.per_second = 1, .burst = 1};
    ASSERT_TRUE(world.admission().ledger.set_tenant(tenant, limits));
    EXPECT_TRUE(world.client("a").connect().is_connected());
    EXPECT_EQ(world.client("b").connect().connack()->reason, ReasonCode::connection_rate_exceeded);
    for (int i = 0; i < 5; ++i) {
        Client& other = world.client(fmt::format("o{}", i));
        EXPECT_TRUE(other.connect({.user_name = "other"}).is_connected());
    }
}

TEST(shard_limits, paces_the_connects_of_one_client_id_and_says_when_it_may_come) {
    World world{limited(3)};
    world.admission().client_connects_per_minute = 3;
    Client& hasty = world.client("hasty");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(hasty.connect().is_connected());
    EXPECT_EQ(hasty.connect().connack()->reason, ReasonCode::connection_rate_exceeded);
    EXPECT_EQ(retry_after(hasty), "20");
    EXPECT_EQ(refused(world, {Limit::connect_rate, Scope::client}), 1u);
    hasty.connect({.version = ProtocolVersion::v3_1_1});
    EXPECT_EQ(hasty.connack()->reason, ReasonCode::server_unavailable);
    EXPECT_TRUE(world.client("calm").connect().is_connected());
    world.advance(Duration::seconds(20));
    EXPECT_TRUE(hasty.connect().is_connected());
    world.admission().client_connects_per_minute = 0;
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(hasty.connect().is_connected()) << "live";
}

TEST(shard_limits, leaves_the_connect_rate_to_the_doorkeeper_where_there_is_one) {
    World world{limited(1, {.server = {.connect_rate = {.per_second = 1, .burst = 1}}})};
    world.admission().ledger.set_listener(0, {.connect_rate = {}, .has_doorkeeper = true});
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(world.client(fmt::format("c{}", i)).connect().is_connected());
    }
    const ports::PeerAddress peer{make_v4(192, 0, 2, 7), 1};
    const Bound bound{Limit::connect_rate, Scope::server};
    for (int i = 0; i < 3; ++i) world.shard().note_refused_at_door(peer, bound, world.now());
    EXPECT_EQ(refused(world, bound), 3u);
    const auto attempts = world.shard().refused_attempts().newest();
    ASSERT_EQ(attempts.size(), 1u);
    EXPECT_EQ(attempts[0].address, peer.ip);
    EXPECT_EQ(attempts[0].count, 3u);
    EXPECT_EQ(attempts[0].reason, static_cast<std::uint8_t>(ReasonCode::connection_rate_exceeded));
    EXPECT_EQ(attempts[0].bound, bound);
}

// --- bans ---

TEST(shard_limits, keeps_banned_names_and_addresses_out_for_as_long_as_it_lasts) {
    World world{limited(3)};
    auto& bans = world.admission().bans;
    const Instant until = world.now() + Duration::seconds(10);
    ASSERT_TRUE(bans.set({admission::BanTarget::client(tenant, "bad"), "", "ops", {}, until}));
    Client& bad = world.client("bad").connect();
    EXPECT_EQ(bad.connack()->reason, ReasonCode::banned);
    EXPECT_EQ(retry_after(bad), "10");
    bad.connect({.version = ProtocolVersion::v3_1_1});
    EXPECT_EQ(bad.connack()->reason, ReasonCode::not_authorized);
    EXPECT_TRUE(world.client("good").connect().is_connected());
    world.advance(Duration::seconds(10));
    EXPECT_TRUE(bad.connect().is_connected());

    ASSERT_TRUE(bans.set({admission::BanTarget::user(tenant, "eve"), "", "ops", {}}));
    EXPECT_EQ(world.client("x").connect({.user_name = "eve"}).connack()->reason,
              ReasonCode::banned);
    // The virtual clients come from "::".
    const auto everywhere = parse_ip_network("::/64").value();
    ASSERT_TRUE(bans.set({admission::BanTarget::from(everywhere), "", "ops", {}}));
    Client& y = world.client("y").connect();
    EXPECT_EQ(y.connack()->reason, ReasonCode::banned);
    EXPECT_EQ(retry_after(y), "");  // nothing to wait for
    EXPECT_EQ(refused(world, {Limit::ban, Scope::server}), 1u);
}

TEST(shard_limits, bans_a_client_that_flaps_and_lets_it_back_in_later) {
    World world{limited(3, {.flapping = {.connects_max = 3,
                                         .window = Duration::seconds(60),
                                         .ban = Duration::seconds(120)}})};
    Client& flappy = world.client("flappy");
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(flappy.connect().is_connected());
        flappy.disconnect();
    }
    EXPECT_EQ(flappy.connect().connack()->reason, ReasonCode::banned);
    EXPECT_EQ(flappy.connect().connack()->reason, ReasonCode::banned);
    EXPECT_EQ(world.counted(&Counters::flapping_bans_total), 1u);
    const auto all = world.admission().bans.snapshot()->all();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].set_by, "flapping detection");
    EXPECT_TRUE(world.client("calm").connect().is_connected());
    world.advance(Duration::seconds(120));
    EXPECT_TRUE(flappy.connect().is_connected());
}

TEST(shard_limits, does_not_count_who_was_never_let_in_as_flapping) {
    World world{limited(1, {.flapping = {.connects_max = 2,
                                         .window = Duration::seconds(60),
                                         .ban = Duration::seconds(120)}})};
    world.gate().is_late = true;
    Client& victim = world.client("victim");
    for (int i = 0; i < 10; ++i) {
        victim.connect();
        world.answer(false);
    }
    victim.connect();
    world.answer(true);
    EXPECT_TRUE(victim.is_connected());
}

TEST(shard_limits, remembers_who_was_refused_and_why) {
    World world{limited()};
    allow(world, Quota::connections, {.maximum = 0});
    world.gate().refused["nobody"] = {ReasonCode::not_authorized, "unknown device"};
    world.client("nobody").connect();
    for (int i = 0; i < 3; ++i) world.client("d1").connect();
    const auto attempts = world.shard().refused_attempts().newest();
    ASSERT_EQ(attempts.size(), 2u);
    EXPECT_EQ(attempts[0].client_id, "d1");
    EXPECT_EQ(attempts[0].count, 3u);
    EXPECT_TRUE(attempts[0].has_bound);
    EXPECT_EQ(attempts[0].bound, (Bound{Limit::connections, Scope::tenant}));
    EXPECT_EQ(attempts[1].text, "unknown device");
    EXPECT_FALSE(attempts[1].has_bound);
}

// --- subscriptions ---

TEST(shard_limits, refuses_filters_beyond_a_quota_one_by_one) {
    World world{limited(3)};
    allow(world, Quota::subscriptions, {.maximum = 2});
    Client& a = world.client("a").connect();
    Client& b = world.client("b").connect();
    EXPECT_EQ(a.subscribe("x/1")[0], ReasonCode::success);
    EXPECT_EQ(b.subscribe("x/2")[0], ReasonCode::success);
    EXPECT_EQ(a.subscribe("x/3")[0], ReasonCode::quota_exceeded);
    EXPECT_EQ(a.subscribe("x/1")[0], ReasonCode::success);  // not one more
    EXPECT_EQ(refused(world, {Limit::subscriptions, Scope::tenant}), 1u);
    a.unsubscribe("x/1");
    EXPECT_EQ(used(world, Quota::subscriptions), 1u);
    EXPECT_EQ(a.subscribe("x/3")[0], ReasonCode::success);
    const Refusals* const why = world.session("a")->refusals();
    ASSERT_NE(why, nullptr);
    why->for_each([&](const Refusals::Entry& entry) {
        EXPECT_EQ(entry.reason.kind, RefusalKind::subscription_refused);
        EXPECT_EQ(entry.bound, (Bound{Limit::subscriptions, Scope::tenant}));
    });
    EXPECT_EQ(world.session("b")->refusals(), nullptr);
    a.cut();
    b.cut();
    world.run();
    EXPECT_EQ(used(world, Quota::subscriptions), 0u);
}

TEST(shard_limits, holds_the_policys_bounds_of_filters_and_topics) {
    World world;
    give_profile(world, "a", [](Profile& profile) {
        profile.subscriptions_max = 3;
        profile.topic_levels_max = 3;
        profile.wildcard_levels_max = 1;
        profile.retained_payload_bytes_max = 4;
    });
    Client& a = world.client("a").connect();
    EXPECT_EQ(a.subscribe("a/b/c")[0], ReasonCode::success);
    EXPECT_EQ(a.subscribe("a/b/c/d")[0], ReasonCode::quota_exceeded);
    EXPECT_EQ(a.subscribe("a/+/#")[0], ReasonCode::quota_exceeded);
    EXPECT_EQ(a.subscribe("$share/g/a/b/+")[0], ReasonCode::success);  // three levels
    EXPECT_EQ(a.subscribe("a/#")[0], ReasonCode::success);
    EXPECT_EQ(a.subscribe("b")[0], ReasonCode::quota_exceeded);
    EXPECT_EQ(a.publish("a/b/c", "1", {.qos = qos1}), ReasonCode::success);
    EXPECT_EQ(a.publish("a/b/c/d", "1", {.qos = qos1}), ReasonCode::topic_name_invalid);
    EXPECT_EQ(a.publish("a/b", "12345", {.qos = qos1, .retain = true}), ReasonCode::quota_exceeded);
    EXPECT_EQ(a.publish("a/b", "12345", {.qos = qos1}), ReasonCode::success);
    EXPECT_EQ(refused(world, {Limit::topic_levels, Scope::client}), 2u);
    EXPECT_EQ(refused(world, {Limit::wildcard_levels, Scope::client}), 1u);
    a.connect({.will = WillOptions{"a/b/c/d", "x", qos1, false, 0, std::nullopt}});
    EXPECT_EQ(a.connack()->reason, ReasonCode::topic_name_invalid) << "nor by its will";
}

TEST(shard_limits, sends_no_more_at_once_than_the_policy_lets_be_in_flight) {
    World world;
    give_profile(world, "slow", [](Profile& profile) { profile.inflight_max = 2; });
    Client& slow = world.client("slow").connect();
    slow.subscribe("t", {.qos = qos1});
    slow.acknowledges = false;
    Client& pub = world.client("pub").connect();
    for (int i = 0; i < 5; ++i) pub.publish("t", "x", {.qos = qos1});
    EXPECT_EQ(slow.take_payloads().size(), 2u);
    slow.release_acks();
    world.run();
    EXPECT_EQ(slow.take_payloads().size(), 3u);
}

// --- messages ---

TEST(shard_limits, refuses_retained_messages_beyond_a_quota_and_counts_what_is_kept) {
    World world{limited(2)};
    allow(world, Quota::retained_messages, {.maximum = 2});
    Client& a = world.client("a").connect();
    const PublishOptions retained{.qos = qos1, .retain = true};
    EXPECT_FALSE(mqtt::is_error(*a.publish("r/1", "one", retained)));
    EXPECT_FALSE(mqtt::is_error(*a.publish("r/2", "two", retained)));
    EXPECT_EQ(a.publish("r/3", "three", retained), ReasonCode::quota_exceeded);
    EXPECT_FALSE(mqtt::is_error(*a.publish("r/1", "other", retained)));
    EXPECT_EQ(used(world, Quota::retained_bytes), 3u + 5 + 3 + 3);
    a.publish("r/4", "lost", {.retain = true});  // QoS 0: dropped and counted
    EXPECT_EQ(refused(world, {Limit::retained_messages, Scope::tenant}), 2u);
    EXPECT_EQ(world.dropped(DropReason::retained_quota), 2u);
    a.publish("r/1", "", retained);
    a.publish("r/2", "short", {.qos = qos1, .retain = true, .message_expiry_s = 5});
    EXPECT_EQ(used(world, Quota::retained_messages), 1u);
    world.advance(Duration::seconds(6));
    EXPECT_EQ(used(world, Quota::retained_messages), 0u);
    EXPECT_EQ(used(world, Quota::retained_bytes), 0u);
}

TEST(shard_limits, bounds_what_a_tenants_messages_take_and_leaves_others_alone) {
    World world{limited(2)};
    world.gate().tenants["other"] = TenantId{1};
    allow(world, Quota::message_bytes, {.maximum = 10'000});
    Client& away = world.client("away").connect({.session_expiry_s = 1'000});
    away.subscribe("t/a/b", {.qos = qos1});
    away.cut();
    Client& pub = world.client("pub").connect();
    int kept = 0;
    while (kept < 100 &&
           !mqtt::is_error(*pub.publish("t/a/b", std::string(995, 'x'), {.qos = qos1}))) {
        ++kept;
    }
    // Once on the topic's home and once where the session is, unless that is the same.
    EXPECT_GE(kept, 5);
    EXPECT_LE(kept, 10);
    EXPECT_LE(used(world, Quota::message_bytes), 10'000u);
    EXPECT_GE(world.dropped(DropReason::tenant_quota), 1u);
    EXPECT_EQ(refused(world, {Limit::message_bytes, Scope::tenant}),
              world.dropped(DropReason::tenant_quota));
    Client& other = world.client("other").connect({.user_name = "other"});
    other.subscribe("#", {.qos = qos1});
    EXPECT_EQ(other.publish("t/a/b", std::string(50'000, 'y'), {.qos = qos1}), ReasonCode::success);
    away.connect({.clean_start = false});
    EXPECT_EQ(away.take_payloads().size(), static_cast<std::size_t>(kept));
    for (Client* client : {&away, &pub, &other}) client->disconnect();
    EXPECT_EQ(used(world, Quota::message_bytes), 0u);
}

TEST(shard_limits, reads_a_client_no_faster_than_its_byte_rate) {
    World world;
    give_profile(world, "fast", [](Profile& profile) {
        profile.bytes_per_s = 1'000;
        profile.bytes_burst = 1'000;
    });
    Client& fast = world.client("fast").connect({.keep_alive_s = 1});
    Client& sub = world.client("sub").connect();
    sub.subscribe("t");
    for (int i = 0; i < 100; ++i) fast.publish_later("t", std::string(95, 'x'));  // 100 bytes each
    world.run();
    EXPECT_LE(sub.take_payloads().size(), 11u);
    world.advance(Duration::seconds(3));
    const std::size_t in_three_seconds = sub.take_payloads().size();
    EXPECT_GE(in_three_seconds, 28u);
    EXPECT_LE(in_three_seconds, 31u);
    // Silence while nobody reads it is not its fault; nothing is lost.
    world.advance(Duration::seconds(5));
    sub.take_payloads();
    EXPECT_TRUE(fast.is_connected());
    EXPECT_GE(world.counted(&Counters::rate_limited_total), 1u);
    const Refusals* const why = world.session("fast")->refusals();
    ASSERT_NE(why, nullptr);
    why->for_each([](const Refusals::Entry& entry) {
        EXPECT_EQ(entry.reason.kind, RefusalKind::slowed_down);
        EXPECT_EQ(entry.bound, (Bound{Limit::byte_rate, Scope::client}));
    });
}

TEST(shard_limits, shares_a_tenants_rate_between_its_clients_and_slows_nobody_else) {
    World world{limited(3)};
    world.gate().tenants["other"] = TenantId{1};
    admission::TenantLimits limits;
    limits.message_rate = {.per_second = 100, .burst = 10};
    ASSERT_TRUE(world.admission().ledger.set_tenant(tenant, limits));
    std::vector<Client*> clients;
    Client& sub = world.client("sub").connect();
    sub.subscribe("#");
    for (int i = 0; i < 5; ++i) {
        clients.push_back(&world.client(fmt::format("c{}", i)).connect());
        for (int k = 0; k < 400; ++k) clients.back()->publish_later(clients.back()->id(), "x");
    }
    Client& other = world.client("other").connect({.user_name = "other"});
    other.subscribe("#");
    for (int k = 0; k < 1'000; ++k) other.publish_later("t", "x");
    world.run();
    EXPECT_EQ(other.take_payloads().size(), 1'000u);
    sub.take_messages();
    world.advance(Duration::seconds(4));
    std::map<std::string, std::size_t> seen;
    std::size_t all = 0;
    for (const Message& message : sub.take_messages()) {
        ++seen[message.topic];
        ++all;
    }
    EXPECT_GE(all, 390u);
    EXPECT_LE(all, 405u);
    // Nobody starves beside another.
    for (const Client* client : clients) {
        EXPECT_GE(seen[client->id()], 75u) << client->id();
        EXPECT_LE(seen[client->id()], 85u) << client->id();
    }
    EXPECT_GT(world.admission().ledger.tenant(tenant).refused(Limit::message_rate), 0u);
    EXPECT_EQ(world.admission().ledger.tenant(TenantId{1}).refused(Limit::message_rate), 0u);
}

TEST(shard_limits, shares_the_rate_of_a_listener_or_of_the_server_and_loses_nothing) {
    for (const Scope scope : {Scope::listener, Scope::server}) {
        World world{limited(2)};
        auto& ledger = world.admission().ledger;
        EXPECT_FALSE(ledger.has_traffic_rates());
        const admission::Rate rate{.per_second = 100, .burst = 10};
        if (scope == Scope::listener) {
            ledger.set_listener(0, {.connect_rate = {}, .message_rate = rate});
        } else {
            ASSERT_TRUE(ledger.set_server({.connect_rate = {}, .message_rate = rate}));
        }
        EXPECT_TRUE(ledger.has_traffic_rates());
        Client& sub = world.client("sub").connect();
        sub.subscribe("#");
        for (const char* id : {"a", "b"}) {
            Client& pub = world.client(id).connect();
            for (int k = 0; k < 100; ++k) pub.publish_later(id, "x");
        }
        world.run();
        EXPECT_LE(sub.take_messages().size(), 15u);
        world.advance(Duration::seconds(1));
        std::map<std::string, std::size_t> seen;
        for (const Message& message : sub.take_messages()) ++seen[message.topic];
        EXPECT_NEAR(static_cast<double>(seen["a"]), 50, 6);
        EXPECT_NEAR(static_cast<double>(seen["b"]), 50, 6);
        EXPECT_GT(refused(world, {Limit::message_rate, scope}), 0u);
        EXPECT_EQ(ledger.tenant(tenant).refused(Limit::message_rate), 0u) << "not the tenant's";
        world.advance(Duration::seconds(2));
        EXPECT_GE(sub.take_messages().size(), 80u) << "slowed, not lost";
        ledger.set_listener(0, {});
        ASSERT_TRUE(ledger.set_server({}));
        EXPECT_FALSE(ledger.has_traffic_rates());
    }
}

TEST(shard_limits, reads_the_bytes_of_a_listener_no_faster_than_its_rate) {
    World world{limited()};
    world.admission().ledger.set_listener(
        0, {.connect_rate = {}, .byte_rate = {.per_second = 1'000, .burst = 1'000}});
    Client& sub = world.client("sub").connect();
    sub.subscribe("t");
    Client& pub = world.client("pub").connect({.keep_alive_s = 1});
    for (int i = 0; i < 60; ++i) pub.publish_later("t", std::string(95, 'x'));
    world.run();
    EXPECT_LE(sub.take_payloads().size(), 12u);
    world.advance(Duration::seconds(6));
    EXPECT_GE(sub.take_payloads().size(), 45u);
    EXPECT_TRUE(pub.is_connected()) << "silence while nobody reads it is not its fault";
    EXPECT_GT(refused(world, {Limit::byte_rate, Scope::listener}), 0u);
}

// --- memory ---

TEST(shard_limits, sheds_step_by_step_when_memory_runs_short) {
    constexpr std::uint64_t budget = std::uint64_t{1} << 30;
    World world{limited(1, {.memory = {.budget_bytes = budget}})};
    auto& memory = world.admission().memory;
    Client& pub = world.client("pub").connect();
    Client& slow = world.client("slow").connect({.session_expiry_s = 100});
    Client& quick = world.client("quick").connect();
    for (Client* client : {&slow, &quick}) client->subscribe("t", {.qos = qos1});

    memory.update(budget * 86 / 100);
    EXPECT_EQ(pub.publish("r", "x", {.qos = qos1, .retain = true}), ReasonCode::quota_exceeded);
    EXPECT_FALSE(mqtt::is_error(*pub.publish("r", "", {.qos = qos1, .retain = true})));

    memory.update(budget * 91 / 100);
    slow.acknowledges = false;
    slow.set_window(0);
    for (int i = 0; i < 2'000; ++i) pub.publish_later("t", std::string(1'000, 'x'), {.qos = qos1});
    world.run();
    ASSERT_GT(world.session("slow")->queued_count(), 0u);
    pub.publish("t", "unheard", {});
    EXPECT_EQ(world.dropped(DropReason::memory_pressure), 1u);
    EXPECT_EQ(quick.take_payloads().back(), "unheard");

    memory.update(budget * 94 / 100);
    Client& late = world.client("late").connect();
    EXPECT_EQ(late.connack()->reason, ReasonCode::server_busy);
    EXPECT_EQ(retry_after(late), "30");
    EXPECT_TRUE(slow.is_connected());

    memory.update(budget);
    world.network().wake();
    world.run();
    EXPECT_FALSE(world.session("slow")->is_attached());
    EXPECT_TRUE(quick.is_connected());
    EXPECT_EQ(world.counted(&Counters::shed_clients_total), 1u);
    memory.update(0);
    EXPECT_TRUE(late.connect().is_connected());
}

}  // namespace
}  // namespace mitu::broker::testing
