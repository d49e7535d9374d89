// Tenants are walls. What one does is drawn from a seed; what another sees is compared with a world
// in which the first does not exist.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using admission::Quota;
using mqtt::ReasonCode;

constexpr TenantId tenant_a{1};
constexpr TenantId tenant_b{2};
constexpr std::array quotas{Quota::connections,       Quota::sessions,       Quota::subscriptions,
                            Quota::retained_messages, Quota::retained_bytes, Quota::message_bytes};

/// What B has for itself, and what is for all beside it: little enough for A to spend.
constexpr std::array<std::uint64_t, quotas.size()> reserved{12, 12, 64, 64, 1 << 20, 1 << 20};
constexpr std::array<std::uint64_t, quotas.size()> common{6, 8, 10, 5, 4'000, 20'000};

WorldOptions draw_world(std::uint64_t seed) {
    Prng prng{seed};
    WorldOptions options;
    options.seed = seed;
    options.shards = static_cast<std::uint16_t>(1 + prng.below(3));
    options.draws_order = true;
    options.network.chops = prng.chance(0.3);
    if (prng.chance(0.3)) options.lanes = tiny_lanes();
    auto& control = options.admission.emplace();
    for (std::size_t i = 0; i < quotas.size(); ++i) {
        control.server.maximum[static_cast<std::size_t>(quotas[i])] = reserved[i] + common[i];
    }
    if (prng.chance(0.5)) control.flapping.connects_max = 20;
    return options;
}

/// A few clients of one tenant. Names and topics are the same for every tenant, so that a hole in a
/// wall is found soon.
class Crew {
public:
    Crew(World& world, std::string user, TenantId tenant, std::uint64_t seed)
        : world_{world}, user_{std::move(user)}, tenant_{tenant}, prng_{seed} {
        for (int i = 0; i < 4; ++i) clients_.push_back(&world_.client(fmt::format("c{}", i)));
        // Which member of a group gets a message is nobody's business.
        for (int i = 0; i < 2; ++i) members_.push_back(&world_.client(fmt::format("m{}", i)));
    }

    /// One thing that clients do. Returns what it was.
    std::string act() {
        Client& client = *clients_[prng_.below(clients_.size())];
        if (!client.is_connected()) return connect(client, prng_.chance(0.6));
        switch (prng_.below(12)) {
            case 0:
                client.send_later(mqtt::Disconnect{});
                client.cut();
                return "disconnect " + client.id();
            case 1:
                client.reset();
                return "reset " + client.id();
            case 2:
                return connect(client, prng_.chance(0.5));  // takes itself over
            case 3:
            case 4:
                return subscribe(client);
            case 5: {
                const std::string filter = draw_filter();
                client.unsubscribe_later(filter);
                return "unsubscribe " + filter;
            }
            case 6:
                return join();
            case 7:
                for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
                    world_.shard(i).kick(tenant_, client.id(), world_.now());
                    world_.network(i).wake();
                }
                return "kick " + client.id();
            default:
                return publish(client);
        }
    }

    /// One thing that somebody does who wants everything for himself.
    void grab() {
        if (prng_.chance(0.3)) {
            act();
            return;
        }
        Client& client = *clients_[prng_.below(clients_.size())];
        switch (prng_.below(5)) {
            case 0:
                if (grabbers_.size() < 40) {
                    grabbers_.push_back(&world_.client(fmt::format("g{}", grabbers_.size())));
                    connect(*grabbers_.back(), true);
                }
                break;
            case 1:
                if (!client.is_connected()) break;
                for (int i = 0; i < 20; ++i) client.subscribe_later(fmt::format("x/{}/#", i));
                break;
            case 2:
                if (!client.is_connected()) break;
                for (int i = 0; i < 20; ++i) {
                    client.publish_later(fmt::format("keep/{}", i), std::string(500, 'k'),
                                         {.retain = true});
                }
                break;
            case 3:
                if (!client.is_connected() || client.unacknowledged_count() > 40) break;
                for (int i = 0; i < 20; ++i) {
                    client.publish_later("t/1", std::string(2'000, 'q'), {.qos = qos1});
                }
                break;
            default:
                // What is banned is the tenant's own client, though others have that name too.
                static_cast<void>(world_.admission().bans.set(
                    {admission::BanTarget::client(tenant_, client.id()), "", "test", world_.now(),
                     world_.now() + Duration::seconds(static_cast<std::int64_t>(prng_.below(3)))}));
        }
    }

    /// What came since the last time, and how things stand.
    std::string see() {
        std::string text;
        for (Client* client : clients_) {
            text += fmt::format("  {} {}:{}\n", client->id(), client->is_connected() ? "in" : "out",
                                taken({client}));
        }
        text += fmt::format("  group:{}\n", taken(members_));
        auto& account = world_.admission().ledger.tenant(tenant_);
        for (const Quota quota : quotas) {
            text += fmt::format("  {} {}\n", to_text(limit_of(quota)), account.used(quota));
        }
        for (std::size_t i = 0; i < admission::limit_count; ++i) {
            const auto limit = static_cast<admission::Limit>(i);
            if (account.refused(limit) != 0) {
                text += fmt::format("  refused {} {}\n", to_text(limit), account.refused(limit));
            }
        }
        return text;
    }

    void leave() {
        for (auto* list : {&clients_, &members_, &grabbers_}) {
            for (Client* client : *list) {
                client->reads = true;
                client->connect({.user_name = user_});
                // Where there is no place for one the others have to go first.
                if (client->is_connected()) client->disconnect();
            }
        }
    }

private:
    std::string connect(Client& client, bool stays) {
        ConnectOptions options;
        options.user_name = user_;
        options.clean_start = prng_.chance(0.3);
        options.session_expiry_s = stays ? 1'000 : 0;
        if (prng_.chance(0.3)) {
            options.will =
                WillOptions{"t/" + std::to_string(prng_.below(3)), "will", qos1, prng_.chance(0.3),
                            static_cast<std::uint32_t>(prng_.below(3))};
        }
        client.connect_later(options);
        return "connect " + client.id();
    }

    std::string subscribe(Client& client) {
        const std::string filter = draw_filter();
        client.subscribe_later(filter, {.qos = qos1});
        return "subscribe " + filter;
    }

    /// A member comes, goes or says what it wants.
    std::string join() {
        Client& member = *members_[prng_.below(members_.size())];
        if (!member.is_connected()) {
            member.connect_later({.user_name = user_});
            return "join " + member.id();
        }
        if (prng_.chance(0.2)) {
            member.send_later(mqtt::Disconnect{});
            member.cut();
            return "leave " + member.id();
        }
        const std::string filter = prng_.chance(0.5) ? "$share/g/t/+" : "$share/g/deep/a/b/#";
        member.subscribe_later(filter, {.qos = qos1});
        return "share " + filter;
    }

    std::string publish(Client& client) {
        const std::string topic = prng_.chance(0.5) ? fmt::format("t/{}", prng_.below(3))
                                                    : fmt::format("deep/a/b/{}", prng_.below(3));
        PublishOptions options;
        options.qos = static_cast<mqtt::QoS>(prng_.below(3));
        options.retain = prng_.chance(0.3);
        const std::string payload =
            prng_.chance(0.1) ? std::string{} : fmt::format("{}-{}", user_, number_++);
        client.publish_later(topic, payload, options);
        return "publish " + topic;
    }

    std::string draw_filter() {
        static constexpr std::array filters{"#", "t/+", "+/1", "t/2", "deep/a/b/#", "deep/a/b/1"};
        return filters[prng_.below(filters.size())];
    }

    static std::string taken(const std::vector<Client*>& clients) {
        std::vector<std::string> lines;
        for (Client* client : clients) {
            for (const Message& message : client->take_messages()) {
                lines.push_back(fmt::format(" {}={}{}", message.topic,
                                            message.payload.substr(0, 20),
                                            message.retain ? "(kept)" : ""));
            }
            for (const auto& packet : client->take_packets()) {
                if (const auto* const suback = packet.as<mqtt::Suback>()) {
                    for (const auto code : suback->reasons)
                        lines.push_back(fmt::format(" s{}", code));
                } else if (const auto* const puback = packet.as<mqtt::Puback>()) {
                    lines.push_back(fmt::format(" p{}", mqtt::to_text(puback->reason)));
                } else if (const auto* const connack = packet.as<mqtt::Connack>()) {
                    lines.push_back(fmt::format(" c{}{}", mqtt::to_text(connack->reason),
                                                connack->session_present ? "+" : ""));
                } else if (const auto* const bye = packet.as<mqtt::Disconnect>()) {
                    lines.push_back(fmt::format(" d{}", mqtt::to_text(bye->reason)));
                }
            }
        }
        std::ranges::sort(lines);
        std::string all;
        for (const std::string& line : lines) all += line;
        return all;
    }

    World& world_;
    std::string user_;
    TenantId tenant_;
    Prng prng_;
    std::vector<Client*> clients_;
    std::vector<Client*> members_;
    std::vector<Client*> grabbers_;
    int number_ = 0;
};

struct Seen {
    std::vector<std::string> steps;
    std::uint64_t refused_to_a = 0;
};

Seen run(std::uint64_t seed, bool with_a) {
    World world{draw_world(seed)};
    world.gate().tenants["a"] = tenant_a;
    world.gate().tenants["b"] = tenant_b;
    Prng prng{seed * 7 + 1};
    admission::TenantLimits of_b;
    for (std::size_t i = 0; i < quotas.size(); ++i) of_b[quotas[i]].reserved = reserved[i];
    admission::TenantLimits of_a;
    if (prng.chance(0.5)) of_a[Quota::sessions].maximum = 5;
    if (prng.chance(0.5)) of_a.message_rate = {.per_second = 20, .burst = 10};
    auto& ledger = world.admission().ledger;
    EXPECT_TRUE(ledger.set_tenant(tenant_b, of_b));
    EXPECT_TRUE(ledger.set_tenant(tenant_a, of_a));

    Crew a{world, "a", tenant_a, seed + 1'000'000};
    Crew b{world, "b", tenant_b, seed + 2'000'000};
    Seen seen;
    for (int step = 0; step < 120; ++step) {
        if (with_a) {
            for (std::uint64_t i = prng.below(6); i != 0; --i) {
                a.grab();
                world.run_some(prng.below(40));
            }
        }
        std::string what = b.act();
        world.run();
        if (step % 10 == 9) world.advance(Duration::seconds(1));
        seen.steps.push_back(what + "\n" + b.see());
        a.see();
    }
    for (std::size_t i = 0; i < admission::limit_count; ++i) {
        seen.refused_to_a += ledger.tenant(tenant_a).refused(static_cast<admission::Limit>(i));
    }
    // Everybody leaves, and takes back what was kept.
    world.admission().bans.expire(world.now() + Duration::seconds(100'000));
    world.advance(Duration::seconds(2'000));
    for (Crew* crew : {&a, &b}) crew->leave();
    world.run();
    for (const auto* user : {"a", "b"}) {
        Client& cleaner = world.client("cleaner").connect({.user_name = user});
        EXPECT_TRUE(cleaner.is_connected());
        cleaner.subscribe("#");
        for (const Message& message : cleaner.take_messages()) {
            cleaner.publish(message.topic, "", {.retain = true});
        }
        cleaner.disconnect();
    }
    world.advance(Duration::seconds(1));
    for (const Quota quota : quotas) {
        EXPECT_EQ(ledger.used(quota), 0u) << to_text(limit_of(quota)) << " seed " << seed;
    }
    EXPECT_EQ(ledger.listener_connections(0), 0u);
    return seen;
}

TEST(shard_tenants, see_and_get_what_they_would_without_each_other) {
    std::uint64_t refused_to_a = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        const Seen with = run(seed, true);
        const Seen without = run(seed, false);
        refused_to_a += with.refused_to_a;
        ASSERT_EQ(with.steps.size(), without.steps.size());
        for (std::size_t i = 0; i < with.steps.size(); ++i) {
            ASSERT_EQ(with.steps[i], without.steps[i]) << "step " << i;
        }
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(refused_to_a, 1'000u);  // it did run into what is not its own
}

/// Sessions that break at any point, memory that is denied, lanes that are full: what was taken is
/// given back.
TEST(shard_tenants, leave_nothing_in_the_ledger_whatever_breaks) {
    std::uint64_t broken = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        World world{draw_world(seed)};
        world.gate().tenants["a"] = tenant_a;
        world.gate().tenants["b"] = tenant_b;
        Crew a{world, "a", tenant_a, seed + 1'000'000};
        Crew b{world, "b", tenant_b, seed + 2'000'000};
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            world.faults(i).probability = {{ports::Fault::session_breaks, 0.01},
                                           {ports::Fault::session_memory_full, 0.02},
                                           {ports::Fault::message_store_full, 0.02},
                                           {ports::Fault::lane_full, 0.1},
                                           {ports::Fault::write_short, 0.1}};
        }
        for (int step = 0; step < 200; ++step) {
            (step % 2 == 0 ? a : b).grab();
            (step % 3 == 0 ? a : b).act();
            world.run_some(60);
            if (step % 20 == 19) world.advance(Duration::seconds(1));
        }
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            broken += world.faults(i).fired[ports::Fault::session_breaks];
            world.faults(i).probability.clear();
            world.network(i).wake();
        }
        world.run();
        world.admission().bans.expire(world.now() + Duration::seconds(100'000));
        world.advance(Duration::seconds(2'000));
        for (Crew* crew : {&a, &b}) crew->leave();
        world.advance(Duration::seconds(10));
        const auto& ledger = world.admission().ledger;
        for (const Quota quota : {Quota::connections, Quota::sessions, Quota::subscriptions}) {
            EXPECT_EQ(ledger.used(quota), 0u) << to_text(limit_of(quota));
        }
        EXPECT_EQ(ledger.listener_connections(0), 0u);
        std::uint64_t retained = 0;
        for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
            retained += world.shard(i).counters().retained_messages.read();
        }
        EXPECT_EQ(ledger.used(Quota::retained_messages), retained);
        EXPECT_EQ(world.stored_messages(), retained);
        EXPECT_EQ(ledger.used(Quota::message_bytes) == 0, retained == 0);
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(broken, 100u);
}

}  // namespace
}  // namespace mitu::broker::testing
